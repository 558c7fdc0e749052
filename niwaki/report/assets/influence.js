// Which decisions matter: what the front decides, against what all measured models do.

import { breakable, fill, html, on } from "./dom.js";
import { share } from "./format.js";
import { precisionLook } from "./layers.js";

const SHOWN_AT_FIRST = 12;
const MIN_TELLING = 5; // shares of a smaller front are not worth a sentence
const LITTLE = 0.02; // shares of variance below this are left out where room is scarce
const PRECISION = /^(u?int|fp|bf)\d+$/;

/** Build the section about decisions. */
export function mountInfluence(host, study) {
  const look = { all: false, by: -1 };
  const draw = () => fill(host, ...content(study, look, draw));
  draw();
}

function content(study, look, draw) {
  if (study.influences.length === 0)
    return [html("p", { class: "note" }, "Too few measured models share a decision to compare any.")];
  const ranked =
    look.by < 0
      ? study.influences
      : [...study.influences].sort((a, b) => b.explained[look.by] - a.explained[look.by]);
  const shown = look.all ? ranked : ranked.slice(0, SHOWN_AT_FIRST);
  const sort = (by) => draw(Object.assign(look, { by }));
  const table = html(
    "table",
    { class: "influence" },
    html("thead", {}, html("tr", {}, ...heads(study, look, sort))),
    html("tbody", {}, ...shown.map((i) => line(study, i))),
  );
  const more = html(
    "button",
    { type: "button", class: "toggle" },
    look.all ? "Show fewer" : `Show all ${ranked.length}`,
  );
  on(more, "click", () => draw(Object.assign(look, { all: !look.all })));
  return [
    html("p", { class: "lead" }, ...telling(study)),
    html("div", { class: "scroller" }, table),
    ranked.length > SHOWN_AT_FIRST ? more : null,
  ];
}

// The most telling differences in words.
function telling(study) {
  if (study.front.length < MIN_TELLING)
    return [html("span", { class: "quiet-text" }, fewModels(study))];
  const said = study.influences
    .filter((i) => i.surprise > 0)
    .slice(0, 2)
    .map(sentence)
    .filter(Boolean);
  const caution = "Decisions that the search varied together share their influence.";
  return said.length > 0
    ? [`${said.join(" ")} `, html("span", { class: "quiet-text" }, caution)]
    : [html("span", { class: "quiet-text" }, caution)];
}

function fewModels(study) {
  const models = study.front.length === 1 ? "one model" : `${study.front.length} models`;
  return `With ${models} on the front, its shares say little yet.`;
}

function sentence({ path, options, n_front, n_all }) {
  const total = (counts) => counts.reduce((a, b) => a + b, 0);
  const [front, all] = [total(n_front), total(n_all)];
  if (front === 0) return "";
  const gains = options.map((_, i) => n_front[i] / front - n_all[i] / all);
  const best = gains.indexOf(Math.max(...gains));
  return `${path} is ${options[best]} in ${share(n_front[best], front)} of the front, and in ${share(n_all[best], all)} of all measured models.`;
}

function heads(study, look, sort) {
  const sortable = (by, text, title) => {
    const button = html(
      "button",
      { type: "button", title },
      text,
      look.by === by ? html("span", { class: "order", "aria-hidden": "true" }, " \u2193") : "",
    );
    return html(
      "th",
      { scope: "col", "aria-sort": look.by === by ? "descending" : "none" },
      on(button, "click", () => sort(by)),
    );
  };
  const objectives = study.objectives.map((o, by) =>
    sortable(
      by,
      `explains ${o.name}`,
      `Share of the variance of ${o.name} that the decision explains, corrected for chance`,
    ),
  );
  return [
    html("th", { scope: "col" }, "Decision"),
    sortable(
      -1,
      "Front, and all",
      "Sorted by how far the front differs from all measured models, beyond chance",
    ),
    ...objectives,
  ];
}

function line(study, influence) {
  const looks = optionLooks(influence.options);
  const bars = html(
    "div",
    { class: "shares" },
    stack("front", influence, influence.n_front, looks),
    stack("all", influence, influence.n_all, looks),
  );
  const explained = influence.explained.map((part, by) =>
    html(
      "td",
      {
        class: `explained ${(part ?? 0) < LITTLE ? "little" : ""}`,
        "data-name": `of ${study.objectives[by].name} explained`,
      },
      html("i", { style: `--part:${part ?? 0}` }),
      html("span", {}, share(part ?? 0, 1)),
    ),
  );
  return html(
    "tr",
    {},
    html("th", { scope: "row", class: "path" }, ...breakable(influence.path)),
    html("td", {}, bars),
    ...explained,
  );
}

function stack(name, { options }, counts, looks) {
  const total = counts.reduce((a, b) => a + b, 0);
  const parts = options.map((option, i) => {
    if (counts[i] === 0) return null;
    const text = `${option}: ${counts[i]} of ${total}`;
    // A name that does not fit says less than none.
    const fits = counts[i] / total > 0.03 + 0.018 * option.length;
    return html(
      "span",
      { class: `share ${looks[i]}`, style: `flex-grow:${counts[i]}`, title: text },
      fits ? html("b", {}, option) : "",
    );
  });
  const alt = options.map((option, i) => `${option} ${share(counts[i], total)}`).join(", ");
  return html(
    "div",
    { class: "stack-line" },
    html("span", { class: "stack-name" }, name),
    html(
      "div",
      { class: "stack", role: "img", "aria-label": `${name}: ${alt}` },
      ...parts.filter(Boolean),
    ),
  );
}

// Precisions keep their colours; ordered options go from light to dark; absence stays empty.
function optionLooks(options) {
  const ordered = options.filter((option) => option !== "absent" && option !== "other");
  return options.map((option) => {
    if (option === "absent" || option === "other") return "share-absent";
    if (PRECISION.test(option)) return precisionLook(option);
    const place =
      ordered.length > 1 ? Math.round((5 * ordered.indexOf(option)) / (ordered.length - 1)) : 3;
    return `ramp-back-${place}`;
  });
}
