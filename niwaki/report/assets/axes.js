// The frame of a chart: a grid as quiet as possible, tick labels, names of the axes.

import { svg } from "./dom.js";
import { quantity, significant, shortened } from "./format.js";
import { ticks } from "./scales.js";

const PIXELS_PER_TICK = { x: 95, y: 55 };

/** Draw the horizontal axis below a chart. `column` has name, unit and direction. */
export function xAxis(scale, column, { top, bottom }) {
  const values = marksOf(scale, column, (scale.to - scale.from) / PIXELS_PER_TICK.x);
  const labels = tickLabels(values, column.unit);
  const marks = values.map((value, i) => {
    const x = scale(value);
    return svg(
      "g",
      {},
      line(x, top, x, bottom),
      svg("text", { x, y: bottom + 18, "text-anchor": "middle" }, labels[i]),
    );
  });
  const title = svg(
    "text",
    { class: "axis-name", x: scale.to, y: bottom + 40, "text-anchor": "end" },
    axisName(column, scale, "\u2190", "\u2192"),
  );
  return svg("g", { class: "axis", "aria-hidden": "true" }, ...marks, title);
}

/** Draw the vertical axis left of a chart; its name stands above it, to be read upright. */
export function yAxis(scale, column, { left, right }) {
  const values = marksOf(scale, column, (scale.from - scale.to) / PIXELS_PER_TICK.y);
  const labels = tickLabels(values, column.unit);
  const marks = values.map((value, i) => {
    const y = scale(value);
    return svg(
      "g",
      {},
      line(left, y, right, y),
      svg("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, labels[i]),
    );
  });
  const title = svg(
    "text",
    { class: "axis-name", x: 4, y: 14 },
    axisName(column, scale, "\u2193", "\u2191"),
  );
  return svg("g", { class: "axis", "aria-hidden": "true" }, ...marks, title);
}

// Whole things have no halves.
function marksOf(scale, column, room) {
  const values = ticks(scale.low, scale.high, room, scale.log);
  return column.whole ? values.filter(Number.isInteger) : values;
}

/** Labels that are as short as telling the values apart allows. */
export function tickLabels(values, unit) {
  const bare = unit === "bytes" || unit === "count" ? unit : "";
  for (let digits = 1; digits < 6; digits++) {
    const labels = values.map((value) =>
      value === 0
        ? "0"
        : bare
          ? quantity(value, bare, digits)
          : trimmed(significant(value, digits)),
    );
    if (new Set(labels).size === labels.length && values.every((v) => faithful(v, digits)))
      return labels;
  }
  return values.map((value) => trimmed(significant(value, 6)));
}

function axisName(column, scale, less, more) {
  const told =
    ["", "bytes", "count"].includes(column.unit) || column.name.endsWith(`_${column.unit}`);
  const how = [told ? "" : column.unit, scale.log ? "log" : ""].filter(Boolean).join(", ");
  const better = column.direction === 0 ? "" : `  ${column.direction > 0 ? less : more} better`;
  return `${shortened(column.name, 34)}${how ? ` (${shortened(how, 14)})` : ""}${better}`;
}

// A label of one digit must not turn 0.25 into 0.3.
function faithful(value, digits) {
  return (
    value === 0 || Math.abs(Number(value.toPrecision(digits)) - value) <= 1e-6 * Math.abs(value)
  );
}

function trimmed(text) {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

function line(x1, y1, x2, y2) {
  return svg("line", { x1, y1, x2, y2 });
}
