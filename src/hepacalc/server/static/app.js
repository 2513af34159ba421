// What every page uses: requests with the session's secret, short messages, progress of jobs.
"use strict";

const app = {
  csrf: document.body.dataset.csrf,

  // Say something to everybody, also to who listens instead of looking.
  tell(text, bad = false) {
    const place = document.getElementById("told");
    place.textContent = text;
    place.classList.toggle("bad", bad);
    clearTimeout(app.timer);
    app.timer = setTimeout(() => { place.textContent = ""; }, bad ? 12000 : 5000);
  },

  // Send a request; what the server refuses becomes an Error with its words.
  async send(method, address, body, options = {}) {
    const headers = { "x-csrf-token": app.csrf, accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...options });
    if (answer.status === 401) location.assign(`/sign-in?to=${encodeURIComponent(location.pathname)}`);
    if (!answer.ok) throw await app.fault(answer);
    if (answer.status === 204) return null;
    return (answer.headers.get("content-type") || "").includes("json") ? answer.json() : answer.text();
  },

  async fault(answer) {
    let told = { detail: `HTTP ${answer.status}`, hint: "", code: "" };
    if ((answer.headers.get("content-type") || "").includes("json")) told = await answer.json();
    return new Error(`${told.code} ${told.detail} ${told.hint}`.trim());
  },

  // Follow a job by server-sent events until it ends.
  follow(job, onChange) {
    return new Promise((resolve, reject) => {
      const stream = new EventSource(`/api/jobs/${job}/events`);
      stream.addEventListener("job", (event) => {
        const now = JSON.parse(event.data);
        onChange(now);
        if (now.state === "done") { stream.close(); resolve(now); }
        if (now.state === "failed") { stream.close(); reject(new Error(`${now.error_code} ${now.error} ${now.hint}`)); }
      });
    });
  },

  // Grid of the viewer's arrays of an assessment, once they are there.
  async grid(assessment) {
    for (;;) {
      const view = await app.send("GET", `/api/assessments/${assessment}/view`);
      if (view.shape) return view;
      const wait = document.getElementById("viewer-wait");
      wait.textContent = wait.dataset.wait;
      await app.follow(view.job_id, (job) => { wait.textContent = `${wait.dataset.wait} ${job.stage}`; });
      wait.textContent = "";
    }
  },

  // Run what an event asks for; a fault is told, never lost.
  on(element, type, action) {
    if (element) element.addEventListener(type, (event) => {
      Promise.resolve().then(() => action(event)).catch((fault) => app.tell(fault.message, true));
    });
  },
};
