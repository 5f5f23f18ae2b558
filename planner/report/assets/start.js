"use strict";

function start() {
  figure("timeline", timelineFigure(DOSSIER));
  figure("load", loadFigure());
  figure("fleet", fleetFigure());
  figure("cost", costFigure(PLAN));
  figure("tariffs", tariffFigure());
  figure("need", needFigure());
  outageFigures();
  if (byId("chart-content")) figure("content", contentFigure());
  figure("countries", countryFigure());
  const later = laterRounds(DOSSIER);
  if (later.length) byId("later-rounds").textContent = "Later rounds, not drawn: " + later.map((q) => number(q.containers) + " \u00d7 " + offerNames(DOSSIER)(q) + " in " + q.start_month).join(", ") + ".";
  timelineLegend(byId("timeline-legend"), initialLines(DOSSIER));
  siteLegend(byId("site-legend"), DOSSIER.site);
  const basis = () => document.querySelector("input[name=basis]:checked").value;
  redrawn.push(drawMargins, () => drawExposure(basis()), () => drawZones(byId("zones"), DOSSIER.site));
  for (const draw of redrawn) draw();
  for (const choice of document.querySelectorAll("input[name=basis]")) choice.addEventListener("change", () => drawExposure(basis()));
  for (const table of document.querySelectorAll("table.sortable")) sortBody(table);
  provenanceTable();
  startExplorer();
  startWhy();
  startTheme();
}

function startTheme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)"), button = byId("theme"), root = document.documentElement;
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  // The button names where it leads.
  const name = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  const show = () => { name(); redraw(); };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; show(); });
  dark.addEventListener("change", show);
  name();
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; redraw(); } });
  const open = [];
  window.addEventListener("beforeprint", () => {
    printing = true;
    document.querySelectorAll("details:not([open])").forEach((d) => { d.open = true; open.push(d); });
    root.dataset.before = root.dataset.theme || "";
    root.dataset.theme = "light";
    redraw();
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    open.splice(0).forEach((d) => { d.open = false; });
    if (root.dataset.before) root.dataset.theme = root.dataset.before; else delete root.dataset.theme;
    redraw();
  });
}

start();
