// All objectives at once: one upright axis each, better always upwards, one line per model.

import { tickLabels } from "./axes.js";
import { fill, html, on, onWidth, svg } from "./dom.js";
import { quantity, shortened } from "./format.js";
import { makeScale, ticks, visibleRange } from "./scales.js";
import { columnOf, nameOf, rolesOf } from "./study.js";

const HEIGHT = 320;
const MARGIN = { top: 54, bottom: 16, side: 46 };
const GRIP = 22; // width of the strip around an axis that can be brushed
const REACH = 10;
const MAX_QUIET = 800; // more dominated lines make one grey mass
const NAME_ROOM = 11; // per letter, 7.3 wide: a name at the edge and half of the next share one gap
const MANY = 60; // front lines beyond this number grow fainter

/** Draw the parallel coordinates into `host`; dragging along an axis keeps part of the front. */
export function mountParallel(host, study, store, tooltip) {
  const plot = html("div", { class: "plot" });
  const note = html("p", { class: "note" });
  const root = svg("svg", {
    class: "parallel",
    role: "img",
    "aria-label": `${study.front.length} models of the front by all ${study.objectives.length} objectives`,
  });
  const chart = { study, store, tooltip, root, ranges: new Map(), width: 0 };
  plot.append(root);
  fill(host, plot, note);
  onWidth(plot, (width) => draw(Object.assign(chart, { width })));
  store.watch(["source"], () => (chart.ranges.clear(), brush(chart), draw(chart)));
  store.watch(["selected", "pointed", "brushed"], () => restyle(chart));
  store.watch(["brushed"], () => explain(chart, note));
  explain(chart, note);
  listen(chart);
}

function draw(chart) {
  const { study, root, width } = chart;
  if (width === 0) return;
  chart.axes = axesOf(chart);
  const members = new Set([...study.front, study.baseline].filter((row) => row !== null));
  const quiet = sampled(
    study.rows.filter(
      (row) =>
        study.states[row] === 0 &&
        !members.has(row) &&
        chart.axes.every((axis) => inView(axis, row)),
    ),
  );
  const front = study.front.filter((row) => chart.axes.every((axis) => known(axis, row)));
  root.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  fill(
    root,
    svg("path", { class: "lines quiet", d: quiet.map((row) => lineOf(chart.axes, row)).join("") }),
    svg(
      "g",
      { class: front.length > MANY ? "many" : null },
      ...front.map((row) =>
        svg("path", { class: "front-curve", d: lineOf(chart.axes, row), "data-row": row }),
      ),
    ),
    study.baseline !== null && chart.axes.every((axis) => known(axis, study.baseline))
      ? svg("path", { class: "baseline-curve", d: lineOf(chart.axes, study.baseline) })
      : null,
    svg("g", { class: "marks" }),
    ...chart.axes.map((axis, index) => axisOf(chart, axis, index)),
  );
  restyle(chart);
}

// Every so-maniest, in the order of the search: the same at each drawing.
function sampled(rows) {
  const stride = Math.ceil(rows.length / MAX_QUIET);
  return rows.filter((_, index) => index % stride === 0);
}

function axesOf({ study, store, width }) {
  const columns = study.objectives
    .map((o) => columnOf(study, store.source, o.name))
    .filter(Boolean);
  const gap = (width - 2 * MARGIN.side) / Math.max(1, columns.length - 1);
  return columns.map((column, index) => {
    const important = study.front.concat(study.baseline ?? []).map((row) => column.values[row]);
    const others = study.rows
      .filter((row) => study.states[row] === 0)
      .map((row) => column.values[row]);
    const [low, high] = visibleRange(important, others, false, false);
    const [from, to] =
      column.direction > 0
        ? [MARGIN.top, HEIGHT - MARGIN.bottom]
        : [HEIGHT - MARGIN.bottom, MARGIN.top];
    return {
      column,
      x: MARGIN.side + index * gap,
      scale: makeScale({ low, high, from, to }),
      room: gap,
    };
  });
}

function known({ column }, row) {
  return column.values[row] !== null;
}

function inView({ column, scale }, row) {
  const value = column.values[row];
  return value !== null && value >= scale.low && value <= scale.high;
}

function lineOf(axes, row) {
  return axes
    .map(
      ({ column, scale, x }, index) =>
        `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${scale(column.values[row]).toFixed(1)}`,
    )
    .join("");
}

function axisOf(chart, axis, index) {
  const { column, scale, x, room } = axis;
  const values = ticks(scale.low, scale.high, 4);
  const labels = tickLabels(values, column.unit);
  const last = index === chart.axes.length - 1;
  const side = last ? { x: x + 7 } : { x: x - 7, "text-anchor": "end" };
  const raised = room < 110 && index % 2 === 1 ? 18 : 0; // names of narrow axes take turns in height
  const anchor = index === 0 ? "start" : last ? "end" : "middle";
  const nameAt = index === 0 ? 2 : last ? chart.width - 2 : x;
  const name = svg(
    "text",
    { class: "axis-name", x: nameAt, y: 32 - raised, "text-anchor": anchor },
    shortened(
      column.name,
      Math.max(10, Math.floor((room < 110 ? 2 * room : room) / NAME_ROOM)),
    ),
  );
  name.append(svg("title", {}, column.name));
  const arrow = svg(
    "text",
    { class: "better", x, y: 47, "text-anchor": "middle" },
    index === 0 ? "\u2191 better" : "\u2191",
  );
  const range = chart.ranges.get(column.name);
  return svg(
    "g",
    { class: "axis", "data-axis": index },
    svg("line", { class: "upright", x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
    ...values.map((value, i) => svg("text", { ...side, y: scale(value) + 4 }, labels[i])),
    name,
    arrow,
    range
      ? svg("rect", {
          class: "brush",
          x: x - 6,
          width: 12,
          y: Math.min(...range),
          height: Math.abs(range[1] - range[0]),
        })
      : null,
    svg("rect", {
      class: "grip",
      x: x - GRIP / 2,
      y: MARGIN.top,
      width: GRIP,
      height: HEIGHT - MARGIN.top - MARGIN.bottom,
    }),
  );
}

function restyle({ root, study, store, axes }) {
  for (const curve of root.querySelectorAll(".front-curve")) {
    const row = Number(curve.dataset.row);
    curve.classList.toggle("faded", store.brushed !== null && !store.brushed.has(row));
  }
  const marks = root.querySelector(".marks");
  if (!marks) return;
  const drawn = (row, look) =>
    row !== null && axes.every((axis) => known(axis, row))
      ? svg("path", { class: look, d: lineOf(axes, row) })
      : null;
  fill(
    marks,
    drawn(store.selected, "selected-curve"),
    study.onFront.has(store.pointed) ? drawn(store.pointed, "pointed-curve") : null,
  );
}

// Dragging along an axis keeps the lines within; a click without dragging lets go.
function listen(chart) {
  const { root, store, tooltip } = chart;
  let held = null;
  on(root, "pointerdown", (event) => {
    const group = event.target.closest?.(".grip")?.parentNode;
    if (!group) return;
    held = { axis: chart.axes[Number(group.dataset.axis)], from: local(chart, event).y };
    root.setPointerCapture(event.pointerId);
  });
  on(root, "pointermove", (event) => (held ? drag(chart, held, event) : point(chart, event)));
  on(root, "pointerup", () => (held = null));
  on(root, "pointerleave", () => (store.set({ pointed: null }), tooltip.hide()));
  on(root, "click", (event) => {
    const row = event.target.closest?.(".grip") ? null : nearestLine(chart, event);
    if (row !== null) store.set({ selected: row });
  });
}

function drag(chart, held, event) {
  const clamped = Math.max(MARGIN.top, Math.min(HEIGHT - MARGIN.bottom, local(chart, event).y));
  if (Math.abs(clamped - held.from) < 4) chart.ranges.delete(held.axis.column.name);
  else
    chart.ranges.set(held.axis.column.name, [
      Math.min(held.from, clamped),
      Math.max(held.from, clamped),
    ]);
  brush(chart);
  draw(chart);
}

function brush({ study, store, ranges, axes }) {
  if (ranges.size === 0) return store.set({ brushed: null });
  const kept = study.front.filter((row) =>
    axes.every(({ column, scale }) => {
      const range = ranges.get(column.name);
      if (!range) return true;
      const y = column.values[row] === null ? NaN : scale(column.values[row]);
      return y >= range[0] && y <= range[1];
    }),
  );
  return store.set({ brushed: new Set(kept) });
}

function explain(chart, note) {
  const { study, store } = chart;
  const many =
    study.states.filter((state) => state === 0).length > MAX_QUIET
      ? " Of the other models, only a sample is drawn."
      : "";
  if (store.brushed === null)
    return fill(note, `Drag along an axis to keep a part of the front.${many}`);
  const clear = on(
    html("button", { type: "button", class: "toggle" }, "Keep all"),
    "click",
    () => (chart.ranges.clear(), brush(chart), draw(chart)),
  );
  return fill(note, `${store.brushed.size} of ${study.front.length} models kept. `, clear);
}

function point(chart, event) {
  const { study, store, tooltip, axes } = chart;
  const row = nearestLine(chart, event);
  store.set({ pointed: row });
  if (row === null) return tooltip.hide();
  const lines = axes.map(({ column }) => [
    shortened(column.name, 30),
    quantity(column.values[row], column.unit),
  ]);
  return tooltip.show(event.clientX, event.clientY, {
    title: [nameOf(study, row), ...rolesOf(study, row)].join(", "),
    lines,
  });
}

// The front's line that passes nearest below or above the pointer.
function nearestLine(chart, event) {
  const { study, axes } = chart;
  const { x, y } = local(chart, event);
  const right = axes.findIndex((axis) => axis.x >= x);
  if (right < 1) return null;
  const [a, b] = [axes[right - 1], axes[right]];
  const part = (x - a.x) / (b.x - a.x);
  let best = null;
  let least = REACH;
  for (const row of study.front) {
    if (!known(a, row) || !known(b, row)) continue;
    const at = (1 - part) * a.scale(a.column.values[row]) + part * b.scale(b.column.values[row]);
    if (Math.abs(at - y) < least) [best, least] = [row, Math.abs(at - y)];
  }
  return best;
}

function local({ root, width }, event) {
  const box = root.getBoundingClientRect();
  const zoom = width / box.width;
  return { x: (event.clientX - box.left) * zoom, y: (event.clientY - box.top) * zoom };
}
