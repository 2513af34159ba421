// The worklist: files dropped or chosen are sent; states move by themselves.
"use strict";

(() => {
  const drop = document.getElementById("drop");
  const bar = document.getElementById("sent");
  const text = document.getElementById("sent-text");

  // Send files in one request with a key, so that a broken line may be tried again without sending twice.
  function send(files) {
    const list = [...files];
    if (!list.length) return Promise.resolve();
    const form = new FormData();
    for (const file of list) form.append("files", file, file.name);
    document.getElementById("sending").hidden = false;
    text.textContent = `${text.dataset.sending} (${list.length})`;
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", "/api/uploads");
      request.setRequestHeader("x-csrf-token", app.csrf);
      request.setRequestHeader("idempotency-key", crypto.randomUUID());
      request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
      request.onload = () => {
        bar.value = 1;
        const told = JSON.parse(request.responseText || "{}");
        if (request.status === 202) { text.textContent = text.dataset.sent; resolve(told); }
        else { text.textContent = ""; reject(new Error(`${told.code} ${told.detail} ${told.hint}`)); }
      };
      request.onerror = () => reject(new Error("The line broke; send it again."));
      request.send(form);
    }).then((told) => app.follow(told.job_id, () => {})).then(() => location.reload());
  }

  // All files of dropped folders, however deep.
  async function filesOf(items) {
    const found = [];
    async function walk(entry) {
      if (entry.isFile) found.push(await new Promise((ok, no) => entry.file(ok, no)));
      else {
        const reader = entry.createReader();
        for (;;) {
          const part = await new Promise((ok, no) => reader.readEntries(ok, no));
          if (!part.length) break;
          for (const one of part) await walk(one);
        }
      }
    }
    for (const entry of [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean)) await walk(entry);
    return found;
  }

  if (drop) {
    for (const type of ["dragenter", "dragover"]) drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over-it"); });
    for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over-it"));
    app.on(drop, "drop", async (event) => { event.preventDefault(); await send(await filesOf(event.dataTransfer.items)); });
    drop.addEventListener("drop", (event) => event.preventDefault());
    for (const id of ["files", "folder"]) app.on(document.getElementById(id), "change", (event) => send(event.target.files));
  }

  const table = document.getElementById("studies");
  const stream = new EventSource("/api/events");
  let known = null;
  stream.addEventListener("studies", (event) => {
    const studies = JSON.parse(event.data);
    const order = studies.map((one) => `${one.id}${one.updated}${JSON.stringify(one.waits)}`).join();
    const plain = !location.search;
    if (known !== null && order !== known && plain && document.activeElement.name !== "search") { location.reload(); return; }
    known = order;
    for (const one of studies) {
      const row = table && table.querySelector(`tr[data-study="${one.id}"]`);
      if (!row) continue;
      const progress = row.querySelector("progress");
      const running = one.job !== null && one.job.state === "running";
      progress.hidden = !running;
      progress.value = running ? one.job.share : 0;
      row.querySelector(".stage").textContent = running ? one.job.stage : "";
    }
  });
})();
