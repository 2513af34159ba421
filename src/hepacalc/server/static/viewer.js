// A slice viewer on plain canvases: raw slices from the server, windowed here; contours of liver and foci; a brush.
// Arrays are (z, y, x): z to the head, y to the back, x to the patient's left.
"use strict";

const viewer = (() => {
  const AXIS = { axial: 0, coronal: 1, sagittal: 2 };
  const LETTERS = { axial: ["A", "P", "R", "L"], coronal: ["H", "F", "R", "L"], sagittal: ["H", "F", "A", "P"] };
  const LIVER = 0x8000;
  const [CHOSEN, OTHER] = ["#ff9d00", "#f0a3cf"];
  const head = document.querySelector(".study-head");
  const place = document.getElementById("canvases");
  const state = {
    grid: null, plane: "axial", at: [0, 0, 0], level: 40, width: 400, zoom: 1, pan: [0, 0],
    liver: true, foci: true, chosen: 0, three: false, tool: "", paint: null, title: "", ring: null,
  };
  const canvases = {};
  const listeners = [];
  const moved = [];

  const count = (plane) => state.grid.shape[AXIS[plane]];

  // Rows and columns of a plane, and how large a pixel is in mm.
  function layout(plane, grid = state.grid) {
    const [nz, ny, nx] = grid.shape;
    const [dz, dy, dx] = grid.spacing_mm;
    if (plane === "axial") return { rows: ny, columns: nx, high: dy, wide: dx };
    if (plane === "coronal") return { rows: nz, columns: nx, high: dz, wide: dx };
    return { rows: nz, columns: ny, high: dz, wide: dy };
  }

  // Array index of a pixel of a plane.
  function voxel(plane, row, column) {
    const nz = state.grid.shape[0];
    if (plane === "axial") return [state.at[0], row, column];
    if (plane === "coronal") return [nz - 1 - row, state.at[1], column];
    return [nz - 1 - row, column, state.at[2]];
  }

  // Pixel of a plane at which the cross stands.
  function cross(plane, [z, y, x] = state.at, grid = state.grid) {
    const nz = grid.shape[0];
    if (plane === "axial") return [y, x];
    if (plane === "coronal") return [nz - 1 - z, x];
    return [nz - 1 - z, y];
  }

  // Slices of one assessment, kept for a while.
  function source(assessment) {
    const slices = new Map();
    function fetched(kind, plane, index, type) {
      const key = `${kind}/${plane}/${index}`;
      if (!slices.has(key)) {
        const wanted = fetch(`/api/assessments/${assessment}/${key}`).then(async (answer) => {
          if (!answer.ok) throw await app.fault(answer);
          return new type(await answer.arrayBuffer());
        });
        slices.set(key, wanted);
        wanted.catch(() => slices.delete(key));
        if (slices.size > 900) slices.delete(slices.keys().next().value);
      }
      return slices.get(key);
    }
    return {
      scan: (plane, index) => fetched("scan", plane, index, Int16Array),
      labels: (plane, index) => fetched("labels", plane, index, Uint16Array),
    };
  }
  const { scan, labels } = source(head.dataset.assessment);

  function fit(canvas) {
    const box = canvas.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    const [w, h] = [Math.max(Math.round(box.width * scale), 1), Math.max(Math.round(box.height * scale), 1)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  }

  // Where a plane's picture lies on its canvas.
  function frame(canvas, plane) {
    const { rows, columns, high, wide } = layout(plane);
    const scale = Math.min(canvas.width / (columns * wide), canvas.height / (rows * high)) * state.zoom;
    const [w, h] = [columns * wide * scale, rows * high * scale];
    return { x: (canvas.width - w) / 2 + state.pan[0], y: (canvas.height - h) / 2 + state.pan[1], sx: wide * scale, sy: high * scale, w, h };
  }

  const stamp = { axial: 0, coronal: 0, sagittal: 0 };
  async function draw(plane) {
    const canvas = canvases[plane];
    if (!state.grid || canvas.offsetParent === null) return;
    const mine = ++stamp[plane];
    const index = state.at[AXIS[plane]];
    const [hu, mask] = await Promise.all([scan(plane, index), labels(plane, index)]);
    if (mine !== stamp[plane]) return;
    fit(canvas);
    const pen = canvas.getContext("2d");
    const f = frame(canvas, plane);
    const painted = plane === "axial" && state.paint ? state.paint.slices.get(index) : null;
    paint(pen, canvas, plane, f, layout(plane), hu, mask, (focus) => (focus !== state.chosen ? OTHER : painted ? "" : CHOSEN));
    if (painted) outline(pen, f, layout(plane).rows, layout(plane).columns, (k) => painted[k] !== 0, "#7CFC00", 2);
    if (state.title) title(pen, state.title);
    if (state.ring) ring(pen, f, plane, state.ring, state.grid, index);
    if (state.three) hair(pen, canvas, plane, f);
    canvas.setAttribute("aria-label", `${plane}, ${index + 1} / ${count(plane)}${state.chosen ? `, ${state.chosen}` : ""}`);
  }

  // One slice with its contours, windowed as all are.
  function paint(pen, canvas, plane, f, grid, hu, mask, colourOf) {
    const { rows, columns } = grid;
    const picture = new ImageData(columns, rows);
    const [low, gain] = [state.level - state.width / 2, 255 / state.width];
    for (let k = 0, p = 0; k < hu.length; k += 1, p += 4) {
      const grey = (hu[k] - low) * gain;
      picture.data[p] = picture.data[p + 1] = picture.data[p + 2] = grey;
      picture.data[p + 3] = 255;
    }
    const off = new OffscreenCanvas(columns, rows);
    off.getContext("2d").putImageData(picture, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = true;
    pen.drawImage(off, f.x, f.y, f.w, f.h);
    if (state.liver) outline(pen, f, rows, columns, (k) => (mask[k] & LIVER) !== 0, "#56b4e9", 1.2);
    if (state.foci) {
      for (const colour of [OTHER, CHOSEN]) {
        outline(pen, f, rows, columns, (k) => (mask[k] & ~LIVER) !== 0 && colourOf(mask[k] & ~LIVER) === colour, colour, colour === CHOSEN ? 2 : 1.3);
      }
    }
    letters(pen, canvas, plane);
    bar(pen, canvas, f, grid);
  }

  // Where a lesion would lie that is not seen here.
  function ring(pen, f, plane, at, grid, index) {
    if (Math.abs(at[AXIS[plane]] - index) > 1.5) return;
    const [row, column] = cross(plane, at, grid);
    pen.setLineDash([6, 5]);
    pen.strokeStyle = CHOSEN;
    pen.lineWidth = 1.5 * (window.devicePixelRatio || 1);
    pen.beginPath();
    pen.arc(f.x + (column + 0.5) * f.sx, f.y + (row + 0.5) * f.sy, 10 * f.sx / layout(plane, grid).wide, 0, 2 * Math.PI);
    pen.stroke();
    pen.setLineDash([]);
  }

  // Of which day an exam is, where two are shown.
  function title(pen, words) {
    const size = 15 * (window.devicePixelRatio || 1);
    pen.font = `700 ${size}px sans-serif`;
    pen.lineWidth = size / 5;
    pen.strokeStyle = "#000";
    pen.fillStyle = "#ffd27f";
    pen.strokeText(words, size / 2, size * 1.3);
    pen.fillText(words, size / 2, size * 1.3);
  }

  // Edges between what is inside and what is not, along pixel borders.
  function outline(pen, f, rows, columns, inside, colour, wide) {
    pen.beginPath();
    for (let r = 0, k = 0; r < rows; r += 1) {
      for (let c = 0; c < columns; c += 1, k += 1) {
        if (!inside(k)) continue;
        const [x, y] = [f.x + c * f.sx, f.y + r * f.sy];
        if (r === 0 || !inside(k - columns)) { pen.moveTo(x, y); pen.lineTo(x + f.sx, y); }
        if (r === rows - 1 || !inside(k + columns)) { pen.moveTo(x, y + f.sy); pen.lineTo(x + f.sx, y + f.sy); }
        if (c === 0 || !inside(k - 1)) { pen.moveTo(x, y); pen.lineTo(x, y + f.sy); }
        if (c === columns - 1 || !inside(k + 1)) { pen.moveTo(x + f.sx, y); pen.lineTo(x + f.sx, y + f.sy); }
      }
    }
    pen.strokeStyle = colour;
    pen.lineWidth = wide * (window.devicePixelRatio || 1);
    pen.stroke();
  }

  function letters(pen, canvas, plane) {
    const size = 13 * (window.devicePixelRatio || 1);
    const [top, bottom, left, right] = LETTERS[plane];
    pen.font = `700 ${size}px sans-serif`;
    pen.lineWidth = size / 5;
    pen.strokeStyle = "#000";
    pen.fillStyle = "#fff";
    const spots = [[top, canvas.width / 2, size], [bottom, canvas.width / 2, canvas.height - size / 3], [left, size / 2, canvas.height / 2], [right, canvas.width - size, canvas.height / 2]];
    for (const [word, x, y] of spots) { pen.strokeText(word, x, y); pen.fillText(word, x, y); }
  }

  function hair(pen, canvas, plane, f) {
    const [r, c] = cross(plane);
    pen.strokeStyle = "rgba(255, 255, 255, .45)";
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(f.x + (c + 0.5) * f.sx, 0); pen.lineTo(f.x + (c + 0.5) * f.sx, canvas.height);
    pen.moveTo(0, f.y + (r + 0.5) * f.sy); pen.lineTo(canvas.width, f.y + (r + 0.5) * f.sy);
    pen.stroke();
  }

  // A scale of 5 cm.
  function bar(pen, canvas, f, { wide }) {
    const long = (50 / wide) * f.sx;
    const [x, y] = [12, canvas.height - 12];
    pen.strokeStyle = "#fff";
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x, y - 6); pen.lineTo(x, y); pen.lineTo(x + long, y); pen.lineTo(x + long, y - 6);
    pen.stroke();
    pen.fillStyle = "#fff";
    pen.font = `${11 * (window.devicePixelRatio || 1)}px sans-serif`;
    pen.fillText("5 cm", x + 4, y - 5);
  }

  function redraw() {
    for (const plane of Object.keys(canvases)) {
      canvases[plane].classList.toggle("shown", plane === state.plane);
      draw(plane).catch((fault) => app.tell(fault.message, true));
    }
    const slider = document.getElementById("slice");
    slider.max = count(state.plane) - 1;
    slider.value = state.at[AXIS[state.plane]];
    document.getElementById("slice-number").textContent = `${state.at[AXIS[state.plane]] + 1} / ${count(state.plane)}`;
    for (const button of document.querySelectorAll("[data-plane]")) button.setAttribute("aria-pressed", String(button.dataset.plane === state.plane));
    for (const tell of moved) tell();
    for (const step of [1, -1, 2, -2]) {
      const next = state.at[AXIS[state.plane]] + step;
      if (next >= 0 && next < count(state.plane)) { scan(state.plane, next).catch(() => {}); labels(state.plane, next).catch(() => {}); }
    }
  }

  function go(plane, index) {
    state.at[AXIS[plane]] = Math.min(Math.max(index, 0), count(plane) - 1);
    redraw();
  }

  function show(plane) { state.plane = plane; redraw(); }

  // Jump to a focus and mark its row.
  function jump(focus) {
    const row = document.querySelector(`tr[data-focus="${focus}"]`);
    if (!row || !state.grid) return;
    state.chosen = focus;
    state.ring = null;
    state.at = row.dataset.at.split(" ").map(Number);
    for (const other of document.querySelectorAll("tr[data-focus]")) other.classList.toggle("on", other === row);
    for (const tell of listeners) tell(focus);
    redraw();
  }

  // What lies under the pointer.
  function pointed(canvas, plane, event) {
    const box = canvas.getBoundingClientRect();
    const f = frame(canvas, plane);
    const [px, py] = [(event.clientX - box.left) * (canvas.width / box.width), (event.clientY - box.top) * (canvas.height / box.height)];
    const { rows, columns } = layout(plane);
    const [row, column] = [Math.floor((py - f.y) / f.sy), Math.floor((px - f.x) / f.sx)];
    return row >= 0 && column >= 0 && row < rows && column < columns ? { row, column, at: voxel(plane, row, column) } : null;
  }

  async function tellUnder(plane, spot) {
    const out = document.getElementById("under");
    if (!spot) { out.textContent = ""; return; }
    const index = state.at[AXIS[plane]];
    const k = spot.row * layout(plane).columns + spot.column;
    const [hu, mask] = await Promise.all([scan(plane, index), labels(plane, index)]);
    const focus = mask[k] & ~LIVER;
    out.textContent = `${hu[k]} HU${focus ? ` · ${focus}` : ""}`;
  }

  async function press(canvas, plane, event) {
    canvas.focus();
    const spot = pointed(canvas, plane, event);
    state.plane = plane;
    if (spot && state.tool && listeners.tool) { await listeners.tool(plane, spot, event); return; }
    if (!spot || event.shiftKey) return;
    const mask = await labels(plane, state.at[AXIS[plane]]);
    const focus = mask[spot.row * layout(plane).columns + spot.column] & ~LIVER;
    if (focus) jump(focus);
    else if (state.three) { state.at = spot.at; redraw(); }
  }

  function mouse(canvas, plane) {
    let last = null;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) { state.zoom = Math.min(Math.max(state.zoom * (event.deltaY < 0 ? 1.1 : 0.9), 0.5), 12); redraw(); }
      else { state.plane = plane; go(plane, state.at[AXIS[plane]] + Math.sign(event.deltaY) * (plane === "axial" ? -1 : 1)); }
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY, 0];
      press(canvas, plane, event).catch((fault) => app.tell(fault.message, true));
    });
    canvas.addEventListener("pointermove", (event) => {
      const spot = pointed(canvas, plane, event);
      if (last === null) { tellUnder(plane, spot).catch(() => {}); return; }
      if (state.tool) { if (spot && listeners.tool) listeners.tool(plane, spot, event); return; }
      const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
      if (Math.abs(dx) + Math.abs(dy) < 3 && !last[2]) return;
      if (event.shiftKey) { const s = window.devicePixelRatio || 1; state.pan[0] += dx * s; state.pan[1] += dy * s; }
      else { state.width = Math.max(state.width + dx * 2, 10); state.level += dy; }
      last = [event.clientX, event.clientY, 1];
      redraw();
    });
    for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, () => { last = null; });
    canvas.addEventListener("keydown", keys);
  }

  function keys(event) {
    const index = state.at[AXIS[state.plane]];
    const step = event.shiftKey ? 10 : 1;
    const act = {
      ArrowUp: () => go(state.plane, index + step), ArrowDown: () => go(state.plane, index - step),
      PageUp: () => go(state.plane, index + 10), PageDown: () => go(state.plane, index - 10),
      Home: () => go(state.plane, count(state.plane) - 1), End: () => go(state.plane, 0),
      ArrowLeft: () => { state.level -= 20; redraw(); }, ArrowRight: () => { state.level += 20; redraw(); },
      a: () => show("axial"), c: () => show("coronal"), s: () => show("sagittal"),
      l: () => toggle("show-liver"), f: () => toggle("show-foci"),
      n: () => next(1), p: () => next(-1),
      "+": () => { state.zoom = Math.min(state.zoom * 1.2, 12); redraw(); },
      "-": () => { state.zoom = Math.max(state.zoom / 1.2, 0.5); redraw(); },
      0: () => { state.zoom = 1; state.pan = [0, 0]; redraw(); },
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); act(); }
  }

  function toggle(id) { const box = document.getElementById(id); box.checked = !box.checked; box.dispatchEvent(new Event("change")); }

  function next(step) {
    const all = [...document.querySelectorAll("tr[data-focus]")].map((row) => Number(row.dataset.focus));
    if (all.length) jump(all[(all.indexOf(state.chosen) + step + all.length) % all.length]);
  }

  async function start() {
    for (const plane of Object.keys(AXIS)) {
      const canvas = document.createElement("canvas");
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-describedby", "viewer-help");
      canvas.setAttribute("aria-label", plane);
      canvas.dataset.canvas = plane;
      canvases[plane] = place.appendChild(canvas);
      mouse(canvas, plane);
    }
    canvases.axial.classList.add("shown");
    state.grid = await app.grid(head.dataset.assessment);
    state.at = state.grid.shape.map((n) => Math.floor(n / 2));
    for (const button of document.querySelectorAll("[data-plane]")) app.on(button, "click", () => show(button.dataset.plane));
    app.on(document.getElementById("three"), "click", (event) => {
      state.three = !state.three;
      place.classList.toggle("three", state.three);
      event.target.setAttribute("aria-pressed", String(state.three));
      redraw();
    });
    app.on(document.getElementById("window"), "change", (event) => { [state.level, state.width] = event.target.value.split(" ").map(Number); redraw(); });
    app.on(document.getElementById("show-liver"), "change", (event) => { state.liver = event.target.checked; redraw(); });
    app.on(document.getElementById("show-foci"), "change", (event) => { state.foci = event.target.checked; redraw(); });
    app.on(document.getElementById("slice"), "input", (event) => go(state.plane, Number(event.target.value)));
    for (const button of document.querySelectorAll("[data-jump]")) app.on(button, "click", () => { jump(Number(button.dataset.jump)); });
    new ResizeObserver(redraw).observe(place);
    const first = document.querySelector("tr[data-focus]");
    if (first) jump(Number(first.dataset.focus)); else redraw();
    place.dataset.ready = "yes";
  }

  if (place && head.dataset.assessment) start().catch((fault) => app.tell(fault.message, true));
  return { state, jump, redraw, labels, layout, listeners, moved, LIVER, show, go, keys, source, fit, frame, cross, paint, title, ring, canvases, AXIS, CHOSEN, OTHER };
})();
