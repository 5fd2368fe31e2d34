// What was said so far, kept for as long as the tab lives.
const kPlace = "tenon.chat";

function restored() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(kPlace) ?? "{}");
    return Array.isArray(kept.messages) ? kept : { messages: [] };
  } catch {
    return { messages: [] };
  }
}

/** {messages: [{role, content, note?}], model?, settings?} */
export const conversation = restored();

export function keep() {
  try {
    sessionStorage.setItem(kPlace, JSON.stringify(conversation));
  } catch {
    // Full, or forbidden: the conversation lives on in the page.
  }
}
