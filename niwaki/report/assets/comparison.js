// Entry of the comparison: reads the data that the page carries, and builds each section.

import { mountCurves } from "./curves.js";
import { fill, html } from "./dom.js";
import { mountFronts } from "./fronts.js";
import { mark, mountSeries } from "./series.js";
import { makeStore } from "./store.js";
import { mountComparisonTable } from "./comparisontable.js";
import { followTheme } from "./theme.js";
import { makeTooltip } from "./tooltip.js";

const host = (name) => document.getElementById(name);

function start() {
  const runs = readRuns(JSON.parse(host("data").textContent));
  const tooltip = makeTooltip();
  const store = makeStore({ hidden: new Set(), x: 0, y: 1, xLog: false, yLog: false });
  mountSeries(host("series"), runs, store);
  host("notes").hidden = runs.notes.length === 0;
  fill(host("notes-body"), html("ul", {}, ...runs.notes.map((note) => html("li", {}, note))));
  host("fronts").hidden = runs.objectives.length < 2;
  if (runs.objectives.length > 1) mountFronts(host("fronts-body"), runs, store, tooltip);
  const followed = Object.keys(runs.series[0].curves).length > 0;
  host("curves").hidden = !followed;
  if (followed) mountCurves(host("curves-body"), runs, store, tooltip);
  mountComparisonTable(host("table-body"), runs, store);
  followTheme(host("theme"));
  document.documentElement.dataset.ready = "true";
}

// What niwaki/report/comparison.py packed, with signs and marks.
function readRuns(packed) {
  return {
    ...packed,
    objectives: packed.objectives.map((o) => ({
      ...o,
      direction: o.direction === "minimize" ? 1 : -1,
    })),
    series: packed.series.map((each, index) => ({ ...each, index, mark: mark(index) })),
  };
}

start();
