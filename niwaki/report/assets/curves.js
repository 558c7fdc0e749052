// How much of the joined front's hypervolume was had, along what was spent.

import { xAxis, yAxis } from "./axes.js";
import { fill, html, keepFocus, on, onWidth, svg, toggle } from "./dom.js";
import { duration, significant } from "./format.js";
import { makeScale } from "./scales.js";
import { visible } from "./series.js";

const HEIGHT = 360;
const MARGIN = { top: 30, right: 14, bottom: 48, left: 58 };
const NEAR = 0.7; // of what was had in the end: the part in which searches differ

/** Build the two charts, along evaluations and along seconds. */
export function mountCurves(host, runs, store, tooltip) {
  const look = { near: false, log: false };
  const hosts = ["evaluations", "seconds"].map((along) => [along, html("div", { class: "plot" })]);
  const controls = html("div", { class: "controls" });
  const draw = () => {
    const flip = (name) => (pressed) => ((look[name] = pressed), draw());
    keepFocus(controls, () =>
      fill(
        controls,
        toggle("Only the upper part", look.near, flip("near")),
        toggle("log", look.log, flip("log"), { "aria-label": "Logarithmic evaluations and time" }),
      ),
    );
    for (const [along, plot] of hosts) drawCurves(plot, along, { runs, store, look, tooltip });
  };
  fill(
    host,
    controls,
    html("div", { class: "beside even" }, ...hosts.map(([, plot]) => plot)),
    html("p", { class: "note" }, told(runs)),
  );
  store.watch(["hidden"], draw);
  onWidth(hosts[0][1], draw);
}

function told(runs) {
  const several = runs.series.some(({ fronts }) => fronts.length > 1);
  const bands = several
    ? " Lines are medians of runs with different seeds, bands go from the lower to the upper quartile. A run that has ended keeps what it had."
    : "";
  return `Hypervolume, as a share of that of the front of all runs together.${bands}`;
}

function unitOf(along, end) {
  if (along === "evaluations") return ["", 1];
  return end < 300 ? ["s", 1] : end < 3 * 3600 ? ["min", 60] : ["h", 3600];
}

function drawCurves(host, along, { runs, store, look, tooltip }) {
  const shown = visible(runs, store);
  const width = Math.max(240, host.clientWidth);
  const frame = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: HEIGHT - MARGIN.bottom,
  };
  const ends = shown.map(({ curves }) => curves[along].at[curves[along].at.length - 1]);
  const [unit, factor] = unitOf(along, highest(ends));
  const column = { name: along === "seconds" ? "time" : along, unit, direction: 0, whole: along === "evaluations" };
  const had = shown.map(({ curves: { [along]: curve } }) => curve.high[curve.high.length - 1] ?? 0);
  const places = shown.flatMap(({ curves }) => curves[along].at.filter((at) => at > 0));
  const log = look.log && places.length > 0;
  const xScale = makeScale({
    low: log ? places.reduce((a, b) => Math.min(a, b)) / factor / 1.2 : 0,
    high: highest(ends) / factor || 1,
    from: frame.left,
    to: frame.right,
    log,
  });
  const yScale = makeScale({
    low: look.near ? NEAR * highest(had) : 0,
    high: highest(had) * (look.near ? 1.01 : 1.015) || 1,
    from: frame.bottom,
    to: frame.top,
  });
  const place = (at) => xScale(Math.max(xScale.low, at / factor)).toFixed(1);
  const level = (share) => yScale(Math.max(yScale.low, share ?? 0)).toFixed(1);
  const cursor = svg("path", { class: "crosshair" });
  const root = svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": description(shown, along) },
    xAxis(xScale, column, frame),
    yAxis(yScale, { name: "share of the hypervolume", unit: "", direction: -1 }, frame),
    ...shown.map(({ mark, curves, fronts }) =>
      svg(
        "g",
        { class: mark.look },
        fronts.length > 1 && svg("path", { class: "series-band", d: band(curves[along], place, level) }),
        svg("path", {
          class: "series-line",
          d: line(curves[along].at, curves[along].median, place, level),
          "stroke-dasharray": mark.dashes,
        }),
      ),
    ),
    cursor,
  );
  on(root, "pointermove", (event) => {
    const box = root.getBoundingClientRect();
    const at = xScale.invert(((event.clientX - box.left) * width) / box.width) * factor;
    const inside = Math.max(0, Math.min(at, highest(ends)));
    cursor.setAttribute("d", `M${place(inside)} ${frame.top}V${frame.bottom}`);
    tooltip.show(event.clientX, event.clientY, {
      title: along === "seconds" ? duration(inside) : `${Math.floor(inside)} evaluations`,
      lines: shown.map((series) => [series.name, shareAt(series, along, inside)]),
    });
  });
  on(root, "pointerleave", () => (cursor.removeAttribute("d"), tooltip.hide()));
  fill(host, root);
}

// Steps: a value holds from its place to the next.
function line(at, values, place, level) {
  return at
    .map((x, i) => (i === 0 ? `M${place(x)} ${level(values[0])}` : `H${place(x)}V${level(values[i])}`))
    .join("");
}

function band({ at, low, high }, place, level) {
  const back = at
    .map((x, i) => (i === 0 ? "" : `L${place(x)} ${level(low[i])}L${place(x)} ${level(low[i - 1])}`))
    .reverse()
    .join("");
  const last = at.length - 1;
  return `${line(at, high, place, level)}L${place(at[last])} ${level(low[last])}${back}L${place(at[0])} ${level(low[0])}Z`;
}

function shareAt(series, along, place) {
  const { at, median, low, high } = series.curves[along];
  let index = -1;
  while (index < at.length - 1 && at[index + 1] <= place) index++;
  if (index < 0) return "0";
  const text = percent(median[index]);
  return series.fronts.length > 1 ? `${text} (${percent(low[index])} to ${percent(high[index])})` : text;
}

function percent(share) {
  return `${significant(100 * (share ?? 0), 3)}\u00a0%`;
}

function description(shown, along) {
  const ends = shown.map((series) => {
    const { at } = series.curves[along];
    return `${series.name} ${shareAt(series, along, at[at.length - 1])}`;
  });
  return `Share of the hypervolume along ${along}. In the end: ${ends.join(", ")}`;
}

function highest(values) {
  return values.reduce((a, b) => Math.max(a, b ?? 0), 0);
}
