// A little Markdown as elements: code blocks, lists, headings, bold, inline code. What a model writes
// is never read as HTML, and what is no such mark stays as it was written.
import { el } from "./dom.js";

const kFence = /^\s*```(\S*)/;
const kBullet = /^\s*[-*•]\s+(.*)/;
const kNumber = /^\s*\d{1,3}[.)]\s+(.*)/;
const kHeading = /^#{1,6}\s+(.*)/;

function inline(text) {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part) => {
    if (part.length > 2 && part.startsWith("`")) return el("code", { text: part.slice(1, -1) });
    if (part.length > 4 && part.startsWith("**")) return el("strong", { text: part.slice(2, -2) });
    return document.createTextNode(part);
  });
}

// An open block of code runs to the end: while it streams, its end has not come yet.
function codeBlock(lines, begin) {
  let end = begin + 1;
  while (end < lines.length && !kFence.test(lines[end])) ++end;
  const code = el("code", { text: lines.slice(begin + 1, end).join("\n") });
  return [el("pre", { tabindex: "0", role: "region", "aria-label": "Code" }, code), end + 1];
}

function list(lines, begin, mark, tag) {
  const made = el(tag);
  let at = begin;
  for (; at < lines.length && mark.test(lines[at]); ++at) made.append(el("li", {}, ...inline(mark.exec(lines[at])[1])));
  return [made, at];
}

const isMark = (line) => [kFence, kBullet, kNumber, kHeading].some((mark) => mark.test(line));

function paragraph(lines, begin) {
  let end = begin + 1;
  while (end < lines.length && lines[end].trim() && !isMark(lines[end])) ++end;
  return [el("p", {}, ...inline(lines.slice(begin, end).join("\n"))), end];
}

function block(lines, at) {
  if (kFence.test(lines[at])) return codeBlock(lines, at);
  if (kBullet.test(lines[at])) return list(lines, at, kBullet, "ul");
  if (kNumber.test(lines[at])) return list(lines, at, kNumber, "ol");
  const heading = kHeading.exec(lines[at]);
  if (heading) return [el("p", { class: "heading" }, ...inline(heading[1])), at + 1];
  return paragraph(lines, at);
}

/** Elements for a text. */
export function markdown(text) {
  const lines = text.split("\n");
  const made = [];
  for (let at = 0; at < lines.length; ) {
    if (!lines[at].trim()) {
      ++at;
      continue;
    }
    const [element, next] = block(lines, at);
    made.push(element);
    at = next;
  }
  return made;
}
