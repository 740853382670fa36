// A chart of the report as elements: the same paths and labels, placed in percent.
import {el} from "./ui.js";

const SVG = "http://www.w3.org/2000/svg";
const placed = (tag, style, text) => {
  const node = el(tag, {}, text);
  Object.assign(node.style, style);
  return node;
};

export function chart(one) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1000 1000");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const [style, d] of one.paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", style);
    path.setAttribute("d", d);
    svg.append(path);
  }
  const last = (one.hover ?? []).map((curve) => curve.y?.at(-1)).filter(Boolean).at(-1);
  const ticks = one.y_ticks.map((tick) => placed("i", {bottom: `${tick.percent}%`}, el("span", {textContent: tick.text})));
  const along = one.x_ticks.map((tick) => placed("b", {left: `${tick.percent}%`}, tick.text));
  return el("div", {class: "card"}, el("figure", {}, el("figcaption", {}, el("strong", {textContent: one.title}), " ", el("span", {class: "note", textContent: [one.unit, last].filter(Boolean).join(" · ")})),
    el("div", {class: "area"}, ticks, along, svg)));
}
