"use strict";

function rangesFigure(ranges) {
  return (width) => {
    const narrow = width < NARROW;
    const rows = ranges.slice().reverse();
    const at = rows.map((r, i) => i);
    const fill = (r) => (r.group === "country" ? originColour(r.name) : r.group === "chemistry" ? chemistryColour(r.name) : colour("accent"));
    const name = (r) => (r.group === "chemistry" ? chemistryName(r.name) : r.name);
    const most = Math.max(1e-9, ...rows.map((r) => Math.max(r.most_upper_mwh, r.planned_mwh)));
    const told = rows.map((r) => label(r.group + " " + name(r)) + ": " + r.verdict + "<br>at least " + number(r.least_lower_mwh) + " to " + number(r.least_upper_mwh) + " MWh<br>at most " + number(r.most_lower_mwh) + " to " + number(r.most_upper_mwh) + " MWh");
    // A range of no width still shows.
    const bar = (from, to, opacity) => ({ type: "bar", orientation: "h", y: at, base: rows.map((r) => r[from]), x: rows.map((r) => Math.max(r[to] - r[from], most * 0.004)), width: 0.5, marker: { color: rows.map(fill), opacity }, hoverinfo: "text", hovertext: told });
    return {
      traces: [
        bar("least_lower_mwh", "most_upper_mwh", 0.3),
        bar("least_upper_mwh", "most_lower_mwh", 1),
        { type: "scatter", mode: "markers", y: at, x: rows.map((r) => r.planned_mwh), cliponaxis: false, marker: { symbol: "diamond", size: 11, color: colour("ground"), line: { color: colour("ink"), width: 2 } }, hovertemplate: "this plan: %{x:,.0f} MWh<extra></extra>" },
        { type: "scatter", mode: "text", y: at, x: rows.map((r) => Math.max(r.most_upper_mwh, r.planned_mwh) + most * 0.025), text: rows.map((r) => r.verdict), textposition: "middle right", hoverinfo: "skip", cliponaxis: false },
      ],
      layout: {
        barmode: "overlay", height: 64 + (printing ? Math.min(26, 770 / rows.length) : rowHeight(width, 26)) * rows.length, ...rowNames(rows.map(name), width, 34), margin: { l: 8, r: 8, t: 6, b: 44 },
        xaxis: { title: { text: "MWh usable AC", standoff: 12 }, range: [0, most * (narrow ? 1.5 : printing ? 1.25 : 1.16)], nticks: narrow ? 4 : 8 },
      },
    };
  };
}

const STEP_COLOURS = ["#3f72c4", "#c8443c", "#b57e14", "#2a8f85", "#8a64c2", "#5b8538", "#7d838b"];

function pricesFigure(prices, steps) {
  return (width) => {
    const narrow = width < NARROW;
    const rows = prices.slice().reverse();
    const at = rows.map((r, i) => i);
    const most = Math.max(1e-9, ...rows.map((r) => r.at_site));
    const traces = steps.map(([key, words_], i) => ({
      type: "bar", orientation: "h", name: words_, y: at, x: rows.map((r) => r.steps[key]), width: 0.62, marker: { color: STEP_COLOURS[i % STEP_COLOURS.length] },
      hovertemplate: rows.map((r) => label(r.offer) + "<br>" + words_ + ": %{x:,.1f} USD per kWh<extra></extra>"),
    }));
    traces.push({ type: "scatter", mode: "text", showlegend: false, y: at, x: rows.map((r) => r.at_site + most * 0.012), text: rows.map((r) => number(r.at_site)), textposition: "middle right", hoverinfo: "skip", cliponaxis: false });
    const lines = Math.ceil((steps.length * (narrow ? 175 : 150)) / width);
    return {
      traces,
      layout: {
        barmode: "relative", height: 70 + 18 * lines + rowHeight(width, 22) * rows.length, ...rowNames(rows.map((r) => (r.bought ? "\u2605 " : "") + capital(r.offer)), width, 46), showlegend: true, legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", traceorder: "normal" }, margin: { l: 8, r: 8, t: 12 + 18 * lines, b: 44 },
        xaxis: { title: { text: "USD per usable AC kWh", standoff: 12 }, range: [0, most * (narrow ? 1.18 : 1.08)], nticks: narrow ? 4 : 8 },
      },
    };
  };
}

// The rows stand in the page already: a filter only hides some.
function offerFilters() {
  const rows = [...byId("why-offers").tBodies[0].rows], select = byId("why-verdict");
  const verdict = (row) => row.cells[1].textContent;
  for (const name of new Set(rows.map(verdict))) select.append(element("option", name, { value: name }));
  const choose = () => {
    const text = byId("why-search").value.toLowerCase();
    for (const row of rows) row.hidden = !(verdict(row) === (select.value || verdict(row)) && row.textContent.toLowerCase().includes(text));
    byId("why-count").textContent = number(rows.filter((r) => !r.hidden).length) + " of " + number(rows.length) + " offers";
  };
  byId("why-filters").hidden = false;
  byId("why-filters").addEventListener("input", choose);
  byId("why-filters").addEventListener("submit", (event) => event.preventDefault());
  choose();
}

function startWhy() {
  const why = DATA.why;
  if (!why) return;
  figure("ranges", rangesFigure(why.ranges));
  figure("prices", pricesFigure(why.prices, why.priceSteps));
  if (byId("why-offers")) offerFilters();
}
