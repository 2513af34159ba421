// Liver and foci in three planes and in three dimensions, drawn by NiiVue. Volumes come from our own NIfTI addresses.
// There are two pictures, planes and volume, since bone is what helps in three dimensions and soft tissue in planes.

const place = document.getElementById("space");
const rows = [...document.querySelectorAll("tr[data-focus]")];
const numbers = rows.map((row) => Number(row.dataset.focus));
const [SCAN, LIVER, FOCI] = [0, 1, 2];
const NAMES = ["scan.nii", "liver.nii", "foci.nii"];
const LIVER_COLOUR = [86, 180, 233], CHOSEN = [255, 157, 0], OTHER = [240, 163, 207];
const BONE = [150, 900];
const TURN_DEGREES = 5;
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

function paintFoci() {
  const sorted = [...numbers].sort((one, other) => one - other);
  for (const [, nv] of both()) {
    nv.volumes[FOCI].setColormapLabel(colours(sorted, (focus) => (focus === state.chosen ? CHOSEN : OTHER)));
    nv.updateGLVolume();
  }
}

// Where a voxel (z, y, x) of the viewer's grid lies, in NIfTI's mm: right, front and head are up.
function millimetres(at) {
  const [x, y, z] = state.grid.affine.slice(0, 3).map((row) => row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3]);
  return [-x, -y, z];
}

function jump(focus) {
  const row = rows[numbers.indexOf(focus)];
  if (!row) return;
  state.chosen = focus;
  for (const other of rows) other.classList.toggle("on", other === row);
  state.planes.scene.crosshairPos = state.planes.mm2frac(millimetres(row.dataset.at.split(" ").map(Number)));
  paintFoci();
  state.planes.createOnLocationChange();
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

function windowed(text) {
  const [level, width] = text.split(" ").map(Number);
  const scan = state.planes.volumes[SCAN];
  [scan.cal_min, scan.cal_max] = [level - width / 2, level + width / 2];
  state.planes.updateGLVolume();
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
  const { Niivue, NVImage, DRAG_MODE, SHOW_RENDER } = await import(place.dataset.niivue);
  const data = await Promise.all(NAMES.map(fetched));
  for (const kind of ["planes", "volume"]) {
    const nv = new Niivue({
      isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarShowRender: SHOW_RENDER.NEVER, dragMode: DRAG_MODE.pan,
      dragAndDropEnabled: false, crosshairColor: [1, 1, 1, 0.6], show3Dcrosshair: true, fontColor: [1, 1, 1, 1], logLevel: "error",
      loadingText: "", sliceType: kind === "planes" ? 3 : 4,
    });
    state[kind] = nv;
    await nv.attachToCanvas(document.getElementById(`space-${kind}`));
    for (const [k, name] of NAMES.entries()) await nv.loadFromArrayBuffer(data[k], name);
    nv.volumes[LIVER].setColormapLabel(colours([1], () => LIVER_COLOUR));
    nv.setOpacity(LIVER, OPAQUE[kind].liver);
    nv.setOpacity(FOCI, OPAQUE[kind].foci);
  }
  [state.volume.volumes[SCAN].cal_min, state.volume.volumes[SCAN].cal_max] = BONE;
  await state.volume.setVolumeRenderIllumination(0.5);
  state.volume.setRenderAzimuthElevation(200, 10);
  state.planes.onLocationChange = moved;
  windowed(document.getElementById("window").value);
  if (numbers.length) jump(numbers[0]); else state.volume.updateGLVolume();
  for (const button of document.querySelectorAll("button[data-layout]")) app.on(button, "click", () => arrange(button));
  for (const button of document.querySelectorAll("[data-jump]")) app.on(button, "click", () => jump(Number(button.dataset.jump)));
  app.on(document.getElementById("window"), "change", (event) => windowed(event.target.value));
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
