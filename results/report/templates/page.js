"use strict";
(() => {
  const specs = JSON.parse(document.getElementById("specs").textContent);
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
    const narrow = window.innerWidth < 640;
    const ink = colour("--ink"), faint = colour("--faint"), line = colour("--line");
    const axis = { labelColor: ink, titleColor: faint, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: 500 };
    return {
      background: "transparent", font: "system-ui, sans-serif", axis,
      legend: { labelColor: ink, titleColor: faint, orient: "bottom", labelLimit: 240, columns: narrow ? 2 : 5, layout: { bottom: { anchor: "start", direction: narrow ? "vertical" : "horizontal" } } },
      view: { stroke: line }, text: { color: ink }, rule: { color: faint }, title: { color: ink },
    };
  };
  const wanted = () => Object.fromEntries(selects.map((s) => [s.dataset.filter, s.value]));

  const tell = (view) => {
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
  const draw = async (holder) => {
    const name = holder.dataset.chart;
    const spec = structuredClone(specs[name]);
    const made = await vegaEmbed(holder, spec, {
      renderer: "svg", config: config(), tooltip: { theme: isDark() ? "dark" : "light" },
      actions: { export: true, source: false, compiled: false, editor: false }, downloadFileName: name,
    });
    made.view.addEventListener("click", (_, item) => {
      if (item && item.datum && item.datum.scenario && item.mark.role === "mark") choose(item.datum.scenario);
    });
    views.set(name, made.view);
    await tell(made.view);
  };
  const drawAll = () => Promise.all([...document.querySelectorAll("[data-chart]")].map(draw));

  function apply() {
    const filters = Object.entries(wanted()).filter(([, value]) => value);
    for (const row of document.querySelectorAll("tbody tr")) {
      row.hidden = filters.some(([name, value]) => name in row.dataset && row.dataset[name] !== value);
    }
    clear.hidden = !filters.length;
    try { history.replaceState(null, "", `#${new URLSearchParams(filters)}`); } catch { /* not for files everywhere */ }
    for (const view of views.values()) tell(view);
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
  });
  name();
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const s of selects) if ([...s.options].some((o) => o.value === asked.get(s.dataset.filter))) s.value = asked.get(s.dataset.filter);
  const ready = typeof vegaEmbed === "undefined" ? Promise.resolve() : drawAll();
  ready.then(() => { if (Object.values(wanted()).some(Boolean)) apply(); document.body.dataset.ready = "yes"; });
})();
