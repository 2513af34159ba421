// One's own tokens and password; users, for administrators.
"use strict";

(() => {
  const table = document.getElementById("tokens");

  async function list() {
    const { tokens } = await app.send("GET", "/api/tokens");
    table.tBodies[0].replaceChildren(...tokens.map((token) => {
      const row = document.createElement("tr");
      for (const text of [token.name, token.scopes, new Date(token.expires * 1000).toISOString().slice(0, 10)]) row.insertCell().textContent = text;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = table.dataset.delete;
      button.setAttribute("aria-label", `${table.dataset.delete} ${token.name}`);
      app.on(button, "click", async () => { await app.send("DELETE", `/api/tokens/${token.id}`); await list(); });
      row.insertCell().append(button);
      return row;
    }));
  }
  if (table) list().catch((fault) => app.tell(fault.message, true));

  const form = document.getElementById("new-token");
  app.on(form, "submit", async (event) => {
    event.preventDefault();
    const scopes = [...form.querySelectorAll("[name=scopes]:checked")].map((box) => box.value);
    const made = await app.send("POST", "/api/tokens", { name: form.elements.name.value, scopes });
    document.getElementById("token").hidden = false;
    document.querySelector("#token code").textContent = made.token;
    await list();
  });

  const password = document.getElementById("password");
  app.on(password, "submit", async (event) => {
    event.preventDefault();
    await app.send("POST", "/api/password", { old: password.elements.old.value, new: password.elements.new.value });
    password.reset();
    app.tell(password.querySelector("button").dataset.told);
  });

  for (const row of document.querySelectorAll("tr[data-user]")) {
    for (const input of row.querySelectorAll("[data-field]")) {
      app.on(input, "change", () => app.send("PATCH", `/api/users/${row.dataset.user}`, { [input.dataset.field]: input.type === "checkbox" ? input.checked : input.value }));
    }
  }
  const user = document.getElementById("new-user");
  app.on(user, "submit", async (event) => {
    event.preventDefault();
    await app.send("POST", "/api/users", Object.fromEntries(new FormData(user)));
    location.reload();
  });
})();
