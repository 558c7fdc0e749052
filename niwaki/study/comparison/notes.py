"""What has to be known of runs before they are compared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from niwaki.core.fidelity import FULL
from niwaki.core.jsonable import canonical_json
from niwaki.core.numerals import numeral
from niwaki.core.objectives import Objective
from niwaki.study.comparison.compared_run import ComparedRun
from niwaki.study.comparison.differences import dotted, measuring_paths
from niwaki.study.comparison.own_files import changed_files, measure
from niwaki.study.comparison.reading import Reading
from niwaki.study.comparison.scale import ROUNDING
from niwaki.study.results.run import Run

Runs: TypeAlias = Sequence[ComparedRun]

MAX_NAMED = 4


def notes_on(
    groups: Sequence[Runs],
    objectives: Sequence[Objective],
    reading: Reading,
    *,
    within: Sequence[str],
    exported: bool,
) -> tuple[str, ...]:
    """Return what has to be known of a comparison, a sentence each.

    Args:
        groups: Runs that are one search.
        objectives: By which runs are compared.
        reading: What was read, and what was not.
        within: What all runs are judged by, in place of their own constraints.
        exported: Whether values of exported files are compared.
    """
    runs = [each for group in groups for each in group]
    return (
        *(f"'{folder}' was given more than once, and counts once" for folder in reading.repeated),
        *_without_baseline(reading, within),
        *_copies(runs),
        *_left_out(runs, objectives),
        *_seen_by_goals(runs),
        *_measured_elsewhere(runs, exported=exported),
        *_bounds(runs, within, exported=exported),
        *_other_code(runs),
        *_other_files(runs),
        *_not_over(runs),
        *_nothing_counts(runs, exported=exported),
        *(note for group in groups for note in (*_seeds(group), *_from_python(group))),
        *_known_before(runs),
        *_whose_values(runs, exported=exported),
    )


def measured_alike(runs: Runs, *, exported: bool) -> bool:
    """Return whether values of one name mean the same in all runs, as far as is known."""
    return not any(_measured_elsewhere(runs, exported=exported))


def named(names: Sequence[str]) -> str:
    """Return names in quotes, the first few of many."""
    shown = ", ".join(f"'{name}'" for name in names[:MAX_NAMED])
    return f"{shown} and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else shown


def _by(runs: Runs, values: Sequence[str]) -> dict[str, list[str]]:
    """Return names of runs by what they have; those that have nothing are left out."""
    owners: dict[str, list[str]] = {}
    for each, value in zip(runs, values, strict=True):
        if value:
            owners.setdefault(value, []).append(each.name)
    return owners


def _each(owners: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value} in {named(names)}" for value, names in owners.items())


def _copies(runs: Runs) -> Iterator[str]:
    starts = [each.run.history.started for each in runs]
    texts = ["" if each is None else canonical_json(each.to_json()) for each in starts]
    for names in _by(runs, texts).values():
        if len(names) > 1:
            yield f"{named(names)} begin with the same event: they are copies of one run"


def _left_out(runs: Runs, objectives: Sequence[Objective]) -> Iterator[str]:
    common = {objective.name for objective in objectives}
    only = [
        ", ".join(o.name for o in each.run.description.objectives if o.name not in common)
        for each in runs
    ]
    if owners := _by(runs, only):
        yield f"left out, as not all runs have them among their objectives: {_each(owners)}"


def _seen_by_goals(runs: Runs) -> Iterator[str]:
    if owners := _by(runs, [each.run.goal for each in runs]):
        with_goals = [name for names in owners.values() for name in names]
        evaluations = "evaluations and seconds are those that all goals of a run share"
        yield f"seen by the goal '{next(iter(owners))}': {named(with_goals)}; {evaluations}"


def _bounds(runs: Runs, within: Sequence[str], *, exported: bool) -> Iterator[str]:
    instead = ", in place of the runs' own constraints" if within else ""
    resolved = [each.run.front_bounds if exported else each.run.bounds for each in runs]
    bounds = [" and ".join(map(str, some)) for some in resolved]
    written = [" and ".join(map(str, each.run.description.constraints)) for each in runs]
    if len(set(bounds)) == 1:
        if bounds[0]:
            yield f"all fronts keep to {bounds[0]}{instead}"
        return
    if len(set(written)) == 1:
        own = "each relative to its own run's baseline"
        yield f"all fronts keep to {written[0]}, {own}{instead}"
        return
    free = [each.name for each, text in zip(runs, written, strict=True) if not text]
    none = f"; none in {named(free)}" if free else ""
    yield (
        f"each front keeps to its own run's constraints, and they differ: "
        f"{_each(_by(runs, written))}{none}. `--within` judges all alike"
    )


def _measured_elsewhere(runs: Runs, *, exported: bool) -> Iterator[str]:
    ids = [", ".join(_target_ids(each.run, exported=exported)) for each in runs]
    owners = _by(runs, ids)
    if len(owners) > 1:
        yield f"latencies were measured on different targets: {_each(owners)}"
    if untold := [each.name for each in runs if each.named.subject_untold]:
        yield (
            f"begun before runs kept what model they compress, and on what data: {named(untold)}; "
            "values of one name need not mean the same"
        )
    if paths := measuring_paths([each.named.settings for each in runs]):
        shown = ", ".join(map(dotted, paths[:MAX_NAMED]))
        more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
        yield (
            f"what is measured is not set alike ({shown}{more}): values of one name need not "
            "mean the same"
        )

    read = [each.named for each in runs]
    files = changed_files(read)
    if files and measure(files, read):
        yield (
            f"what is measured comes of your own files, and not all runs had the same "
            f"{named(files)}: values of one name need not mean the same"
        )


def _other_files(runs: Runs) -> Iterator[str]:
    read = [each.named for each in runs]
    files = changed_files(read)
    if files and not measure(files, read):
        yield f"of your own files, not all runs had the same {named(files)}"


def _without_baseline(reading: Reading, within: Sequence[str]) -> Iterator[str]:
    if reading.without_baseline:
        yield (
            f"left out, as no baseline was measured so far to judge {' and '.join(within)} by: "
            f"{named(reading.without_baseline)}"
        )


def _target_ids(run: Run, *, exported: bool) -> list[str]:
    searched = [trial.measurement for trial in run.history.trials]
    measured = run.history.exported.values() if exported else searched
    return sorted({measurement.target_id for measurement in measured} - {""})


def _other_code(runs: Runs) -> Iterator[str]:
    versions = _by(runs, [each.named.version for each in runs])
    if len(versions) > 1:
        yield f"of different versions of niwaki: {_each(versions)}"
    processors = _by(runs, [each.named.processor for each in runs])
    if len(processors) > 1:
        yield f"seconds are of different processors: {_each(processors)}"


def _not_over(runs: Runs) -> Iterator[str]:
    going = [each.name for each in runs if each.run.running]
    if going:
        yield f"still going, and compared as they are now: {named(going)}"
    spent = [
        f"'{each.name}' {numeral(each.run.history.effort)} of {each.run.description.n_evaluations}"
        for each in runs
        if each.name not in going and _unspent(each.run)
    ]
    if spent:
        yield f"ended, or was stopped, before its evaluations were spent: {', '.join(spent)}"


def _unspent(run: Run) -> bool:
    # A study ends where the next evaluation has no place, and which one that was is not known.
    largest = max((asked.effort for asked in run.history.asked.values()), default=FULL)
    return run.history.effort + largest <= run.description.n_evaluations + ROUNDING


def _nothing_counts(runs: Runs, *, exported: bool) -> Iterator[str]:
    if empty := [each.name for each in runs if not each.run.history.trials]:
        yield f"nothing was evaluated yet in {named(empty)}"
    none = [each for each in runs if each.run.history.trials and not len(each.trace.costs)]
    unwritten = [each.name for each in none if exported and not each.run.history.exported]
    if unwritten:
        yield f"no model was exported in {named(unwritten)}"
    if outside := [each.name for each in none if each.name not in unwritten]:
        model = "exported model" if exported else "model with full effort"
        yield f"no {model} has all objectives and keeps to the constraints in {named(outside)}"


def _seeds(runs: Runs) -> Iterator[str]:
    seeds = [str(each.run.description.seed) for each in runs]
    for seed, names in _by(runs, seeds).items():
        if len(names) > 1:
            yield f"repeats with the same seed {seed}: {named(names)}"


def _from_python(runs: Runs) -> Iterator[str]:
    if len(runs) > 1 and not all(each.named.told for each in runs):
        names = named([each.name for each in runs])
        yield (
            "of one search by the little that runs from Python tell of their settings, and apart "
            f"with `--apart`: {names}"
        )


def _known_before(runs: Runs) -> Iterator[str]:
    if learned := [each.name for each in runs if each.named.settings.get("learn_from")]:
        yield f"learned from earlier runs, whose evaluations are not counted: {named(learned)}"


def _whose_values(runs: Runs, *, exported: bool) -> Iterator[str]:
    written = [each.name for each in runs if each.run.history.exported]
    if exported and written:
        yield "values are those of exported files, on data that no search has seen"
    elif written:
        yield (
            "values are those that the searches measured, not those of the exported files, which "
            f"`--exported` compares, in {named(written)}"
        )
