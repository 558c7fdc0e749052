// One tooltip for the whole page. What it says, a live region says to screen readers.

import { fill, html } from "./dom.js";

const GAP = 14;

/** Make the tooltip: `show(x, y, lines)` in client pixels, and `hide()`. */
export function makeTooltip() {
  const box = html("div", { class: "tooltip", hidden: true });
  const spoken = html("div", { class: "visually-hidden", "aria-live": "polite" });
  document.body.append(box, spoken);
  return {
    show(x, y, { title, lines, speak = false }) {
      fill(
        box,
        html("strong", {}, title),
        html(
          "dl",
          {},
          ...lines.flatMap(([term, value]) => [html("dt", {}, term), html("dd", {}, value)]),
        ),
      );
      box.hidden = false;
      place(box, x, y);
      spoken.textContent = speak
        ? `${title}: ${lines.map(([term, value]) => `${term} ${value}`).join(", ")}`
        : "";
    },
    hide() {
      box.hidden = true;
    },
  };
}

function place(box, x, y) {
  const { width, height } = box.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = x + GAP + width > room ? x - GAP - width : x + GAP;
  const top = y - height - GAP < 0 ? y + GAP : y - height - GAP;
  box.style.left = `${Math.max(4, Math.min(left, room - width - 4)) + window.scrollX}px`;
  box.style.top = `${top + window.scrollY}px`;
}
