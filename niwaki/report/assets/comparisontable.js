// The figures of all runs as a table; runs of one search below their medians and quartiles.

import { fill, html, keepFocus, toggle } from "./dom.js";
import { count, MISSING, significant } from "./format.js";
import { swatch, visible } from "./series.js";

/** Build the table. */
export function mountComparisonTable(host, runs, store) {
  const look = { every: false };
  const draw = () => keepFocus(host, () => fill(host, ...tableOf(runs, store, look, draw)));
  store.watch(["hidden"], draw);
  draw();
}

function tableOf(runs, store, look, draw) {
  const shown = visible(runs, store);
  const heads = ["Run", ...runs.columns.map((column) => column.title)];
  const table = html(
    "table",
    { class: "comparison-table" },
    html(
      "thead",
      {},
      html(
        "tr",
        {},
        ...heads.map((text, i) => html("th", { scope: "col", class: i > 0 ? "number" : null }, text)),
      ),
    ),
    ...shown.map((series) => html("tbody", {}, ...rowsOf(series, runs.columns, look.every))),
  );
  const scroller = html(
    "div",
    { class: "scroller", tabindex: "0", role: "region", "aria-label": "Figures of all runs" },
    table,
  );
  const several = shown.some(({ fronts }) => fronts.length > 1);
  const every = toggle("Every run", look.every, (pressed) => ((look.every = pressed), draw()));
  return [several ? html("div", { class: "controls" }, every) : null, scroller, note(runs, several)];
}

function rowsOf(series, columns, every) {
  const { fronts, figures } = series;
  const spent = fronts.reduce((least, front) => Math.min(least, front.figures[0]), Infinity);
  const name = [swatch(series), " ", series.name];
  if (fronts.length === 1) return [row(name, columns, (i) => shown(figures[i][0], columns[i], spent))];
  const middle = row([...name, html("small", {}, ` median of ${fronts.length}`)], columns, (i) => [
    shown(figures[i][0], columns[i], spent),
    html("small", {}, quartiles(figures[i], columns[i], spent)),
  ]);
  const runs = fronts.map((front) =>
    row([front.run], columns, (i) => shown(front.figures[i], columns[i], front.figures[0]), "single"),
  );
  return every ? [middle, ...runs] : [middle];
}

function row(name, columns, cell, look = null) {
  return html(
    "tr",
    { class: look },
    html("th", { scope: "row" }, ...name),
    ...columns.map((_, i) => html("td", { class: "number" }, ...[cell(i)].flat())),
  );
}

function quartiles([, low, high], column, spent) {
  const [from, to] = [shown(low, column, spent), shown(high, column, spent)];
  return from === to ? "" : `${from} to ${to}`;
}

// What is not there never came to that share, or nothing has such a value.
function shown(value, { kind }, spent) {
  if (value === null) return kind === "needed" ? `> ${plain(spent)}` : MISSING;
  if (kind === "share") return `${(100 * value).toFixed(1)}\u00a0%`;
  return plain(value);
}

function plain(value) {
  const large = Math.abs(value) >= 1e3 && Math.abs(value) < 1e6; // has digits to be grouped
  return Number.isInteger(value) || large ? count(Math.round(value)) : significant(value, 4);
}

function note({ columns, narrow }, several) {
  const needed = columns.some(({ kind }) => kind === "needed")
    ? " To 90%: evaluations until a run had so much of its hypervolume."
    : "";
  const small = several ? "Below each median: lower and upper quartile, values of single runs. " : "";
  const width =
    narrow.length > 0
      ? `; in ${narrow.join(", ")}, where this front has no width, the worst of all models is 1`
      : "";
  return html(
    "p",
    { class: "note" },
    `${small}Hypervolume: where the best of the joined front is 0 in each objective and its worst is 1, up to 1.1${width}. Share: of what this front has. On joined: its points that a run has; alone: those that no other search has.${needed}`,
  );
}
