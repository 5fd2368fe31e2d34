// The view of the repository: every model with its state, its numbers, and the buttons to change it.
import { ask, askJson } from "./api.js";
import { onModels, refresh } from "./catalogue.js";
import { announce, button, byId, el, showError } from "./dom.js";

const kStates = { READY: ["●", "Ready"], LOADING: ["◐", "Loading"], UNLOADING: ["◐", "Unloading"], UNAVAILABLE: ["○", "Not loaded"] };
const kKinds = { text: "writes text", pictures: "draws pictures", tensors: "takes tensors" };

const pathOf = (name) => encodeURIComponent(name);

async function change(name, verbs, pressed) {
  const item = pressed.closest("li");
  showError(byId("models-error"), null);
  item.querySelectorAll("button").forEach((one) => (one.disabled = true));
  item.querySelector(".state").textContent = verbs === "unload" ? "Unloading …" : "Loading …";
  try {
    await ask("POST", `v2/repository/models/${pathOf(name)}/${verbs}`, {});
    announce(`${name} is ${verbs === "unload" ? "unloaded" : "loaded"}`);
  } catch (error) {
    showError(byId("models-error"), error);
  }
  await update();
  byId("model-list").querySelector(`[data-model="${CSS.escape(name)}"] button`)?.focus();
}

function buttons(model) {
  const made = (text, verb, kind) => {
    const one = button(text, () => change(model.name, verb, one), `${text} ${model.name}`, kind);
    return one;
  };
  if (model.state === "READY") return [made("Reload", "load"), made("Unload", "unload")];
  return [made("Load", "load", "primary")];
}

function numbers(stats) {
  const list = el("dl", { class: "numbers" });
  const row = (name, value) => list.append(el("div", {}, el("dt", { text: name }), el("dd", { text: value })));
  const { success, fail, queue } = stats.inference_stats;
  const mean = (duration) => (duration.count > 0 ? `${(duration.ns / duration.count / 1e6).toFixed(1)} ms` : "none yet");
  row("Answered", success.count.toLocaleString("en"));
  row("Failed", fail.count.toLocaleString("en"));
  row("Mean time", mean(success));
  row("Mean wait", mean(queue));
  return list;
}

function card(model, stats) {
  const [sign, word] = kStates[model.state] ?? ["○", model.state];
  const about = model.kind ? kKinds[model.kind] : "";
  return el("li", { class: `card ${model.state.toLowerCase()}`, "data-model": model.name },
    el("h2", { text: model.name }),
    el("p", { class: "state" }, el("span", { "aria-hidden": "true", class: "sign", text: sign }), word),
    el("p", { class: "hint", text: [about, model.versions?.length > 1 ? `versions ${model.versions.join(", ")}` : ""].filter(Boolean).join(", ") }),
    model.reason && model.state !== "READY" ? el("p", { class: "reason", text: model.reason }) : null,
    stats ? numbers(stats) : null,
    el("div", { class: "row" }, ...buttons(model)));
}

async function draw(models) {
  const answer = await askJson("GET", "v2/models/stats").catch(() => ({ model_stats: [] }));
  const stats = new Map(answer.model_stats.map((one) => [one.name, one]));
  byId("model-list").replaceChildren(...models.map((model) => card(model, stats.get(model.name))));
  const ready = models.filter((model) => model.state === "READY").length;
  byId("summary").textContent = `${ready} of ${models.length} models ready`;
}

async function update() {
  try {
    await draw(await refresh());
  } catch (error) {
    showError(byId("models-error"), error);
  }
}

export function begin() {
  let seen = false;
  onModels((models) => {
    if (!seen) draw(models);
    seen = true;
  });
  byId("models-refresh").addEventListener("click", async () => {
    await update();
    announce("Up to date");
  });
}

export function shown(visible) {
  if (visible && byId("model-list").childElementCount > 0) update();
}
