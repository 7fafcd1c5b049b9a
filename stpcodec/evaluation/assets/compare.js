// Plays original and decoded in step: both are drawn at once, or the frame before stays.
const data = JSON.parse(document.getElementById("compare-data").textContent);
const COUNT = data.seconds.length;
const AHEAD = 8, KEPT = 32;  // pictures decoded in advance, and kept at all
const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];  // dark to bright
const MODES = ["off", "over the decoded side", "instead of it"];

const state = { frame: -1, wanted: 0, wipe: 0.5, zoom: data.width <= 400 ? 2 : 1, speed: 1, mode: 0, playing: false };
const loaded = new Map();

// [original, decoded] of a frame when both can be drawn; null while they cannot.
function pictures(frame) {
  let entry = loaded.get(frame);
  if (entry === undefined) {
    const pair = data.pictures[frame].map((address) => { const made = new Image(); made.src = address; return made; });
    entry = { pair, ready: false };
    Promise.all(pair.map((picture) => picture.decode())).then(() => { entry.ready = true; if (frame === state.wanted) show(frame); });
    loaded.set(frame, entry);
    if (loaded.size > KEPT) loaded.delete(loaded.keys().next().value);
  }
  return entry.ready ? entry.pair : null;
}

// Levels are 16·log2(1 + bits).
const bitsOf = (level) => 2 ** (level / 16) - 1;
let levels = null, brightest = 1;
async function readHeat() {
  const packed = Uint8Array.from(atob(data.heat.levels), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  levels = new Uint8Array(await new Response(stream).arrayBuffer());
  brightest = levels.reduce((most, level) => Math.max(most, level), 1);
  key.replaceChildren("0 ", bar, ` ${bitsOf(brightest).toPrecision(2) * 1} bits a patch, logarithmic`);
  draw();
}

function colour(share) {
  const at = Math.min(0.9999, share) * (HEAT.length - 1), low = Math.floor(at);
  return HEAT[low].map((from, n) => Math.round(from + (at - low) * (HEAT[low + 1][n] - from)));
}

const cells = document.createElement("canvas");
cells.width = data.heat.columns;
cells.height = data.heat.rows;
function heatOf(frame) {
  const size = cells.width * cells.height, image = new ImageData(cells.width, cells.height);
  for (let n = 0; n < size; n++) {
    const share = levels[frame * size + n] / brightest;
    image.data.set([...colour(share), state.mode === 2 ? 255 : 60 + 180 * share], 4 * n);
  }
  cells.getContext("2d").putImageData(image, 0, 0);
  return cells;
}

const canvas = element("canvas", { width: data.width, height: data.height, role: "img" });
const edge = element("div", { class: "edge" }), wipe = element("div", { class: "wipe" }, canvas, edge);
const slider = element("input", { type: "range", class: "slider", id: "wipe", min: 0, max: 1000, "aria-label": "wipe",
  oninput: () => moveWipe(slider.value / 1000) });
const timeline = element("input", { type: "range", class: "timeline", id: "timeline", min: 0, max: COUNT - 1,
  "aria-label": "frame", oninput: () => { pause(); go(Number(timeline.value)); } });
const play = element("button", { type: "button", id: "play", onclick: () => (state.playing ? pause() : start()) }, "play");
const told = element("span", { class: "now" });
const bar = element("canvas", { class: "key", width: 128, height: 1 }), key = element("span");

function draw() {
  const pair = state.frame >= 0 ? pictures(state.frame) : null;
  if (pair === null) return;
  const context = canvas.getContext("2d"), { width, height } = canvas, cut = Math.round(state.wipe * width);
  if (state.mode !== 2) context.drawImage(pair[1], 0, 0, width, height);
  if (state.mode && levels) {
    const heat = data.heat;
    context.imageSmoothingEnabled = false;
    context.drawImage(heatOf(state.frame), -heat.x * width, -heat.y * height,
      heat.columns * heat.cellWidth * width, heat.rows * heat.cellHeight * height);
  }
  if (cut > 0) {
    context.save();
    context.beginPath();
    context.rect(0, 0, cut, height);
    context.clip();
    context.drawImage(pair[0], 0, 0, width, height);
    context.restore();
  }
  canvas.dataset.frame = state.frame;
}

function show(frame) {
  state.frame = frame;
  draw();
  timeline.value = frame;
  told.textContent = `frame ${data.firstFrame + frame}, ${data.seconds[frame].toFixed(3)} s: `
    + `${data.psnr[frame].toFixed(2)} dB, ${(data.bits[frame] / 1000).toFixed(2)} kbit`;
  for (const plot of plots.children) plot.showGuide(frame);
}

// At once if the pictures are there, otherwise as soon as they are.
function go(frame) {
  state.wanted = Math.max(0, Math.min(COUNT - 1, frame));
  if (pictures(state.wanted) !== null) show(state.wanted);
  for (let n = 1; n <= AHEAD && state.wanted + n < COUNT; n++) pictures(state.wanted + n);
}

function moveWipe(to) {
  state.wipe = Math.max(0, Math.min(1, to));
  edge.style.left = `${100 * state.wipe}%`;
  slider.value = Math.round(1000 * state.wipe);
  draw();
}

function resize() {
  wipe.style.width = slider.style.width = `${data.width * state.zoom}px`;
  wipe.style.height = `${data.height * state.zoom}px`;
  labels.style.width = `${Math.max(320, data.width * state.zoom)}px`;
  wipe.classList.toggle("sharp", state.zoom > 1);
}

let clock = null;  // {at: milliseconds, seconds: of the video shown then}
function start() {
  state.playing = true;
  play.textContent = "pause";
  if (state.wanted === COUNT - 1) go(0);
  clock = null;
  requestAnimationFrame(tick);
}

function pause() {
  state.playing = false;
  play.textContent = "play";
}

function tick(now) {
  if (!state.playing) return;
  // Waiting for pictures stops the clock: the two sides stay in step, and no frame is left out for it.
  if (clock === null || state.frame !== state.wanted) clock = { at: now, seconds: data.seconds[state.wanted] };
  const seconds = clock.seconds + (now - clock.at) / 1000 * state.speed;
  let next = state.wanted;
  while (next + 1 < COUNT && data.seconds[next + 1] <= seconds) next++;
  if (next !== state.wanted) go(next);
  else if (next === COUNT - 1) return pause();
  requestAnimationFrame(tick);
}

function drag(event) {
  if (!(event.buttons & 1)) return;
  const box = wipe.getBoundingClientRect();
  moveWipe((event.clientX - box.left) / box.width);
}
wipe.addEventListener("pointerdown", (event) => { wipe.setPointerCapture(event.pointerId); drag(event); });
wipe.addEventListener("pointermove", drag);
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select")) return;
  if (event.key === "ArrowRight") { pause(); go(state.wanted + 1); }
  else if (event.key === "ArrowLeft") { pause(); go(state.wanted - 1); }
  else if (event.key === " " && event.target !== play) state.playing ? pause() : start();
  else return;
  event.preventDefault();
});

const step = (by) => () => { pause(); go(state.wanted + by); };
const speeds = [1, 0.5, 0.25], zooms = [1, 2, 3, 4];
const labels = element("div", { class: "labels" }, element("span", {}, "original"), element("span", {}, "decoded"));
const plots = element("div", { class: "plots" });
const atNumber = (title, values, log) => {
  const plot = framePlot(title, [{ values, colour: 0, model: true }], COUNT, log, (frame) => {
    plot.showGuide(frame === null ? state.frame : frame);
  });
  plot.addEventListener("click", (event) => { pause(); go(plot.frameAt(event)); });
  return plot;
};
plots.append(atNumber("PSNR 6:1:1 of every frame, dB", data.psnr, false),
  atNumber("kbit of every frame, logarithmic", data.bits.map((bits) => bits / 1000), true));

const scale = new ImageData(128, 1);
for (let n = 0; n < 128; n++) scale.data.set([...colour(n / 127), 255], 4 * n);
bar.getContext("2d").putImageData(scale, 0, 0);

document.getElementById("viewer").append(
  element("div", { class: "controls" }, play,
    element("button", { type: "button", id: "back", onclick: step(-1) }, "◂ frame"),
    element("button", { type: "button", id: "forward", onclick: step(1) }, "frame ▸"),
    select("speed", speeds.map((s) => `${s}×`), 0, (n) => { state.speed = speeds[n]; clock = null; }),
    select("zoom", zooms.map((z) => `${z}×`), zooms.indexOf(state.zoom), (n) => { state.zoom = zooms[n]; resize(); }),
    select("heat map", MODES, 0, (n) => { state.mode = n; draw(); }), key),
  labels, element("div", { class: "stage" }, wipe), slider, timeline, element("p", {}, told), plots);
resize();
moveWipe(0.5);
go(0);
readHeat();
