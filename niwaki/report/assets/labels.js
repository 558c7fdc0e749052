// Names in the scatter plot.

import { svg } from "./dom.js";
import { rolesOf } from "./study.js";

const MAX_NAMES = 12;

/** Names of the models that matter most, each where it covers the least. */
export function labels(chart) {
  const { study, points, frame } = chart;
  const named = points
    .map((p) => ({ ...p, roles: rolesOf(study, p.row).filter((role) => role !== "front") }))
    .filter((p) => p.roles.length > 0)
    .slice(0, MAX_NAMES);
  const taken = points
    .filter((p) => study.onFront.has(p.row))
    .map((p) => ({ left: p.x - 6, right: p.x + 6, top: p.y - 6, bottom: p.y + 6 }));
  return named.map((point) => {
    const text = point.roles.join(", ");
    const spot = bestSpot(point, text.length * 7.2, taken, frame);
    taken.push(spot);
    return svg("text", { class: "point-name", x: spot.left, y: spot.bottom - 4 }, text);
  });
}

function bestSpot({ x, y }, width, taken, frame) {
  const spots = [
    [11, -22],
    [11, 6],
    [13, -8],
    [-11 - width, 6],
    [-11 - width, -22],
    [-13 - width, -8],
    [-width / 2, 11],
    [-width / 2, -28],
  ].map(([dx, dy]) => ({ left: x + dx, right: x + dx + width, top: y + dy, bottom: y + dy + 16 }));
  const overlap = (a, b) =>
    Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
    Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const area = (spot) => width * 16 - overlap(spot, frame);
  const cost = (spot) =>
    4 * area(spot) + taken.reduce((sum, other) => sum + overlap(spot, other), 0);
  return spots.reduce((best, spot) => (cost(spot) < cost(best) ? spot : best));
}
