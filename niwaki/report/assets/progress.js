// How the search went: hypervolume, and what became of the trials.

import { xAxis, yAxis } from "./axes.js";
import { fill, html, on, onWidth, select, svg } from "./dom.js";
import { duration, significant } from "./format.js";
import { makeScale } from "./scales.js";
import { FAILED, STATES } from "./study.js";

const HEIGHT = 230;
const MARGIN = { top: 30, right: 14, bottom: 48, left: 58 };
const MAX_BINS = 50;

/** Build the two charts of progress. */
export function mountProgress(host, study, tooltip) {
  const n = study.n_told;
  if (n === 0) return fill(host, html("p", { class: "note" }, "Nothing was evaluated with full effort so far."));
  const look = { by: "trials" };
  const [left, right] = [html("div", { class: "plot" }), html("div", { class: "plot" })];
  const draw = () => (drawHypervolume(left, study, look, tooltip), drawStates(right, study, look));
  const control =
    study.toldAt.length > 0
      ? select(
          "By",
          [
            ["trials", "trials"],
            ["time", "time"],
          ],
          look.by,
          (by) => ((look.by = by), draw()),
        )
      : null;
  const charts = study.hypervolume.length > 0 ? [left, right] : [right];
  fill(
    host,
    html("div", { class: "controls" }, control),
    html("div", { class: "beside even" }, ...charts),
    legend(study),
  );
  return onWidth(right, draw);
}

function across(study, look) {
  if (look.by === "trials")
    return {
      name: "trials",
      unit: "",
      direction: 0,
      whole: true,
      at: (i) => i + 1,
      end: study.n_told,
    };
  const end = study.toldAt[study.n_told - 1];
  const [unit, factor] = end < 300 ? ["s", 1] : end < 3 * 3600 ? ["min", 60] : ["h", 3600];
  return {
    name: "time",
    unit,
    direction: 0,
    at: (i) => study.toldAt[i] / factor,
    end: end / factor,
  };
}

function frameOf(host) {
  const width = Math.max(240, host.clientWidth);
  return {
    width,
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: HEIGHT - MARGIN.bottom,
  };
}

function drawHypervolume(host, study, look, tooltip) {
  if (study.hypervolume.length === 0) return;
  const frame = frameOf(host);
  const x = across(study, look);
  const known = study.hypervolume.map((value) => value ?? 0);
  const column = { name: "hypervolume", unit: "", direction: -1 };
  const xScale = makeScale({ low: 0, high: x.end || 1, from: frame.left, to: frame.right });
  const yScale = makeScale({
    low: 0,
    high: highest(known) * 1.06 || 1,
    from: frame.bottom,
    to: frame.top,
  });
  const d = known
    .map((value, i) =>
      i === 0
        ? `M${frame.left} ${frame.bottom}H${xScale(x.at(0)).toFixed(1)}V${yScale(value).toFixed(1)}`
        : changed(known, i)
          ? `H${xScale(x.at(i)).toFixed(1)}V${yScale(value).toFixed(1)}`
          : "",
    )
    .join("");
  const curve = `${d}H${frame.right}`;
  const area = svg("path", { class: "area", d: `${curve}V${frame.bottom}Z` });
  const final = known[known.length - 1];
  const label = svg(
    "text",
    { class: "point-name", x: frame.right, y: yScale(final) - 8, "text-anchor": "end" },
    significant(final, 4),
  );
  const cursor = svg("path", { class: "crosshair" });
  const root = chart(
    frame,
    `Hypervolume after each of ${known.length} trials, ${significant(final, 4)} at the end`,
    [
      xAxis(xScale, x, frame),
      yAxis(yScale, column, frame),
      area,
      svg("path", { class: "front-line", d: curve }),
      label,
      cursor,
    ],
  );
  on(root, "pointermove", (event) =>
    pointAt(root, frame, event, { study, x, xScale, known, cursor, tooltip }),
  );
  on(root, "pointerleave", () => (cursor.removeAttribute("d"), tooltip.hide()));
  fill(host, root);
}

function pointAt(root, frame, event, { study, x, xScale, known, cursor, tooltip }) {
  const box = root.getBoundingClientRect();
  const wanted = xScale.invert(((event.clientX - box.left) * frame.width) / box.width);
  let index = 0;
  while (index < known.length - 1 && x.at(index + 1) <= wanted) index++;
  cursor.setAttribute("d", `M${xScale(x.at(index))} ${frame.top}V${frame.bottom}`);
  const lines = [["hypervolume", significant(known[index], 4)]];
  if (study.toldAt.length > 0) lines.push(["after", duration(study.toldAt[index])]);
  tooltip.show(event.clientX, event.clientY, { title: `${index + 1} trials`, lines });
}

// Stacked bars: what became of the trials of each stretch of the search.
function drawStates(host, study, look) {
  const frame = frameOf(host);
  const x = across(study, look);
  const size = Math.ceil(study.n_told / MAX_BINS);
  const n_bins = Math.ceil(study.n_told / size);
  const bins = Array.from({ length: n_bins }, () => STATES.map(() => 0));
  for (let i = 0; i < study.n_told; i++) {
    const bin =
      look.by === "trials"
        ? Math.floor(i / size)
        : Math.floor((x.at(i) / (x.end || 1)) * n_bins);
    bins[Math.min(n_bins - 1, bin)][study.states[i]] += 1;
  }
  const most = highest(bins.map((bin) => bin.reduce((a, b) => a + b, 0)));
  const xScale = makeScale({ low: 0, high: x.end || 1, from: frame.left, to: frame.right });
  const yScale = makeScale({ low: 0, high: most * 1.06 || 1, from: frame.bottom, to: frame.top });
  // The last bar of a row by trials may hold fewer, and is as much narrower.
  const wide =
    (frame.right - frame.left) * (look.by === "trials" ? size / study.n_told : 1 / n_bins);
  const bars = bins.flatMap((bin, i) =>
    stackOf(
      bin,
      frame.left + i * wide,
      Math.min(wide, frame.right - frame.left - i * wide),
      yScale,
    ),
  );
  const per =
    look.by === "trials"
      ? size === 1
        ? "one by one"
        : `${size} to a bar`
      : "when they were told";
  fill(
    host,
    chart(frame, "What became of the trials", [
      xAxis(xScale, x, frame),
      yAxis(yScale, { name: `trials, ${per}`, unit: "", direction: 0, whole: true }, frame),
      ...bars,
    ]),
  );
}

function stackOf(bin, x, wide, yScale) {
  let below = 0;
  return bin.flatMap((n, state) => {
    if (n === 0) return [];
    const box = {
      x: x + 0.5,
      width: Math.max(0.5, wide - 1),
      y: yScale(below + n),
      height: yScale(below) - yScale(below + n),
    };
    below += n;
    return [
      svg("rect", { class: `state-${state}`, ...box }, svg("title", {}, `${n} ${STATES[state]}`)),
    ];
  });
}

function legend(study) {
  const present = STATES.map((name, state) => [name, state]).filter(([, state]) =>
    study.states.slice(0, study.n_told).includes(state),
  );
  return html(
    "div",
    { class: "legend" },
    ...present.map(([name, state]) =>
      html(
        "span",
        { class: `key ${state === FAILED ? "failed-key" : ""}` },
        html("i", { class: `swatch state-back-${state}` }),
        name,
      ),
    ),
  );
}

function chart({ width }, label, children) {
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label },
    ...children,
  );
}

function changed(values, i) {
  return values[i] !== values[i - 1];
}

function highest(values) {
  return values.reduce((a, b) => Math.max(a, b), 0);
}
