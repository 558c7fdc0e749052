// The page's data, unpacked: columns of values, and who is who among the models.

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LAYER_FIELDS = ["path", "kind", "width", "asked", "realised", "macs", "size_bytes"];

export const FEASIBLE = 0;
export const OUTSIDE = 1;
export const INFEASIBLE = 2;
export const FAILED = 3;
export const STATES = ["measured", "outside a limit", "turned away", "failed"];

/** Unpack what niwaki/report/packing.py packed, as `goal` sees it; null if there are no goals. */
export function readStudy(shared, goal) {
  const packed = goal === null ? shared : laidOver(shared, goal.own);
  const models = packed.models;
  const states = Array.from(models.states, Number);
  const study = {
    ...packed.study,
    goal: goal?.name ?? "",
    task: goal?.task ?? "",
    objectives: packed.objectives,
    rows: states.map((_, row) => row),
    numbers: models.numbers,
    keys: models.keys,
    states,
    evaluationSeconds: models.seconds,
    fidelity: models.fidelity,
    reasons: models.reason.map((index) => models.reasons[index]),
    front: models.front,
    onFront: new Set(models.front),
    spare: new Set(models.spare),
    knee: models.knee,
    baseline: models.baseline,
    chosen: new Set(models.chosen),
    exportable: new Set(models.exportable),
    decisions: packed.decisions,
    layers: packed.layers,
    failures: packed.failures,
    unexported: packed.unexported,
    influences: packed.influences,
    hypervolume: packed.hypervolume,
    toldAt: packed.told_at_seconds,
  };
  study.sources = sources(packed, study);
  return study;
}

/** The column `name` of a source, or null. */
export function columnOf(study, source, name) {
  return study.sources[source]?.columns.find((column) => column.name === name) ?? null;
}

/** What people call a model. */
export function nameOf(study, row) {
  return study.numbers[row] === null ? "baseline" : `#${study.numbers[row]}`;
}

/** The parts that a model plays: front, knee, chosen, baseline. */
export function rolesOf(study, row) {
  const roles = [
    [study.baseline === row, "baseline"],
    [study.onFront.has(row), "front"],
    [study.knee === row, study.objectives.length > 1 ? "knee" : "best"],
    [study.chosen.has(row), "chosen"],
  ];
  return roles.filter(([holds]) => holds).map(([, role]) => role);
}

/** The decisions of a model by path; an empty object where they are not known. */
export function decisionsOf(study, row) {
  const decided = {};
  for (const { path, options, picked } of study.decisions) {
    const index = typeof picked === "string" ? ALPHABET.indexOf(picked[row]) : picked[row];
    if (index >= 0) decided[path] = options[index];
  }
  return decided;
}

/** The layers of a model as objects; empty where there is no table. */
export function layersOf(study, row) {
  const indices = study.layers.models[row] ?? [];
  return indices.map((index) =>
    Object.fromEntries(
      LAYER_FIELDS.map((field, position) => [field, study.layers.rows[index][position]]),
    ),
  );
}

/** The row that a fragment of the address names, or null. */
export function rowOfFragment(study, fragment) {
  const model = fragment.replace(/^#goal=[^&]*&/, "#");
  if (model === "#baseline") return study.baseline;
  const match = /^#trial=(\d+)$/.exec(model);
  const row = match ? study.numbers.indexOf(Number(match[1])) : -1;
  return row < 0 ? null : row;
}

/** The fragment that names a goal. */
export function fragmentOfGoal(name) {
  return `#goal=${encodeURIComponent(name)}`;
}

/** The fragment that names a row. */
export function fragmentOf(study, row) {
  const model = study.numbers[row] === null ? "baseline" : `trial=${study.numbers[row]}`;
  return study.goal === "" ? `#${model}` : `${fragmentOfGoal(study.goal)}&${model}`;
}

function sources(packed, study) {
  const directions = new Map(
    packed.objectives.map((o) => [o.name, o.direction === "minimize" ? 1 : -1]),
  );
  // Goals share columns: first come the objectives of this one, then what else is of its task.
  const ofTask = (c) => study.task !== "" && c.name.startsWith(`${study.task}_`);
  const inOrder = (columns) => {
    const others = columns.filter((c) => !directions.has(c.name));
    return [
      ...packed.objectives.map((o) => columns.find((c) => c.name === o.name)).filter(Boolean),
      ...others.filter(ofTask),
      ...others.filter((c) => !ofTask(c)),
    ];
  };
  const complete = (column) => ({ ...column, direction: directions.get(column.name) ?? 0 });
  const number = { name: "evaluation", unit: "", direction: 0, whole: true, values: study.numbers };
  const search = {
    label: "the search",
    columns: [...inOrder(packed.search).map(complete), number],
    bounds: packed.bounds,
  };
  if (packed.exported.rows.length === 0) return { search };
  const spread = (column) => ({
    ...complete(column),
    values: spreadOver(study.rows, packed.exported.rows, column.values),
  });
  return {
    search,
    exported: {
      label: "the exported models",
      columns: inOrder(packed.exported.columns).map(spread),
      bounds: packed.exported.bounds,
    },
  };
}

// What niwaki/report/views.py told apart, together again: objects are merged, all else is replaced.
function laidOver(shared, own) {
  const whole = { ...shared };
  for (const [name, part] of Object.entries(own))
    whole[name] = isObject(part) && isObject(shared[name]) ? laidOver(shared[name], part) : part;
  return whole;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function spreadOver(rows, filled, values) {
  const spread = rows.map(() => null);
  filled.forEach((row, index) => (spread[row] = values[index]));
  return spread;
}
