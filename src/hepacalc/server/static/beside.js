// An earlier exam beside the current one: the same place of the liver in the same plane, window and scale.
"use strict";

(() => {
  const choice = document.getElementById("beside");
  if (!choice || typeof viewer === "undefined") return;
  const { state, AXIS } = viewer;
  const place = document.getElementById("canvases");
  const desk = document.querySelector(".desk");
  const link = document.getElementById("linked");
  const three = document.getElementById("three");
  const canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-describedby", "viewer-help");
  canvas.className = "prior";
  const other = { grid: null, source: null, back: null, offset: [0, 0, 0], frozen: null, foci: new Set(), day: "", ring: null };
  let stamp = 0;

  const times = (rows, p) => rows.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3]);
  // Index (z, y, x) of a place in LPS mm, by Cramer's rule on the grid's affine.
  function indexOf(grid, at) {
    const m = grid.affine;
    const d = [0, 1, 2].map((k) => at[k] - m[k][3]);
    const det = (a) => a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) - a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) + a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
    const whole = det(m);
    return [0, 1, 2].map((c) => det(m.slice(0, 3).map((row, r) => row.slice(0, 3).map((v, k) => (k === c ? d[r] : v)))) / whole);
  }

  // Where the earlier exam is looked at: what lies there now, unless it was let go.
  function there() {
    const mapped = indexOf(other.grid, times(other.back, times(state.grid.affine.slice(0, 3), state.at)));
    return other.frozen || mapped.map((v, k) => v + other.offset[k]);
  }
  const near = (at) => at.map((v, k) => Math.min(Math.max(Math.round(v), 0), other.grid.shape[k] - 1));

  async function draw() {
    if (!other.grid || !state.grid) return;
    const mine = ++stamp;
    const plane = state.plane;
    const at = there();
    const index = near(at)[AXIS[plane]];
    const [hu, mask] = await Promise.all([other.source.scan(plane, index), other.source.labels(plane, index)]);
    if (mine !== stamp) return;
    viewer.fit(canvas);
    const [now, grid] = [viewer.layout(plane), viewer.layout(plane, other.grid)];
    const f = viewer.frame(viewer.canvases[plane], plane);
    const [row, column] = viewer.cross(plane);
    const [r, c] = viewer.cross(plane, other.frozen ? near(other.frozen) : at, other.grid);
    const [sx, sy] = [grid.wide * f.sx / now.wide, grid.high * f.sy / now.high];
    const [x, y] = [f.x + (column + 0.5) * f.sx - (c + 0.5) * sx, f.y + (row + 0.5) * f.sy - (r + 0.5) * sy];
    const pen = canvas.getContext("2d");
    const spot = { x, y, sx, sy, w: grid.columns * sx, h: grid.rows * sy };
    viewer.paint(pen, canvas, plane, spot, grid, hu, mask, (focus) => (other.foci.has(focus) ? viewer.CHOSEN : viewer.OTHER));
    viewer.title(pen, other.day);
    if (other.ring) viewer.ring(pen, spot, plane, other.ring, other.grid, index);
    canvas.setAttribute("aria-label", `${other.day}, ${plane}, ${index + 1} / ${other.grid.shape[AXIS[plane]]}`);
  }
  viewer.moved.push(() => { draw().catch((fault) => app.tell(fault.message, true)); });

  // Show a lesion in both: at its own place in each.
  function jump(row) {
    for (const one of document.querySelectorAll("tr[data-places]")) one.classList.toggle("on", one === row);
    for (const figure of document.querySelectorAll("[data-plot]")) figure.hidden = figure.dataset.plot !== row.dataset.row;
    other.foci = new Set(row.dataset.priorFoci.split(" ").filter(Boolean).map(Number));
    const [now, before] = [row.dataset.places, row.dataset.priorPlaces].map((text) => text.split(" ").map(Number));
    if (!state.grid) return;
    state.at = indexOf(state.grid, now).map((v, k) => Math.min(Math.max(Math.round(v), 0), state.grid.shape[k] - 1));
    state.chosen = Number(row.dataset.foci.split(" ")[0] || 0);
    for (const one of document.querySelectorAll("tr[data-focus]")) one.classList.toggle("on", Number(one.dataset.focus) === state.chosen);
    state.ring = state.chosen ? null : state.at.slice();
    if (other.grid) {
      other.ring = other.foci.size ? null : indexOf(other.grid, before);
      other.frozen = null;
      other.offset = [0, 0, 0];
      const [mapped, exact] = [there(), indexOf(other.grid, before)];
      other.offset = exact.map((v, k) => v - mapped[k]);
      linked(true);
    }
    viewer.redraw();
  }

  function linked(is) {
    link.setAttribute("aria-pressed", String(is));
    if (!is) other.frozen = near(there());
    else if (other.frozen) {
      const held = other.frozen;
      other.frozen = null;
      other.offset = [0, 0, 0];
      const mapped = there();
      other.offset = held.map((v, k) => v - mapped[k]);
    }
  }

  async function open() {
    const option = choice.selectedOptions[0];
    const is = Boolean(option.value);
    desk.classList.toggle("beside", is);
    place.classList.toggle("beside", is);
    link.hidden = !is;
    three.disabled = is;
    if (is && state.three) three.click();
    canvas.classList.toggle("shown", is);
    for (const one of document.querySelectorAll("[data-prior-table]")) one.hidden = is ? one.dataset.priorTable !== option.value : one.dataset.first !== "yes";
    other.grid = null;
    state.title = is ? choice.dataset.day : "";
    if (!is) { canvas.remove(); viewer.redraw(); return; }
    place.append(canvas);
    Object.assign(other, { back: JSON.parse(option.dataset.back), day: option.textContent, source: viewer.source(option.value), offset: [0, 0, 0], frozen: null });
    other.grid = await app.grid(option.value);
    const row = document.querySelector(`[data-prior-table="${option.value}"] tr[data-places].on`);
    if (row) jump(row); else viewer.redraw();
  }

  function scroll(step) {
    if (link.getAttribute("aria-pressed") === "true") { viewer.go(state.plane, state.at[AXIS[state.plane]] + step); return; }
    other.frozen[AXIS[state.plane]] = Math.min(Math.max(other.frozen[AXIS[state.plane]] + step, 0), other.grid.shape[AXIS[state.plane]] - 1);
    draw().catch((fault) => app.tell(fault.message, true));
  }

  canvas.addEventListener("wheel", (event) => { event.preventDefault(); scroll(Math.sign(event.deltaY) * (state.plane === "axial" ? -1 : 1)); }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (step) { event.preventDefault(); scroll(step); } else viewer.keys(event);
  });
  let last = null;
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); canvas.focus(); last = [event.clientX, event.clientY]; });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    if (event.shiftKey) { const s = window.devicePixelRatio || 1; state.pan[0] += dx * s; state.pan[1] += dy * s; }
    else { state.width = Math.max(state.width + dx * 2, 10); state.level += dy; }
    last = [event.clientX, event.clientY];
    viewer.redraw();
  });
  for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, () => { last = null; });

  app.on(choice, "change", open);
  app.on(link, "click", () => { linked(link.getAttribute("aria-pressed") !== "true"); viewer.redraw(); });
  for (const button of document.querySelectorAll("[data-change]")) app.on(button, "click", () => jump(button.closest("tr")));
  for (const row of document.querySelectorAll("tr[data-places]")) app.on(row, "click", (event) => { if (!event.target.closest("button, a")) jump(row); });
  viewer.listeners.push((focus) => {
    const rows = [...document.querySelectorAll("[data-prior-table]:not([hidden]) tr[data-places]")];
    const row = rows.find((one) => one.dataset.foci.split(" ").map(Number).includes(focus));
    if (row && other.grid) jump(row); else other.ring = null;
  });
})();
