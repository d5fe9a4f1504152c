// Everything that moves: sorting and filtering, folds, the charts, and the overlay of ticked runs.
// The state lives in the address after #, so a view can be shared and survives a reload:
// #sort=top-1&dir=desc&filter=inq&bits=4&open=paper-inq&compare=a,b
const get = (id) => document.getElementById(id);
const table = get("runs"), form = get("filters"), heads = [...table.tHead.rows[0].cells];
const rows = [...table.tBodies[0].rows], names = heads.map((head) => head.textContent);
const controls = [...form.querySelectorAll("[name]")];
const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
const listed = (key) => new Set((state.get(key) ?? "").split(",").filter(Boolean));
const cell = (row, name) => row.cells[names.indexOf(name)]?.textContent.trim() ?? "";

function remember(key, value) {
  if (value) state.set(key, value); else state.delete(key);
  // A page within another has no address of its own
  try { history.replaceState(null, "", state.size ? `#${state}` : location.pathname); } catch { return; }
}

function sort() {
  const name = state.get("sort"), down = state.get("dir") === "desc" ? -1 : 1;
  heads.forEach((head, k) => { head.ariaSort = names[k] === name ? (down < 0 ? "descending" : "ascending") : null; });
  if (!names.includes(name)) return;
  const keyed = rows.map((row) => [cell(row, name), row]);
  keyed.sort(([a], [b]) => {
    if (!a || !b) return !a - !b;  // empty cells last, both ways
    return down * (parseFloat(a) - parseFloat(b) || (a > b) - (a < b));
  });
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

function filter() {
  const words = form.elements.filter.value.toLowerCase().split(/\s+/);
  const exact = names.filter((name) => form.elements[name]?.value);
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word))
      || exact.some((name) => cell(row, name) !== form.elements[name].value);
  }
  form.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} runs`;
}

for (const control of controls) {
  if (control.matches("select")) {
    const values = new Set(rows.map((row) => cell(row, control.name)).filter(Boolean));
    control.append(...[...values].sort().map((value) => new Option(value)));
    control.parentElement.hidden = values.size < 2;
  }
  control.value = state.get(control.name) ?? "";
}
function filtered() {
  for (const control of controls) remember(control.name, control.value);
  filter();
}
form.addEventListener("input", filtered);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filtered));  // when the form is empty
table.tHead.addEventListener("click", (event) => {
  const head = event.target.closest("button")?.closest("th");
  if (!head) return;
  const first = head.classList.contains("n") ? "desc" : "asc", other = { asc: "desc", desc: "asc" };
  remember("dir", state.get("sort") === head.textContent ? other[state.get("dir")] : first);
  remember("sort", head.textContent);
  sort();
});
sort(); filter();

const folds = [...document.querySelectorAll("main details")], open = listed("open");
for (const fold of folds) {
  fold.open = open.has(fold.id);
  fold.addEventListener("toggle", () => remember("open", folds.filter((f) => f.open).map((f) => f.id).join(",")));
}
document.addEventListener("click", async ({ target }) => {
  const fold = get(target.closest("a[href^='#']")?.hash.slice(1)), button = target.closest("[data-copy]");
  if (fold?.matches("details")) fold.open = true;
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

// The charts: each is drawn when it comes into view, from its declaration and its own tables.
const packed = Uint8Array.from(atob(get("data").textContent), (c) => c.charCodeAt(0));
const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const page = await new Response(unpacked).json();
const vega = document.createElement("script");
vega.textContent = page.runtime;
document.head.append(vega);
const rowsOf = ({ columns, data }) => data.map((row) => Object.fromEntries(columns.map((name, k) => [name, row[k]])));

// Vega-Lite stretches single charts to their container; the columns of grids are counted here.
function draw(place, declared, datasets, runs) {
  const spec = { ...structuredClone(declared), datasets }, width = place.clientWidth || 360;
  if (spec.columns) {
    spec.columns = Math.max(1, Math.min(spec.columns, Math.floor(width / 190), spec.concat?.length ?? 4));
    for (const part of spec.concat ?? [spec.spec]) {
      part.width = Math.floor(width / spec.columns) - spec.usermeta.room;
      // A run without epochs keeps its colour too
      if (runs && part.encoding.color.scale) part.encoding.color.scale.domain = runs;
    }
  } else {
    spec.width = width;
    spec.autosize = { type: "fit-x", contains: "padding" };
  }
  // ast: expressions are interpreted, so the page needs no eval
  const config = { ...page.config, background: "transparent" };
  return vegaEmbed(place, spec, { mode: "vega-lite", config, actions: false, ast: true, renderer: "svg", logLevel: 1 })
    .catch((error) => { place.textContent = error.message; throw error; });
}

const { hues } = page.runs, epochs = rowsOf(page.runs.epochs), layers = rowsOf(page.runs.rows);
const choices = new Map(rowsOf(page.runs.config).map((row) => [row.run, row]));
const boxes = [...table.querySelectorAll("input")];
function element(name, text, parent) {
  const made = document.createElement(name);
  made.textContent = text;
  parent.append(made);
  return made;
}

// Charts of runs: of one in its fold, of several over one another.
function overlay(place, runs) {
  function add(title, note, declared, name, rows) {
    if (!rows.length) return;
    const figure = element("figure", "", place), caption = element("figcaption", "", figure);
    figure.className = name;
    element("b", title, caption);
    element("span", note, caption);
    const chart = element("div", "", figure), spec = { ...declared };
    Object.assign(chart, { className: "chart", role: "img", ariaLabel: `${title}. ${note}` });
    spec.concat &&= spec.concat.filter((part) => rows.some((row) => row[part.encoding.x.field] !== null));
    draw(chart, spec, { [name]: rows }, runs);
  }
  const one = runs.length < 2, colours = Object.values(hues);
  const of = (rows) => runs.flatMap((name) => rows.filter((row) => row.run === name));
  const curves = of(epochs).map((row) => (one ? row : { ...row, event: null, blend: null }));
  add("Training", one ? "Hairlines: the schedule's events." : "A colour a run.", page.runs.training, "epochs", curves);
  add("Layers", "From the input down. Bits of the weights and of what a layer reads; 32 are float. Sensitivity: the predicted harm of the narrowest widths. SQNR: signal to quantization noise; 6 dB are a bit. Difference: the float32 network against the program, in codes of the layer's output.", page.runs.layers, "layers", of(layers));
  const bins = runs.flatMap((name, k) => rowsOf(page.runs.bins[name] ?? { columns: [], data: [] })
    .map((row) => (one ? row : { ...row, layer: row.layer.split(":")[0], colour: colours[k % colours.length] })));
  add("Weights", one ? "Each layer's weights with its levels as ticks, and on the same axis, downwards, the errors; every curve to its own height."
    : "Histograms by layer, of the runs that this page shows in detail.", page.runs.histograms, "bins", bins.filter((row) => one || row.kind === "weights"));
}

const seen = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    seen.unobserve(target);
    if (target.dataset.run) { overlay(target, [target.dataset.run]); continue; }
    const { declared, data } = page.drawn[target.dataset.chart];
    draw(target, declared, Object.fromEntries(Object.entries(data).map(([name, rows]) => [name, rowsOf(rows)])));
  }
}, { rootMargin: "600px" });
for (const place of document.querySelectorAll("[data-chart], [data-run]")) seen.observe(place);

function compare() {
  const runs = boxes.filter((box) => box.checked).map((box) => box.name);
  const sheet = get("compare-config").firstElementChild, legend = get("compare-runs"), charts = get("compare-charts"), names = Object.keys(hues);
  for (const part of [sheet, legend, charts]) part.replaceChildren();
  get("compare-hint").hidden = runs.length > 1;
  if (runs.length < 2) return;
  runs.forEach((name, k) => element("li", name, legend).style.setProperty("--c", `var(--${names[k % names.length]})`));
  overlay(charts, runs);
  const keys = page.runs.config.columns.filter((key) => key !== "run" && new Set(runs.map((run) => choices.get(run)[key])).size > 1);
  const lines = [["differs in", ...runs], ...keys.map((key) => [key, ...runs.map((run) => choices.get(run)[key])])];
  lines.forEach((line, k) => {
    const row = element("tr", "", sheet);
    for (const text of line) element(k ? "td" : "th", text, row);
  });
}

const ticked = listed("compare");
for (const box of boxes) box.checked = ticked.has(box.name);
table.addEventListener("change", () => {
  remember("compare", boxes.filter((box) => box.checked).map((box) => box.name).join(","));
  compare();
});
compare();
