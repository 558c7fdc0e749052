// The front as a table: sortable, and in step with the plots.

import { fill, html, on } from "./dom.js";
import { quantity, shortened } from "./format.js";
import { columnOf, FEASIBLE, fragmentOf, nameOf, rolesOf } from "./study.js";

const RUNNERS_UP = 15;

/** Build the table of the front. */
export function mountFrontTable(host, study, store) {
  const sorting = { column: null, rising: true };
  const draw = () => fill(host, ...tableOf(study, store, sorting, draw));
  store.watch(["source"], draw);
  store.watch(["selected", "pointed", "brushed"], () => mark(host, store));
  store.watch(["selected"], () => bringIntoView(host, store.selected));
  draw();
}

function tableOf(study, store, sorting, draw) {
  if (study.front.length === 0) return [html("p", { class: "note" }, "There is no front yet.")];
  const shown = membersOf(study, store);
  const columns = study.objectives
    .map((o) => columnOf(study, store.source, o.name))
    .filter(Boolean);
  const by = sorting.column ?? columns[0]?.name;
  const sort = (name) => {
    Object.assign(sorting, { rising: by === name ? !sorting.rising : true, column: name });
    draw();
  };
  const heads = columns.map((column) => head(column, by, sorting.rising, sort));
  const rows = sorted(
    shown,
    columns.find((c) => c.name === by),
    sorting.rising,
  ).map((row) => rowOf(study, store, row, columns));
  const models = `${shown.length} ${shown.length === 1 ? "model" : "models"}`;
  const caption = `${study.objectives.length === 1 ? "The best" : "The front:"} ${models}, values of ${study.sources[store.source].label}`;
  const table = html(
    "table",
    { class: "front-table" },
    html("caption", {}, caption),
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "Model"), ...heads)),
    html("tbody", {}, ...rows),
  );
  const scroller = html(
    "div",
    { class: "scroller", tabindex: "0", role: "region", "aria-label": "The front as a table" },
    table,
  );
  mark(scroller, store);
  return [scroller];
}

// One objective has a front of one: then the runners-up are worth showing as well.
function membersOf(study, store) {
  const column = columnOf(study, store.source, study.objectives[0].name);
  if (study.objectives.length > 1 || !column) return study.front;
  const competes = (row) => study.numbers[row] !== null || study.onFront.has(row);
  const measured = study.rows.filter(
    (row) => study.states[row] === FEASIBLE && competes(row) && column.values[row] !== null,
  );
  const cost = (row) => column.direction * column.values[row];
  return measured.sort((a, b) => cost(a) - cost(b)).slice(0, RUNNERS_UP);
}

function head(column, by, rising, sort) {
  const active = column.name === by;
  const order = active ? (rising ? "ascending" : "descending") : "none";
  const button = html(
    "button",
    { type: "button", title: column.name },
    shortened(column.name, 22),
    html(
      "span",
      { class: "order", "aria-hidden": "true" },
      active ? (rising ? "\u00a0\u2191" : "\u00a0\u2193") : "",
    ),
  );
  return html(
    "th",
    { scope: "col", "aria-sort": order },
    on(button, "click", () => sort(column.name)),
  );
}

function sorted(rows, column, rising) {
  if (!column) return rows;
  const value = (row) => column.values[row] ?? Infinity;
  return [...rows].sort((a, b) => (rising ? 1 : -1) * (value(a) - value(b)) || a - b);
}

function rowOf(study, store, row, columns) {
  const roles = rolesOf(study, row).filter((role) => role !== "front");
  const name = html(
    "td",
    {},
    html("a", { href: fragmentOf(study, row) }, nameOf(study, row)),
    ...roles.map((role) => html("span", { class: "role" }, role)),
  );
  const values = columns.map((column) =>
    html("td", { class: "number" }, quantity(column.values[row], column.unit)),
  );
  const line = html("tr", { "data-row": row }, name, ...values);
  on(line, "pointerenter", () => store.set({ pointed: row }));
  on(line, "pointerleave", () => store.set({ pointed: null }));
  return on(line, "click", () => store.set({ selected: row }));
}

// Scrolls the table only: the page stays where its reader is.
function bringIntoView(host, row) {
  const line = host.querySelector(`tr[data-row="${row}"]`);
  const scroller = host.querySelector(".scroller");
  if (!line) return;
  const [top, room] = [line.offsetTop - scroller.offsetTop, scroller.clientHeight];
  const hidden =
    top < scroller.scrollTop + 40 || top + line.offsetHeight > scroller.scrollTop + room;
  if (hidden) scroller.scrollTop = top - room / 2;
}

function mark(host, store) {
  for (const line of host.querySelectorAll("tbody tr")) {
    const row = Number(line.dataset.row);
    line.classList.toggle("selected", row === store.selected);
    line.classList.toggle("pointed", row === store.pointed);
    line.classList.toggle("faded", store.brushed !== null && !store.brushed.has(row));
  }
}
