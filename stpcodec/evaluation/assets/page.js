// Draws what needs a choice by the reader: curves frame by frame at one rate, and the viewer with its wipe.
const data = JSON.parse(document.getElementById("bench-data").textContent);

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
