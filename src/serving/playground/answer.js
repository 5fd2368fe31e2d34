// One answer of a text model as a stream, with how fast it came.
import { ask, jsonEvents } from "./api.js";

const plain = new Set(); // models that have no chat template, once they have said so

export const continuesText = (model) => plain.has(model);

function bodyFor(model, messages, { system, stop, ...settings }) {
  const body = { model, stream: true, stream_options: { include_usage: true }, ...settings };
  if (stop) body.stop = stop.split("\n").filter((line) => line !== "").slice(0, 4);
  const said = messages.map(({ role, content }) => ({ role, content }));
  if (plain.has(model)) return { ...body, prompt: said.map((one) => one.content).join("") };
  return { ...body, messages: system ? [{ role: "system", content: system }, ...said] : said };
}

async function open(model, messages, settings, signal) {
  const path = plain.has(model) ? "v1/completions" : "v1/chat/completions";
  try {
    return await ask("POST", path, bodyFor(model, messages, settings), signal);
  } catch (error) {
    if (error.status !== 400 || plain.has(model) || !/chat template/.test(error.message)) throw error;
    plain.add(model);
    return open(model, messages, settings, signal);
  }
}

/** Streams; `onText` hears each piece. Gives {reason, tokens, first_s, rate}; aborting throws AbortError. */
export async function streamAnswer(model, messages, settings, signal, onText) {
  const begin = performance.now();
  const made = { reason: null, tokens: 0 };
  let first = 0;
  let pieces = 0;
  let last = 0;
  for await (const { data } of jsonEvents(await open(model, messages, settings, signal))) {
    if (data.usage) made.tokens = data.usage.completion_tokens;
    const choice = data.choices[0];
    if (!choice) continue;
    const text = choice.delta ? choice.delta.content : choice.text;
    if (text) {
      last = performance.now();
      first ||= last;
      ++pieces;
      onText(text);
    }
    made.reason = choice.finish_reason ?? made.reason;
  }
  if (first) made.first_s = (first - begin) / 1000;
  // A few pieces that came in one go tell nothing of the pace.
  if (pieces > 3 && last - first > 50) made.rate = (made.tokens - 1) / ((last - first) / 1000);
  return made;
}

/** "42 tokens, 18.3 tokens/s, first after 0.12 s" */
export function inWords({ tokens, rate, first_s, reason }) {
  const parts = [`${tokens} ${tokens === 1 ? "token" : "tokens"}`];
  if (rate) parts.push(`${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`);
  if (first_s !== undefined) parts.push(`first after ${first_s.toFixed(2)} s`);
  if (reason === "length") parts.push("cut at the length limit");
  return parts.join(" · ");
}
