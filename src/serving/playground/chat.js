// The view for text: a conversation with a model, or a text that it continues.
import { continuesText, inWords, streamAnswer } from "./answer.js";
import { offerModels } from "./catalogue.js";
import { conversation, keep } from "./conversation.js";
import { announce, button, byId, copyFrom, el, filledIn, showError } from "./dom.js";
import { markdown } from "./markdown.js";
import { Sentences } from "./sentences.js";

let running = null; // AbortController of the answer under way

const model = () => byId("chat-model").value;

function turn(message, index) {
  const mine = message.role === "user";
  const body = el("div", { class: "body" });
  body.append(...(mine ? [el("p", { text: message.content })] : markdown(message.content)));
  const item = el("li", { class: `turn ${message.role}` },
    el("p", { class: "who", text: mine ? "You" : (message.model ?? "Model") }), body);
  const tools = el("div", { class: "tools" });
  const what = `message ${index + 1}`;
  const copy = button("Copy", () => copyFrom(copy, message.content), `Copy ${what}`);
  tools.append(copy);
  if (mine) tools.append(button("Edit", () => edit(item, index), `Edit ${what}`));
  else tools.append(button("Try again", () => again(index), `Answer ${what} anew`));
  item.append(tools);
  if (message.note) tools.append(el("span", { class: "note", text: message.note }));
  return item;
}

function draw() {
  byId("turns").replaceChildren(...conversation.messages.map(turn));
  byId("chat-empty").hidden = conversation.messages.length > 0;
  byId("chat-clear").disabled = conversation.messages.length === 0;
}

function edit(item, index) {
  const field = el("textarea", { rows: 3, "aria-label": `Message ${index + 1}` });
  field.value = conversation.messages[index].content;
  const form = el("form", { class: "edit", onsubmit: (event) => {
    event.preventDefault();
    conversation.messages.length = index;
    say(field.value);
  } }, field, el("div", { class: "row" },
    el("button", { class: "primary", text: "Send anew" }),
    button("Leave it", () => {
      draw();
      byId("turns").children[index].querySelector("[aria-label^=Edit]").focus();
    })));
  item.replaceChildren(form);
  field.focus();
}

function again(index) {
  stop();
  conversation.messages.length = index;
  answer();
}

function say(text) {
  if (!text.trim()) return;
  stop();
  conversation.messages.push({ role: "user", content: text });
  answer();
}

function stop() {
  running?.abort();
  running = null;
}

function setBusy(busy) {
  byId("chat-stop").hidden = !busy;
  byId("chat-send").hidden = busy;
  byId("turns").setAttribute("aria-busy", busy);
}

// Draws at most once a frame, and keeps the end in sight for whoever looks at the end.
function painter(item, message) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      const page = document.documentElement;
      const atEnd = page.scrollHeight - innerHeight - scrollY < 160;
      item.querySelector(".body").replaceChildren(...markdown(message.content));
      if (atEnd) scrollTo(0, page.scrollHeight);
    });
  };
}

async function answer() {
  const mine = (running = new AbortController());
  const before = conversation.messages.slice();
  const message = { role: "assistant", content: "", model: model() };
  conversation.messages.push(message);
  draw();
  showError(byId("chat-error"), null);
  setBusy(true);
  announce(`${model()} answers`);
  scrollTo(0, document.documentElement.scrollHeight);
  const paint = painter(byId("turns").lastElementChild, message);
  const spoken = new Sentences(announce);
  let pieces = 0;
  try {
    const made = await streamAnswer(model(), before, filledIn(byId("chat-settings")), mine.signal, (text) => {
      message.content += text;
      ++pieces;
      spoken.add(text);
      paint();
    });
    message.note = inWords(made);
  } catch (error) {
    message.note = `stopped after about ${pieces} ${pieces === 1 ? "token" : "tokens"}`;
    if (error.name !== "AbortError") fail(error, message);
  }
  spoken.end();
  finish(mine);
}

function fail(error, message) {
  showError(byId("chat-error"), error);
  if (message.content === "") conversation.messages = conversation.messages.filter((one) => one !== message);
}

function finish(mine) {
  keep();
  if (running !== mine && running !== null) return; // another answer is under way
  running = null;
  setBusy(false);
  draw();
  describe();
}

function describe() {
  const plain = continuesText(model());
  byId("chat-plain").hidden = !plain;
  byId("chat-system").disabled = plain;
}

function onKey(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("chat-form").requestSubmit();
}

export function begin() {
  offerModels(byId("chat-model"), "text", byId("chat-none"), () => {
    byId("chat-send").disabled = !model();
    describe();
  });
  byId("chat-model").addEventListener("change", describe);
  const prompt = byId("chat-prompt");
  prompt.addEventListener("keydown", onKey);
  byId("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!model() || running || !byId("chat-settings").reportValidity()) return;
    say(prompt.value);
    prompt.value = "";
    prompt.focus();
  });
  byId("chat-settings").addEventListener("submit", (event) => event.preventDefault());
  byId("chat-stop").addEventListener("click", () => {
    stop();
    announce("Stopped");
    prompt.focus();
  });
  byId("chat-clear").addEventListener("click", () => {
    stop();
    conversation.messages.length = 0;
    keep();
    draw();
    showError(byId("chat-error"), null);
    prompt.focus();
  });
  draw();
}

export function shown() {}
