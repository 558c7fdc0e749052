// Numbers as people read them. `quantity` mirrors niwaki/report/units.py.

const PREFIXES = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];
const MINUS = "\u2212";
const SCALES = new Set(["ns", "us", "ms", "s", "bytes", "count"]);

export const MISSING = "\u2013";

/** A value with its unit: `0.42 ms`, `84.2 kB`, `0.712`. */
export function quantity(value, unit, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  if (unit === "bytes") return prefixed(value, "B", digits);
  if (unit === "count") return prefixed(value, "", digits).trimEnd();
  return `${significant(value, digits)} ${unit}`.trimEnd();
}

/** `digits` significant digits, without an exponent where that stays readable. */
export function significant(value, digits = 3) {
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e6))
    return minus(value.toExponential(digits - 1));
  const places = magnitude === 0 ? 0 : digits - 1 - Math.floor(Math.log10(magnitude));
  return minus(value.toFixed(Math.max(0, Math.min(places, 6))));
}

/** What changed against a reference: text, and whether that is better (null: nobody said). */
export function change(value, reference, column) {
  if (value === null || reference === null) return { text: MISSING, better: null };
  const delta = value - reference;
  const better = column.direction === 0 || delta === 0 ? null : delta * column.direction < 0;
  const relative = SCALES.has(column.unit) && reference !== 0;
  return { text: relative ? percent(delta / Math.abs(reference)) : signed(delta), better };
}

/** A share in percent. */
export function share(part, whole) {
  return whole > 0 ? `${Math.round((100 * part) / whole)}\u00a0%` : MISSING;
}

/** Seconds as `4 min 41 s`. */
export function duration(seconds) {
  if (seconds === null || !(seconds > 0)) return MISSING;
  if (seconds < 60) return `${significant(seconds, 2)} s`;
  const total = Math.round(seconds);
  const parts = [
    [Math.floor(total / 86400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** An ISO time without its decoration; anything else as it came. */
export function moment(text) {
  const parts = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(
    text,
  );
  if (!parts) return text;
  const zone = parts[3] === "Z" || parts[3] === "+00:00" ? "UTC" : (parts[3] ?? "");
  return `${parts[1]} ${parts[2]} ${zone}`.trimEnd();
}

/** A whole number with thin spaces between thousands. */
export function count(value) {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** At most `length` characters, cut in the middle: the ends tell names apart. */
export function shortened(text, length) {
  if (text.length <= length) return text;
  const tail = Math.floor((length - 1) / 2);
  return `${text.slice(0, length - 1 - tail)}\u2026${text.slice(text.length - tail)}`;
}

function prefixed(value, symbol, digits) {
  for (const [factor, prefix] of PREFIXES) {
    const scaled = Number((value / factor).toPrecision(digits)); // as shown: 999.9 k is 1 M
    if (Math.abs(scaled) >= 1) return `${significant(scaled, digits)} ${prefix}${symbol}`;
  }
  return `${minus(String(Number(value.toPrecision(4))))} ${symbol}`;
}

function signed(delta) {
  const text = significant(Math.abs(delta), 2);
  if (Number(text) === 0) return "\u00b10";
  return (delta > 0 ? "+" : MINUS) + text;
}

function percent(fraction) {
  const hundredths = Math.abs(100 * fraction);
  const text = hundredths < 9.95 ? hundredths.toFixed(1) : Math.round(hundredths).toString();
  if (Number(text) === 0) return "\u00b10\u00a0%";
  return `${fraction > 0 ? "+" : MINUS}${text}\u00a0%`;
}

function minus(text) {
  return text.replace(/-/g, MINUS);
}
