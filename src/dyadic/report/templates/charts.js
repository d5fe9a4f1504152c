// The charts: each is drawn when it comes into view, from a declaration that many share and its own
// tables. And the overlay of the runs that are ticked, whose names stand in the address as compare=.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);

  const unpack = (column) => Array.isArray(column) ? column
    : column.v.flatMap((value, k) => Array(column.n[k]).fill(value));
  function rowsOf(table) {
    const names = Object.keys(table), columns = names.map((name) => unpack(table[name]));
    return (columns[0] ?? []).map((_, k) => Object.fromEntries(names.map((name, c) => [name, columns[c][k]])));
  }

  // Vega-Lite stretches single charts to their container; rows and columns of charts are cut here.
  function fit(spec, width) {
    if (spec.facet) {
      spec.columns = Math.max(1, Math.floor(width / 210));
      spec.spec.width = Math.floor(width / spec.columns) - 34;
    } else if (spec.vconcat) {
      for (const part of spec.vconcat) for (const layer of part.layer ?? [part]) layer.width = width - 60;
      for (const part of spec.vconcat) part.width = width - 60;
    } else if (spec.hconcat) {
      const panels = spec.hconcat, room = width - 125;
      const across = Math.max(1, Math.min(panels.length, Math.floor(room / 105)));
      panels.forEach((panel, k) => {
        panel.width = room / across - 14;
        panel.encoding.y.axis.labels = k % across === 0;
      });
      delete spec.hconcat;
      spec.vconcat = [];
      while (panels.length) spec.vconcat.push({ spacing: 10, hconcat: panels.splice(0, across) });
    } else {
      spec.width = width;
      spec.autosize = { type: "fit-x", contains: "padding" };
    }
    return spec;
  }

  function draw(place, declared, tables) {
    const spec = structuredClone(declared);
    spec.datasets = tables;
    fit(spec, place.clientWidth || 360);
    // ast: expressions are interpreted, so the page needs no eval
    return vegaEmbed(place, spec, { config: { ...page.config, background: "transparent" }, actions: false, ast: true, renderer: "svg", logLevel: 1 })
      .catch((error) => { place.textContent = error.message; throw error; });
  }

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      const [index, packs] = page.drawn[target.dataset.chart];
      const tables = Object.fromEntries(Object.entries(packs).map(([name, table]) => [name, rowsOf(table)]));
      draw(target, page.declared[index], tables);
    }
  }, { rootMargin: "600px" });
  for (const chart of document.querySelectorAll("[data-chart]")) seen.observe(chart);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  const { declared, keys, values, runs } = page.compare;
  const table = document.getElementById("runs"), charts = document.getElementById("compare-charts");
  const boxes = [...table.querySelectorAll("input[type=checkbox]")];
  const hues = ["accent", "second", "s0", "s3", "s2", "s5"];
  const element = (name, text, parent) => {
    const made = document.createElement(name);
    made.textContent = text;
    parent?.append(made);
    return made;
  };

  function overlay(title, note, spec, tables) {
    if (!Object.values(tables).some((rows) => rows.length)) return;
    const figure = element("figure", "", charts), caption = element("figcaption", "", figure);
    element("b", title, caption);
    element("span", note, caption);
    const place = element("div", "", figure);
    place.className = "chart";
    place.role = "img";
    place.ariaLabel = `${title}. ${note}`;
    draw(place, spec, tables);
  }

  function compare() {
    const names = boxes.filter((box) => box.checked && runs[box.name]).map((box) => box.name);
    const legend = document.getElementById("compare-runs"), config = document.getElementById("compare-config");
    charts.replaceChildren(); legend.replaceChildren(); config.replaceChildren();
    config.hidden = names.length < 2;
    document.getElementById("compare-hint").hidden = names.length > 1;
    if (names.length < 2) return;
    names.forEach((name, k) => element("li", name, legend).style.setProperty("--c", `var(--${hues[k % hues.length]})`));
    const all = (part, more = {}) => names.flatMap((name) => rowsOf(runs[name][part]).map((row) => ({ run: name, ...row, ...more })));
    overlay("Training", "Top-1, losses and quantized share, a colour a run.", declared.training,
      { epochs: all("epochs"), events: [], reference: [] });
    overlay("Layers", "From the input down, a colour a run.", declared.layers, { layers: all("layers") });
    const bins = names.flatMap((name, k) => runs[name].bins == null ? [] : rowsOf(page.drawn[runs[name].bins][1].bins)
      .filter((row) => row.kind === "weights")
      .map((row) => ({ ...row, layer: row.layer.split(":")[0], colour: page.hues[k % hues.length] })));
    overlay("Weights", "Histograms by layer, of the runs that this page shows in detail.", declared.histograms, { bins });
    const sheet = element("table", "", config), head = element("tr", "", element("thead", "", sheet));
    for (const text of ["differs in", ...names]) element("th", text, head).scope = "col";
    const body = element("tbody", "", sheet);
    keys.forEach((key, k) => {
      const texts = names.map((name) => values[runs[name].config[k]]);
      if (new Set(texts).size < 2) return;
      const row = element("tr", "", body);
      for (const text of [key, ...texts]) element("td", text, row);
    });
    if (!body.rows.length) element("caption", "No choice differs.", sheet);
  }

  const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const ticked = new Set((state.get("compare") ?? "").split(",").filter(Boolean));
  for (const box of boxes) box.checked = ticked.has(box.name);
  table.addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("compare", { detail: boxes.filter((box) => box.checked).map((box) => box.name).join(",") }));
    compare();
  });
  compare();
})();
