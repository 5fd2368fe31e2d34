// The frame: which view is shown, by the part of the address after '#'.
import { refresh } from "./catalogue.js";
import { byId, showError } from "./dom.js";
import * as chat from "./chat.js";
import * as live from "./live.js";
import * as models from "./models.js";
import * as pictures from "./pictures.js";
import * as tensors from "./tensors.js";

const views = { chat, pictures, tensors, models, live };

function current() {
  const name = location.hash.slice(1);
  return name in views ? name : "chat";
}

function show(focus) {
  const wanted = current();
  for (const [name, view] of Object.entries(views)) {
    const section = byId(`view-${name}`);
    section.hidden = name !== wanted;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    view.shown(name === wanted);
  }
  const heading = document.querySelector(`#view-${wanted} h1`);
  document.title = `${heading.textContent} · Tenon`;
  window.scrollTo(0, 0);
  if (focus) heading.focus();
}

// Settings lie open beside the work where there is room, and folded above it on a phone.
function foldSettings() {
  const wide = matchMedia("(min-width: 60rem)");
  const apply = () => document.querySelectorAll("details.settings").forEach((one) => (one.open = wide.matches));
  wide.addEventListener("change", apply);
  apply();
  // The browser shows what is wrong with a field only where the field can be seen.
  document.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
}

async function start() {
  for (const view of Object.values(views)) view.begin();
  foldSettings();
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
  addEventListener("hashchange", () => show(true));
  show(false);
  try {
    const all = await refresh();
    const ready = all.filter((model) => model.state === "READY").length;
    byId("summary").textContent = `${ready} of ${all.length} models ready`;
  } catch (error) {
    showError(byId("page-error"), error);
  }
}

start();
