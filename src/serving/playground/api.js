// Requests to the server that this page came from, streams of events, and errors in plain words.

/** What went wrong, and what a person can do about it. */
export class Refusal extends Error {
  constructor(status, message, advice, title) {
    super(message);
    this.status = status;
    this.advice = advice;
    this.title = title;
  }
}

const kAdvice = {
  400: ["The server cannot do this", "Change what the message names and send it again."],
  401: ["A key is needed", "Reload the page and enter a key of the server as the password."],
  404: ["It is not there", "The model may have been unloaded: look under Models."],
  408: ["It took too long to send", "Check the connection and send it again."],
  413: ["That is too much", "Send less at once, or start the server with a larger --max-body-mb."],
  429: ["The server is busy", "Too many requests wait. Try again in a few seconds."],
  503: ["There is no room now", "The server is busy or starting. Try again in a few seconds."],
  504: ["The time was over", "Ask for less, or start the server with a longer --request-timeout."],
};

function messageIn(text) {
  try {
    const { error } = JSON.parse(text);
    return typeof error === "string" ? error : (error?.message ?? "");
  } catch {
    return "";
  }
}

/** From an answer that is not good, or from the error object inside a stream. */
export function refusal(status, text) {
  const fallback = ["The server failed", "Try again; if it stays so, the server's log tells more."];
  const [title, advice] = kAdvice[status] ?? fallback;
  return new Refusal(status, messageIn(text) || `The server answered ${status}.`, advice, title);
}

/** A good answer to a request, or a Refusal. A body that is no text is sent as JSON. */
export async function ask(method, path, body, signal) {
  const options = { method, signal, headers: {} };
  if (body !== undefined) {
    options.body = typeof body === "string" ? body : JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    // The address may hold a name and a key, which fetch does not allow.
    answer = await fetch(new URL(path, location.origin + location.pathname), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server does not answer.", "Is it still running? Try again once it is.", "No connection");
  }
  if (!answer.ok) throw refusal(answer.status, await answer.text());
  return answer;
}

export const askJson = async (...request) => (await ask(...request)).json();

const oneEvent = (block) => {
  const event = { type: "message", data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event.type = line.slice(6).trim();
    if (line.startsWith("data:")) event.data += line.slice(line[5] === " " ? 6 : 5);
  }
  return event;
};

/** The events {type, data} of an answer, as they arrive. */
export async function* events(answer) {
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      rest += decoder.decode(value ?? new Uint8Array(), { stream: !done });
      rest = rest.replaceAll("\r\n", "\n"); // of the whole: a pair may come in two pieces
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) if (block.trim()) yield oneEvent(block);
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The JSON of each event, until [DONE]. An error inside the stream becomes a Refusal. */
export async function* jsonEvents(answer) {
  for await (const event of events(answer)) {
    if (event.data === "[DONE]") return;
    const data = JSON.parse(event.data);
    if (data.error) throw refusal(Number(data.error.code) || 500, event.data);
    yield { type: data.type ?? event.type, data };
  }
}
