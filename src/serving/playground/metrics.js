// Reads /metrics: lines of `name{label="value"} number`.

const kLine = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const kLabel = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** [{name, labels, value}] */
export function parseMetrics(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : kLine.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(kLabel)) labels[name] = value;
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

/** The samples of these names, of one model or of all, put together. */
export function total(samples, names, model = "", join = (a, b) => a + b) {
  const wanted = samples.filter(({ name, labels }) =>
    names.includes(name) && (!model || (labels.model ?? labels.model_name ?? model) === model));
  return wanted.length > 0 ? wanted.map((one) => one.value).reduce((a, b) => join(a, b)) : null;
}
