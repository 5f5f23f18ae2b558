"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const PLAN = DATA.plan;
const DOSSIER = PLAN.dossier;
const PRINT_WIDTH = 680;
let printing = false;

function byId(id) { return document.getElementById(id); }

function element(tag, text, attributes) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  return made;
}

// Labels of figures understand a little HTML: text must not.
function label(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function capital(text) { return text.slice(0, 1).toUpperCase() + text.slice(1); }
function shorten(text, most) { return text.length <= most ? text : text.slice(0, most - 1) + "\u2026"; }

function number(value, digits) {
  if (value === null || value === undefined) return "\u2013";
  const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits || 0, maximumFractionDigits: digits || 0 });
  return value < 0 && /[1-9]/.test(text) ? "\u2212" + text : text;
}

// Enough digits for the size of the largest figure of a chart.
function digitsFor(largest) { return largest >= 100 ? 0 : largest >= 10 ? 1 : 2; }

function chemistryName(chemistry, kind) {
  if (DATA.firm[kind]) return DATA.firm[kind].name;
  return DATA.chemistry[chemistry] ? DATA.chemistry[chemistry].name : chemistry;
}
function chemistryColour(chemistry, kind) { if (DATA.firm[kind]) return DATA.firm[kind].colour; return DATA.chemistry[chemistry] ? DATA.chemistry[chemistry].colour : "#777d86"; }
function originColour(country) { return DATA.origin[country] || DATA.otherOrigin; }
function words(name, table) { return table[name] || name.replace(/_/g, " "); }

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }

function chip(colour_, text, shape) {
  const made = element("span", null, { class: "chip " + shape });
  const mark = element("i", null, { "aria-hidden": "true" });
  mark.style.background = colour_;
  made.append(mark, element("bdi", text));
  return made;
}

// Whole years of later rounds in short.
function periodName(label) { return label.replace(/^(\d{4})-01\.\.(\d{4})-12$/, "$1\u2013$2"); }

function monthDate(month) { return month + "-01"; }
function monthNumber(month) { return 12 * Number(month.slice(0, 4)) + Number(month.slice(5, 7)) - 1; }
function monthText(n) { return String(Math.floor(n / 12)).padStart(4, "0") + "-" + String((n % 12) + 1).padStart(2, "0"); }

const drawn = new Map();

// Every figure is drawn through here, so that theme, width and print redraw all of them.
function figure(id, build) {
  const box = byId("chart-" + id) || byId(id);
  if (!box) return;
  drawn.set(id, () => {
    const width = printing ? (box.closest(".multiples") ? PRINT_WIDTH / 2 - 16 : PRINT_WIDTH) : box.clientWidth;
    if (!width) return;
    const made = build(width);
    box.hidden = !made; // the caption says why there is nothing to see
    if (!made) return;
    const ink = colour("ink"), line = colour("line"), muted = colour("muted");
    const axis = { gridcolor: line, zerolinecolor: muted, linecolor: muted, tickcolor: muted, fixedrange: true, automargin: true, exponentformat: "none", separatethousands: true };
    const layout = Object.assign({
      width, margin: { l: 8, r: 12, t: 8, b: 36 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, size: width < 480 ? 11 : 12, family: getComputedStyle(document.body).fontFamily },
      showlegend: false, dragmode: false, hoverlabel: { align: "left" },
    }, made.layout);
    for (const name of Object.keys(layout)) if (/^[xy]axis/.test(name)) layout[name] = Object.assign({}, axis, layout[name]);
    box.style.minHeight = "0";
    Plotly.react(box, made.traces, layout, { displayModeBar: false, scrollZoom: false, doubleClick: false, showTips: false, responsive: false });
  });
  drawn.get(id)();
}

function redraw() { for (const draw of drawn.values()) draw(); for (const draw of redrawn) draw(); }
const redrawn = [];
