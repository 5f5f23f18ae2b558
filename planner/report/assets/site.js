"use strict";
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function box(x, y, length, width, attributes) { return shape("rect", Object.assign({ x, y, width: Math.max(length, 0), height: Math.max(width, 0) }, attributes)); }

// The drawing's y grows downwards and the hall is at the top: flip once, here.
function zoneDrawing(zone, scale, order) {
  const margin = 14 / scale, foot = 30 / scale, top = 20 / scale, text = 11 / scale, hair = 1 / scale;
  const height = top + zone.width_m + foot;
  const svg = shape("svg", { viewBox: [-margin, 0, zone.length_m + 2 * margin, height].join(" "), role: "img", "data-zone": order });
  const up = (y, size) => top + zone.width_m - y - size;
  const ink = colour("ink"), muted = colour("muted"), line = colour("line");
  const title = "Zone " + zone.zone + ", " + number(zone.length_m) + " by " + number(zone.width_m) + " m, in " + zone.period + ": " + number(zone.containers) + " containers";
  svg.append(shape("title", {}, title));
  svg.append(shape("text", { x: zone.length_m / 2, y: top - 6 / scale, "font-size": text, fill: muted, "text-anchor": "middle" }, "data hall " + number(zone.distance_to_hall_m) + " m this way" + (zone.barrier ? "; fire barrier round the zone" : "")));
  svg.append(box(0, top, zone.length_m, zone.width_m, { fill: "none", stroke: zone.barrier ? "#c8443c" : ink, "stroke-width": (zone.barrier ? 3 : 1) * hair, class: "zone" }));
  const usable = [zone.line_inset_m, zone.line_inset_m, zone.length_m - 2 * zone.line_inset_m, zone.width_m - zone.line_inset_m - zone.hall_inset_m];
  if (zone.line_inset_m > 0 || zone.hall_inset_m > 0) svg.append(box(usable[0], up(usable[1], usable[3]), usable[2], usable[3], { fill: "none", stroke: muted, "stroke-width": hair, "stroke-dasharray": 4 / scale + " " + 3 / scale, class: "setback" }));
  for (const block of zone.blocks) drawBlock(svg, block, up, hair);
  drawScale(svg, zone, scale, top + zone.width_m + 12 / scale, text, ink, hair);
  return svg;
}

function drawBlock(svg, block, up, hair) {
  const fill = chemistryColour(block.chemistry, block.kind), group = shape("g", { class: "block" });
  group.append(shape("title", {}, block.offer + ": " + number(block.containers) + " of " + chemistryName(block.chemistry, block.kind) + (block.plot ? ", drawn as plots" : ", gaps " + number(block.gap_x_m, 1) + " and " + number(block.gap_y_m, 1) + " m") + (block.fire_group > 1 ? ", fire groups of " + block.fire_group : "")));
  group.append(box(block.x_m, up(block.y_m, block.width_m), block.length_m, block.width_m, { fill: colour("hatch") }));
  group.append(box(block.x_m, up(block.y_m, block.array_width_m), block.array_length_m, block.array_width_m, { fill, "fill-opacity": 0.16 }));
  const dx = block.array_length_m / block.columns, dy = block.array_width_m / block.rows;
  let path = "", groups = "";
  for (let n = 0; n < block.containers; n++) {
    const row = Math.floor(n / block.columns), column = n % block.columns;
    const x = block.x_m + column * dx + (dx - block.container_x_m) / 2;
    const y = up(block.y_m + row * dy + (dy - block.container_y_m) / 2, block.container_y_m);
    path += "M" + x.toFixed(2) + " " + y.toFixed(2) + "h" + block.container_x_m.toFixed(2) + "v" + block.container_y_m.toFixed(2) + "h" + (-block.container_x_m).toFixed(2) + "z";
    // A fire group is outlined in every row that it reaches into.
    if (block.fire_group > 1 && (n % block.fire_group === 0 || column === 0)) {
      const end = Math.min(block.containers, (Math.floor(n / block.fire_group) + 1) * block.fire_group, (row + 1) * block.columns);
      const wide = (end - n) * dx;
      groups += "M" + (block.x_m + column * dx).toFixed(2) + " " + up(block.y_m + row * dy, dy).toFixed(2) + "h" + wide.toFixed(2) + "v" + dy.toFixed(2) + "h" + (-wide).toFixed(2) + "z";
    }
  }
  group.append(shape("path", { d: path, fill: block.plot ? fill : fill, "fill-opacity": block.plot ? 0.55 : 1, stroke: block.plot ? colour("ground") : "none", "stroke-width": hair, class: "containers", "data-containers": block.containers }));
  if (groups) group.append(shape("path", { d: groups, fill: "none", stroke: colour("ink"), "stroke-width": 0.6 * hair, "stroke-opacity": 0.75, class: "groups" }));
  svg.append(group);
}

function drawScale(svg, zone, scale, y, text, ink, hair) {
  const wanted = 90 / scale, base = Math.pow(10, Math.floor(Math.log10(wanted)));
  const metres = wanted / base >= 5 ? 5 * base : wanted / base >= 2 ? 2 * base : base;
  svg.append(shape("path", { d: "M0 " + y + "h" + metres, stroke: ink, "stroke-width": 2 * hair }));
  svg.append(shape("text", { x: metres + 6 / scale, y: y + 4 / scale, "font-size": text, fill: ink }, number(metres) + " m"));
  svg.append(shape("text", { x: zone.length_m, y: y + 4 / scale, "font-size": text, fill: ink, "text-anchor": "end" }, number(zone.length_m) + " \u00d7 " + number(zone.width_m) + " m"));
}

function drawZones(into, zones) {
  into.replaceChildren();
  const filled = zones.filter((z) => z.containers), empty = zones.filter((z) => !z.containers), note = byId("empty-zones");
  if (note && into.id === "zones" && filled.length && empty.length) note.textContent = "Nothing stands in: " + empty.map((z) => z.zone).join(", ") + ".";
  (filled.length ? filled : zones).forEach((zone, i) => {
    const part = element("div");
    const head = element("h4");
    head.append(element("bdi", zone.zone));
    const parts = [periodName(zone.period), number(zone.containers) + " containers", number(zone.occupied_m2) + " of " + number(zone.usable_m2) + " m\u00b2"];
    if (zone.setback_m) parts.push("setback " + Number(zone.setback_m.toFixed(2)) + " m to the hall");
    parts.push(zone.barrier ? "fire barrier" : "no barrier");
    part.append(head, element("p", parts.join(" \u00b7 ")));
    const room = printing ? PRINT_WIDTH : into.clientWidth || PRINT_WIDTH;
    const share = Math.min(room, 576, printing || (Math.max(filled.length, 1) > 1 && room > 750) ? (room - 32) / 2 : Infinity);
    part.append(zoneDrawing(zone, (share - 4) / (zone.length_m * 1.02), i));
    if (zone.unplaced) part.append(element("p", number(zone.unplaced) + " of them not drawn: their area fits, but not in such rows.", { class: "bad" }));
    into.append(part);
  });
}

function siteLegend(into, zones) {
  const kinds = new Map();
  for (const block of zones.flatMap((z) => z.blocks)) kinds.set(chemistryName(block.chemistry, block.kind), chemistryColour(block.chemistry, block.kind));
  for (const [name, fill] of kinds) into.append(chip(fill, name, "square"));
  if (!kinds.size) return;
  into.append(chip(colour("line"), "balance of plant", "square"));
  const marks = [];
  if (zones.some((z) => z.containers && (z.line_inset_m > 0 || z.hall_inset_m > 0))) marks.push("dashed: setback");
  if (zones.some((z) => z.blocks.some((b) => b.fire_group > 1))) marks.push("thin outlines: fire groups of several containers");
  if (zones.some((z) => z.blocks.some((b) => b.plot))) marks.push("pale units: plots of whole plants, area but not shape to scale");
  if (zones.some((z) => z.barrier)) marks.push("red: fire barrier");
  if (marks.length) into.append(element("span", marks.join(" \u00b7 ")));
}
