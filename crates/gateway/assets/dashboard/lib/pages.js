// Every page: where it is, its letter behind `g`, what it is for. A page is one file and one row here.

export const GROUPS = [
  {
    name: 'Watch',
    pages: [
      { id: 'overview', title: 'Overview', letter: 'o', about: 'How it is now, and the last ten minutes.' },
      { id: 'performance', title: 'Performance', letter: 'w', about: 'How fast, for whom, and how that went.' },
      { id: 'requests', title: 'Requests', letter: 'r', about: 'What was asked lately, and where its time went.' },
      { id: 'alerts', title: 'Alerts', letter: 'a', about: 'What calls for somebody, and who was told.' },
      { id: 'advice', title: 'Advice', letter: 'v', about: 'What to change, why, and what it would bring.' },
    ],
  },
  {
    name: 'Route',
    pages: [
      { id: 'targets', title: 'Targets', letter: 't', about: 'Whom requests go to, how they are, and who waits.' },
      { id: 'routing', title: 'Routing', letter: 'e', about: 'What would become of a request, without asking anybody.' },
      { id: 'playground', title: 'Playground', letter: 'p', about: 'Ask a model through the same way as callers do.' },
    ],
  },
  {
    name: 'Spend',
    pages: [
      { id: 'cache', title: 'Cache', letter: 'c', about: 'What is remembered, what it saves, and taking it back.' },
      { id: 'cost', title: 'Cost and budgets', letter: 'm', about: 'Tokens, what they cost, and what is left.' },
      { id: 'limits', title: 'Keys and limits', letter: 'l', about: 'Who may use how much, and how they stand.' },
    ],
  },
  {
    name: 'Run',
    pages: [
      { id: 'jobs', title: 'Jobs and workflows', letter: 'j', about: 'What is done later: queues, dead letters, runs.' },
      { id: 'configuration', title: 'Configuration', letter: 'f', about: 'What is in force, and what the file says by now.' },
      { id: 'system', title: 'System', letter: 's', about: 'This process: its load, its memory, its profiles.' },
      { id: 'api', title: 'API', letter: 'i', about: 'What programs can ask of the admin plane.' },
      { id: 'benchmarks', title: 'Benchmarks', letter: 'b', about: 'Measure it, and compare.' },
      { id: 'experiments', title: 'Experiments', letter: 'x', about: 'Two ways, the same callers, and which is better.' },
    ],
  },
];

export const PAGES = GROUPS.flatMap((group) => group.pages);
