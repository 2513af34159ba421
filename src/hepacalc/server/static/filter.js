// Shows the rows that hold what is typed.
"use strict";

document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("table.filtered tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
