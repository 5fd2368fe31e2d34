// The view for pictures: what to draw, its progress, and all that were drawn since the page came.
import { offerModels } from "./catalogue.js";
import { announce, button, byId, el, filledIn, showError } from "./dom.js";
import { drawPictures } from "./drawing.js";

let running = null; // AbortController
let count = 0;

function caption(request, made, index) {
  const rows = { Seed: `${request.seed}${index > 0 ? `, picture ${index + 1} of it` : ""}`,
    Size: made.size, Steps: request.steps, Guidance: request.guidance, Scheduler: request.scheduler,
    Without: request.negative_prompt, Model: request.model, Time: `${made.seconds.toFixed(1)} s` };
  const list = el("dl");
  for (const [name, value] of Object.entries(rows)) {
    if (value !== undefined) list.append(el("div", {}, el("dt", { text: name }), el("dd", { text: String(value) })));
  }
  return list;
}

function figure(blob, request, made, index) {
  const name = `tenon-${++count}.png`;
  const address = URL.createObjectURL(blob);
  return el("li", {}, el("figure", {},
    el("img", { src: address, alt: `Picture drawn for: ${request.prompt}` }),
    el("figcaption", {}, el("p", { class: "prompt", text: request.prompt }),
      el("details", {}, el("summary", { text: "Parameters" }), caption(request, made, index)),
      el("div", { class: "row" },
        el("a", { class: "quiet", href: address, download: name, text: "Download", "aria-label": `Download ${name}` }),
        button("Use again", () => useAgain(request), `Use the parameters of ${name} again`)))));
}

function useAgain(request) {
  for (const field of byId("picture-form").elements) {
    if (field.name && field.name !== "model") field.value = request[field.name] ?? "";
  }
  byId("picture-prompt").focus();
}

function setBusy(busy) {
  byId("picture-draw").hidden = busy;
  byId("picture-cancel").hidden = !busy;
  byId("picture-progress").hidden = !busy;
  const preview = byId("picture-preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.removeAttribute("src");
  preview.hidden = true;
  byId("picture-bar").removeAttribute("value");
  byId("picture-state").textContent = "Drawing";
}

function onPreview({ picture, step, steps }) {
  const preview = byId("picture-preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(picture);
  preview.hidden = false;
  byId("picture-bar").value = step / steps;
  byId("picture-state").textContent = `Step ${step} of ${steps}`;
}

async function draw(request) {
  const mine = (running = new AbortController());
  const begin = performance.now();
  setBusy(true);
  showError(byId("picture-error"), null);
  announce("Drawing");
  try {
    const made = await drawPictures(request, mine.signal, onPreview);
    made.seconds = (performance.now() - begin) / 1000;
    byId("gallery").prepend(...made.pictures.map((blob, i) => figure(blob, request, made, i)));
    byId("gallery-empty").hidden = true;
    announce(made.pictures.length === 1 ? "The picture is there" : `${made.pictures.length} pictures are there`);
  } catch (error) {
    if (error.name !== "AbortError") showError(byId("picture-error"), error);
  }
  running = null;
  setBusy(false);
}

export function begin() {
  offerModels(byId("picture-model"), "pictures", byId("picture-none"), () => {
    byId("picture-draw").disabled = !byId("picture-model").value;
  });
  byId("picture-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running || !byId("picture-model").value) return;
    // Chosen here, so that the picture can be drawn again.
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    draw({ seed, ...filledIn(event.target) });
  });
  byId("picture-cancel").addEventListener("click", () => {
    running?.abort();
    announce("Cancelled");
    byId("picture-prompt").focus();
  });
}

export function shown() {}
