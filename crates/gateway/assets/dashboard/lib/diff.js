// How two configurations differ, key by key.

const isTable = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** Every value of a tree under its whole key: `server.timeouts.idle`. Lists of tables are numbered. */
export function flatten(tree, prefix = '', found = new Map()) {
  const isList = Array.isArray(tree) && tree.some(isTable);
  if (isTable(tree) || isList) {
    for (const [key, value] of Object.entries(tree)) {
      flatten(value, isList ? `${prefix}[${key}]` : prefix ? `${prefix}.${quoted(key)}` : quoted(key), found);
    }
  } else {
    found.set(prefix, JSON.stringify(tree));
  }
  return found;
}

const quoted = (key) => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key));

/** What differs, in the order of the keys: `{ key, before, after }`, either undefined where it is not there. */
export function diff(before, after) {
  const [old, fresh] = [flatten(before), flatten(after)];
  const keys = [...new Set([...old.keys(), ...fresh.keys()])].sort();
  return keys
    .map((key) => ({ key, before: old.get(key), after: fresh.get(key) }))
    .filter((row) => row.before !== row.after);
}
