"use strict";

// What one more step either way costs, and what it changes, at one point of the front.
function pointFacts(point, jumps) {
  const musd = (value) => (value === null ? null : number(value, 2) + " million USD");
  const jump = point.next_jump === null ? null : jumps[point.next_jump];
  return [
    ["More than the cheapest plan", musd(point.premium_musd)],
    ["The next point of exposure (0.01) costs", musd(point.price_left_musd)],
    ["One point back saves", musd(point.price_right_musd)],
    ["The premium pays from a cut-off probability of", point.cutoff_words],
    ["The public pays per MWh of exposure removed", point.public_usd_per_mwh === null ? null : number(point.public_usd_per_mwh) + " USD"],
    ["At the next jump, below " + (jump ? number(jump.exposure_frac, 3) : ""), jump && jump.words ? jump.words : null],
  ].filter((fact) => fact[1] !== null);
}

function startExplorer() {
  const front = DATA.front;
  if (!front) return;
  const shown = front.points.filter((p) => p.view);
  const slider = byId("position");
  let at = 0;
  const cost = (point) => (point.view ? point.view.cost_musd : point.cost_musd);

  figure("front", (width) => {
    const points = front.points;
    const filled = points.map((p) => p.supported);
    return {
      traces: [
        { type: "scatter", mode: "lines+markers", x: points.map((p) => p.exposure_frac), y: points.map((p) => p.cost_musd), line: { color: colour("muted"), width: 1, dash: "dot" }, marker: { size: 9, color: filled.map((f) => (f ? "#3b7dd8" : colour("ground"))), line: { color: "#3b7dd8", width: 2 } }, hovertemplate: "exposure %{x:.3f}<br>%{y:,.1f} million USD<extra></extra>" },
        { type: "scatter", mode: "markers", x: shown.length ? [shown[at].exposure_frac] : [], y: shown.length ? [shown[at].cost_musd] : [], marker: { size: 19, color: "rgba(0,0,0,0)", line: { color: "#c8443c", width: 3 } }, hoverinfo: "skip" },
      ],
      layout: { height: 300, margin: { l: 8, r: 14, t: 12, b: 8 }, xaxis: { title: { text: (width < NARROW ? "exposure to China" : "exposure to China: " + label(words(front.measure, DATA.measure))) + ", lower to the right", standoff: 6 }, ...(points.length > 1 ? { autorange: "reversed" } : { range: [2 * points[0].exposure_frac + 0.02, 0] }) }, yaxis: { title: { text: "million USD" }, nticks: 6, ...(points.length > 1 ? {} : { range: [0, 1.5 * points[0].cost_musd] }) } },
    };
  });
  if (!shown.length) return;
  figure("explorer-cost", (width) => costFigure(shown[at].view)(width));
  figure("explorer-timeline", (width) => timelineFigure(shown[at].view.dossier)(width));
  redrawn.push(() => drawZones(byId("explorer-site"), shown[at].view.dossier.site));

  const move = () => {
    at = Number(slider.value);
    const point = shown[at], view = point.view, head = view.dossier.headline;
    const text = "Exposure " + number(point.exposure_frac, 3) + ", " + number(cost(point), 1) + " million USD, " + number(head.storage_energy_mwh) + " MWh from " + number(head.storage_suppliers) + (head.storage_suppliers === 1 ? " supplier" : " suppliers") + (head.full_load_month ? ", full load from " + head.full_load_month : "");
    const reach = front.weights.filter((w) => front.points[w.point] === point).map((w) => w.theta);
    byId("position-text").textContent = text + (reach.length ? " (weight of security " + number(Math.min(...reach), 2) + (reach.length > 1 ? " to " + number(Math.max(...reach), 2) : "") + ")" : "");
    slider.setAttribute("aria-valuetext", text);
    byId("position-facts").replaceChildren(...pointFacts(point, front.jumps).map(([name, words_]) => {
      const fact = element("div"), value = element("dd");
      value.append(element("bdi", words_));
      fact.append(element("dt", name), value);
      return fact;
    }));
    const body = byId("explorer-awards").tBodies[0];
    body.replaceChildren();
    for (const award of view.dossier.awards) {
      const row = element("tr"), name = element("th", null, { scope: "row" });
      name.append(element("bdi", award.product), element("small", award.offer));
      const made = element("td"), from = element("td");
      made.append(chip(chemistryColour(award.chemistry, award.kind), chemistryName(award.chemistry, award.kind), "square"));
      from.append(chip(originColour(award.origin), award.origin, "round"));
      row.append(name, made, from, element("td", number(award.containers), { class: "n" }), element("td", number(award.energy_usable_mwh), { class: "n" }), element("td", number(award.cost_musd, 1), { class: "n" }));
      body.append(row);
    }
    for (const id of ["front", "explorer-cost", "explorer-timeline"]) drawn.get(id)();
    drawZones(byId("explorer-site"), view.dossier.site);
  };
  slider.addEventListener("input", move);
  move();
}
