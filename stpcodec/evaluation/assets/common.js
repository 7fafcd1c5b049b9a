// What both pages draw with: elements, SVG, and plots frame by frame.
"use strict";
let svgNamespace = null;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function svg(name, attributes = {}, text = "") {
  if (svgNamespace === null) {  // taken from the parser, so that no address stands in this page
    const holder = document.createElement("div");
    holder.innerHTML = "<svg></svg>";
    svgNamespace = holder.firstChild.namespaceURI;
  }
  const made = document.createElementNS(svgNamespace, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function select(label, options, chosen, change) {
  const box = element("select", { onchange: () => change(Number(box.value)) });
  options.forEach((text, index) => box.append(element("option", { value: index }, text)));
  box.value = chosen;
  return element("label", {}, label + " ", box);
}

function ticks(low, high, count) {
  const raw = (high - low) / count, unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + 1e-9; n++) found.push(Number((n * step).toPrecision(12)));
  return found;
}

function framePlot(title, curves, count, steps, hover) {
  const [width, height, left, right, top, bottom] = [640, 230, 46, 8, 24, 34];
  const shape = (v) => (steps ? Math.log10(Math.max(v, 0.001)) : v);
  const values = curves.flatMap((c) => c.values.map(shape));
  let low = Math.min(...values), high = Math.max(...values);
  const room = 0.06 * (high - low) || 0.5;
  low -= room; high += room;
  const x = (frame) => left + (width - left - right) * (frame + 0.5) / count;
  const y = (value) => height - bottom - (height - top - bottom) * (shape(value) - low) / (high - low);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  picture.append(svg("text", { class: "title", x: left, y: 14 }, title));
  let marks = ticks(low, high, 5);
  if (steps) {  // bits: logarithmic, and level over the frame they belong to
    marks = [];
    for (let p = Math.floor(low); p <= high; p++) for (const m of [1, 2, 5]) marks.push(m * 10 ** p);
    marks = marks.filter((v) => shape(v) >= low && shape(v) <= high);
    if (marks.length > 7) marks = marks.filter((v) => Number.isInteger(Number(Math.log10(v).toFixed(9))));
  }
  for (const value of marks) {
    picture.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    picture.append(svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, Number(value.toPrecision(3)).toString()));
  }
  for (const frame of ticks(0, Math.max(1, count - 1), 8).filter(Number.isInteger))
    picture.append(svg("text", { x: x(frame), y: height - bottom + 16, "text-anchor": "middle" }, frame.toString()));
  picture.append(svg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, "frame"));
  for (const curve of [...curves].reverse()) {
    const path = curve.values.map((v, n) => {
      const start = (n ? "L" : "M") + x(steps ? n - 0.5 : n).toFixed(1) + " " + y(v).toFixed(1);
      return steps ? start + "H" + x(n + 0.5).toFixed(1) : start;
    }).join("");
    const group = svg("g", { class: `c${curve.colour}${curve.model ? " ours" : ""}` });
    group.append(svg("path", { d: path }));
    picture.append(group);
  }
  const guide = svg("line", { class: "guide", y1: top, y2: height - bottom, visibility: "hidden" });
  picture.append(guide);
  picture.frameAt = (event) => {
    const box = picture.getBoundingClientRect();
    const along = ((event.clientX - box.left) / box.width * width - left) / (width - left - right);
    return Math.max(0, Math.min(count - 1, Math.floor(along * count)));
  };
  picture.addEventListener("pointermove", (event) => hover(picture.frameAt(event)));
  picture.addEventListener("pointerleave", () => hover(null));
  picture.showGuide = (frame) => {
    guide.setAttribute("visibility", frame === null ? "hidden" : "visible");
    if (frame !== null) { guide.setAttribute("x1", x(frame)); guide.setAttribute("x2", x(frame)); }
  };
  return picture;
}
