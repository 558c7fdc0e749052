// The layers of one model: a picture of widths and precisions, and the table behind it.

import { breakable, fill, html, on, onWidth, select, svg } from "./dom.js";
import { MISSING, quantity, share } from "./format.js";

const MEASURES = [
  ["width", "channels", ""],
  ["macs", "MACs", "count"],
  ["size_bytes", "bytes", "bytes"],
];
const HEIGHT = 150;
const MIN_COLUMN = 9;
const LABELS = 40;
// Precisions that have a colour of their own in the style sheet.
const COLOURED = new Set(["fp32", "int8", "fp16", "bf16", "int4"]);

/** Show `layers`, as objects with the fields of niwaki/report/layers.py. */
export function mountLayers(host, layers, tooltip) {
  const measures = MEASURES.filter(([field]) => layers.some((layer) => layer[field] !== null));
  const picture = html("div", { class: "layer-picture" });
  const controls = html("div", { class: "controls" });
  const look = { measure: measures[0]?.[0] ?? null, width: 0 };
  const draw = () => {
    if (look.measure && look.width > 0)
      fill(
        picture,
        pictureOf(
          layers,
          MEASURES.find(([field]) => field === look.measure),
          look.width,
          tooltip,
        ),
      );
  };
  const pick = () =>
    fill(
      controls,
      select(
        "Height",
        measures.map(([field, label]) => [field, label]),
        look.measure,
        (measure) => ((look.measure = measure), draw()),
      ),
    );
  if (measures.length > 1) pick();
  const key = precisionsOf(layers).map((precision) =>
    html(
      "span",
      { class: "key" },
      html("i", { class: `swatch ${precisionLook(precision)}` }),
      `${precision} in ${layers.filter((l) => runs(l) === precision).length} of ${layers.length}`,
    ),
  );
  const strayed = layers.filter(differs).length;
  const warning =
    strayed > 0
      ? html(
          "span",
          { class: "key strayed" },
          html("i", { class: "swatch differs" }),
          `${strayed} ${strayed === 1 ? "runs" : "run"} in another precision than asked`,
        )
      : null;
  fill(
    host,
    html(
      "div",
      { class: "layer-head" },
      html("h4", {}, "Layers"),
      html("div", { class: "legend" }, ...key, warning),
      controls,
    ),
    html("div", { class: "scroller" }, picture),
    table(layers),
  );
  onWidth(host, (width) => ((look.width = width), draw()));
}

/** The class that colours a precision. */
export function precisionLook(precision) {
  return COLOURED.has(precision) ? `precision-${precision}` : "precision-other";
}

function pictureOf(layers, [field, label, unit], room, tooltip) {
  const column = Math.max(MIN_COLUMN, Math.min(64, room / layers.length));
  const width = Math.max(room, Math.ceil(column * layers.length));
  const most = Math.max(...layers.map((layer) => layer[field] ?? 0)) || 1;
  const bars = layers.map((layer, index) =>
    explained(
      bar(layer, index * column, column, (layer[field] ?? 0) / most),
      layer,
      [label, quantity(layer[field], unit)],
      tooltip,
    ),
  );
  const groups = groupsOf(layers).map((group) => groupLabel(group, column));
  const alt = `${layers.length} layers by ${label}: ${precisionsOf(layers)
    .map((p) => `${layers.filter((l) => runs(l) === p).length} run in ${p}`)
    .join(", ")}`;
  return svg(
    "svg",
    {
      class: "layers",
      role: "img",
      "aria-label": alt,
      viewBox: `0 0 ${width} ${HEIGHT + LABELS}`,
      width,
      height: HEIGHT + LABELS,
    },
    ...groups,
    ...bars,
  );
}

function bar(layer, x, column, part) {
  const height = Math.max(3, part * (HEIGHT - 18));
  const box = { x: x + 1.5, y: HEIGHT - height, width: column - 3, height, rx: 1.5 };
  return svg(
    "g",
    { class: "layer" },
    svg("rect", { class: "layer-room", x, y: 0, width: column, height: HEIGHT }),
    svg("rect", { class: precisionLook(runs(layer)), ...box }),
    differs(layer)
      ? svg("path", {
          class: "differs-mark",
          d: `M${x + column / 2} ${HEIGHT - height - 5}l-4 -7h8z`,
        })
      : null,
  );
}

function explained(shape, layer, measure, tooltip) {
  const lines = [measure, ["asked", layer.asked || MISSING], ["runs", runs(layer)]];
  on(shape, "pointermove", (event) =>
    tooltip.show(event.clientX, event.clientY, { title: layer.path, lines }),
  );
  return on(shape, "pointerleave", () => tooltip.hide());
}

// Neighbours whose paths start alike stand under one name.
function groupsOf(layers) {
  const groups = [];
  layers.forEach((layer, index) => {
    const steps = layer.path.split(".");
    const name = steps.slice(0, steps.length > 2 ? 2 : 1).join(".");
    const last = groups[groups.length - 1];
    if (last && last.name === name) last.count += 1;
    else groups.push({ name, label: steps[Math.min(1, steps.length - 1)], first: index, count: 1 });
  });
  return groups;
}

function groupLabel({ name, label, first, count }, column) {
  const x = first * column;
  const width = count * column;
  const last = count === 1 ? label : name.split(".").pop();
  // A bare number is a name only together with what it counts.
  const spellings = /^\d+$/.test(last) ? [name, last] : [last];
  const room = Math.max(1, Math.floor((width - 2) / 6.2));
  const text = spellings.find((spelling) => spelling.length <= room) ?? last.slice(0, room);
  const shown =
    width > 20
      ? svg("text", { x: x + width / 2, y: HEIGHT + 20, "text-anchor": "middle" }, text)
      : null;
  return svg(
    "g",
    { class: "layer-group" },
    svg("title", {}, name),
    svg("path", { d: `M${x + 2} ${HEIGHT + 5}H${x + width - 2}` }),
    shown,
  );
}

function table(layers) {
  const heads = [
    ["Layer"],
    ["Kind"],
    ["Channels", "number"],
    ["Asked"],
    ["Runs"],
    ["MACs", "number"],
    ["Size", "number"],
  ];
  const totals = { macs: sum(layers, "macs"), size_bytes: sum(layers, "size_bytes") };
  const rows = layers.map((layer) =>
    html(
      "tr",
      { class: differs(layer) ? "differs" : null },
      html("td", { class: "path" }, ...breakable(layer.path)),
      html("td", {}, layer.kind || MISSING),
      html("td", { class: "number" }, layer.width ?? MISSING),
      html("td", {}, layer.asked || MISSING),
      html(
        "td",
        {},
        html("span", { class: `chip ${precisionLook(runs(layer))}` }, runs(layer)),
        differs(layer) ? " not as asked" : "",
      ),
      html(
        "td",
        { class: "number" },
        quantity(layer.macs, "count"),
        html("small", {}, ` ${share(layer.macs ?? 0, totals.macs)}`),
      ),
      html("td", { class: "number" }, quantity(layer.size_bytes, "bytes")),
    ),
  );
  const body = html(
    "table",
    { class: "layer-table" },
    html(
      "thead",
      {},
      html(
        "tr",
        {},
        ...heads.map(([text, look]) => html("th", { scope: "col", class: look }, text)),
      ),
    ),
    html("tbody", {}, ...rows),
  );
  return html(
    "details",
    {},
    html("summary", {}, `All ${layers.length} layers as a table`),
    html("div", { class: "scroller" }, body),
  );
}

function runs(layer) {
  return layer.realised || layer.asked || "unknown";
}

function differs(layer) {
  return layer.asked !== "" && layer.realised !== "" && layer.asked !== layer.realised;
}

function precisionsOf(layers) {
  return [...new Set(layers.map(runs))].sort();
}

function sum(layers, field) {
  return layers.reduce((total, layer) => total + (layer[field] ?? 0), 0);
}
