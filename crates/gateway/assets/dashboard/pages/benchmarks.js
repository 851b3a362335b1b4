// A place kept for benchmarks that are run and compared from here. Until then they are run from the command line.

import { html } from '../lib/ui.js';
import { Empty } from '../parts/empty.js';

export default () => html`
  <${Empty} title="Benchmarks run from the command line" example=${`tidegate bench run --url http://${location.hostname}:4000/v1 --model sim/fast --rate 50 --duration 30s
tidegate bench run --help`}>
    <p>It loads a gateway or a provider at a rate that does not wait for answers, and times each request from the moment at which it was due, so that a
      queue at the client hides nothing. Runs, and how they compare, will stand here.</p>
  <//>`;
