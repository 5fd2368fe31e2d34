// Elements from plain data. Text always enters as text: nothing here parses HTML.

/** An element with properties (class, text, on..., attributes) and children. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** A button; `label` is what a screen reader says where the word alone does not tell of what. */
export function button(text, onclick, label, kind = "quiet") {
  return el("button", { type: "button", class: kind, text, onclick, "aria-label": label });
}

/** Says a text to screen readers once those have finished what they say. */
export function announce(text) {
  const region = byId("announcer");
  region.append(el("p", { text }));
  while (region.childElementCount > 20) region.firstElementChild.remove();
}

/** Shows an error in a box with role=alert: what happened, and what to do. */
export function showError(box, error) {
  box.replaceChildren();
  if (!error) {
    box.hidden = true;
    return;
  }
  box.append(el("strong", { text: error.title ?? "That did not work" }), el("p", { text: error.message }));
  if (error.advice) box.append(el("p", { class: "advice", text: error.advice }));
  box.hidden = false;
}

/** Copies a text, and says so on the button for a moment. */
export async function copyFrom(pressed, text) {
  const before = pressed.textContent;
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "Copied";
    announce("Copied");
  } catch {
    pressed.textContent = "The browser refused";
  }
  setTimeout(() => (pressed.textContent = before), 1500);
}

/** The fields of a form that are filled in: numbers as numbers, the rest as text. */
export function filledIn(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.value.trim() === "") continue;
    values[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return values;
}
