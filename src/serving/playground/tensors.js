// The view for plain models: a form from the metadata, the request as JSON, and the outputs.
import { askJson } from "./api.js";
import { modelNamed, offerModels } from "./catalogue.js";
import { announce, byId, button, copyFrom, el, showError } from "./dom.js";

const kMaxFilled = 1 << 16;
const kShown = 64;

const model = () => modelNamed(byId("tensor-model").value);

function sizesIn(text) {
  const sizes = text.split(/[\s,x×]+/).filter(Boolean).map(Number);
  return sizes.every((size) => Number.isInteger(size) && size >= 0) ? sizes : null;
}

const kFills = {
  zeros: () => 0,
  ones: () => 1,
  counting: (i) => i,
  random: () => Math.random(),
};

function valueAs(datatype, number) {
  if (datatype === "BYTES") return String(number);
  if (datatype === "BOOL") return number >= 0.5;
  return /^(FP|BF)/.test(datatype) ? Number(number.toFixed(4)) : Math.round(number);
}

function fieldset(port) {
  const shape = el("input", { value: port.shape.map((size) => (size < 0 ? 1 : size)).join(", "), inputmode: "text",
    autocomplete: "off" });
  const fill = el("select", {}, ...Object.keys(kFills).map((name) => el("option", { value: name, text: name })));
  const data = el("textarea", { rows: 2, spellcheck: "false" });
  const refill = () => {
    const sizes = sizesIn(shape.value);
    const many = sizes?.reduce((a, b) => a * b, 1) ?? 0;
    if (many > kMaxFilled) data.value = "";
    else data.value = JSON.stringify(Array.from({ length: many }, (_, i) => valueAs(port.datatype, kFills[fill.value](i))));
    write();
  };
  shape.addEventListener("change", refill);
  fill.addEventListener("change", refill);
  data.addEventListener("input", write);
  const asked = port.shape.map((size) => (size < 0 ? "any" : size)).join(" × ");
  const made = el("fieldset", {}, el("legend", { text: port.name }),
    el("p", { class: "hint", text: `${port.datatype}, ${asked || "a single value"}` }),
    el("div", { class: "pair" }, el("label", {}, "Shape", shape), el("label", {}, "Fill with", fill)),
    el("label", {}, "Values", data));
  made.read = () => ({ name: port.name, datatype: port.datatype, shape: sizesIn(shape.value) ?? [],
    data: JSON.parse(data.value || "[]") });
  return [made, refill];
}

// The JSON is what is sent: the fields write it, and a person may change it.
function write() {
  try {
    const inputs = [...byId("tensor-inputs").children].map((one) => one.read());
    const lines = inputs.map((one) => `  ${JSON.stringify(one)}`);
    byId("tensor-json").value = `{"inputs": [\n${lines.join(",\n")}\n]}`;
    showError(byId("tensor-error"), null);
  } catch (error) {
    showError(byId("tensor-error"), { title: "The values are no JSON", message: error.message,
      advice: "Write a list such as [1, 2, 3]." });
  }
}

function rebuild() {
  const chosen = model();
  byId("tensor-run").disabled = !chosen;
  const built = (chosen?.inputs ?? []).map(fieldset);
  byId("tensor-inputs").replaceChildren(...built.map(([made]) => made));
  built.forEach(([, refill]) => refill());
  byId("tensor-outputs").replaceChildren();
  if (!chosen) byId("tensor-json").value = "";
}

function output(one) {
  const data = one.data ?? [];
  const head = data.slice(0, kShown).map((value) => (Number.isFinite(value) ? Number(value.toPrecision(6)) : value));
  const more = data.length > kShown ? ` … and ${data.length - kShown} more` : "";
  const copy = button("Copy", () => copyFrom(copy, JSON.stringify(data)), `Copy the values of ${one.name}`);
  return el("section", { class: "output", "aria-label": `Output ${one.name}` },
    el("h3", { text: one.name }), el("p", { class: "hint", text: `${one.datatype}, ${one.shape.join(" × ") || "a single value"}` }),
    el("pre", { tabindex: "0", role: "region", "aria-label": `Values of ${one.name}` },
      el("code", { text: head.map((value) => JSON.stringify(value)).join("  ") + more })),
    copy);
}

async function run(event) {
  event.preventDefault();
  const begin = performance.now();
  showError(byId("tensor-error"), null);
  byId("tensor-run").disabled = true;
  try {
    const path = `v2/models/${encodeURIComponent(model().name)}/infer`;
    const answer = await askJson("POST", path, byId("tensor-json").value);
    const took = `${answer.outputs.length} outputs after ${(performance.now() - begin).toFixed(1)} ms`;
    byId("tensor-outputs").replaceChildren(el("p", { class: "hint", text: took }), ...answer.outputs.map(output));
    announce(took);
  } catch (error) {
    showError(byId("tensor-error"), error);
  }
  byId("tensor-run").disabled = false;
}

export function begin() {
  let before = "";
  offerModels(byId("tensor-model"), "tensors", byId("tensor-none"), () => {
    const now = byId("tensor-model").value;
    if (now !== before || !now) rebuild(); // what a person typed stays while the model does
    before = now;
  });
  byId("tensor-model").addEventListener("change", () => {
    before = byId("tensor-model").value;
    rebuild();
  });
  byId("tensor-form").addEventListener("submit", run);
}

export function shown() {}
