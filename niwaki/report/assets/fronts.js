// The fronts of all runs, by any two of the objectives.

import { xAxis, yAxis } from "./axes.js";
import { fill, html, keepFocus, on, onWidth, select, svg, toggle } from "./dom.js";
import { quantity, shortened } from "./format.js";
import { makeScale, visibleRange } from "./scales.js";
import { visible } from "./series.js";
import { stairs, unbeaten } from "./stairs.js";

const REACH = 18; // pixels around a point within which the pointer finds it
const LOG_RATIO = 12;
const MARGIN = { top: 30, right: 18, bottom: 50, left: 62 };

/** Build the plot of all fronts with its controls. */
export function mountFronts(host, runs, store, tooltip) {
  const controls = html("div", { class: "controls" });
  const plot = html("div", { class: "plot" });
  const legend = html("div", { class: "legend" }, joinedKey());
  fill(host, controls, plot, legend, html("p", { class: "note" }, told(runs)));
  const root = svg("svg", {
    class: "scatter",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "scatter plot",
  });
  plot.append(root);
  const chart = { runs, store, tooltip, root, points: [], width: 0, at: null };
  store.set(firstAxes(runs));
  const redraw = () => {
    keepFocus(controls, () => fill(controls, ...controlsOf(runs, store)));
    draw(chart);
  };
  store.watch(["x", "y", "xLog", "yLog"], redraw);
  store.watch(["hidden"], () => draw(chart));
  fill(controls, ...controlsOf(runs, store));
  onWidth(plot, (width) => draw(Object.assign(chart, { width })));
  listen(chart);
}

function told(runs) {
  const projected =
    runs.objectives.length > 2
      ? " Lines join what nothing else of the run beats in the two objectives shown."
      : "";
  return `Each run's front, and the front of all of them together.${projected}`;
}

// A cost across, a merit upwards, if there are such objectives.
function firstAxes(runs) {
  const find = (direction) => runs.objectives.findIndex((o) => o.direction === direction);
  const [cost, merit] = [find(1), find(-1)];
  const [x, y] = cost >= 0 && merit >= 0 ? [cost, merit] : [0, 1];
  return { x, y, xLog: needsLog(runs, x), yLog: needsLog(runs, y) };
}

function valuesOf(runs, column) {
  return runs.series.flatMap(({ fronts }) => fronts.flatMap((front) => front.values[column]));
}

function isPositive(runs, column) {
  const values = valuesOf(runs, column);
  return values.length > 0 && values.every((value) => value > 0);
}

// A cost that spans so much that a linear axis would press most of it into a corner.
function needsLog(runs, column) {
  if (runs.objectives[column].direction < 0 || !isPositive(runs, column)) return false;
  const values = valuesOf(runs, column);
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  return values.some((value) => value / low >= LOG_RATIO);
}

function controlsOf(runs, store) {
  const options = runs.objectives.map((o, column) => [String(column), o.name]);
  const choose = (axis) => (value) => {
    const column = Number(value);
    store.set({ [axis]: column, [`${axis}Log`]: needsLog(runs, column) });
  };
  const log = (axis) =>
    toggle("log", store[`${axis}Log`], (pressed) => store.set({ [`${axis}Log`]: pressed }), {
      disabled: !isPositive(runs, store[axis]),
      "aria-label": `Logarithmic ${runs.objectives[store[axis]].name}`,
    });
  return [
    select("Across", options, String(store.x), choose("x")),
    log("x"),
    select("Up", options, String(store.y), choose("y")),
    log("y"),
  ];
}

function draw(chart) {
  const { runs, store, root, width } = chart;
  if (width === 0) return;
  leave(chart);
  const height = Math.round(Math.max(300, Math.min(520, width * 0.56)));
  const frame = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: height - MARGIN.bottom,
  };
  const shown = visible(runs, store);
  const [x, y] = [runs.objectives[store.x], runs.objectives[store.y]];
  const scale = (column, from, to, log) => {
    const own = shown.flatMap(({ fronts }) => fronts.flatMap((front) => front.values[column]));
    const [low, high] = visibleRange(own, [], log, true);
    return makeScale({ low, high, from, to, log });
  };
  const xScale = scale(store.x, frame.left, frame.right, store.xLog);
  const yScale = scale(store.y, frame.bottom, frame.top, store.yLog);
  const placed = (values) =>
    (values[store.x] ?? []).map((value, i) => ({
      i,
      x: xScale(value),
      y: yScale(values[store.y][i]),
      costs: [x.direction * value, y.direction * values[store.y][i]],
    }));
  const lines = shown.flatMap((series) =>
    series.fronts.map((front) => ({ series, front, points: placed(front.values) })),
  );
  const joined = store.hidden.size === 0 ? unbeaten(placed(runs.joined), (p) => p.costs) : [];
  chart.lines = lines.filter(({ points }) => points.length > 0);
  chart.marks = svg("g", {});
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  root.setAttribute("aria-label", description(chart, x, y));
  fill(
    root,
    xAxis(xScale, x, frame),
    yAxis(yScale, y, frame),
    joined.length > 1 && svg("path", { class: "joined-line", d: stairs(joined) }),
    ...chart.lines.map(drawLine),
    chart.marks,
  );
}

function drawLine({ series: { mark, fronts }, points }) {
  const corners = unbeaten(points, (p) => p.costs);
  return svg(
    "g",
    { class: `${mark.look} ${fronts.length > 1 ? "one-of-many" : ""}` },
    corners.length > 1 &&
      svg("path", { class: "series-line", d: stairs(corners), "stroke-dasharray": mark.dashes }),
    svg("path", {
      class: "series-point",
      d: points.map(({ x, y }) => mark.shape(round(x), round(y), fronts.length > 1 ? 3.2 : 4.5)).join(""),
    }),
  );
}

const round = (value) => Math.round(10 * value) / 10;

function joinedKey() {
  return html(
    "span",
    { class: "key" },
    svg(
      "svg",
      { viewBox: "0 0 24 16", width: 24, height: 16, "aria-hidden": "true" },
      svg("path", { class: "joined-line", d: "M1 8H23" }),
    ),
    "front of all runs together",
  );
}

function listen(chart) {
  const { root } = chart;
  on(root, "pointermove", (event) => {
    const near = nearest(chart, event);
    if (near) point(chart, near, false);
    else leave(chart);
  });
  on(root, "pointerleave", () => leave(chart));
  on(root, "blur", () => leave(chart));
  on(root, "keydown", (event) => step(chart, event));
}

function leave(chart) {
  chart.at = null;
  if (chart.marks) fill(chart.marks);
  chart.tooltip.hide();
}

function nearest({ root, lines, width }, event) {
  const box = root.getBoundingClientRect();
  const zoom = width / box.width;
  const [x, y] = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
  let [best, least] = [null, REACH];
  lines.forEach(({ points }, line) =>
    points.forEach((p, index) => {
      const distance = Math.hypot(p.x - x, p.y - y);
      if (distance < least) [best, least] = [{ line, index }, distance];
    }),
  );
  return best;
}

// Left and right walk along a front, up and down go from one run's to the next.
function step(chart, event) {
  if (event.key === "Escape") leave(chart);
  const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
  const across = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
  if ((!along && !across) || chart.lines.length === 0) return;
  event.preventDefault();
  const n = chart.lines.length;
  const line = chart.at === null ? 0 : (chart.at.line + across + n) % n;
  const order = inOrder(chart.lines[line].points);
  const before = chart.at === null ? -1 : across ? 0 : order.indexOf(chart.at.index) + along;
  const position = chart.at === null ? 0 : (before + order.length) % order.length;
  point(chart, { line, index: order[position] }, true);
}

function inOrder(points) {
  return points.map((_, index) => index).sort((a, b) => points[a].x - points[b].x);
}

function point(chart, at, speak) {
  const { runs, root, tooltip, width, lines, marks } = chart;
  chart.at = at;
  const { series, front, points } = lines[at.line];
  const { x, y, i } = points[at.index];
  fill(marks, svg("circle", { class: "selected-mark", cx: x, cy: y, r: 8 }));
  const box = root.getBoundingClientRect();
  const zoom = box.width / width;
  const number = front.numbers[i];
  const values = runs.objectives.map((o, column) => [
    shortened(o.name, 30),
    quantity(front.values[column][i], o.unit),
  ]);
  tooltip.show(box.left + x * zoom, box.top + y * zoom, {
    title: `${front.run}, ${number < 0 ? "baseline" : `#${number}`}`,
    lines: front.run === series.name ? values : [["of", shortened(series.name, 30)], ...values],
    speak,
  });
}

function description({ lines }, x, y) {
  return `Fronts of ${lines.length} runs by ${x.name} and ${y.name}. Left and right walk along a front, up and down go to another run.`;
}
