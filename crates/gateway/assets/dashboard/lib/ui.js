// The one place that knows which library draws: everything else imports from here.

import { Fragment, h, render } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
export { Fragment, h, render };

/** Markup in a template, checked by nobody and escaped always. */
export const html = htm.bind(h);

/** Class names, without those that are not wanted. */
export const classes = (...names) => names.filter(Boolean).join(' ');
