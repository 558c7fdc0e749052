// Series: runs that are drawn alike, in a colour and with a mark of their own.

import { fill, html, keepFocus, on, svg } from "./dom.js";

const N_COLOURS = 6;
const SHAPES = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  (x, y, r) => `M${x - 0.85 * r} ${y - 0.85 * r}h${1.7 * r}v${1.7 * r}h${-1.7 * r}z`,
  (x, y, r) => `M${x} ${y - 1.15 * r}l${1.1 * r} ${1.95 * r}h${-2.2 * r}z`,
  (x, y, r) => `M${x} ${y - 1.25 * r}l${1.25 * r} ${1.25 * r}l${-1.25 * r} ${1.25 * r}l${-1.25 * r} ${-1.25 * r}z`,
  (x, y, r) => `M${x} ${y + 1.15 * r}l${1.1 * r} ${-1.95 * r}h${-2.2 * r}z`,
];

/** Colour, shape and dashes of a series: five shapes and six colours make thirty pairs. */
export function mark(index) {
  return {
    look: `series-${index % N_COLOURS}`,
    shape: SHAPES[index % SHAPES.length],
    dashes: index < N_COLOURS ? null : index < 2 * N_COLOURS ? "6 3" : "2 3",
  };
}

/** The series that are shown. */
export function visible(runs, store) {
  return runs.series.filter((series) => !store.hidden.has(series.index));
}

/** Buttons that show and hide series. */
export function mountSeries(host, runs, store) {
  const draw = () => fill(host, ...runs.series.map((series) => key(series, store)));
  store.watch(["hidden"], () => keepFocus(host, draw));
  draw();
}

function key(series, store) {
  const shown = !store.hidden.has(series.index);
  const button = html(
    "button",
    { type: "button", class: "toggle series-key", "aria-pressed": String(shown) },
    swatch(series),
    html("span", { class: "series-name" }, series.name),
    series.fronts.length > 1 ? html("small", {}, `${series.fronts.length} runs`) : null,
    series.told ? html("small", {}, series.told) : null,
  );
  return on(button, "click", () => {
    const hidden = new Set(store.hidden);
    if (shown) hidden.add(series.index);
    else hidden.delete(series.index);
    store.set({ hidden });
  });
}

/** A small picture of a series' line and mark. */
export function swatch({ mark: { look, shape, dashes } }) {
  return svg(
    "svg",
    { class: look, viewBox: "0 0 24 16", width: 24, height: 16, "aria-hidden": "true" },
    svg("path", { class: "series-line", d: "M1 8H23", "stroke-dasharray": dashes }),
    svg("path", { class: "series-point", d: shape(12, 8, 4.5) }),
  );
}
