// Goals: fronts of one search, of which the page shows one. The address says which.

import { fill, html } from "./dom.js";
import { fragmentOfGoal } from "./study.js";

/** Build the links between goals; returns what marks the one that is shown. */
export function mountGoals(host, goals) {
  const links = goals.map((goal) => html("a", { href: fragmentOfGoal(goal.name) }, goal.name));
  const items = links.map((link) => html("li", {}, link));
  fill(host, html("span", { class: "quiet-text" }, "Goal"), html("ul", {}, ...items));
  host.hidden = false;
  return (shown) =>
    links.forEach((link, index) => {
      if (goals[index] === shown) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
}

/** The goal that a fragment of the address names, the first where it is empty; or null. */
export function goalOfFragment(goals, fragment) {
  if (fragment === "" || fragment === "#") return goals[0];
  const name = fragment.split("&")[0];
  return goals.find((goal) => fragmentOfGoal(goal.name) === name) ?? null;
}
