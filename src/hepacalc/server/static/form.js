// The form without a scan.
"use strict";

(() => {
  facts.ask(0);
  const ask = document.getElementById("ask");
  app.on(ask, "click", async () => {
    ask.disabled = true;
    try {
      const body = { name: document.getElementById("form-name").value, number: document.getElementById("form-number").value, facts: facts.told };
      const made = await app.send("POST", "/api/studies", body);
      await app.follow(made.job_id, () => {});
      location.assign(`/studies/${made.id}`);
    } finally { ask.disabled = false; }
  });
})();
