"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("specs").textContent);
  // names of fields stand once a dataset there, and in every mark for Vega
  for (const { datasets = {} } of Object.values(specs)) {
    for (const [name, { columns, rows }] of Object.entries(datasets)) {
      if (columns) datasets[name] = rows.map((row) => Object.fromEntries(columns.map((field, i) => [field, row[i]])));
    }
  }
  const selects = [...document.querySelectorAll("select[data-filter]")];
  const clear = document.getElementById("clear");
  const scheme = document.getElementById("scheme");
  const views = new Map();
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  const isDark = () => {
    const chosen = document.documentElement.dataset.scheme;
    return chosen ? chosen === "dark" : system.matches;
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const config = () => {
    const narrow = isNarrow();
    const ink = colour("--ink"), faint = colour("--faint"), line = colour("--line");
    const axis = { labelColor: ink, titleColor: faint, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: 500 };
    return {
      background: "transparent", font: "system-ui, sans-serif", axis,
      legend: { labelColor: ink, titleColor: faint, orient: "bottom", labelLimit: narrow ? 175 : 320, columns: narrow ? 1 : window.innerWidth < 1000 ? 2 : 3, layout: { bottom: { anchor: "start", direction: narrow ? "vertical" : "horizontal" } } },
      view: { stroke: line }, text: { color: ink }, rule: { color: faint }, title: { color: ink },
    };
  };
  const choices = [...document.querySelectorAll("section.cases")].map((section) => ({
    selects: [...section.querySelectorAll("select[data-choice]")],
    cases: [...section.querySelectorAll(".case")],
    none: section.querySelector(".none"),
  }));
  const caseField = (select) => select.dataset.choice;
  // shows the one case that is chosen in each part; without JavaScript all of them are shown
  const showCases = () => {
    for (const { selects: by, cases, none } of choices) {
      let shown = 0;
      for (const one of cases) {
        one.hidden = !by.every((s) => one.getAttribute(`data-choice-${caseField(s)}`) === s.value);
        shown += !one.hidden;
      }
      none.hidden = shown > 0;
      const others = by.filter((s) => caseField(s) !== "size");
      const same = cases.filter((one) => others.every((s) => one.getAttribute(`data-choice-${caseField(s)}`) === s.value));
      none.querySelector("span").textContent = same.map((one) => one.getAttribute("data-choice-size")).join(", ") || "no size";
    }
  };
  const wanted = () => Object.fromEntries(selects.map((s) => [s.dataset.filter, s.value]));

  // whether a chart has a mark of what is chosen; one without any is hidden, as Vega cannot size it
  const hasMarks = (name) => {
    const fields = Object.entries(wanted());
    const rows = Object.values(specs[name].datasets || {}).flat().filter((row) => fields.some(([field]) => field in row));
    return !rows.length || rows.some((row) => fields.every(([field, value]) => !value || !(field in row) || row[field] === value));
  };
  const tell = (name, view) => {
    const figure = document.getElementById(`chart-${name}`).closest("figure");
    figure.hidden = !hasMarks(name);
    if (figure.hidden) return view;
    for (const [name, value] of Object.entries(wanted())) {
      try { view.signal(`wanted_${name}`, value); } catch { /* a chart without this field */ }
    }
    return view.runAsync();
  };
  // a click on a mark chooses its network, a second one lets go
  const choose = (scenario) => {
    const select = selects.find((s) => s.dataset.filter === "scenario");
    if (!select || ![...select.options].some((o) => o.value === scenario)) return;
    select.value = select.value === scenario ? "" : scenario;
    apply();
  };
  const isNarrow = () => window.innerWidth < 640;
  // on a phone names are cut, as they would leave nothing for the plot; a tap tells the whole one
  const cutNames = (node) => {
    if (node === null || typeof node !== "object") return;
    if (node.labelLimit > 130) Object.assign(node, { labelLimit: 130, labelFontSize: 9 });
    Object.entries(node).forEach(([name, child]) => { if (name !== "datasets") cutNames(child); });
  };
  const draw = async (holder) => {
    const name = holder.dataset.chart;
    const spec = structuredClone(specs[name]);
    // behind a fold there is no width to fill yet, and a page that is printed opens every fold
    if (!holder.clientWidth) spec.width = Math.max(280, document.getElementById("content").clientWidth - 16);
    if (isNarrow()) cutNames(spec);
    const made = await vegaEmbed(holder, spec, {
      renderer: "svg", config: config(), tooltip: { theme: isDark() ? "dark" : "light" },
      actions: isNarrow() ? false : { export: true, source: false, compiled: false, editor: false }, downloadFileName: name,
    });
    made.view.addEventListener("click", (_, item) => {
      if (item && item.datum && item.datum.scenario && item.mark.role === "mark") choose(item.datum.scenario);
    });
    holder.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
    views.set(name, made.view);
    await tell(name, made.view);
  };
  const holders = () => [...document.querySelectorAll("[data-chart]")];
  const isSeen = (holder) => holder.clientWidth > 0;
  // lets the browser paint and answer between two charts, each of which takes about 50 ms
  const drawEach = async (some) => {
    for (const holder of some) {
      await new Promise((resolve) => setTimeout(resolve));
      await draw(holder);
    }
  };
  // what can be seen first; the promise does not wait for the rest
  const drawAll = async () => {
    const rest = holders().filter((holder) => !isSeen(holder));
    await drawEach(holders().filter(isSeen));
    drawEach(rest).then(() => { document.body.dataset.drawn = "all"; });
  };
  // says that a table goes on where it does, once the browser has laid it out: when the page is loaded,
  // its width changes, a fold is opened or a case is chosen; all widths are read before one is changed
  const hint = (entries) => {
    const isCut = ({ target }) => target.scrollWidth > target.clientWidth + 1;
    const boxes = entries.map((entry) => [entry.target.previousElementSibling, isCut(entry)]);
    for (const [line, cut] of boxes) if (line?.classList.contains("hint")) line.hidden = !cut;
  };
  const widths = new ResizeObserver(hint);
  for (const box of document.querySelectorAll(".scroll")) widths.observe(box);
  document.addEventListener("toggle", (event) => {
    if (event.target.open) for (const holder of event.target.querySelectorAll("[data-chart]")) draw(holder);
  }, true);

  // the address holds what is chosen, so that it can be shared
  const remember = (filters) => {
    const cases = choices.slice(0, 1).flatMap(({ selects: by }) => by.map((s) => [`case-${caseField(s)}`, s.value]));
    try { history.replaceState(null, "", `#${new URLSearchParams([...cases, ...filters])}`); } catch { /* not for files everywhere */ }
  };

  function apply() {
    const filters = Object.entries(wanted()).filter(([, value]) => value);
    for (const row of document.querySelectorAll("tbody tr[data-scenario], tbody tr[data-size], tbody tr[data-framework]")) {
      row.hidden = filters.some(([name, value]) => name in row.dataset && row.dataset[name] !== value);
    }
    clear.hidden = !filters.length;
    remember(filters);
    for (const [name, view] of views) tell(name, view);
  }

  for (const select of selects) select.addEventListener("change", apply);
  clear.addEventListener("click", () => { for (const s of selects) s.value = ""; apply(); });
  const name = () => {
    scheme.textContent = isDark() ? "light" : "dark";
    scheme.setAttribute("aria-pressed", String(isDark()));
  };
  scheme.addEventListener("click", () => {
    document.documentElement.dataset.scheme = isDark() ? "light" : "dark";
    name();
    drawAll();
  });
  system.addEventListener("change", () => { name(); drawAll(); });
  window.addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    for (const one of document.querySelectorAll(".case")) one.hidden = false;
  });
  window.addEventListener("afterprint", showCases);
  name();
  scheme.hidden = false;
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const s of selects) if ([...s.options].some((o) => o.value === asked.get(s.dataset.filter))) s.value = asked.get(s.dataset.filter);
  for (const { selects: by } of choices) {
    for (const s of by) {
      const value = asked.get(`case-${caseField(s)}`);
      if ([...s.options].some((o) => o.value === value)) s.value = value;
      s.addEventListener("change", () => { showCases(); remember(Object.entries(wanted()).filter(([, v]) => v)); });
    }
  }
  for (const holder of document.querySelectorAll(".choices")) holder.hidden = false;
  showCases();
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
  const ready = typeof vegaEmbed === "undefined" ? Promise.resolve() : drawAll();
  ready.then(() => { if (Object.values(wanted()).some(Boolean)) apply(); document.body.dataset.ready = "yes"; });
})();
