// The front: any two values against each other.

import { xAxis, yAxis } from "./axes.js";
import { fill, on, onWidth, svg } from "./dom.js";
import { quantity, shortened } from "./format.js";
import { labels } from "./labels.js";
import { limits, within } from "./limits.js";
import { makeScale, visibleRange } from "./scales.js";
import { stairs, unbeaten } from "./stairs.js";
import { columnOf, FAILED, FEASIBLE, INFEASIBLE, nameOf, OUTSIDE, rolesOf } from "./study.js";

const REACH = 18; // pixels around a point within which the pointer finds it
const RAMP_STEPS = 6;
const MARGIN = { top: 30, right: 18, bottom: 50, left: 62 };

/** Draw the scatter plot into `host`, and redraw it when what it shows changes. */
export function mountScatter(host, study, store, tooltip) {
  const chart = { host, study, store, tooltip, points: [], width: 0 };
  const root = svg("svg", {
    class: "scatter",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "scatter plot",
  });
  chart.root = root;
  host.append(root);
  onWidth(host, (width) => draw(Object.assign(chart, { width })));
  store.watch(["source", "x", "y", "colour", "xLog", "yLog", "everything"], () => draw(chart));
  store.watch(["selected", "pointed", "brushed"], () => drawMarks(chart));
  listen(chart);
}

function draw(chart) {
  const { study, store, root, width } = chart;
  const x = columnOf(study, store.source, store.x);
  const y = columnOf(study, store.source, store.y);
  if (!x || !y || width === 0) return;
  leave(chart); // what was pointed at has moved
  const height = Math.round(Math.max(300, Math.min(460, width * 0.72)));
  const frame = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: height - MARGIN.bottom,
  };
  Object.assign(chart, { x, y, height, frame, ...scales(chart, x, y, frame) });
  chart.points = visiblePoints(chart);
  const front = chart.points.filter((p) => study.onFront.has(p.row));
  const marks = svg("g", { class: "marks" });
  chart.marks = marks;
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  root.setAttribute("aria-label", description(chart));
  root.dataset.points = chart.points.length;
  fill(
    root,
    xAxis(chart.xScale, x, frame),
    yAxis(chart.yScale, y, frame),
    ...limits(chart),
    ...quietPoints(chart),
    staircase(chart),
    svg("g", { class: "front-points" }, ...frontPoints(chart, front)),
    baselineMark(chart),
    marks,
    svg("g", { class: "labels" }, ...labels(chart)),
  );
  drawMarks(chart);
  store.set({ shown: account(chart) });
}

function scales(chart, x, y, frame) {
  const { study, store } = chart;
  const notable = new Set(
    [...study.front, ...study.chosen, study.baseline, study.knee].filter((row) => row !== null),
  );
  const range = (column, log) => {
    const drawable = study.rows.filter((row) => x.values[row] !== null && y.values[row] !== null);
    const others = drawable.filter((row) => !notable.has(row)).map((row) => column.values[row]);
    const important = drawable.filter((row) => notable.has(row)).map((row) => column.values[row]);
    return visibleRange(important, others, log, store.everything);
  };
  const [xLow, xHigh] = range(x, store.xLog);
  const [yLow, yHigh] = range(y, store.yLog);
  return {
    xScale: makeScale({
      low: xLow,
      high: xHigh,
      from: frame.left,
      to: frame.right,
      log: store.xLog,
    }),
    yScale: makeScale({
      low: yLow,
      high: yHigh,
      from: frame.bottom,
      to: frame.top,
      log: store.yLog,
    }),
  };
}

function visiblePoints({ study, x, y, xScale, yScale }) {
  const inside = (value, scale) => value !== null && value >= scale.low && value <= scale.high;
  return study.rows
    .filter((row) => inside(x.values[row], xScale) && inside(y.values[row], yScale))
    .map((row) => ({ row, x: xScale(x.values[row]), y: yScale(y.values[row]) }));
}

// What is in view, and what has no place here.
function account({ study, store, x, y, xScale, yScale, points }) {
  const placed = study.rows.filter(
    (row) => x.values[row] !== null && y.values[row] !== null,
  ).length;
  const scales = new Map([
    [x.name, xScale],
    [y.name, yScale],
  ]);
  return {
    states: new Set(
      points
        .filter((p) => isOrdinary(study, p.row))
        .map((p) => study.states[p.row]),
    ),
    spare: points.some((p) => isSpare(study, p.row)),
    baseline: points.some((p) => p.row === study.baseline),
    outOfView: placed - points.length,
    withoutValues: study.rows.length - placed,
    farLimits: study.sources[store.source].bounds.filter(
      ({ name, limit }) => scales.has(name) && !within(scales.get(name), limit),
    ),
  };
}

const isOrdinary = (study, row) =>
  row !== study.baseline && !study.onFront.has(row) && !study.spare.has(row);

const isSpare = (study, row) => study.spare.has(row) && row !== study.baseline;

// Thousands of points that nobody looks at one by one are one path per look: light to draw.
function quietPoints(chart) {
  const { study, store, points } = chart;
  const ordinary = points.filter((p) => isOrdinary(study, p.row));
  const of = (state) => ordinary.filter((p) => study.states[p.row] === state);
  const spare = points.filter((p) => isSpare(study, p.row));
  const colour = store.colour === "" ? null : columnOf(study, store.source, store.colour);
  const measured = colour
    ? byStep([...of(FEASIBLE), ...spare], colour).map((some, step) =>
        path(some, dot, `dots ramp-stroke-${step}`),
      )
    : [path(of(FEASIBLE), dot, "dots quiet"), path(spare, dot, "dots spare")];
  return [
    path(of(INFEASIBLE), cross, "crosses quiet"),
    path(of(FAILED), cross, "crosses failed"),
    path(of(OUTSIDE), ring, "rings quiet"),
    ...measured,
  ];
}

function path(points, shape, look) {
  return points.length === 0 ? null : svg("path", { class: look, d: points.map(shape).join("") });
}

const dot = ({ x, y }) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
const ring = ({ x, y }) =>
  `M${(x - 2.5).toFixed(1)} ${y.toFixed(1)}a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0`;
const cross = ({ x, y }) => `M${(x - 2.5).toFixed(1)} ${(y - 2.5).toFixed(1)}l5 5m0-5l-5 5`;

function byStep(points, column) {
  const steps = Array.from({ length: RAMP_STEPS }, () => []);
  const step = rampStep(column);
  for (const point of points) steps[step(column.values[point.row])].push(point);
  return steps;
}

/** A function from a value of `column` to its step on the colour ramp, by rank: it sorts them all. */
export function rampStep(column) {
  const sorted = column.values.filter((value) => value !== null).sort((a, b) => a - b);
  const edges = Array.from(
    { length: RAMP_STEPS - 1 },
    (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / RAMP_STEPS)],
  );
  return (value) => (value === null ? 0 : edges.filter((edge) => value >= edge).length);
}

function frontPoints({ study, store }, points) {
  const colour = store.colour === "" ? null : columnOf(study, store.source, store.colour);
  const step = colour ? rampStep(colour) : null;
  const look = (row) => (step ? `ramp-fill-${step(colour.values[row])}` : "plain");
  return points.map(({ row, x, y }) =>
    svg("circle", {
      class: `front-point ${look(row)}`,
      cx: x.toFixed(1),
      cy: y.toFixed(1),
      r: 5,
      "data-row": row,
    }),
  );
}

// Steps join the front members that no other one beats in the two values shown.
function staircase({ study, x, y, points }) {
  if (x.name === "evaluation" && y.direction !== 0) return bestSoFar({ study, y, points });
  if (x.direction === 0 || y.direction === 0) return null;
  const members = points.filter((p) => study.onFront.has(p.row));
  const corners = unbeaten(members, (p) => [
    x.direction * x.values[p.row],
    y.direction * y.values[p.row],
  ]);
  if (corners.length < 2) return null;
  return svg("path", { class: "front-line", d: stairs(corners) });
}

// The best value until each evaluation.
function bestSoFar({ study, y, points }) {
  let best = Infinity;
  const better = (p) =>
    y.direction * y.values[p.row] < best && ((best = y.direction * y.values[p.row]), true);
  const steps = points
    .filter((p) => study.states[p.row] === FEASIBLE && study.numbers[p.row] !== null)
    .sort((a, b) => a.x - b.x)
    .filter(better);
  if (steps.length < 2) return null;
  return svg("path", { class: "front-line", d: stairs(steps) });
}

function baselineMark({ study, points }) {
  const point = points.find((p) => p.row === study.baseline);
  if (!point) return null;
  return svg("path", {
    class: "baseline-mark",
    d: `M${point.x} ${point.y - 6.5}l6.5 6.5l-6.5 6.5l-6.5-6.5z`,
  });
}

function drawMarks(chart) {
  const { store, points, marks, frame, root } = chart;
  if (!marks) return;
  const find = (row) => points.find((p) => p.row === row);
  const selected = find(store.selected);
  const pointed = find(store.pointed);
  fill(
    marks,
    selected &&
      svg("path", {
        class: "crosshair",
        d: `M${selected.x} ${frame.bottom}V${frame.top}M${frame.left} ${selected.y}H${frame.right}`,
      }),
    selected && svg("circle", { class: "selected-mark", cx: selected.x, cy: selected.y, r: 9 }),
    pointed && svg("circle", { class: "pointed-mark", cx: pointed.x, cy: pointed.y, r: 8 }),
  );
  for (const circle of root.querySelectorAll(".front-point")) {
    circle.classList.toggle(
      "faded",
      store.brushed !== null && !store.brushed.has(Number(circle.dataset.row)),
    );
  }
}

function listen(chart) {
  const { root, store, tooltip } = chart;
  on(root, "pointermove", (event) => {
    const near = nearest(chart, event);
    store.set({ pointed: near ? near.row : null });
    if (near) showTooltip(chart, near, false);
    else tooltip.hide();
  });
  on(root, "pointerleave", () => leave(chart));
  on(root, "blur", () => leave(chart));
  on(root, "click", (event) => {
    const near = nearest(chart, event);
    if (near) store.set({ selected: near.row });
  });
  on(root, "keydown", (event) => step(chart, event));
}

function leave({ store, tooltip }) {
  store.set({ pointed: null });
  tooltip.hide();
}

// The front is what people aim at: its points attract a little more.
function nearest({ root, study, points, width }, event) {
  const box = root.getBoundingClientRect();
  const zoom = width / box.width;
  const [x, y] = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
  let best = null;
  let least = REACH;
  for (const point of points) {
    const distance = Math.hypot(point.x - x, point.y - y) - (study.onFront.has(point.row) ? 5 : 0);
    if (distance < least) [best, least] = [point, distance];
  }
  return best;
}

// Arrow keys walk along the front, Enter selects.
function step(chart, event) {
  const { study, store, points } = chart;
  const members = points
    .filter((p) => study.onFront.has(p.row))
    .sort((a, b) => a.x - b.x || a.y - b.y);
  if (event.key === "Enter" && store.pointed !== null) store.set({ selected: store.pointed });
  if (event.key === "Escape") leave(chart);
  const move = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  if (!move || members.length === 0) return;
  event.preventDefault();
  const at = members.findIndex((p) => p.row === (store.pointed ?? store.selected));
  const next = members[at < 0 ? 0 : (at + move + members.length) % members.length];
  store.set({ pointed: next.row });
  showTooltip(chart, next, true);
}

function showTooltip({ root, study, store, tooltip, width, x, y }, point, speak) {
  const box = root.getBoundingClientRect();
  const zoom = box.width / width;
  const shown = [x, y, ...study.sources[store.source].columns.filter((c) => c.direction !== 0)];
  const lines = [...new Set(shown)].map((column) => [
    shortened(column.name, 30),
    quantity(column.values[point.row], column.unit),
  ]);
  const why = study.reasons[point.row];
  if (why) lines.push(["why", shortened(why, 90)]);
  const title = [nameOf(study, point.row), ...rolesOf(study, point.row)]
    .filter((word, i, all) => all.indexOf(word) === i)
    .join(", ");
  tooltip.show(box.left + point.x * zoom, box.top + point.y * zoom, { title, lines, speak });
}

function description({ study, x, y, points }) {
  return `${points.length} models by ${x.name} and ${y.name}, ${study.front.length} of them on the front. Arrow keys walk along the front, Enter selects.`;
}
