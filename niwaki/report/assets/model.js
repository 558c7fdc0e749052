// The selected model: its values against the baseline, its layers, its decisions, its export.

import { copyButton, fill, html, on } from "./dom.js";
import { change, duration, MISSING, quantity } from "./format.js";
import { mountLayers } from "./layers.js";
import { decisionsOf, INFEASIBLE, layersOf, nameOf, rolesOf, STATES } from "./study.js";

/** Build the section of the selected model. */
export function mountModel(host, study, store, tooltip) {
  const draw = () =>
    store.selected === null ? fill(host, nothing()) : show(host, study, store, tooltip);
  store.watch(["selected"], draw);
  draw();
}

function nothing() {
  return html("p", { class: "note" }, "No model is selected: pick one in the plot or the table.");
}

function show(host, study, store, tooltip) {
  const row = store.selected;
  const layers = layersOf(study, row);
  const picture = html("div", { class: "layer-host" });
  fill(
    host,
    head(study, store, row),
    reason(study, row),
    html("div", { class: "beside even" }, values(study, row), recipe(study, row)),
    picture,
  );
  if (layers.length > 0) mountLayers(picture, layers, tooltip);
  else fill(picture, html("p", { class: "note" }, absentLayers(study, row)));
}

function head(study, store, row) {
  const roles = rolesOf(study, row);
  const state = study.spare.has(row) ? "not exported" : STATES[study.states[row]];
  const chips = [...roles, ...(roles.includes("front") ? [] : [state])]
    .filter((role) => role !== nameOf(study, row))
    .map((role) => html("span", { class: "role" }, role));
  const facts = [
    study.keys[row],
    study.fidelity[row] < 1 ? `fidelity ${study.fidelity[row]}` : "",
    study.evaluationSeconds[row] > 0
      ? `evaluated in ${duration(study.evaluationSeconds[row])}`
      : "",
    study.task !== "" && isExported(study, row) ? `exported to answer '${study.task}' alone` : "",
  ];
  const name = html(
    "h3",
    { class: "model-name" },
    study.numbers[row] === null ? "The baseline" : `Model ${nameOf(study, row)}`,
    ...chips,
  );
  return html(
    "div",
    { class: "model-head" },
    name,
    html("span", { class: "facts" }, facts.filter(Boolean).join(" \u00b7 ")),
    neighbours(study, store, row),
  );
}

// Walk along the front in the order of its first objective.
function neighbours(study, store, row) {
  const column = study.sources.search.columns[0];
  const along = [...study.front].sort((a, b) => (column.values[a] ?? 0) - (column.values[b] ?? 0));
  const at = along.indexOf(row);
  const go = (step, label, name) => {
    const target = at < 0 ? along[0] : along[at + step];
    const button = html(
      "button",
      { type: "button", class: "toggle", "aria-label": name, disabled: target === undefined },
      label,
    );
    return on(button, "click", () => store.set({ selected: target }));
  };
  return html(
    "span",
    { class: "walk" },
    go(-1, "\u2190", "Previous on the front"),
    go(1, "\u2192", "Next on the front"),
  );
}

function reason(study, row) {
  const text = study.reasons[row];
  return text
    ? html("p", { class: "reason" }, `${capital(STATES[study.states[row]])}: ${text}`)
    : null;
}

function isExported(study, row) {
  return (study.sources.exported?.columns ?? []).some((column) => column.values[row] !== null);
}

function values(study, row) {
  const search = study.sources.search.columns.filter((column) => column.name !== "evaluation");
  const exported = study.sources.exported?.columns ?? [];
  const names = [...new Set([...search, ...exported].map((column) => column.name))];
  const has = {
    exported: isExported(study, row),
    baseline: study.baseline !== null && study.baseline !== row,
  };
  const heads = [
    "Value",
    "Search",
    ...(has.exported ? ["Exported"] : []),
    ...(has.baseline ? ["Baseline", "Change"] : []),
  ];
  const find = (columns, name) => columns.find((column) => column.name === name);
  const lines = names.map((name) =>
    valueLine(study, row, has, find(search, name), find(exported, name)),
  );
  const table = html(
    "table",
    { class: "values" },
    html(
      "thead",
      {},
      html(
        "tr",
        {},
        ...heads.map((text, i) =>
          html("th", { scope: "col", class: i > 0 ? "number" : null }, text),
        ),
      ),
    ),
    html("tbody", {}, ...lines.filter(Boolean)),
  );
  return html(
    "div",
    {},
    html("div", { class: "scroller" }, table),
    has.baseline ? html("p", { class: "note" }, comparedWith(study, row)) : null,
  );
}

function valueLine(study, row, has, search, exported) {
  const column = search ?? exported;
  const cells = { search: search?.values[row] ?? null, exported: exported?.values[row] ?? null };
  if (cells.search === null && cells.exported === null) return null;
  const like = alike(study, row, search, exported);
  const changed = change(like.value, like.reference, column);
  const number = (text, look = "") => html("td", { class: `number ${look}` }, text);
  const verdict = changed.better === null ? "" : changed.better ? "better" : "worse";
  return html(
    "tr",
    { class: column.direction !== 0 ? "objective" : null },
    html("th", { scope: "row" }, column.name),
    number(quantity(cells.search, column.unit)),
    has.exported ? number(quantity(cells.exported, column.unit)) : null,
    has.baseline ? number(quantity(like.reference, column.unit)) : null,
    has.baseline ? number(changed.text, verdict) : null,
  );
}

// Exported models are compared with an exported baseline, searched ones with a searched one.
function alike(study, row, search, exported) {
  const of = (column) => ({
    value: column?.values[row] ?? null,
    reference: study.baseline === null ? null : (column?.values[study.baseline] ?? null),
  });
  const measured = of(exported);
  return measured.value !== null && measured.reference !== null ? measured : of(search);
}

function comparedWith(study, row) {
  const like = (study.sources.exported?.columns ?? []).some(
    (c) => c.values[row] !== null && c.values[study.baseline] !== null,
  );
  return like
    ? "The change compares exported models, where both were exported."
    : "The change compares values of the search.";
}

function recipe(study, row) {
  // Whole numbers for which JavaScript has no room come as text behind a null character.
  const json = JSON.stringify(decisionsOf(study, row), null, 1).replace(
    /"\\u0000(-?\d+)"/g,
    "$1",
  );
  const command = study.exportable.has(row)
    ? study.export.replaceAll("{key}", study.keys[row])
    : "";
  const decided =
    json === "{}"
      ? html("p", { class: "note" }, "The decisions of this model were not recorded.")
      : block("Decisions", json);
  return html("div", { class: "recipe" }, command ? block("Export it", command) : null, decided);
}

function block(title, text) {
  return html(
    "div",
    { class: "block" },
    html("div", { class: "block-head" }, html("h4", {}, title), copyButton(text)),
    html("pre", { tabindex: "0" }, text),
  );
}

function absentLayers(study, row) {
  if (study.states[row] >= INFEASIBLE)
    return "It was never built, or failed: there are no layers to show.";
  if (study.layers.n_left_out > 0)
    return "Its layer table was left out to keep this page small; models of the front have theirs.";
  return `No layer table was recorded for this model ${MISSING} its decisions are above.`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
