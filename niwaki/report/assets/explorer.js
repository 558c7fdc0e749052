// The front's controls, its legend and its notes.

import { fill, html, keepFocus, select, svg, toggle } from "./dom.js";
import { count, quantity } from "./format.js";
import { mountFrontTable } from "./fronttable.js";
import { mountScatter } from "./scatter.js";
import { columnOf, FAILED, FEASIBLE, INFEASIBLE, OUTSIDE } from "./study.js";

const LOG_RATIO = 12;
const MAX_BESIDE = 3; // more objectives make a table too wide to stand beside the plot

/** Build the section that shows the front. */
export function mountExplorer(host, study, store, tooltip) {
  const controls = html("div", { class: "controls" });
  const plot = html("div", { class: "plot" });
  const legend = html("div", { class: "legend" });
  const note = html("p", { class: "note" });
  const table = html("div", { class: "table-beside" });
  const chart = html("div", { class: "chart-side" }, plot, legend, note);
  fill(
    host,
    controls,
    html(
      "div",
      { class: study.objectives.length > MAX_BESIDE ? "stacked" : "beside" },
      chart,
      table,
    ),
  );
  const redraw = () => keepFocus(controls, () => fill(controls, ...controlsOf(study, store)));
  const fields = ["source", "x", "y", "colour", "xLog", "yLog", "everything"];
  store.watch(fields, redraw);
  store.watch(["shown"], () => {
    fill(legend, ...legendOf(study, store));
    fill(note, ...noteOf(study, store));
  });
  redraw();
  mountScatter(plot, study, store, tooltip);
  mountFrontTable(table, study, store);
}

/** Whether a value spans so much that a linear axis would press most of it into a corner. */
export function needsLog(study, source, name) {
  const values = columnOf(study, source, name)?.values ?? [];
  const shown = [...study.front, study.baseline]
    .filter((row) => row !== null)
    .map((row) => values[row])
    .filter((v) => v !== null && v !== undefined);
  const possible = shown.length > 1 && values.every((value) => value === null || value > 0);
  return possible && name !== "evaluation" && Math.max(...shown) / Math.min(...shown) >= LOG_RATIO;
}

/** The values to show first: a cost across, a merit upwards, if there are such objectives. */
export function firstAxes(study) {
  const names = (direction) =>
    study.objectives.filter((o) => o.direction === direction).map((o) => o.name);
  const [costs, merits] = [names("minimize"), names("maximize")];
  if (study.objectives.length === 1) return { x: "evaluation", y: study.objectives[0].name };
  if (costs.length > 0 && merits.length > 0) return { x: costs[0], y: merits[0] };
  return { x: study.objectives[0].name, y: study.objectives[1].name };
}

function controlsOf(study, store) {
  const columns = study.sources[store.source].columns.filter((column) =>
    column.values.some((value) => value !== null),
  );
  const options = groups(columns);
  return [
    select("Across", options, store.x, (x) =>
      store.set({ x, xLog: needsLog(study, store.source, x) }),
    ),
    logToggle(study, store, "x"),
    select("Up", options, store.y, (y) => store.set({ y, yLog: needsLog(study, store.source, y) })),
    logToggle(study, store, "y"),
    select("Colour", [["", "none"], ...options], store.colour, (colour) => store.set({ colour })),
    ...sourceControl(study, store),
  ];
}

function groups(columns) {
  const pairs = (some) => some.map((column) => [column.name, column.name]);
  const objectives = columns.filter((column) => column.direction !== 0);
  const others = columns.filter((column) => column.direction === 0);
  return [
    { label: "Objectives", options: pairs(objectives) },
    { label: "Other values", options: pairs(others) },
  ].filter((group) => group.options.length > 0);
}

function logToggle(study, store, axis) {
  const values = columnOf(study, store.source, store[axis])?.values ?? [];
  const possible =
    values.some((value) => value !== null) && values.every((value) => value === null || value > 0);
  const flip = (pressed) => store.set({ [`${axis}Log`]: pressed });
  return toggle("log", store[`${axis}Log`], flip, {
    disabled: !possible,
    "aria-label": `Logarithmic ${store[axis]}`,
  });
}

function sourceControl(study, store) {
  if (!study.sources.exported) return [];
  const options = Object.entries(study.sources).map(([id, source]) => [id, source.label]);
  return [
    select("Values of", options, store.source, (source) =>
      store.set(withSource(study, store, source)),
    ),
  ];
}

// The other source may lack a value that is shown: then start over with the first axes.
function withSource(study, store, source) {
  const has = (name) => name === "" || columnOf(study, source, name) !== null;
  const axes =
    has(store.x) && has(store.y) ? {} : { ...firstAxes(study), xLog: false, yLog: false };
  if (axes.x === "evaluation" && !has("evaluation")) axes.x = axes.y;
  return { source, ...axes, ...(has(store.colour) ? {} : { colour: "" }) };
}

function legendOf(study, store) {
  const { states, spare, baseline } = store.shown;
  const entries = [
    study.front.length > 0 &&
      key("front", svg("circle", { class: "front-point plain", cx: 8, cy: 8, r: 5 })),
    spare &&
      key("front of the search, not exported", svg("path", { class: "dots spare", d: "M8 8h0" })),
    states.has(FEASIBLE) && key("dominated", svg("path", { class: "dots quiet", d: "M8 8h0" })),
    states.has(OUTSIDE) &&
      key(
        "outside a limit",
        svg("path", { class: "rings quiet", d: "M5.5 8a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0" }),
      ),
    states.has(INFEASIBLE) &&
      key("turned away", svg("path", { class: "crosses quiet", d: "M5.5 5.5l5 5m0-5l-5 5" })),
    states.has(FAILED) &&
      key("failed", svg("path", { class: "crosses failed", d: "M5.5 5.5l5 5m0-5l-5 5" })),
    baseline && key("baseline", svg("path", { class: "baseline-mark", d: "M8 2l6 6l-6 6l-6-6z" })),
  ];
  return [...entries.filter(Boolean), ...rampKey(study, store)];
}

function key(text, shape) {
  return html(
    "span",
    { class: "key" },
    svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, shape),
    text,
  );
}

function rampKey(study, store) {
  const column = store.colour === "" ? null : columnOf(study, store.source, store.colour);
  const values = column?.values.filter((value) => value !== null).sort((a, b) => a - b) ?? [];
  if (values.length === 0) return [];
  const steps = Array.from({ length: 6 }, (_, step) => html("i", { class: `ramp-back-${step}` }));
  const ends = [quantity(values[0], column.unit), quantity(values[values.length - 1], column.unit)];
  return [
    html(
      "span",
      { class: "key ramp-key" },
      `${column.name}: ${ends[0]}`,
      html("span", { class: "ramp" }, ...steps),
      ends[1],
    ),
  ];
}

function noteOf(study, store) {
  const { outOfView, withoutValues, farLimits } = store.shown;
  const models = (n) => `${count(n)} ${n === 1 ? "model" : "models"}`;
  const parts = [];
  if (withoutValues > 0) parts.push(`${models(withoutValues)} without these values. `);
  if (outOfView > 0) parts.push(`${models(outOfView)} far outside the view. `);
  for (const { name, sign, limit } of farLimits) {
    const unit = columnOf(study, store.source, name)?.unit ?? "";
    parts.push(
      `The limit ${name} ${sign > 0 ? "\u2264" : "\u2265"} ${quantity(limit, unit)} lies outside the view. `,
    );
  }
  if (outOfView > 0 || store.everything) {
    parts.push(
      toggle("Show everything", store.everything, (everything) => store.set({ everything })),
    );
  }
  return parts;
}
