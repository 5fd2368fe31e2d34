// The models of the server, as the views share them: name, state, and what each takes and gives.
import { askJson } from "./api.js";
import { el } from "./dom.js";

const listeners = [];
let models = [];

function kindOf({ inputs, outputs }) {
  const has = (ports, name) => ports.some((port) => port.name === name && port.datatype !== undefined);
  if (has(inputs, "text_input") && has(outputs, "text_output")) return "text";
  if (has(inputs, "prompt") && has(outputs, "image")) return "pictures";
  return "tensors";
}

async function describe(model) {
  if (model.state !== "READY") return model;
  try {
    const metadata = await askJson("GET", `v2/models/${encodeURIComponent(model.name)}`);
    return { ...model, ...metadata, kind: kindOf(metadata) };
  } catch {
    return { ...model, state: "UNAVAILABLE" }; // it went between the two questions
  }
}

// The repository has a row for each version; a model is ready when one of them is.
function byName(rows) {
  const made = new Map();
  for (const row of rows) {
    const before = made.get(row.name);
    if (!before || (before.state !== "READY" && row.state === "READY")) made.set(row.name, row);
  }
  return [...made.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** Asks the server anew and tells all views. */
export async function refresh() {
  const rows = byName(await askJson("POST", "v2/repository/index", {}));
  models = await Promise.all(rows.map(describe));
  for (const listener of listeners) listener(models);
  return models;
}

export const onModels = (listener) => listeners.push(listener);
export const modelNamed = (name) => models.find((model) => model.name === name);

/** Keeps a <select> in step with the ready models of a kind. `changed` hears when there are others. */
export function offerModels(select, kind, none, changed = () => {}) {
  onModels((all) => {
    const before = select.value;
    const names = all.filter((model) => model.kind === kind).map((model) => model.name);
    select.replaceChildren(...names.map((name) => el("option", { value: name, text: name })));
    if (names.includes(before)) select.value = before;
    select.disabled = names.length === 0;
    none.hidden = names.length > 0;
    changed();
  });
}
