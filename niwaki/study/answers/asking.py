"""Candidates from files, and predictions as text and JSON: what `niwaki predict` reads and says."""

import json
from pathlib import Path

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, SpaceError
from niwaki.core.jsonable import JSON, finite_or_none
from niwaki.core.numerals import numeral
from niwaki.predictors.base import Prediction
from niwaki.predictors.quality import LEVEL
from niwaki.study.answers.prediction import RunPredictor

_DECISIONS = "candidate"  # key of the decisions in lines of a ledger and in models of a front
_NAME_WIDTH = 20  # of values, at least


def read_candidates(
    candidate: Path | None, batch: Path | None
) -> tuple[list[str], list[Candidate]]:
    """Read one candidate, or one per line.

    A candidate is a JSON object of decisions, or one that holds them under `candidate`, as the
    models of `pareto.json` do.

    Args:
        candidate: A JSON file.
        batch: A JSON-lines file; empty lines are skipped.

    Returns:
        Where each candidate is written, for messages, and the candidates.

    Raises:
        ConfigError: If neither or both are given, a file cannot be read, or it holds no candidate.
        SpaceError: If a line holds no candidate, with its number from 1.
    """
    if (candidate is None) == (batch is None):
        raise ConfigError("give either --candidate FILE or --batch FILE.jsonl")
    if candidate is not None:
        texts = {f"'{candidate}'": _text(candidate)}
    else:
        assert batch is not None
        # Not `splitlines`: text within JSON may hold other separators of lines as they are.
        lines = enumerate(_text(batch).split("\n"), start=1)
        texts = {f"'{batch}', line {n}": line for n, line in lines if line.strip()}
    if not texts:
        raise ConfigError(f"'{batch}' holds no candidate: give one JSON object per line")
    return list(texts), [_candidate(text, where) for where, text in texts.items()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' cannot be read ({error}): give a file of JSON") from error


def _candidate(text: str, where: str) -> Candidate:
    try:
        data = json.loads(text, object_pairs_hook=_object)
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SpaceError(f"{where} is not JSON: {error}") from error
    if isinstance(data, dict) and isinstance(data.get(_DECISIONS), dict):
        data = data[_DECISIONS]
    try:
        return Candidate.from_json(data)
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from error


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    """Return an object of JSON, which might name a decision twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        Candidate.of((path, None) for path, _ in pairs)  # says which
    return found


def require_level(level: float) -> None:
    """Raise if intervals cannot have such a level.

    Raises:
        ConfigError: If it is not strictly between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(
            f"the level of an interval is {level}: give a share between 0 and 1, such as 0.9"
        )


def predictions_json(
    predictor: RunPredictor,
    candidates: list[Candidate],
    prediction: Prediction,
    *,
    level: float = 0.9,
) -> dict[str, JSON]:
    """Return predictions, their intervals and the predictor's quality, for programs.

    What is not finite, such as the end of an interval that too few evaluations can promise, is
    null. Values under `computed` are exact, and their intervals have no width. `quality` is of
    intervals of `quality_level`, whatever `level` is.
    """
    low, high = prediction.interval(level)
    columns = [x.tolist() for x in (prediction.mean, prediction.std, low, high)]
    rows: list[JSON] = []
    for candidate, mean, std, lows, highs in zip(candidates, *columns, strict=True):
        values: dict[str, JSON] = {
            name: {
                "mean": finite_or_none(mean[m]),
                "std": finite_or_none(std[m]),
                "low": finite_or_none(lows[m]),
                "high": finite_or_none(highs[m]),
            }
            for m, name in enumerate(predictor.names)
        }
        rows.append({"key": candidate.key, "values": values})
    return {
        "level": level,
        "n_evaluations": predictor.n_rows,
        "computed": list(predictor.computed),
        "units": {value.name: value.unit for value in predictor.values},
        "quality": predictor.quality_json(),
        "quality_level": LEVEL,
        "predictions": rows,
    }


def predictions_text(
    predictor: RunPredictor,
    candidates: list[Candidate],
    prediction: Prediction,
    *,
    level: float = 0.9,
) -> str:
    """Return predictions as lines for people: one per candidate and value, then the quality."""
    low, high = prediction.interval(level)
    lines = []
    width = _name_width(predictor)
    for row, candidate in enumerate(candidates):
        for column, value in enumerate(predictor.values):
            unit = f" {value.unit}" if value.unit else ""
            mean, name = prediction.mean[row, column], f"{candidate.key[:8]}  {value.name:<{width}}"
            if value.name in predictor.computed:
                lines.append(f"{name} {numeral(mean, digits=12)}{unit}  computed")
                continue
            least, most = (numeral(end[row, column], digits=5) for end in (low, high))
            expected = f"{name} {numeral(mean, digits=5)}{unit}"
            lines.append(f"{expected}  {100 * level:.6g}% in [{least}, {most}]")
    return "\n".join([*lines, *_quality_lines(predictor)])


def _quality_lines(predictor: RunPredictor) -> list[str]:
    predicted = {n: q for n, q in predictor.quality.items() if n not in predictor.computed}
    if not predicted:
        return []
    title = f"fitted on {predictor.n_rows} evaluations; on held-out ones:"
    width = _name_width(predictor)
    return [title, *(f"  {name:<{width}} {found}" for name, found in predicted.items())]


def _name_width(predictor: RunPredictor) -> int:
    return max(_NAME_WIDTH, *(len(value.name) for value in predictor.values))
