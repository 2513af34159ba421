// The study page: corrections of foci, facts, decisions about the plan, progress.
"use strict";

(() => {
  const head = document.querySelector(".study-head");
  const study = head.dataset.study;
  const assessment = head.dataset.assessment;

  // Show how far a job is, and load the page anew at its end.
  async function follow(job) {
    const bar = document.getElementById("stage-bar");
    bar.hidden = false;
    await app.follow(job, (now) => { bar.value = now.share; document.getElementById("stage").textContent = now.stage; });
    location.assign(`/studies/${study}`);
  }
  if (head.dataset.job) follow(head.dataset.job).catch((fault) => app.tell(fault.message, true));

  // Earlier exams change the causes, not the foci: the page is not taken away from who works on it.
  async function weighed(place) {
    for (let job = place.dataset.job; job; job = ((await app.send("GET", `/api/studies/${study}`)).weighing || {}).id) {
      await app.follow(job, () => {}).catch(() => {});
    }
    const newest = (await app.send("GET", `/api/studies/${study}`)).assessment_id;
    place.querySelector("span").hidden = true;
    place.querySelector("a").hidden = newest === assessment;
  }
  const weighing = document.getElementById("weighing");
  if (weighing) weighed(weighing).catch((fault) => app.tell(fault.message, true));

  // ------------------------------------------------------------ corrections
  const pending = [];
  const list = document.getElementById("pending");
  const measure = document.getElementById("measure");
  const undo = document.getElementById("undo");

  function shown() {
    if (!list) return;
    const words = JSON.parse(list.dataset.words);
    list.replaceChildren(...pending.map((edit) => {
      const line = document.createElement("li");
      const of = edit.focus ? `${words.focus} ${edit.focus}` : words.new;
      line.textContent = `${of}: ${words[edit.op]}${edit.kind ? ` (${kindName(edit.kind)})` : ""}${edit.hu !== undefined ? ` ≥ ${edit.hu} HU` : ""}`;
      return line;
    }));
    measure.disabled = undo.disabled = !pending.length;
    if (pending.length) document.getElementById("editor").open = true;
  }
  function kindName(kind) { const option = document.querySelector(`#edit-kind option[value="${kind}"]`); return option ? option.textContent : kind; }
  function add(edit) { pending.push(edit); shown(); }

  for (const row of document.querySelectorAll("tr[data-focus]")) {
    const focus = Number(row.dataset.focus);
    for (const button of row.querySelectorAll("button[data-op]")) app.on(button, "click", () => { viewer.jump(focus); add({ op: button.dataset.op, focus }); });
    app.on(row.querySelector("select[data-op]"), "change", (event) => { if (event.target.value) { add({ op: "relabel", focus, kind: event.target.value }); event.target.value = ""; } });
    app.on(row, "click", (event) => { if (!event.target.closest("button, select, a")) viewer.jump(focus); });
  }

  app.on(undo, "click", () => { const last = pending.pop(); if (last && last.op === "draw") { viewer.state.paint = null; viewer.redraw(); } shown(); });
  app.on(measure, "click", async () => {
    measure.disabled = true;
    await follow((await app.send("POST", `/api/assessments/${assessment}/foci`, { edits: pending.map(plain) })).job_id);
  });

  // A painted focus becomes runs of voxels only when it is sent.
  function plain(edit) {
    if (edit.op !== "draw") return edit;
    const { rows, columns } = viewer.layout("axial");
    const runs = [];
    for (const [z, mask] of [...edit.paint.slices].sort((a, b) => a[0] - b[0])) {
      let begin = -1;
      for (let k = 0; k <= mask.length; k += 1) {
        if (k < mask.length && mask[k]) { if (begin < 0) begin = k; } else if (begin >= 0) { runs.push([z * rows * columns + begin, k - begin]); begin = -1; }
      }
    }
    return { op: "draw", focus: edit.focus, kind: edit.kind, runs };
  }

  // The voxels that a focus has now, slice by slice around the one that is shown.
  async function begun(focus) {
    const paint = { focus, slices: new Map() };
    if (!focus) return paint;
    const row = document.querySelector(`tr[data-focus="${focus}"]`);
    const middle = Number(row.dataset.at.split(" ")[0]);
    for (const step of [1, -1]) {
      for (let z = step > 0 ? middle : middle - 1; z >= 0 && z < viewer.state.grid.shape[0]; z += step) {
        const mask = await viewer.labels("axial", z);
        const own = Uint8Array.from(mask, (value) => Number((value & ~viewer.LIVER) === focus));
        if (!own.includes(1)) break;
        paint.slices.set(z, own);
      }
    }
    return paint;
  }

  function stroke(spot, erase) {
    const { rows, columns, wide, high } = viewer.layout("axial");
    const z = viewer.state.at[0];
    const paint = viewer.state.paint;
    if (!paint.slices.has(z)) paint.slices.set(z, new Uint8Array(rows * columns));
    const mask = paint.slices.get(z);
    const radius = Number(document.getElementById("edit-size").value) / 2;
    const [dr, dc] = [Math.ceil(radius / high), Math.ceil(radius / wide)];
    for (let r = Math.max(spot.row - dr, 0); r <= Math.min(spot.row + dr, rows - 1); r += 1) {
      for (let c = Math.max(spot.column - dc, 0); c <= Math.min(spot.column + dc, columns - 1); c += 1) {
        if (Math.hypot((r - spot.row) * high, (c - spot.column) * wide) <= radius) mask[r * columns + c] = erase ? 0 : 1;
      }
    }
    viewer.redraw();
  }

  const number = (id) => Number(document.getElementById(id).value);
  if (list && typeof viewer !== "undefined") {
    const chosen = document.getElementById("edit-focus");
    const kind = document.getElementById("edit-kind");
    viewer.listeners.push((focus) => { chosen.value = String(focus); });
    for (const button of document.querySelectorAll("[data-tool]")) {
      app.on(button, "click", () => {
        viewer.state.tool = viewer.state.tool === button.dataset.tool ? "" : button.dataset.tool;
        if (viewer.state.tool && viewer.state.tool !== "grow") viewer.show("axial");
        for (const other of document.querySelectorAll("[data-tool]")) other.setAttribute("aria-pressed", String(other.dataset.tool === viewer.state.tool));
      });
    }
    let loading = null;
    viewer.listeners.tool = async (plane, spot, event) => {
      const focus = Number(chosen.value);
      if (viewer.state.tool === "grow") {
        if (event.type === "pointerdown") add({ op: "threshold", focus, seed: spot.at, hu: number("edit-hu"), radius_mm: number("edit-radius"), kind: kind.value });
        return;
      }
      if (plane !== "axial") return;
      if (!viewer.state.paint || viewer.state.paint.focus !== focus) {
        if (loading) return;
        loading = begun(focus);
        const paint = await loading;
        loading = null;
        viewer.state.paint = paint;
        add({ op: "draw", focus, kind: kind.value, paint });
      }
      stroke(spot, viewer.state.tool === "erase");
    };
    // a keyboard grows a focus at the cross
    app.on(document.getElementById("canvases"), "keydown", (event) => {
      if (event.key === "Enter" && viewer.state.tool === "grow") add({ op: "threshold", focus: Number(chosen.value), seed: [...viewer.state.at], hu: number("edit-hu"), radius_mm: number("edit-radius"), kind: kind.value });
    });
  }

  // ------------------------------------------------------------ facts
  const save = document.getElementById("save-facts");
  app.on(save, "click", async () => {
    save.disabled = true;
    try {
      const told = await app.send("PUT", `/api/studies/${study}/facts?version=${facts.version}`, facts.told);
      app.tell(save.dataset.saved);
      if (told.job_id) await follow(told.job_id);
    } finally { save.disabled = false; }
  });
  app.on(document.getElementById("revert-facts"), "click", () => facts.revert());

  // ------------------------------------------------------------ plan
  for (const row of document.querySelectorAll("tr[data-item]")) {
    for (const button of row.querySelectorAll("[data-verdict]")) {
      app.on(button, "click", async () => {
        const verdict = button.dataset.verdict;
        const body = { item: row.dataset.item, verdict, due: "", reason: row.querySelector("[data-reason]").value.trim() };
        if (verdict === "changed") body.due = row.querySelector("[data-due]").value;
        if (verdict === "done") {
          const result = row.querySelector("[data-result]");
          if (!result.value) { result.focus(); return; }
          body.result = result.value;
        }
        await app.send("POST", `/api/studies/${study}/decisions`, body);
        location.reload();
      });
    }
  }

  // ------------------------------------------------------------ again, delete
  app.on(document.getElementById("again"), "click", async () => follow((await app.send("POST", `/api/studies/${study}/assess`, { allow_gaps: document.getElementById("gaps").checked })).job_id));
  const remove = document.getElementById("delete");
  app.on(remove, "click", async () => {
    if (!window.confirm(remove.dataset.sure)) return;
    await app.send("DELETE", `/api/studies/${study}`);
    location.assign("/");
  });
})();
