// Scales from values to pixels, ranges that outliers do not spoil, and round ticks.

/** A scale from [low, high] to [from, to]. A logarithmic one needs low > 0. */
export function makeScale({ low, high, from, to, log = false }) {
  const bend = log ? Math.log10 : (value) => value;
  const origin = bend(low);
  const factor = (to - from) / (bend(high) - origin || 1);
  const scale = (value) => from + (bend(value) - origin) * factor;
  scale.invert = (pixel) => {
    const bent = origin + (pixel - from) / factor;
    return log ? 10 ** bent : bent;
  };
  return Object.assign(scale, { low, high, from, to, log });
}

/**
 * The range to show: what matters in full, of the rest all but far outliers.
 * Far is more than three interquartile ranges from the middle half, on the scale that is drawn.
 */
export function visibleRange(important, others, log, everything) {
  const usable = (value) => value !== null && Number.isFinite(value) && (!log || value > 0);
  const must = important.filter(usable);
  const rest = others.filter(usable).sort((a, b) => a - b);
  const shown = must.concat(everything ? rest : rest.filter(nearMiddle(rest, log)));
  if (shown.length === 0) return log ? [1, 10] : [0, 1];
  const [low, high] = extremes(shown);
  return padded(low, high, log);
}

/** About `count` round values in [low, high]. */
export function ticks(low, high, count, log = false) {
  if (log && high / low >= 5) return logTicks(low, high, count);
  const step = niceStep((high - low) / Math.max(1, count));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const values = [];
  // A multiple of the step, not a running sum: 0.3, not 0.30000000000000004 after rounding.
  for (let i = first; i <= last && values.length < 50; i++)
    values.push(Number((i * step).toPrecision(12)));
  return values;
}

function logTicks(low, high, count) {
  const decades = Math.log10(high / low);
  const leading = [[1, 2, 5], [1, 3], [1]].find(
    (digits) => decades * digits.length <= count + 1,
  ) ?? [1];
  const values = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of leading) values.push(Number((digit * 10 ** power).toPrecision(12)));
  }
  return values.filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

function nearMiddle(sorted, log) {
  const bend = log ? Math.log10 : (value) => value;
  const at = (q) => bend(sorted[Math.round(q * (sorted.length - 1))]);
  // Half of the values may be equal; then nothing can be called far.
  const reach = 3 * (at(0.75) - at(0.25)) || Infinity;
  return (value) => bend(value) >= at(0.25) - reach && bend(value) <= at(0.75) + reach;
}

// Not Math.min(...values) on everything: thousands of arguments may overflow the stack.
function extremes(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function padded(low, high, log) {
  if (log) {
    const factor = low === high ? 1.5 : (high / low) ** 0.05;
    return [low / factor, high * factor];
  }
  const margin = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.05;
  return [low - margin, high + margin];
}
