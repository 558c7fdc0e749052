// Constraints in the scatter plot: a line, its bound, and a tint over what lies outside.

import { svg } from "./dom.js";
import { quantity } from "./format.js";

/** The limits on the two values shown, as far as they lie in view. */
export function limits({ study, store, x, y, xScale, yScale, frame }) {
  return study.sources[store.source].bounds.flatMap((bound) => [
    ...(bound.name === x.name ? limit(bound, x, xScale, frame, verticalLimit) : []),
    ...(bound.name === y.name ? limit(bound, y, yScale, frame, horizontalLimit) : []),
  ]);
}

function limit(bound, column, scale, frame, drawn) {
  if (!within(scale, bound.limit)) return [];
  const text = `${bound.sign > 0 ? "\u2264" : "\u2265"} ${quantity(bound.limit, column.unit)}`;
  return drawn(scale(bound.limit), bound.sign > 0, frame, text);
}

/** Whether a limit lies inside the range of a scale. */
export function within(scale, limit) {
  return limit !== null && limit > scale.low && limit < scale.high;
}

function verticalLimit(at, below, { left, right, top, bottom }, text) {
  const outside = below ? { x: at, width: right - at } : { x: left, width: at - left };
  const side = below ? { x: at - 5, "text-anchor": "end" } : { x: at + 5 };
  return [
    svg("rect", { class: "outside", y: top, height: bottom - top, ...outside }),
    svg("line", { class: "limit", x1: at, x2: at, y1: top, y2: bottom }),
    svg("text", { class: "limit-name", y: bottom - 7, ...side }, text),
  ];
}

function horizontalLimit(at, below, { left, right, top, bottom }, text) {
  const outside = below ? { y: top, height: at - top } : { y: at, height: bottom - at };
  return [
    svg("rect", { class: "outside", x: left, width: right - left, ...outside }),
    svg("line", { class: "limit", x1: left, x2: right, y1: at, y2: at }),
    svg(
      "text",
      { class: "limit-name", x: right - 5, y: below ? at + 14 : at - 6, "text-anchor": "end" },
      text,
    ),
  ];
}
