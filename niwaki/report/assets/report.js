// Entry: reads the data that the page carries, and builds each section.

import { fill, html, on } from "./dom.js";
import { firstAxes, mountExplorer, needsLog } from "./explorer.js";
import { count, duration, moment, share, significant } from "./format.js";
import { goalOfFragment, mountGoals } from "./goals.js";
import { mountInfluence } from "./influence.js";
import { mountModel } from "./model.js";
import { mountFailures, mountOrigins } from "./outcome.js";
import { mountParallel } from "./parallel.js";
import { mountProgress } from "./progress.js";
import { makeStore } from "./store.js";
import { FAILED, fragmentOf, INFEASIBLE, OUTSIDE, readStudy, rowOfFragment } from "./study.js";
import { followTheme } from "./theme.js";
import { makeTooltip } from "./tooltip.js";

const MIN_PARALLEL = 3;

const host = (name) => document.getElementById(name);

function start() {
  const packed = JSON.parse(host("data").textContent);
  const tooltip = makeTooltip();
  const address = packed.goals ? startGoals(packed, tooltip) : build(packed, null, tooltip);
  on(window, "hashchange", () => address());
  followTheme(host("theme"));
  document.documentElement.dataset.ready = "true";
}

// Shows the goal that the address names, and builds the page anew when it names another.
function startGoals(packed, tooltip) {
  const mark = mountGoals(host("goals"), packed.goals);
  const headline = document.querySelector("h1");
  headline.setAttribute("aria-live", "polite");
  let [shown, follow] = [null, null];
  const show = (goal) => {
    fill(headline, goal.headline);
    fill(document.querySelector(".source"), goal.source);
    mark(goal);
    [shown, follow] = [goal, build(packed, goal, tooltip)];
  };
  show(goalOfFragment(packed.goals, location.hash) ?? packed.goals[0]);
  return () => {
    const named = goalOfFragment(packed.goals, location.hash) ?? shown;
    if (named === shown) follow();
    else show(named);
  };
}

// Fills the sections; returns what selects the model that the address names.
function build(packed, goal, tooltip) {
  const study = readStudy(packed, goal);
  const store = makeStore(firstState(study));
  const parallel = study.objectives.length >= MIN_PARALLEL && study.front.length > 0;
  tooltip.hide();
  fill(host("facts"), ...facts(study));
  mountExplorer(host("front-body"), study, store, tooltip);
  mountModel(host("model-body"), study, store, tooltip);
  host("parallel").hidden = !parallel;
  if (parallel) mountParallel(host("parallel-body"), study, store, tooltip);
  mountInfluence(host("influence-body"), study);
  mountProgress(host("progress-body"), study, tooltip);
  mountFailures(host("failures-body"), study);
  mountOrigins(host("origins-body"), study);
  return followAddress(study, store);
}

function firstState(study) {
  const favourite = [...study.chosen, study.knee, study.front[0], study.baseline].find(
    (row) => row !== null && row !== undefined,
  );
  const axes = firstAxes(study);
  return {
    source: "search",
    ...axes,
    colour: "",
    xLog: needsLog(study, "search", axes.x),
    yLog: needsLog(study, "search", axes.y),
    everything: false,
    shown: {
      states: new Set(),
      spare: false,
      baseline: false,
      outOfView: 0,
      withoutValues: 0,
      farLimits: [],
    },
    selected: rowOfFragment(study, location.hash) ?? favourite ?? null,
    pointed: null,
    brushed: null,
  };
}

function facts(study) {
  const n = (state) => study.states.slice(0, study.n_told).filter((s) => s === state).length;
  const budget = study.budget > 0 ? ` of ${count(study.budget)}` : "";
  const lost = [
    [n(FAILED), "failed"],
    [n(INFEASIBLE), "turned away"],
    [n(OUTSIDE), "outside a limit"],
  ].filter(([k]) => k > 0);
  const last = study.hypervolume[study.hypervolume.length - 1];
  return [
    fact(
      "Evaluations",
      `${count(Math.round(100 * study.effort) / 100)}${budget}`,
      [
        study.budget > 0 ? `${share(study.effort, study.budget)} of the budget` : "",
        study.n_partial > 0 ? `${count(study.n_partial)} with less than full effort` : "",
      ]
        .filter(Boolean)
        .join(", "),
    ),
    fact(
      "Front",
      count(study.front.length),
      [
        study.front.length === 1 ? "model" : "models",
        study.spare.size > 0 ? `${count(study.spare.size)} more not exported` : "",
      ]
        .filter(Boolean)
        .join(", "),
    ),
    fact(
      "Hypervolume",
      last === undefined || last === null
        ? "\u2013"
        : last >= 1e4
          ? count(Math.round(last))
          : significant(last, 4),
      "",
    ),
    fact(
      "Not counted",
      count(lost.reduce((sum, [k]) => sum + k, 0)),
      lost.map(([k, what]) => `${count(k)} ${what}`).join(", ") ||
        (study.n_told > 0 ? "every evaluation counted" : ""),
    ),
    fact(
      "Time",
      duration(study.seconds),
      study.finished
        ? `${moment(study.created)} \u2013 ${moment(study.finished)}`
        : study.created
          ? `since ${moment(study.created)}`
          : "",
    ),
    fact(
      "Measured on",
      study.target_id || "\u2013",
      study.searcher ? `searched by ${study.searcher}` : "",
    ),
  ];
}

function fact(name, value, more) {
  return html(
    "div",
    { class: "fact" },
    html("dt", {}, name),
    html(
      "dd",
      { class: value.length > 14 ? "long" : null },
      value,
      more ? html("small", {}, more) : "",
    ),
  );
}

// The address names the selected model, so that a link leads to it and Back leads back.
function followAddress(study, store) {
  store.watch(["selected"], () => {
    if (store.selected !== null && rowOfFragment(study, location.hash) !== store.selected)
      location.hash = fragmentOf(study, store.selected);
  });
  return () => {
    const row = rowOfFragment(study, location.hash);
    if (row !== null) store.set({ selected: row });
  };
}

start();
