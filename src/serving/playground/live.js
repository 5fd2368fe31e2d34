// The view of what the server does now: /metrics once a second, for as long as it is looked at.
import { ask } from "./api.js";
import { onModels } from "./catalogue.js";
import { Chart } from "./chart.js";
import { byId, el, showError } from "./dom.js";
import { parseMetrics, total } from "./metrics.js";

const kSeconds = 120;
// Less often for people who asked for less motion.
const period_s = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? 5 : 1);

const whole = (value) => Math.round(value).toLocaleString("en");
const fine = (value) => (value < 10 ? value.toFixed(1) : whole(value));
const bytes = (value) => (value >= 1e9 ? `${(value / 1e9).toFixed(2)} GB` : `${(value / 1e6).toFixed(0)} MB`);

const kCharts = [
  { title: "Tokens a second", about: "written by all text models", names: ["vllm:generation_tokens_total"], rate: true, format: fine, top: 10 },
  { title: "Running batch", about: "sequences that are computed together", names: ["vllm:num_requests_running"], format: whole, top: 4 },
  { title: "Queue", about: "texts that wait for a place", names: ["vllm:num_requests_waiting"], format: whole, top: 4 },
  { title: "Cache in use", about: "of the fullest text model", names: ["vllm:kv_cache_usage_perc"], join: Math.max, scale: 100, format: (value) => `${fine(value)} %`, top: 10 },
  { title: "Requests a second", about: "answered, well or not", names: ["nv_inference_request_success", "nv_inference_request_failure"], rate: true, format: fine, top: 2 },
  { title: "Unanswered requests", about: "of all models, under way or waiting", names: ["nv_inference_pending_request_count"], format: whole, top: 4 },
  { title: "Memory", about: "of the server's process", names: ["process_resident_memory_bytes"], format: bytes, top: 1e8 },
];

let series = [];
let timer = null;
let before = null; // {time, values} of the last counters

function sample(samples, time, model) {
  const values = kCharts.map(({ names, join, scale = 1 }) => {
    const value = total(samples, names, model, join);
    return value === null ? null : value * scale;
  });
  series.forEach((chart, i) => {
    if (!kCharts[i].rate) return chart.add(values[i]);
    const last = before?.values[i] ?? null;
    const known = values[i] !== null && last !== null;
    chart.add(known ? Math.max(0, (values[i] - last) / (time - before.time)) : null);
  });
  before = { time, values };
}

async function poll() {
  try {
    const text = await (await ask("GET", "metrics")).text();
    sample(parseMetrics(text), performance.now() / 1000, byId("live-model").value);
    showError(byId("live-error"), null);
  } catch (error) {
    showError(byId("live-error"), error);
    before = null;
  }
}

function restart() {
  before = null;
  series.forEach((chart) => chart.clear());
  if (timer !== null) poll();
}

const watched = () => !byId("view-live").hidden && document.visibilityState === "visible";

function update() {
  if (watched() === (timer !== null)) return;
  clearInterval(timer);
  timer = null;
  if (!watched()) return;
  before = null;
  timer = setInterval(poll, period_s() * 1000);
  poll();
}

export function begin() {
  const points = Math.round(kSeconds / period_s()) + 1;
  series = kCharts.map((one) => new Chart({ ...one, points }));
  byId("charts").replaceChildren(...series.map((chart) => chart.element));
  const select = byId("live-model");
  onModels((models) => {
    const chosen = select.value;
    const names = models.filter((model) => model.state === "READY").map((model) => model.name);
    select.replaceChildren(el("option", { value: "", text: "all models" }),
      ...names.map((name) => el("option", { value: name, text: name })));
    select.value = names.includes(chosen) ? chosen : "";
  });
  select.addEventListener("change", restart);
  document.addEventListener("visibilitychange", update);
}

export function shown() {
  update();
}
