// A chart over time that can go into a report as it is: a title with its unit, axes, a legend with figures, lines told
// apart by their dashes as well as by their colours (Okabe and Ito's, who chose them for all eyes).

import { bytes, millis, time } from '../lib/format.js';
import { html, useEffect, useRef } from '../lib/ui.js';
import uPlot from '../vendor/uplot.js';

const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
const HEIGHT = 208;
/** Bytes between two marks: whole KiB, MiB and so on. */
const SIZES = Array.from({ length: 48 }, (_, power) => 2 ** power);
/** Seconds between two marks. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options({ series, format, width, tip, zero = true }) {
  const [ink, line] = [css('--ink-3'), css('--line')];
  const font = '11px system-ui, sans-serif';
  const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  const drawn = series.map((one, at) => ({
    label: one.label,
    stroke: css(`--series-${(one.colour ?? at) + 1}`),
    dash: DASHES[one.dash ?? at] ?? [],
    width: 1.75,
    fill: one.fill ? css(`--series-${(one.colour ?? at) + 1}-soft`) : undefined,
    points: { show: false },
  }));
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true }, y: { range: (_, low, high) => (zero ? [0, high > 0 ? high * 1.08 : 1] : [low, high]) } },
    axes: [
      { ...axis, incrs: STEPS, space: width < 420 ? 48 : 62, size: 30, values: (_, marks) => marks.map((at) => shortTime(at, marks)) },
      { ...axis, size: 54, space: 34, ...(format === bytes ? { incrs: SIZES } : {}), values: (_, marks) => marks.map((mark) => format(mark)) },
    ],
    series: [{}, ...drawn],
    hooks: { setCursor: [tip] },
  };
}

/** Seconds only where marks are less than a minute apart. */
function shortTime(at, marks) {
  const step = marks.length > 1 ? marks[1] - marks[0] : 60;
  const shape = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(step < 60 ? { second: '2-digit' } : {}) };
  return new Date(at * 1000).toLocaleTimeString(undefined, shape);
}

const latest = (values) => values.findLast((value) => value !== null && value !== undefined);

/**
 * `times`: seconds since 1970, ascending. `series`: `{ label, values, fill, colour, dash }`. `format` writes a value with its
 * unit. What is not known is null, and leaves a gap.
 */
export function Chart({ title, unit, times, series, format = millis, note }) {
  const [place, tooltip, plot] = [useRef(), useRef(), useRef()];
  const data = [times, ...series.map((one) => one.values)];
  const kept = useRef();
  kept.current = { data, series, format };
  useEffect(() => {
    const within = place.current;
    // A page that is left before it was seen.
    if (!within) return undefined;
    const draw = () => {
      plot.current?.destroy();
      const width = Math.max(200, within.clientWidth);
      const made = options({ ...kept.current, width, tip: (drawn) => tell(drawn, tooltip.current, kept.current) });
      plot.current = new uPlot(made, kept.current.data, within);
    };
    draw();
    const sized = new ResizeObserver(() => {
      const width = Math.max(200, within.clientWidth);
      if (plot.current && plot.current.width !== width) plot.current.setSize({ width, height: HEIGHT });
    });
    sized.observe(within);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    addEventListener('themechange', draw);
    return () => {
      sized.disconnect();
      dark.removeEventListener('change', draw);
      removeEventListener('themechange', draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [series.map((one) => one.label).join('\n')]);
  useEffect(() => plot.current?.setData(data), [times, ...series.map((one) => one.values)]);
  const last = (one) => format(latest(one.values) ?? null);
  const summary = `${title}: ${series.map((one) => `${one.label} ${last(one)}`).join(', ')}`;
  return html`
    <figure class="chart">
      <figcaption>
        <h3>${title} <small>${unit}</small></h3>
        <ul>
          ${series.map((one, at) => html`
            <li key=${one.label}><${Swatch} colour=${(one.colour ?? at) + 1} dash=${DASHES[one.dash ?? at]} /> ${one.label} <b>${last(one)}</b></li>`)}
        </ul>
        <button class="save" onClick=${() => save(plot.current, title, unit, kept.current)} title="Save as an image" aria-label="Save “${title}” as an image">PNG</button>
      </figcaption>
      <div class="plot" role="img" aria-label=${summary} ref=${place}><div class="tip" ref=${tooltip} hidden></div></div>
      ${note && html`<p class="note">${note}</p>`}
    </figure>`;
}

const Swatch = ({ colour, dash }) => html`
  <svg class="swatch s${colour}" width="18" height="8" aria-hidden="true"><line x1="0" x2="18" y1="4" y2="4" stroke-dasharray=${(dash ?? []).join(' ')} /></svg>`;

/** What the cursor is at. */
function tell(drawn, tip, { data, series, format }) {
  const { idx, left } = drawn.cursor;
  if (!tip) return;
  if (idx === null || idx === undefined || left < 0 || !data[0].length) {
    tip.hidden = true;
    return;
  }
  const rows = series.map((one, at) => [one.label, format(data[at + 1][idx] ?? null)]);
  tip.replaceChildren(
    Object.assign(document.createElement('b'), { textContent: time(data[0][idx] * 1000) }),
    ...rows.map(([label, value]) => Object.assign(document.createElement('span'), { textContent: `${label}  ${value}` })),
  );
  tip.hidden = false;
  const over = drawn.over.getBoundingClientRect().width;
  const from = drawn.bbox.left / devicePixelRatio;
  tip.style.left = `${left > over / 2 ? from + left - tip.offsetWidth - 12 : from + left + 12}px`;
}

/** The chart with its title and legend, on paper of its own colour. */
function save(plot, title, unit, { series }) {
  const from = plot.ctx.canvas;
  const [scale, head] = [devicePixelRatio, 40 * devicePixelRatio];
  const sheet = Object.assign(document.createElement('canvas'), { width: from.width, height: from.height + head });
  const paper = sheet.getContext('2d');
  paper.fillStyle = css('--surface');
  paper.fillRect(0, 0, sheet.width, sheet.height);
  paper.drawImage(from, 0, head);
  paper.fillStyle = css('--ink');
  paper.font = `600 ${13 * scale}px system-ui, sans-serif`;
  paper.fillText(`${title} (${unit})`, 8 * scale, 16 * scale);
  paper.font = `${11 * scale}px system-ui, sans-serif`;
  let x = 8 * scale;
  series.forEach((one, at) => {
    paper.strokeStyle = css(`--series-${(one.colour ?? at) + 1}`);
    paper.setLineDash((DASHES[one.dash ?? at] ?? []).map((length) => length * scale));
    paper.lineWidth = 2 * scale;
    paper.beginPath();
    paper.moveTo(x, 29 * scale);
    paper.lineTo(x + 18 * scale, 29 * scale);
    paper.stroke();
    paper.fillText(one.label, x + 22 * scale, 33 * scale);
    x += 34 * scale + paper.measureText(one.label).width;
  });
  const anchor = Object.assign(document.createElement('a'), { download: `${title.toLowerCase().replace(/\W+/g, '-')}.png`, href: sheet.toDataURL('image/png') });
  anchor.click();
}
