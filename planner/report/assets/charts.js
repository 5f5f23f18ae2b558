"use strict";

// Later rounds lie decades ahead: the picture stops a year after the last delivery up to full load.
function initialLines(dossier) {
  const full = dossier.headline.full_load_month;
  const limit = full ? monthNumber(full) + 12 : Infinity;
  const first = dossier.order_lines.filter((q) => monthNumber(q.start_month) <= limit);
  return first.length ? first : dossier.order_lines;
}

// Supplier and product of an order; the name of the offer before it where two offers are of one product.
function offerNames(dossier) {
  const full = (a) => capital(a.product.startsWith(a.supplier) || a.supplier.startsWith("Reference ") ? a.product : a.supplier + " " + a.product);
  const all = dossier.awards.map(full);
  const twice = (name) => all.indexOf(name) !== all.lastIndexOf(name);
  const names = new Map(dossier.awards.map((a, i) => [a.offer, (twice(all[i]) ? a.offer + ": " : "") + all[i]]));
  return (q) => names.get(q.offer) || q.offer;
}

// Names of rows stand before their bars; on a phone, which has no room there, above them and whole.
const NARROW = 560, NAMES_ABOVE = 460;
function rowNames(names, width, most) {
  const axis = { tickvals: names.map((n, i) => i), showgrid: false, zeroline: false };
  const room = width < NARROW ? 28 : most;
  if (width >= NAMES_ABOVE) return { yaxis: { ...axis, ticktext: names.map((n) => label(shorten(n, room)) + " "), range: [-0.6, names.length - 0.4] } };
  const above = names.map((n, i) => ({ xref: "paper", x: 0, xanchor: "left", y: i + 0.5, yanchor: "middle", showarrow: false, align: "left", text: label(shorten(n, Math.floor(width / 6))) }));
  return { yaxis: { ...axis, showticklabels: false, ticks: "", range: [-0.45, names.length - 0.3] }, annotations: above };
}
function rowHeight(width, wide) { return width < NAMES_ABOVE ? 44 : wide; }

function timelineFigure(dossier) {
  const named = offerNames(dossier);
  return (width) => {
    const lines = initialLines(dossier);
    if (!lines.length) return null;
    const narrow = width < NARROW;
    const ordered = lines.slice().sort((a, b) => (a.start_month + a.order_month + a.offer < b.start_month + b.order_month + b.offer ? 1 : -1));
    const names = ordered.map((q, i) => i);
    const bar = (from, to, opacity, text) => ({
      type: "bar", orientation: "h", y: names, base: ordered.map((q) => monthDate(q[from])),
      x: ordered.map((q) => Date.parse(monthDate(q[to])) - Date.parse(monthDate(q[from]))),
      marker: { color: ordered.map((q) => chemistryColour(q.chemistry, q.kind)), opacity }, width: 0.55,
      hovertext: ordered.map((q) => label(named(q)) + "<br>" + text(q)), hoverinfo: "text",
    });
    const traces = [
      bar("order_month", "arrival_month", 0.4, (q) => "manufacture and shipping, " + q.order_month + " to " + q.arrival_month),
      bar("arrival_month", "start_month", 1, (q) => "installation, " + q.arrival_month + " to " + q.start_month),
      {
        type: "scatter", mode: "markers+text", y: names, x: ordered.map((q) => monthDate(q.start_month)), cliponaxis: false,
        marker: { color: ordered.map((q) => originColour(q.origin)), size: 9, symbol: "circle", line: { color: colour("ground"), width: 1 } },
        text: ordered.map((q) => number(q.containers) + (narrow ? "" : q.containers === 1 ? " unit" : " units")), textposition: "middle right",
        hovertext: ordered.map((q) => label(named(q)) + "<br>" + number(q.containers) + " units in service from " + q.start_month + ", goods from " + label(q.origin)), hoverinfo: "text",
      },
    ];
    const months = ordered.flatMap((q) => [monthNumber(q.order_month), monthNumber(q.start_month)]);
    const from = Math.min(...months) - 2, to = Math.max(...months) + Math.max(6, Math.round((Math.max(...months) - Math.min(...months)) * (narrow ? 0.2 : 0.14)));
    const years = (to - from) / 12;
    return {
      traces,
      layout: {
        barmode: "overlay", height: 56 + rowHeight(width, 26) * ordered.length, ...rowNames(ordered.map(named), width, width < 800 ? 46 : 60), margin: { l: 8, r: 8, t: 26, b: 8 },
        xaxis: { type: "date", side: "top", range: [monthDate(monthText(from)), monthDate(monthText(to))], dtick: narrow && years > 5 ? "M24" : years > 5 || narrow ? "M12" : "M6", tickformat: years > 5 || narrow ? "%Y" : "%b %Y", tickangle: 0 },
      },
    };
  };
}

function timelineLegend(into, lines) {
  const bars = new Map(lines.map((q) => [chemistryName(q.chemistry, q.kind), chemistryColour(q.chemistry, q.kind)]));
  const dots = new Map(lines.map((q) => [q.origin, originColour(q.origin)]));
  for (const [name, fill] of bars) into.append(chip(fill, name, "square"));
  for (const [name, fill] of dots) into.append(chip(fill, "from " + name, "round"));
}

function laterRounds(dossier) {
  const shown = new Set(initialLines(dossier));
  return dossier.order_lines.filter((q) => !shown.has(q));
}

function loadFigure() {
  return (width) => {
    const periods = DOSSIER.periods;
    const full = DOSSIER.headline.full_load_month;
    const last = full ? periods.findIndex((p) => p.start_month === full) + 1 : periods.length - 1;
    const shown = periods.slice(0, Math.min(periods.length, Math.max(last + 1, 2)));
    const end = monthDate(shown[shown.length - 1].end_month);
    const cut = shown.length > 1 ? monthDate(monthText(Math.min(monthNumber(shown[shown.length - 1].end_month), monthNumber(shown[shown.length - 1].start_month) + 18))) : end;
    const x = shown.map((p) => monthDate(p.start_month)).concat(cut);
    const step = (values, name, options) => ({ type: "scatter", mode: "lines", name, x, y: values.concat(values[values.length - 1]), line: Object.assign({ shape: "hv" }, options.line), fill: options.fill, fillcolor: options.fillcolor, hovertemplate: name + ": %{y:,.1f} MW<extra></extra>" });
    const accent = colour("accent");
    return {
      traces: [
        step(shown.map((p) => PLAN.served_mw[p.period]), "energised", { line: { color: accent, width: 2.5 }, fill: "tozeroy", fillcolor: "rgba(61,123,216,0.18)" }),
        step(shown.map((p) => p.target_mw), "wanted", { line: { color: colour("ink"), width: 1.5, dash: "dash" } }),
        step(shown.map((p) => p.energisable_mw), "grid, transformers and permits allow", { line: { color: colour("muted"), width: 1.5, dash: "dot" } }),
      ],
      layout: { height: 280, showlegend: true, legend: { orientation: "h", y: 1.02, x: 0, yanchor: "bottom" }, margin: { l: 8, r: 12, t: width < 760 ? 66 : 40, b: 8 }, yaxis: { title: { text: "MW" }, rangemode: "tozero" }, xaxis: { type: "date", tickformat: "%Y", dtick: "M12" } },
    };
  };
}

function fleetFigure() {
  return (width) => {
    const stored = DOSSIER.fleet.filter((f) => f.kind === "storage");
    if (!stored.length) return null;
    const periods = DOSSIER.periods.map((p) => p.period);
    const kinds = [...new Set(stored.map((f) => f.chemistry))];
    const traces = kinds.map((kind) => ({
      type: "bar", name: chemistryName(kind), x: periods.map((p) => label(p)), marker: { color: chemistryColour(kind) },
      y: periods.map((p) => stored.filter((f) => f.period === p && f.chemistry === kind).reduce((sum, f) => sum + f.energy_mwh, 0)),
      hovertemplate: "%{x}<br>%{y:,.0f} MWh " + label(chemistryName(kind)) + "<extra></extra>",
    }));
    return {
      traces,
      layout: { height: 280, barmode: "stack", bargap: 0.25, showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, traceorder: "normal" }, margin: { l: 8, r: 8, t: 30 + 18 * Math.floor((kinds.length * 115) / width), b: 8 }, yaxis: { title: { text: "MWh" } }, xaxis: { type: "category", tickvals: periods.map((p) => label(p)), ticktext: periods.map((p) => label(periodName(p))), tickangle: periods.length > 5 || width < 480 ? -45 : 0 } },
    };
  };
}

// Steps drawn as floating bars: [name, amount, running total after it, is a total].
function waterfall(steps, unit, width, colours) {
  const largest = Math.max(...steps.map((s) => Math.abs(s[2])), ...steps.map((s) => Math.abs(s[1])));
  const digits = digitsFor(largest);
  const narrow = width < NARROW;
  const at = steps.map((s, i) => steps.length - 1 - i);
  const low = steps.map((s) => (s[3] ? Math.min(0, s[2]) : Math.min(s[2], s[2] - s[1])));
  const high = steps.map((s) => (s[3] ? Math.max(0, s[2]) : Math.max(s[2], s[2] - s[1])));
  const span = Math.max(...high) - Math.min(0, ...low);
  return {
    traces: [
      { type: "bar", orientation: "h", y: at, base: low, x: high.map((h, i) => h - low[i]), width: 0.62, marker: { color: colours }, hoverinfo: "text", hovertext: steps.map((s) => label(s[0]) + ": " + number(s[1], digits) + " " + unit) },
      { type: "scatter", mode: "text", y: at, x: high.map((h) => h + span * 0.012), text: steps.map((s) => (s[3] ? "<b>" + number(s[2], digits) + "</b>" : (s[1] > 0 ? "+" : "") + number(s[1], Math.abs(s[1]) < 9.95 && digits === 0 ? 1 : digits))), textposition: "middle right", hoverinfo: "skip", cliponaxis: false },
    ],
    layout: {
      barmode: "overlay", height: 52 + rowHeight(width, 25) * steps.length, ...rowNames(steps.map((s) => s[0]).reverse(), width, 46), margin: { l: 8, r: 8, t: 6, b: 8 },
      xaxis: { title: { text: unit, standoff: 6 }, range: [Math.min(0, ...low) - (Math.min(0, ...low) < 0 ? span * 0.05 : 0), Math.max(...high) + span * (narrow ? 0.24 : width < 760 ? 0.17 : 0.1)], nticks: narrow ? 4 : 8, zeroline: true },
    },
  };
}

function costFigure(view) {
  return (width) => {
    let total = 0;
    const steps = [];
    for (const [item, amount] of Object.entries(view.cost_breakdown_musd)) {
      total += amount;
      if (Math.abs(amount) >= 5e-4) steps.push([words(item, DATA.cost), amount, total, false]);
    }
    steps.push(["Net present cost", view.cost_musd, view.cost_musd, true]);
    const colours = steps.map((s) => (s[3] ? colour("ink") : s[1] < 0 ? "#2d8a57" : s[0] === DATA.cost.delay ? "#c8761a" : "#5b7fae"));
    return waterfall(steps, "million USD", width, colours);
  };
}

function needFigure() {
  return (width) => {
    const steps = PLAN.requirement_waterfall_mwh.filter((s, i) => i === 0 || Math.abs(s.energy_mwh) >= 0.05);
    if (!steps.length) return null;
    const rows = steps.map((s, i) => [capital(s.step.replace(" x ", " \u00d7 ")), s.energy_mwh, s.total_mwh, i === 0]);
    const last = steps[steps.length - 1];
    rows.push(["DC nameplate bought", last.total_mwh, last.total_mwh, true]);
    const made = waterfall(rows, "MWh", width, rows.map((s) => (s[3] ? colour("ink") : s[1] < 0 ? "#2d8a57" : "#5b7fae")));
    made.traces[0].hovertext = rows.map((s, i) => label(s[0]) + ": " + number(s[1], 1) + " MWh" + (steps[i] ? "<br>" + label(steps[i].why) : ""));
    return made;
  };
}

function outageFigures() {
  const box = byId("outages");
  DOSSIER.outage_curves.forEach((curve, i) => {
    const part = element("div");
    part.append(element("h4", words(curve.contingency, DATA.contingency)));
    const lost = curve.lost && curve.contingency !== "software" ? shorten(DATA.lost[curve.lost] || curve.lost, 60) + ", " : "";
    const note = element("p");
    note.append(element("bdi", lost + periodName(curve.period) + ": " + number(curve.margin_mwh, 1) + " MWh to spare at " + number(curve.tightest_h, curve.tightest_h % 1 ? 2 : 0) + " h"));
    const chart = element("div", null, { id: "chart-outage-" + i, class: "chart", role: "img", "aria-label": words(curve.contingency, DATA.contingency) + ": required and delivered energy by hours" });
    part.append(note, chart);
    box.append(part);
    figure("outage-" + i, () => ({
      traces: [
        { type: "scatter", mode: curve.hours.length > 1 ? "lines" : "markers", name: "delivered", x: [0].concat(curve.hours), y: [0].concat(curve.delivered_mwh), line: { color: "#2a8f85", width: 2 }, hovertemplate: "%{x:.3~f} h: %{y:,.1f} MWh delivered<extra></extra>" },
        { type: "scatter", mode: curve.hours.length > 1 ? "lines" : "markers", name: "required", x: [0].concat(curve.hours), y: [0].concat(curve.required_mwh), line: { color: colour("ink"), width: 1.5, dash: "dash" }, hovertemplate: "%{x:.3~f} h: %{y:,.1f} MWh required<extra></extra>" },
        { type: "scatter", mode: "markers", name: "tightest", x: [curve.tightest_h], y: [curve.required_mwh[curve.hours.findIndex((h) => Math.abs(h - curve.tightest_h) < 1e-9)]], marker: { color: "#c8443c", size: 9, symbol: "diamond" }, hovertemplate: "tightest: %{x:.3~f} h<extra></extra>" },
      ],
      layout: { height: 230, showlegend: i === 0, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, margin: { l: 8, r: 12, t: 28, b: 8 }, xaxis: { title: { text: "hours", standoff: 4 }, rangemode: "tozero" }, yaxis: { title: { text: "MWh" }, rangemode: "tozero", nticks: 5 } },
    }));
  });
}

function contentFigure() {
  return (width) => {
    const phases = DOSSIER.phases.filter((h) => h.domestic_frac !== null);
    if (!phases.length) return null;
    const rows = [];
    for (const h of phases.slice().reverse()) {
      rows.push(["Phase " + h.phase + ": material assistance", h.macr_frac, h.macr_threshold_frac, "#7d63c9"]);
      rows.push(["Phase " + h.phase + ": domestic content", h.domestic_frac, h.domestic_threshold_frac, "#3b7dd8"]);
    }
    const at = rows.map((r, i) => i);
    const tested = rows.map((r, i) => [r[2], i]).filter((r) => r[0] !== null);
    return {
      traces: [
        { type: "bar", orientation: "h", y: at, x: rows.map((r) => r[1]), width: 0.55, marker: { color: rows.map((r) => r[3]) }, text: rows.map((r) => number(100 * r[1], 1) + " %"), textposition: "inside", insidetextanchor: "start", textfont: { color: "#ffffff" }, hovertemplate: "%{x:.1%}<extra></extra>" },
        { type: "scatter", mode: "markers", y: tested.map((r) => r[1]), x: tested.map((r) => r[0]), marker: { symbol: "line-ns", size: 24, line: { color: colour("ink"), width: 3 } }, cliponaxis: false, hovertemplate: "threshold %{x:.1%}<extra></extra>" },
      ],
      layout: { height: 60 + rowHeight(width, 34) * rows.length, ...rowNames(rows.map((r) => r[0]), width, 50), barmode: "overlay", margin: { l: 8, r: 28, t: 8, b: 8 }, xaxis: { range: [0, 1], tickformat: ".0%" } },
    };
  };
}

function tariffFigure() {
  return (width) => {
    const paid = DOSSIER.tariffs.filter((t) => t.duty_musd > 0).reverse();
    if (!paid.length) return null;
    const at = paid.map((t, i) => i), most = Math.max(...paid.map((t) => t.duty_musd));
    return {
      traces: [{ type: "bar", orientation: "h", y: at, x: paid.map((t) => t.duty_musd), width: 0.55, marker: { color: paid.map((t) => originColour(t.duty_origin)) }, text: paid.map((t) => number(t.duty_musd, digitsFor(most))), textposition: "outside", cliponaxis: false, hovertemplate: "%{x:,.2f} million USD<extra></extra>" }],
      layout: { height: 74 + 34 * paid.length, margin: { l: 8, r: 8, t: 6, b: 44 }, xaxis: { title: { text: "million USD", standoff: 12 }, range: [0, most * 1.15], nticks: width < NARROW ? 4 : 8 }, yaxis: { tickvals: at, ticktext: paid.map((t) => label(t.duty_origin) + " "), showgrid: false, zeroline: false, range: [-0.6, paid.length - 0.4] } },
    };
  };
}

function countryFigure() {
  return (width) => {
    const rows = DOSSIER.country_shares;
    if (!rows.length) return null;
    const roles = [...new Set(rows.map((r) => r.role))].reverse();
    const countries = [...new Set(rows.map((r) => r.country))];
    const traces = countries.map((country) => {
      const share = roles.map((role) => { const r = rows.find((q) => q.role === role && q.country === country); return r ? r.share_frac : 0; });
      return { type: "bar", orientation: "h", name: label(country), y: roles.map((r, i) => i), x: share, width: 0.6, marker: { color: originColour(country), line: { color: colour("ground"), width: 1 } }, text: share.map((s) => (s >= 0.08 ? number(100 * s) + " %" : "")), textposition: "inside", insidetextanchor: "middle", textangle: 0, textfont: { color: "#ffffff" }, hovertemplate: label(country) + ": %{x:.1%}<extra></extra>" };
    });
    return {
      traces,
      layout: { height: 250, barmode: "stack", showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" }, margin: { l: 8, r: 28, t: 30 + 18 * Math.floor((countries.length * 130) / width), b: 8 }, xaxis: { range: [0, 1], tickformat: ".0%" }, yaxis: { tickvals: roles.map((r, i) => i), ticktext: roles.map((r) => label(r) + " "), showgrid: false, zeroline: false, range: [-0.6, roles.length - 0.4] } },
    };
  };
}
