"use strict";
const ROWS_AT_ONCE = 100;

function cellValue(row, column) {
  const given = row.cells[column].dataset.sort;
  if (given !== undefined) return Number(given);
  const text = row.cells[column].textContent.trim();
  const value = Number(text.replace(/,/g, "").replace("\u2212", "-").replace(/\s%$/, ""));
  return text !== "" && Number.isFinite(value) ? value : text.toLowerCase();
}

function compare(a, b) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

// Headings become buttons; a second press turns the order round.
function sortable(table, sorted) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = element("button", head.textContent, { type: "button" });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sorted(column, up ? 1 : -1);
    });
  });
}

function sortBody(table) {
  sortable(table, (column, sign) => {
    const rows = [...table.tBodies[0].rows];
    // Words among numbers say that there is none: they stay last either way.
    const order = (a, b) => (typeof a === typeof b ? sign : 1) * compare(a, b);
    rows.sort((a, b) => order(cellValue(a, column), cellValue(b, column)));
    table.tBodies[0].append(...rows);
  });
}

function heatTable(table, rows, columns, corner, value, text, strength) {
  const head = element("tr");
  head.append(element("th", corner, { scope: "col" }));
  columns.forEach((c) => head.append(element("th", c.name, { scope: "col" })));
  const body = element("tbody");
  for (const row of rows) {
    const line = element("tr");
    line.append(element("th", row.name, { scope: "row" }));
    for (const column of columns) {
      const v = value(row, column);
      const cell = element("td", v === null ? "\u2013" : text(v));
      if (v !== null) {
        const s = strength(v);
        cell.style.background = "rgb(" + colour("heat") + " / " + (Number(colour("heat-most")) * s).toFixed(3) + ")";
      }
      line.append(cell);
    }
    body.append(line);
  }
  const thead = element("thead");
  thead.append(head);
  table.replaceChildren(thead, body);
}

function drawMargins() {
  const rows = [...new Set(DOSSIER.period_margins.map((m) => m.contingency))].map((c) => ({ key: c, name: words(c, DATA.contingency) }));
  const columns = DOSSIER.periods.map((p) => ({ key: p.period, name: periodName(p.period) }));
  const find = (row, column) => DOSSIER.period_margins.find((m) => m.contingency === row.key && m.period === column.key);
  // Tight is what deserves the eye: strongest at no margin, gone at half of the requirement.
  heatTable(byId("margins"), rows, columns, "Contingency", (r, c) => { const m = find(r, c); return m ? m.margin_frac : null; }, (v) => number(100 * v, v >= 1 ? 0 : 1) + "\u00a0%", (v) => Math.max(0, 1 - Math.max(v, 0) / 0.5));
}

const LAYER_ORDER = ["mining", "refining", "cathode", "anode", "electrolyte", "separator", "cell", "pack", "container", "conversion", "control_software"];

function drawExposure(basis) {
  const cells = DOSSIER.layer_exposure;
  const known = [...new Set(cells.map((c) => c.layer))];
  const order = LAYER_ORDER.filter((l) => known.includes(l)).concat(known.filter((l) => !LAYER_ORDER.includes(l)));
  const rows = order.map((l) => ({ key: l, name: l.replace(/_/g, " ") }));
  const columns = [...new Set(cells.map((c) => c.origin))].map((o) => ({ key: o, name: "from " + o }));
  const most = Math.max(1e-9, ...cells.map((c) => Math.max(c.production_frac, c.ownership_frac)));
  heatTable(byId("exposure"), rows, columns, "Layer", (r, c) => { const f = cells.find((q) => q.layer === r.key && q.origin === c.key); return f ? f[basis] : null; }, (v) => number(v, 3), (v) => v / most);
}

function provenanceTable() {
  const table = byId("rows");
  if (!table) return;
  const { columns, texts, rows } = DATA.rows;
  const shown = ["table", "key", "values", "unit", "source", "date", "confidence", "note"];
  const index = shown.map((c) => columns.indexOf(c)), bought = columns.indexOf("in_plan");
  const at = Object.fromEntries(columns.map((c, i) => [c, i]));
  const head = element("tr");
  shown.forEach((c) => head.append(element("th", c, { scope: "col" })));
  table.tHead.append(head);
  let found = [], limit = ROWS_AT_ONCE, order = null;
  const fill = (id, values) => values.forEach((v) => byId(id).append(element("option", v, { value: v })));
  fill("row-table", [...new Set(rows.map((r) => texts[r[at.table]]))].sort());
  fill("row-confidence", DATA.confidence.filter((c) => rows.some((r) => texts[r[at.confidence]] === c)));
  const draw = () => {
    const body = table.tBodies[0];
    body.replaceChildren();
    for (const row of found.slice(0, limit)) {
      const line = element("tr");
      index.forEach((i) => { const cell = element("td"); cell.append(element("bdi", texts[row[i]])); line.append(cell); });
      body.append(line);
    }
    byId("row-count").textContent = number(found.length) + " of " + number(rows.length) + " rows" + (found.length > limit ? ", the first " + limit + " shown" : "");
    byId("row-more").hidden = found.length <= limit;
  };
  const choose = () => {
    const text = byId("row-search").value.toLowerCase(), wanted = byId("row-table").value, level = byId("row-confidence").value, only = byId("row-bought").checked;
    found = rows.filter((r) => (!wanted || texts[r[at.table]] === wanted) && (!level || texts[r[at.confidence]] === level) && (!only || texts[r[bought]] === true)
      && (!text || index.some((i) => String(texts[r[i]]).toLowerCase().includes(text))));
    if (order) found.sort(order);
    limit = ROWS_AT_ONCE;
    draw();
  };
  sortable(table, (column, sign) => {
    order = (a, b) => {
      const left = texts[a[index[column]]], right = texts[b[index[column]]];
      const levels = DATA.confidence;
      return sign * (shown[column] === "confidence" ? levels.indexOf(left) - levels.indexOf(right) : compare(String(left).toLowerCase(), String(right).toLowerCase()));
    };
    choose();
  });
  byId("row-filters").addEventListener("input", choose);
  byId("row-filters").addEventListener("submit", (event) => event.preventDefault());
  byId("row-more").addEventListener("click", () => { limit += ROWS_AT_ONCE; draw(); });
  choose();
}
