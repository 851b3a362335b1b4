// A place kept for experiments. Until then weights of an alias are the way to try a model on a part of the traffic.

import { link } from '../lib/router.js';
import { html } from '../lib/ui.js';
import { Empty } from '../parts/empty.js';

export default () => html`
  <${Empty} title="No experiment yet" example=${`[models.smart]
targets = [
  { model = "openai/gpt-4o", weight = 95 },
  { model = "anthropic/claude-sonnet", weight = 5 },
]`}>
    <p>Until experiments with arms, exposure and statistics stand here, an alias can send a small part of its requests elsewhere by weight. See on the
      <a href=${link('targets')}>targets</a> page how each does, and with <a href=${link('routing')}>routing</a> whom a request would go to.</p>
  <//>`;
