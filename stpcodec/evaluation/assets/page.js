// Draws what needs a choice by the reader: curves frame by frame at one rate, and the viewer with its wipe.
"use strict";
const data = JSON.parse(document.getElementById("bench-data").textContent);
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

const nearest = (points, bytes) =>
  points.reduce((best, p) =>
    Math.abs(Math.log(p.payload_bytes / bytes)) < Math.abs(Math.log(best.payload_bytes / bytes)) ? p : best);

// One point a codec at about one rate; the same rule as exhibit.py's choose().
function atRate(codecs, setting) {
  const lead = codecs[0];
  const from = lead.points.find((p) => p.setting === setting);
  return codecs.map((codec) => {
    const same = codec.model && lead.model ? codec.points.find((p) => p.setting === setting) : undefined;
    return { codec, point: codec === lead ? from : same || nearest(codec.points, from.payload_bytes) };
  });
}

// kbit of every frame; the frames of a chunk share what it costs.
function kilobits(spans) {
  return spans.flatMap(([frames, bytes]) => Array(frames).fill((8 * bytes) / frames / 1000));
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
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const along = ((event.clientX - box.left) / box.width * width - left) / (width - left - right);
    hover(Math.max(0, Math.min(count - 1, Math.floor(along * count))));
  });
  picture.addEventListener("pointerleave", () => hover(null));
  picture.showGuide = (frame) => {
    guide.setAttribute("visibility", frame === null ? "hidden" : "visible");
    if (frame !== null) { guide.setAttribute("x1", x(frame)); guide.setAttribute("x2", x(frame)); }
  };
  return picture;
}

function showFrames(place, clip) {
  const codecs = clip.codecs
    .map((c) => ({ ...c, points: c.points.filter((p) => p.frame_psnr).sort((a, b) => a.payload_bytes - b.payload_bytes) }))
    .filter((c) => c.points.length);
  if (!codecs.length) return;
  const lead = codecs[0], settings = lead.points.map((p) => p.setting);
  const plots = element("div", { class: "plots" }), readout = element("div", { class: "readout" });
  const draw = (index) => {
    const chosen = atRate(codecs, settings[index]);
    const curves = chosen.map(({ codec, point }) => ({
      colour: codec.colour, model: codec.model, name: `${codec.name} ${point.setting}`, point,
      psnr: point.frame_psnr, bits: point.spans.length ? kilobits(point.spans) : [],
    }));
    const tell = (frame) => {
      readout.replaceChildren(frame === null ? "mean over frames: " : `frame ${frame}: `);
      for (const c of curves) {
        const psnr = frame === null ? c.point.psnr_yuv : c.psnr[frame];
        const bits = frame === null ? 8 * c.point.payload_bytes / c.point.frames / 1000 : c.bits[frame];
        readout.append(element("b", { class: "c" + c.colour }, c.name),
          ` ${psnr.toFixed(2)} dB` + (bits === undefined ? "" : `, ${bits.toFixed(2)} kbit`) + "   ");
      }
      for (const plot of plots.children) plot.showGuide(frame);
    };
    plots.replaceChildren(framePlot("PSNR 6:1:1 of every frame, dB",
      curves.map((c) => ({ ...c, values: c.psnr })), clip.frames, false, tell));
    const withBits = curves.filter((c) => c.bits.length);
    if (withBits.length) plots.append(framePlot("kbit of every frame (a chunk's are spread evenly over its frames)",
      withBits.map((c) => ({ ...c, values: c.bits })), clip.frames, true, tell));
    tell(null);
  };
  const middle = Math.floor((settings.length - 1) / 2);
  place.append(element("div", { class: "controls" },
    select(`frame by frame, ${lead.name} at`, settings.map(String), middle, draw),
    element("span", {}, "other codecs at the nearest rate")), plots, readout);
  draw(middle);
}

function showViewer(place, clip) {
  const viewer = clip.viewer;
  if (!viewer.frames.length) {
    place.append(element("p", {}, "No pictures: the size budget of this page is too small for them."));
    return;
  }
  const state = { left: viewer.sides.length > 1 ? 1 : 0, right: 0, frame: 0, zoom: viewer.width <= 400 ? 2 : 1 };
  if (viewer.sides.length > 2) state.right = viewer.sides.findIndex((s, n) => n > 1 && isAnchor(s));
  if (state.right < 0) state.right = 0;
  function isAnchor(side) { return side.codec !== null && !clip.codecs.find((c) => c.name === side.codec).model; }
  const pointOf = (side) => clip.codecs.find((c) => c.name === side.codec).points.find((p) => p.setting === side.setting);
  const told = (number) => {
    const side = viewer.sides[number];
    if (side.codec === null) return "original";
    const point = pointOf(side), frame = viewer.frames[state.frame];
    const here = point.frame_psnr ? `, this frame ${point.frame_psnr[frame].toFixed(2)} dB` : "";
    return `${side.codec} ${side.setting}: ${point.bits_per_pixel.toFixed(4)} bits per pixel${here}`;
  };
  const names = viewer.sides.map((s) => (s.codec === null ? "original" : `${s.codec} ${s.setting}`));
  const under = element("img", { alt: "" }), over = element("img", { alt: "" }), edge = element("div", { class: "edge" });
  const wipe = element("div", { class: "wipe" }, under, over, edge);
  const slider = element("input", { type: "range", class: "slider", min: 0, max: 1000, "aria-label": "wipe",
    oninput: () => move(slider.value / 1000) });
  const leftLabel = element("span"), rightLabel = element("span");
  const labels = element("div", { class: "labels" }, leftLabel, rightLabel);
  const move = (to) => {
    const place = Math.max(0, Math.min(1, to));
    over.style.clipPath = `inset(0 ${100 * (1 - place)}% 0 0)`;
    edge.style.left = `${100 * place}%`;
    slider.value = Math.round(1000 * place);
  };
  const draw = () => {
    over.src = viewer.pictures[state.left][state.frame];
    under.src = viewer.pictures[state.right][state.frame];
    over.alt = leftLabel.textContent = told(state.left);
    under.alt = rightLabel.textContent = told(state.right);
    wipe.style.width = `${viewer.width * state.zoom}px`;
    wipe.style.height = `${viewer.height * state.zoom}px`;
    wipe.classList.toggle("sharp", state.zoom > 1);
    slider.style.width = `${viewer.width * state.zoom}px`;
    labels.style.width = `${Math.max(560, viewer.width * state.zoom)}px`;
    frames.forEach((button, n) => button.setAttribute("aria-pressed", n === state.frame));
  };
  const drag = (event) => {
    if (!(event.buttons & 1)) return;
    const box = wipe.getBoundingClientRect();
    move((event.clientX - box.left) / box.width);
  };
  wipe.addEventListener("pointerdown", (event) => { wipe.setPointerCapture(event.pointerId); drag(event); });
  wipe.addEventListener("pointermove", drag);
  const frames = viewer.frames.map((number, n) =>
    element("button", { type: "button", onclick: () => { state.frame = n; draw(); } }, String(number)));
  const zooms = [1, 2, 3, 4];
  place.append(element("div", { class: "controls" },
    select("left", names, state.left, (n) => { state.left = n; draw(); }),
    select("right", names, state.right, (n) => { state.right = n; draw(); }),
    element("span", {}, element("label", {}, "frame "), ...frames),
    select("zoom", zooms.map((z) => `${z}×`), zooms.indexOf(state.zoom), (n) => { state.zoom = zooms[n]; draw(); })),
    labels, element("div", { class: "stage" }, wipe), slider,
    element("p", {}, (viewer.quality === null ? "Pictures are inlined without loss."
      : `Pictures are inlined as WebP of quality ${viewer.quality}, to stay within the page's size: look for blocks, blur and smear, not for fine noise.`)
      + (viewer.cropped ? " Shown is the middle of the frame." : "")));
  draw();
  move(0.5);
}

for (const section of document.querySelectorAll("section[data-clip]")) {
  const clip = data.clips[Number(section.dataset.clip)];
  showFrames(section.querySelector(".frames"), clip);
  showViewer(section.querySelector(".viewer"), clip);
}
