// The charts: each is drawn when it comes into view, from a declaration that many share and its own
// tables. And the overlay of the runs that are ticked, whose names stand in the address as compare=.
(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const page = await new Response(unpacked).json();
  const vega = document.createElement("script");
  vega.textContent = page.runtime;
  document.head.append(vega);

  const rowsOf = ({ columns, data }) => data.map((row) => Object.fromEntries(columns.map((name, k) => [name, row[k]])));

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
      const { declared, data } = page.drawn[target.dataset.chart];
      draw(target, declared, Object.fromEntries(Object.entries(data).map(([name, table]) => [name, rowsOf(table)])));
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

  const { declared, hues, bins } = page.compare;
  const epochs = rowsOf(page.compare.epochs), layers = rowsOf(page.compare.layers);
  const choices = new Map(rowsOf(page.compare.config).map((row) => [row.run, row]));
  const table = document.getElementById("runs"), charts = document.getElementById("compare-charts");
  const boxes = [...table.querySelectorAll("input[type=checkbox]")];
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
    const names = boxes.filter((box) => box.checked && choices.has(box.name)).map((box) => box.name);
    const legend = document.getElementById("compare-runs"), config = document.getElementById("compare-config");
    charts.replaceChildren(); legend.replaceChildren(); config.replaceChildren();
    config.hidden = names.length < 2;
    document.getElementById("compare-hint").hidden = names.length > 1;
    if (names.length < 2) return;
    const hue = (k) => Object.entries(hues)[k % Object.keys(hues).length];
    names.forEach((name, k) => element("li", name, legend).style.setProperty("--c", `var(--${hue(k)[0]})`));
    const all = (rows) => names.flatMap((name) => rows.filter((row) => row.run === name));
    overlay("Training", "Top-1, losses and quantized share, a colour a run.", declared.training,
      { epochs: all(epochs), events: [], reference: [] });
    overlay("Layers", "From the input down, a colour a run.", declared.layers, { layers: all(layers) });
    const weights = names.flatMap((name, k) => name in bins ? rowsOf(page.drawn[bins[name]].data.bins)
      .filter((row) => row.kind === "weights")
      .map((row) => ({ ...row, layer: row.layer.split(":")[0], colour: hue(k)[1] })) : []);
    overlay("Weights", "Histograms by layer, of the runs that this page shows in detail.", declared.histograms, { bins: weights });
    const sheet = element("table", "", config), head = element("tr", "", element("thead", "", sheet));
    for (const text of ["differs in", ...names]) element("th", text, head).scope = "col";
    const body = element("tbody", "", sheet);
    for (const key of page.compare.config.columns.filter((name) => name !== "run")) {
      const texts = names.map((name) => choices.get(name)[key]);
      if (new Set(texts).size < 2) continue;
      const row = element("tr", "", body);
      for (const text of [key, ...texts]) element("td", text, row);
    }
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
