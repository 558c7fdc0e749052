"""The page's data: columns instead of records, each distinct text once."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from string import ascii_letters, digits

import numpy as np

from niwaki._version import __version__
from niwaki.core.candidate import Candidate, Value
from niwaki.core.constraints import Bound
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective, minimised
from niwaki.report.data import ReportData
from niwaki.report.failures import clipped, group_failures, reason_of
from niwaki.report.influence import influences
from niwaki.report.layers import pack_layers
from niwaki.report.models import Models
from niwaki.report.rounding import all_rounded, rounded
from niwaki.report.units import unit_of

# One character per decided option; a dot where the decision is inactive.
_ALPHABET = digits + ascii_letters
_INACTIVE = "."
_LARGEST_EXACT = 2**53 - 1


def pack(
    models: Models, *, with_layers: Collection[int], named: Sequence[Objective] = ()
) -> dict[str, JSON]:
    """Return the page's data as JSON.

    Args:
        models: What to show.
        with_layers: Rows whose layer tables are kept; they are the heaviest part.
        named: Objectives that give values their units, and whose columns come first; those of the
            data if there are none.
    """
    data = models.data
    named = named or data.objectives
    return {
        "study": _study(data),
        "objectives": [
            {
                "name": objective.name,
                "direction": str(objective.direction),
                "unit": unit_of(objective.name, named),
            }
            for objective in data.objectives
        ],
        "bounds": _bounds(data.bounds),
        "models": _models(models),
        "search": _columns([row.measurement for row in models.rows], named, data.objectives),
        "exported": _exported(models, named),
        "decisions": _decisions([row.candidate for row in models.rows]),
        "layers": layers([models], with_layers)[0],
        "failures": [
            {"state": int(f.state), "reason": f.reason, "rows": list(f.rows)}
            for f in group_failures(models.rows)
        ],
        "unexported": _unexported(models),
        "influences": _influences(models),
        "hypervolume": all_rounded(data.hypervolume),
        "told_at_seconds": all_rounded(data.told_at_seconds),
    }


def _study(data: ReportData) -> dict[str, JSON]:
    return {
        "name": data.study,
        "status": data.status,
        "created": data.created,
        "finished": data.finished,
        "seed": str(data.seed),
        "searcher": data.searcher,
        "effort": rounded(data.effort),
        "budget": data.budget,
        "n_told": len(data.trials),
        "n_partial": data.n_partial,
        "seconds": rounded(data.seconds),
        "config": data.config_yaml,
        "environment": [[name, _text(value)] for name, value in data.environment.items()],
        "target_id": data.target_id,
        "repeat": data.repeat_command,
        "export": data.export_command,
        "niwaki": __version__,
    }


def _models(models: Models) -> dict[str, JSON]:
    data, rows = models.data, models.rows
    reasons: dict[str, int] = {}
    baseline = models.find([data.baseline.key] if data.baseline is not None else [])
    return {
        "numbers": [row.number for row in rows],
        "keys": [row.measurement.key for row in rows],
        "states": "".join(str(int(row.state)) for row in rows),
        "reason": [reasons.setdefault(reason_of(row), len(reasons)) for row in rows],
        "reasons": list(reasons),
        "seconds": all_rounded([row.measurement.seconds for row in rows]),
        "fidelity": all_rounded([row.measurement.fidelity for row in rows]),
        "front": models.front,
        "spare": models.find(data.spare_keys),
        "knee": next(iter(models.find([data.knee_key])), None),
        "baseline": next(iter(baseline), None),
        "chosen": models.find(data.chosen_keys),
        "exportable": models.find([key for key in data.front_keys if key in data.finals]),
    }


def _bounds(bounds: Sequence[Bound]) -> list[JSON]:
    return [{"name": b.name, "sign": b.sign, "limit": rounded(b.limit)} for b in bounds]


def _columns(
    measurements: Sequence[Measurement], named: Sequence[Objective], own: Sequence[Objective]
) -> list[JSON]:
    """One column per value: objectives first, then the others by name.

    Of objectives of other goals there is none if nothing was measured.
    """
    measured = {name for m in measurements for name in m.values}
    objectives = [each.name for each in named if each in own or each.name in measured]
    others = sorted(measured - set(objectives))
    return [
        {
            "name": name,
            "unit": unit_of(name, named),
            "values": all_rounded([m.values.get(name, math.nan) for m in measurements]),
        }
        for name in [*objectives, *others]
    ]


def _exported(models: Models, named: Sequence[Objective]) -> dict[str, JSON]:
    keys = [key for key in models.data.finals if key in models.row_by_key]
    finals = [models.data.finals[key] for key in keys]
    return {
        "rows": models.find(keys),
        "reasons": [final.reason for final in finals],
        "columns": _columns(finals, named, models.data.objectives) if finals else [],
        "bounds": _bounds(models.data.final_bounds),
    }


def _unexported(models: Models) -> list[JSON]:
    """One entry per reason, of finalists that could not be exported."""
    groups: dict[str, list[str]] = {}
    for key, final in models.data.unexported.items():
        groups.setdefault(clipped(final.reason), []).append(key)
    return [{"reason": reason, "rows": models.find(keys)} for reason, keys in groups.items()]


def _decisions(candidates: Sequence[Candidate | None]) -> list[JSON]:
    """One column per decision, as a string of one character per model where that suffices."""
    decided: dict[str, dict[int, Value]] = {}
    for row, candidate in enumerate(candidates):
        for path, value in candidate.items if candidate is not None else ():
            decided.setdefault(path, {})[row] = value
    return [_decision(path, decided[path], len(candidates)) for path in sorted(decided)]


def _decision(path: str, values: Mapping[int, Value], n_rows: int) -> dict[str, JSON]:
    # By type as well: Python holds that 1 == True == 1.0, and a decision may be any of them.
    spelled = {row: json.dumps(value) for row, value in values.items()}
    options = {text: index for index, text in enumerate(sorted(set(spelled.values())))}
    picked = [options[spelled[row]] if row in spelled else -1 for row in range(n_rows)]
    short = len(options) <= len(_ALPHABET)
    return {
        "path": path,
        "options": [_exact(json.loads(text)) for text in options],
        "picked": "".join(_ALPHABET[i] if i >= 0 else _INACTIVE for i in picked)
        if short
        else picked,
    }


def _exact(value: JSON) -> JSON:
    """Return a decision in which whole numbers beyond those of JavaScript are marked text."""
    if isinstance(value, list):
        return [_exact(each) for each in value]
    large = isinstance(value, int) and abs(value) > _LARGEST_EXACT
    return f"\0{value}" if large else value


def layers(views: Sequence[Models], with_layers: Collection[int]) -> list[JSON]:
    """Pack the layer tables of these rows, as each goal sees them."""
    tables = [models.layer_tables for models in views]
    kept = [{row: table for row, table in each.items() if row in with_layers} for each in tables]
    packed = pack_layers(*kept)
    n_left_out = [len(each) - len(some) for each, some in zip(tables, kept, strict=True)]
    return [{**each, "n_left_out": n} for each, n in zip(packed, n_left_out, strict=True)]


def _influences(models: Models) -> list[JSON]:
    every = models.comparable
    decided = [(row, c) for row in every if (c := models.rows[row].candidate) is not None]
    if len(decided) < 2:
        return []
    front = frozenset(models.front)
    rows = [row for row, _ in decided]
    costs = minimised([models.rows[r].measurement.values for r in rows], models.data.objectives)
    on_front = np.array([row in front for row in rows])
    return [
        {
            **asdict(influence),
            "shift": rounded(influence.shift),
            "surprise": rounded(influence.surprise),
            "explained": all_rounded(influence.explained),
        }
        for influence in influences([c for _, c in decided], on_front, costs)
    ]


def _text(value: JSON) -> str:
    """Return a nested value as people read it: names and values, without brackets."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(inner) for inner in value)
    return value if isinstance(value, str) else json.dumps(value)
