"""Runs with values of one's choice, written as a study writes them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Constraint
from niwaki.core.goals import Goal
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.study.comparison import Comparison, compare_runs
from niwaki.study.description import StudyDescription
from niwaki.study.record.events import Asked, Baseline, Event, Final, Started, Told
from niwaki.study.record.ledger import Ledger

GAIN = Objective("gain", Direction.MAXIMIZE)
PRICE = Objective("price", Direction.MINIMIZE, "ms")
WEIGHT = Objective("weight", Direction.MINIMIZE)
# Of the joined front (1, 1), (9, 9) both points are 0.11, less what they share.
FEW, MANY = ((1.0, 1.0),), ((0.0, 9.0), (9.0, 9.0), (1.0, 1.0))
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def measured(number: int, values: Mapping[str, float], **more: object) -> Measurement:
    """Return a complete measurement of the candidate that has this number."""
    return Measurement(candidate(number).key, values, **more)  # type: ignore[arg-type]


def candidate(number: int) -> Candidate:
    """Return a candidate of its own for each number."""
    return Candidate.of({"number": number})


def priced(*pairs: tuple[float, float]) -> list[Measurement]:
    """Return measurements of gain and price."""
    return [measured(i, {"gain": gain, "price": price}) for i, (gain, price) in enumerate(pairs)]


def write_run(
    folder: Path,
    measurements: Sequence[Measurement],
    *,
    objectives: tuple[Objective, ...] = (GAIN, PRICE),
    constraints: Sequence[str] = (),
    goals: tuple[Goal, ...] = (),
    baseline: Measurement | None = None,
    finals: Sequence[Measurement] = (),
    efforts: Sequence[float] = (),
    seed: int = 0,
    budget: int = 0,
    config: Mapping[str, JSON] | None = None,
) -> Path:
    """Write a run in which an evaluation takes a second, and return its folder.

    Args:
        folder: Created.
        measurements: Of candidates 0, 1, ... in the order of telling.
        objectives: Of the study.
        constraints: Of the study.
        goals: That it has, if any.
        baseline: Measured first, if given.
        finals: Measurements of exported files.
        efforts: Of the evaluations; 1 each if not given.
        seed: Of the study.
        budget: In full evaluations; 0 for no limit.
        config: Settings beside the seed.
    """
    folder.mkdir(parents=True)
    StudyDescription(
        name=folder.name,
        objectives=objectives,
        constraints=tuple(map(Constraint.parse, constraints)),
        values=(GAIN, PRICE, WEIGHT),
        searcher="written",
        n_evaluations=budget,
        seconds=0.0,
        seed=seed,
        named_goals=goals,
    ).save(folder)
    settings = {"evaluator": {"kind": "written"}, "seed": seed, "name": folder.name}
    text = yaml.safe_dump({**settings, **(config or {})})
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    seconds = range(len(measurements) + 3)
    at = ((BEGAN + timedelta(seconds=second)).isoformat() for second in seconds)
    events: list[Event] = [Started(folder.name, "hash", seed, at=next(at))]
    if baseline is not None:
        events.append(Baseline(candidate(-1), baseline, at=next(at)))
    for number, measurement in enumerate(measurements):
        effort = efforts[number] if efforts else 1.0
        when = next(at)
        events.append(Asked(number, candidate(number), measurement.fidelity, 0, effort, at=when))
        events.append(Told(number, measurement, at=when))
    last = next(at)
    events += [Final(None, each, at=last) for each in finals]
    with Ledger.open(folder / "trials.jsonl") as ledger:
        for event in events:
            ledger.append(event)
    return folder


def two_searches(folder: Path) -> Comparison:
    """Compare a search that found little, and one of three seeds that found all there is."""
    write_run(folder / "few", priced(*FEW), config={"searcher": {"kind": "few"}})
    for seed in (0, 1, 2):
        more = {"searcher": {"kind": "many"}}
        write_run(folder / f"many-{seed}", priced(*MANY), seed=seed, config=more)
    return compare_runs([folder / name for name in ("few", "many-0", "many-1", "many-2")])
