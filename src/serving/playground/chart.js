// A line over time as SVG, with its newest value in words and a description for those who do not see it.
import { el } from "./dom.js";

const kSvg = "http://www.w3.org/2000/svg";
const kWidth = 300;
const kHeight = 90;

function shape(tag, attributes) {
  const made = document.createElementNS(kSvg, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// A round number at or above a value: 1, 2 or 5 times a power of ten.
function roundAbove(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= value * 0.999999);
}

export class Chart {
  /** `format` writes a value in words; `top` is the least that the axis shows; `points` fit across. */
  constructor({ title, about, format, top, points }) {
    Object.assign(this, { title, format, top, points, values: [] });
    this.now = el("p", { class: "now", text: "–" });
    this.most = el("span", { class: "most" });
    this.picture = shape("svg", { viewBox: `0 0 ${kWidth} ${kHeight}`, role: "img", preserveAspectRatio: "none" });
    for (const y of [1, kHeight / 2, kHeight - 1]) {
      this.picture.append(shape("line", { class: "grid", x1: 0, x2: kWidth, y1: y, y2: y }));
    }
    this.area = this.picture.appendChild(shape("path", { class: "area" }));
    this.line = this.picture.appendChild(shape("path", { class: "line" }));
    this.element = el("li", { class: "chart card" }, el("h2", { text: title }), this.now,
      el("p", { class: "hint", text: about }), el("div", { class: "plot" }, this.most, this.picture),
      el("p", { class: "axis", "aria-hidden": "true" }, el("span", { text: "2 min ago" }), el("span", { text: "now" })));
    this.draw();
  }

  /** null where there is no value. */
  add(value) {
    this.values.push(value);
    if (this.values.length > this.points) this.values.shift();
    this.draw();
  }
  clear() {
    this.values = [];
    this.draw();
  }

  draw() {
    const known = this.values.filter((value) => value !== null);
    const last = this.values.at(-1) ?? null;
    const highest = Math.max(this.top, ...known);
    const top = highest > this.top ? roundAbove(highest) : this.top;
    this.now.textContent = last === null ? "–" : this.format(last);
    this.most.textContent = this.format(top);
    this.picture.setAttribute("aria-label", this.inWords(known, last));
    const path = this.path(top);
    this.line.setAttribute("d", path.line);
    this.area.setAttribute("d", path.area);
  }

  inWords(known, last) {
    if (last === null) return `${this.title}: no value yet`;
    const [least, most] = [Math.min(...known), Math.max(...known)].map(this.format);
    return `${this.title}: now ${this.format(last)}, between ${least} and ${most} in the last two minutes`;
  }

  path(top) {
    const first = this.points - this.values.length;
    const at = (i) => ((first + i) / (this.points - 1)) * kWidth;
    const spots = this.values.map((value, i) => [at(i), value]).filter(([, value]) => value !== null)
      .map(([x, value]) => `${x.toFixed(1)} ${(kHeight - 1 - (value / top) * (kHeight - 3)).toFixed(1)}`);
    if (spots.length === 0) return { line: "", area: "" };
    const line = `M${spots.join("L")}`;
    const [begin, end] = [spots[0], spots.at(-1)].map((spot) => spot.split(" ")[0]);
    return { line, area: `${line}L${end} ${kHeight}L${begin} ${kHeight}Z` };
  }
}
