// What did not count and why; and all it takes to run the study again.

import { copyButton, fill, html } from "./dom.js";
import { count, MISSING } from "./format.js";
import { FAILED, fragmentOf, nameOf, STATES } from "./study.js";

const EXAMPLES = 3;

/** Build the table of failures. */
export function mountFailures(host, study) {
  const shown = [
    ...study.failures.map((failure) => ({ ...failure, what: STATES[failure.state] })),
    ...study.unexported.map((failure) => ({ ...failure, state: FAILED, what: "could not be exported" })),
  ];
  if (shown.length === 0)
    return fill(
      host,
      html(
        "p",
        { class: "note" },
        study.n_told > 0 ? "Every evaluation counted." : "Nothing was evaluated with full effort so far.",
      ),
    );
  const heads = ["What", "How many", "Why, in one case", "Trials"].map((text, i) =>
    html("th", { scope: "col", class: i === 1 ? "number" : null }, text),
  );
  const lines = shown.map((failure) => line(study, failure));
  return fill(
    host,
    html(
      "div",
      { class: "scroller" },
      html(
        "table",
        { class: "failures" },
        html("thead", {}, html("tr", {}, ...heads)),
        html("tbody", {}, ...lines),
      ),
    ),
  );
}

/** Build the section on repeating the study. */
export function mountOrigins(host, study) {
  const facts = [
    ["seed", String(study.seed)],
    ["searcher", study.searcher],
    ["target", study.target_id],
    ["niwaki", study.niwaki],
    ...study.environment,
  ];
  const terms = facts
    .filter(([, value]) => value !== "")
    .flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]);
  const command = study.repeat ? block("Run it again", study.repeat) : null;
  const config = study.config
    ? html("details", {}, html("summary", {}, "Resolved configuration"), block("", study.config))
    : null;
  fill(host, command, html("dl", { class: "environment" }, ...terms), config);
}

function line(study, { state, what, reason, rows }) {
  const examples = rows
    .slice(0, EXAMPLES)
    .flatMap((row) => [html("a", { href: fragmentOf(study, row) }, nameOf(study, row)), " "]);
  const more = rows.length > EXAMPLES ? "\u2026" : "";
  return html(
    "tr",
    {},
    html("td", { class: state === FAILED ? "failed-text" : null }, what),
    html("td", { class: "number" }, count(rows.length)),
    html("td", { class: "why" }, reason || MISSING),
    html("td", { class: "examples" }, ...examples, more),
  );
}

function block(title, text) {
  return html(
    "div",
    { class: "block" },
    html(
      "div",
      { class: "block-head" },
      title ? html("h4", {}, title) : html("span", {}),
      copyButton(text),
    ),
    html("pre", { tabindex: "0" }, text),
  );
}
