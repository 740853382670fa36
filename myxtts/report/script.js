"use strict";
// A line under the pointer and the values of the curves there.
for (const area of document.querySelectorAll(".area")) {
  const curves = JSON.parse(area.dataset.curves);
  if (!curves.length) continue;
  const cursor = area.appendChild(Object.assign(document.createElement("i"), {className: "cursor"}));
  const tip = area.appendChild(Object.assign(document.createElement("div"), {className: "tip"}));
  const nearest = (places, percent) => {
    let low = 0, high = places.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (places[middle] < percent) low = middle; else high = middle;
    }
    return Math.abs(places[low] - percent) <= Math.abs(places[high] - percent) ? low : high;
  };
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    const percent = 100 * (event.clientX - box.left) / box.width;
    tip.replaceChildren();
    let place = percent;
    curves.forEach((curve, number) => {
      const i = nearest(curve.at, percent);
      if (number === 0) place = curve.at[i];
      const line = tip.appendChild(document.createElement("div"));
      line.appendChild(Object.assign(document.createElement("i"), {className: "key " + curve.style}));
      line.append(curve.y[i] + " at " + curve.x[i].toLocaleString("en"));
    });
    cursor.style.left = place + "%";
    tip.style.left = place + "%";
    tip.classList.toggle("left", place > 55);
    area.classList.add("reading");
  });
  area.addEventListener("pointerleave", () => area.classList.remove("reading"));
}
