// Liver and foci in three planes and in three dimensions, drawn by NiiVue. Volumes come from our own NIfTI addresses.
// There are two pictures, planes and volume, since bone is what helps in three dimensions and soft tissue in planes.

const place = document.getElementById("space");
const rows = [...document.querySelectorAll("tr[data-focus]")];
const numbers = rows.map((row) => Number(row.dataset.focus));
const [SCAN, LIVER, FOCI] = [0, 1, 2];
const NAMES = ["scan.nii", "liver.nii", "foci.nii"];
const LIVER_COLOUR = [86, 180, 233], CHOSEN = [255, 157, 0], OTHER = [240, 163, 207];
// Brighter than an enhanced liver with its noise: NiiVue darkens the liver on every ray that meets a voxel of this.
const BONE = [200, 950];
const TURN_DEGREES = 5, FROM = [200, 10], SHINE = 0.5;
const OPAQUE = { planes: { liver: 0.13, foci: 0.6 }, volume: { liver: 0.015, foci: 1 } };
const state = { grid: null, chosen: 0, planes: null, volume: null };

async function fetched(name) {
  const answer = await fetch(`/api/assessments/${place.dataset.assessment}/volumes/${name}`);
  if (!answer.ok) throw await app.fault(answer);
  return answer.arrayBuffer();
}

// Colours of labels: clear where there is none, then one for each.
function colours(labels, of) {
  const lut = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
  for (const label of labels) {
    const [r, g, b] = of(label);
    lut.R.push(r); lut.G.push(g); lut.B.push(b); lut.A.push(255); lut.I.push(label); lut.labels.push(String(label));
  }
  return lut;
}

const both = () => [["planes", state.planes], ["volume", state.volume]];

const sorted = [...numbers].sort((one, other) => one - other);
const coloursOfFoci = () => colours(sorted, (focus) => (focus === state.chosen ? CHOSEN : OTHER));

// Where a voxel (z, y, x) of the viewer's grid lies, in NIfTI's mm: right, front and head are up.
function millimetres(at) {
  const [x, y, z] = state.grid.affine.slice(0, 3).map((row) => row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3]);
  return [-x, -y, z];
}

function choose(focus) {
  state.chosen = focus;
  for (const [k, row] of rows.entries()) row.classList.toggle("on", numbers[k] === focus);
}

function point() {
  const row = rows[numbers.indexOf(state.chosen)];
  if (row) state.planes.scene.crosshairPos = state.planes.mm2frac(millimetres(row.dataset.at.split(" ").map(Number)));
  state.planes.drawScene();
  state.planes.createOnLocationChange();
}

function jump(focus) {
  if (!numbers.includes(focus)) return;
  choose(focus);
  for (const [, nv] of both()) {
    nv.volumes[FOCI].setColormapLabel(coloursOfFoci());
    nv.updateGLVolume();
  }
  point();
}

function next(step) {
  if (numbers.length) jump(numbers[(numbers.indexOf(state.chosen) + step + numbers.length) % numbers.length]);
}

// The cross moved in the planes: it moves in the volume too, and what is under it is told.
function moved({ mm, values }) {
  state.volume.scene.crosshairPos = state.volume.mm2frac(mm.slice(0, 3));
  state.volume.drawScene();
  const focus = values[FOCI].value ? ` · ${values[FOCI].value}` : "";
  document.getElementById("space-where").textContent = `${Math.round(values[SCAN].value)} HU${focus}`;
}

// What the darkest and the brightest grey stand for.
function greys() {
  const [level, width] = document.getElementById("window").value.split(" ").map(Number);
  return [level - width / 2, level + width / 2];
}

function arrange(button) {
  place.dataset.layout = button.dataset.layout;
  for (const other of document.querySelectorAll("[data-layout]:not(#space)")) other.setAttribute("aria-pressed", String(other === button));
  for (const [, nv] of both()) { nv.resizeListener(); nv.drawScene(); }
}

function turn(right, up) {
  const { scene } = state.volume;
  state.volume.setRenderAzimuthElevation(scene.renderAzimuth + right * TURN_DEGREES, scene.renderElevation + up * TURN_DEGREES);
}

function toggle(id) {
  const box = document.getElementById(id);
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change"));
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
  const { planes } = state;
  // the patient's right is on the left of the picture
  const act = {
    ArrowLeft: () => planes.moveCrosshairInVox(1, 0, 0), ArrowRight: () => planes.moveCrosshairInVox(-1, 0, 0),
    ArrowUp: () => planes.moveCrosshairInVox(0, 1, 0), ArrowDown: () => planes.moveCrosshairInVox(0, -1, 0),
    PageUp: () => planes.moveCrosshairInVox(0, 0, 1), PageDown: () => planes.moveCrosshairInVox(0, 0, -1),
    n: () => next(1), p: () => next(-1), l: () => toggle("show-liver"), f: () => toggle("show-foci"), b: () => toggle("show-bone"),
  };
  const turned = { ArrowLeft: () => turn(1, 0), ArrowRight: () => turn(-1, 0), ArrowUp: () => turn(0, -1), ArrowDown: () => turn(0, 1) };
  const found = (event.shiftKey && turned[event.key]) || act[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  // NiiVue has keys of its own, which this page does not explain
  event.stopPropagation();
  if (found) { event.preventDefault(); found(); }
}

async function start() {
  if (!document.createElement("canvas").getContext("webgl2")) {
    place.textContent = place.dataset.noWebgl;
    return;
  }
  state.grid = await app.grid(place.dataset.assessment);
  const { Niivue, NVImage, DRAG_MODE, SHOW_RENDER, SLICE_TYPE } = await import(place.dataset.niivue);
  const data = await Promise.all(NAMES.map(fetched));
  choose(numbers.length ? numbers[0] : 0);
  for (const [kind, sliceType, [low, high]] of [["planes", SLICE_TYPE.MULTIPLANAR, greys()], ["volume", SLICE_TYPE.RENDER, BONE]]) {
    const nv = new Niivue({
      sliceType, isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarShowRender: SHOW_RENDER.NEVER,
      dragMode: DRAG_MODE.pan, dragAndDropEnabled: false, crosshairColor: [1, 1, 1, 0.6], show3Dcrosshair: true,
      fontColor: [1, 1, 1, 1], logLevel: "error", loadingText: "",
    });
    state[kind] = nv;
    await nv.attachToCanvas(document.getElementById(`space-${kind}`));
    if (kind === "volume") await nv.setVolumeRenderIllumination(SHINE);
    const images = await Promise.all(NAMES.map((name, k) => NVImage.loadFromUrl({ url: name, name, buffer: data[k] })));
    [images[SCAN].cal_min, images[SCAN].cal_max] = [low, high];
    images[LIVER].setColormapLabel(colours([1], () => LIVER_COLOUR));
    images[FOCI].setColormapLabel(coloursOfFoci());
    [images[LIVER].opacity, images[FOCI].opacity] = [OPAQUE[kind].liver, OPAQUE[kind].foci];
    // drawn once, with the last of them
    nv.volumes = images.slice(0, FOCI);
    nv.addVolume(images[FOCI]);
  }
  state.volume.setRenderAzimuthElevation(...FROM);
  state.planes.onLocationChange = moved;
  point();
  for (const button of document.querySelectorAll("button[data-layout]")) app.on(button, "click", () => arrange(button));
  for (const button of document.querySelectorAll("[data-jump]")) app.on(button, "click", () => jump(Number(button.dataset.jump)));
  app.on(document.getElementById("window"), "change", () => {
    [state.planes.volumes[SCAN].cal_min, state.planes.volumes[SCAN].cal_max] = greys();
    state.planes.updateGLVolume();
  });
  for (const [id, layer, name] of [["show-liver", LIVER, "liver"], ["show-foci", FOCI, "foci"]]) {
    app.on(document.getElementById(id), "change", (event) => {
      for (const [kind, nv] of both()) nv.setOpacity(layer, event.target.checked ? OPAQUE[kind][name] : 0);
    });
  }
  app.on(document.getElementById("show-bone"), "change", (event) => state.volume.setOpacity(SCAN, Number(event.target.checked)));
  place.addEventListener("keydown", keys, { capture: true });
  place.addEventListener("keyup", (event) => event.stopPropagation(), { capture: true });
  place.dataset.ready = "yes";
}

start().catch((fault) => app.tell(fault.message, true));
