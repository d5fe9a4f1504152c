// Sorting and filtering of the run table. The state lives in the address after #, so a view can be
// shared and survives a reload: #sort=top1&dir=desc&filter=inq&bits=4&open=paper-inq&compare=a,b
"use strict";
(() => {
  const table = document.getElementById("runs"), form = document.getElementById("filters");
  const body = table.tBodies[0], rows = [...body.rows], count = form.querySelector("output");
  const columns = [...table.tHead.querySelectorAll("th")].map((th) => th.dataset.key);
  const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

  const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");  // empty cells last, both ways
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? (a > b) - (a < b) : x - y;
  };

  function sort() {
    const column = columns.indexOf(state.get("sort")), down = state.get("dir") === "desc";
    for (const th of table.tHead.querySelectorAll("th")) th.removeAttribute("aria-sort");
    if (column < 0) return;
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => (a === "" || b === "" || !down ? compare(a, b) : compare(b, a)));
    body.append(...keyed.map(([, row]) => row));
  }

  function filter() {
    const words = (state.get("filter") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const exact = ["dataset", "model", "method", "bits"].filter((key) => state.get(key) && columns.includes(key));
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word))
        && exact.every((key) => value(row, columns.indexOf(key)) === state.get(key));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length} runs`;
  }

  function remember() {
    for (const key of [...state.keys()]) if (!state.get(key)) state.delete(key);
    history.replaceState(null, "", state.size ? `#${state}` : location.pathname);
  }

  for (const control of form.elements) {
    if (!control.name) continue;
    control.value = state.get(control.name) ?? "";
    control.addEventListener("input", () => { state.set(control.name, control.value); filter(); remember(); });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    for (const key of ["filter", "dataset", "model", "method", "bits"]) state.delete(key);
    filter(); remember();
  });
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const key = button.closest("th").dataset.key, again = state.get("sort") === key;
    const first = button.closest("th").classList.contains("n") ? "desc" : "asc";
    state.set("dir", again ? (state.get("dir") === "desc" ? "asc" : "desc") : first);
    state.set("sort", key);
    sort(); remember();
  });

  const folds = [...document.querySelectorAll("main details")];
  const open = new Set((state.get("open") ?? "").split(",").filter(Boolean));
  for (const fold of folds) {
    fold.open = open.has(fold.id);
    fold.addEventListener("toggle", () => {
      state.set("open", folds.filter((f) => f.open).map((f) => f.id).join(","));
      remember();
    });
  }
  document.addEventListener("compare", (event) => { state.set("compare", event.detail); remember(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-open]");
    const fold = link && document.getElementById(link.dataset.open);
    if (!fold) return;
    event.preventDefault();
    fold.open = true;
    fold.scrollIntoView();
    fold.querySelector("summary").focus({ preventScroll: true });
  });
  sort(); filter();
})();
