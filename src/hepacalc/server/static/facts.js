// The form of facts: a patient file in and out, and causes that move with each tick.
"use strict";

const facts = (() => {
  const form = document.getElementById("facts");
  if (!form) return null;
  const saved = JSON.parse(form.dataset.facts);
  let told = structuredClone(saved);
  let timer = 0;
  let asking = null;

  const get = (path) => path.split(".").reduce((part, key) => (part === undefined || part === null ? undefined : part[key]), told);

  // Set a part of the patient file; undefined takes it out, and parts left empty with it.
  function set(path, value) {
    const keys = path.split(".");
    const last = keys.pop();
    const trail = [];
    let part = told;
    for (const key of keys) {
      if (typeof part[key] !== "object" || part[key] === null) part[key] = {};
      trail.push([part, key]);
      part = part[key];
    }
    if (value === undefined) delete part[last]; else part[last] = value;
    for (const [holder, key] of trail.reverse()) if (!Object.keys(holder[key]).length && key !== "fetus") delete holder[key];
  }

  // A fact may be a word or a record with details.
  const answer = (value) => { const word = typeof value === "object" && value !== null ? value.had : value; return { true: "yes", false: "no" }[word] || word || "not_asked"; };
  const number = (text) => { const value = Number(String(text).replace(",", ".")); return text === "" || Number.isNaN(value) ? undefined : value; };

  function fill() {
    for (const set3 of form.querySelectorAll(".three")) {
      const value = answer(get(set3.dataset.path));
      for (const radio of set3.querySelectorAll("input")) radio.checked = radio.value === value;
      set3.classList.toggle("told", value !== "not_asked");
    }
    for (const box of form.querySelectorAll("[data-others]")) box.checked = answer(get(`${box.dataset.others}.others`)) === "no";
    for (const input of form.querySelectorAll("[data-number]")) input.value = get(input.dataset.number) ?? "";
    for (const select of form.querySelectorAll("[data-choice]")) select.value = get(select.dataset.choice) ?? "";
    const sites = (get("cancers.known") || []).map((one) => one.site);
    for (const box of form.querySelectorAll("[data-site]")) box.checked = sites.includes(box.dataset.site);
    for (const row of form.querySelectorAll("[data-lab]")) {
      const lab = (told.laboratory || []).find((one) => one.name === row.dataset.lab);
      for (const part of row.querySelectorAll("[data-part]")) if (lab && lab[part.dataset.part] !== undefined) part.value = lab[part.dataset.part];
      if (lab) row.hidden = false;
    }
    for (const select of form.querySelectorAll("[data-test]")) select.value = ((told.serology || []).find((one) => one.test === select.dataset.test) || {}).result || "";
    for (const select of form.querySelectorAll("[data-virus]")) { const held = get(`virus.${select.dataset.virus}`); select.value = (held && held.result) || held || ""; }
    count();
  }

  function count() {
    for (const place of form.querySelectorAll("[data-count]")) {
      const part = get(place.dataset.count);
      const size = part === undefined ? 0 : Array.isArray(part) ? part.length : Object.keys(part).length;
      place.textContent = size ? `(${size})` : "";
    }
    const changed = JSON.stringify(told) !== JSON.stringify(saved);
    const mark = document.getElementById("unsaved");
    if (mark) mark.hidden = !changed;
  }

  function change(event) {
    const input = event.target;
    const data = input.dataset;
    if (input.type === "radio") {
      const path = input.closest(".three").dataset.path;
      const before = get(path);
      const rich = typeof before === "object" && before !== null;
      set(path, input.value === "not_asked" ? undefined : rich ? { ...before, had: input.value } : input.value);
      input.closest(".three").classList.toggle("told", input.value !== "not_asked");
    } else if (data.others) set(`${data.others}.others`, input.checked ? "no" : undefined);
    else if (data.number) set(data.number, number(input.value));
    else if (data.choice) set(data.choice, input.value || undefined);
    else if (data.site) {
      const known = (get("cancers.known") || []).filter((one) => one.site !== data.site);
      if (input.checked) known.push({ site: data.site });
      set("cancers.known", known.length ? known : undefined);
      if (input.checked) { set("cancers.had", "yes"); fill(); }
    } else if (data.part) laboratory(input.closest("[data-lab]"));
    else if (data.test) list("serology", "test", data.test, input.value ? { test: data.test, result: input.value } : null);
    else if (data.virus) set(`virus.${data.virus}`, input.value || undefined);
    else if (data.exam) examination();
    else if (input.id === "more-labs") { const row = form.querySelector(`[data-lab="${input.value}"]`); if (row) { row.hidden = false; row.querySelector("input").focus(); } return; }
    count();
    ask();
  }

  function list(name, key, value, entry) {
    const held = (told[name] || []).filter((one) => one[key] !== value);
    if (entry) held.push(entry);
    if (held.length) told[name] = held; else delete told[name];
  }

  function laboratory(row) {
    const part = Object.fromEntries([...row.querySelectorAll("[data-part]")].map((input) => [input.dataset.part, input.value.trim()]));
    const before = (told.laboratory || []).find((one) => one.name === row.dataset.lab) || {};
    const limit = number(part.upper_limit);
    const value = number(part.value) ?? (part.value || undefined);
    const entry = value === undefined ? null : { ...before, name: row.dataset.lab, value, unit: part.unit };
    if (entry) { delete entry.result; if (limit === undefined) delete entry.upper_limit; else entry.upper_limit = limit; }
    list("laboratory", "name", row.dataset.lab, entry);
  }

  // What an examination showed: the one that is typed in here is the first of the file.
  function examination() {
    const chosen = (block) => [...(form.querySelector(`[data-exam="${block}"]`) || { selectedOptions: [] }).selectedOptions].map((one) => one.value).filter(Boolean);
    if (form.dataset.fetal) { set("fetus.focus", chosen("focus")[0]); return; }
    const seen = { ...((told.examinations || [])[0] || { modality: "ultrasound", said_by: "report" }) };
    const lesion = {};
    for (const part of ["host", "morphology"]) if (chosen(part).length) lesion[part] = chosen(part)[0];
    if (Object.keys(lesion).length) seen.lesions = [lesion]; else delete seen.lesions;
    for (const part of ["ducts", "liver"]) if (chosen(part).length) seen[part] = chosen(part)[0]; else delete seen[part];
    for (const part of ["spleen", "chest", "abdomen"]) if (chosen(part).length) seen[part] = Object.fromEntries(chosen(part).map((state) => [state, "yes"])); else delete seen[part];
    const parts = Object.keys(seen).filter((key) => !["modality", "said_by"].includes(key));
    if (parts.length) told.examinations = [seen]; else delete told.examinations;
  }

  // Ask what it may be now; an answer to an older question is thrown away.
  function ask(delay = 60) {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (asking) asking.abort();
      asking = new AbortController();
      const place = document.getElementById("causes");
      const fault = document.getElementById("facts-fault");
      const head = document.querySelector(".study-head");
      const body = { facts: told };
      if (head && head.dataset.assessment && document.getElementById("canvases")) body.assessment_id = head.dataset.assessment;
      place.parentElement.classList.add("waiting");
      try {
        place.innerHTML = await app.send("POST", "/api/differential/page", body, { signal: asking.signal });
        fault.textContent = "";
        form.dataset.asked = String(Number(form.dataset.asked || 0) + 1);
      } catch (error) {
        if (error.name !== "AbortError") fault.textContent = error.message;
      }
      place.parentElement.classList.remove("waiting");
    }, delay);
  }

  form.addEventListener("change", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  fill();
  return {
    get told() { return told; },
    version: Number(form.dataset.version),
    ask,
    revert() { told = structuredClone(saved); form.reset(); fill(); ask(0); },
  };
})();
