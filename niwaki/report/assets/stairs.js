// The line of a front: steps from one corner to the next.

/** The points that no other one beats in two costs, in the order of the first; `costs(point)` gives both. */
export function unbeaten(points, costs) {
  const sorted = points
    .map((point) => ({ point, cost: costs(point) }))
    .sort((a, b) => a.cost[0] - b.cost[0] || a.cost[1] - b.cost[1]);
  let best = Infinity;
  return sorted
    .filter(({ cost }) => (cost[1] < best ? ((best = cost[1]), true) : false))
    .map(({ point }) => point);
}

/** A path through points in pixels: first across, then up or down. */
export function stairs(points) {
  return points
    .map(({ x, y }, i) =>
      i === 0 ? `M${x.toFixed(1)} ${y.toFixed(1)}` : `H${x.toFixed(1)}V${y.toFixed(1)}`,
    )
    .join("");
}
