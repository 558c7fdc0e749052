"""What has to be known of runs before they are compared."""

from collections.abc import Iterator, Mapping, Sequence

from niwaki.core.constraints import Bound
from niwaki.core.jsonable import canonical_json
from niwaki.core.numerals import numeral
from niwaki.core.objectives import Objective
from niwaki.study.comparison.grouping import environment_of, settings_of, version_of
from niwaki.study.comparison.reading import NamedRun
from niwaki.study.environment import changed_fields
from niwaki.study.run import Run

MEASURING = ("evaluator", "data", "target")  # settings that say what the name of a value stands for
MAX_NAMED = 4


def notes_on(
    found: Sequence[tuple[str, Run, int]],
    objectives: Sequence[Objective],
    groups: Sequence[Sequence[NamedRun]],
    repeated: Sequence[str],
    *,
    within: Sequence[str],
    exported: bool,
) -> tuple[str, ...]:
    """Return what has to be known of a comparison, a sentence each.

    Args:
        found: Of each run its name, itself, and how many models of it count.
        objectives: By which runs are compared.
        groups: Runs that are one search.
        repeated: Folders that were given again.
        within: What all runs are judged by, in place of their own constraints.
        exported: Whether values of exported files are compared.
    """
    runs = {name: run for name, run, _ in found}
    return (
        *(f"'{folder}' was given more than once, and counts once" for folder in repeated),
        *_copies(runs),
        *_left_out(runs, objectives),
        *_seen_by_goals(runs),
        *_measured_elsewhere(runs, exported=exported),
        *_bounds(runs, within, exported=exported),
        *_other_code(runs),
        *_not_over(runs),
        *_nothing_counts(found, exported=exported),
        *_seeds(groups),
        *_known_before(runs),
        *_whose_values(runs, exported=exported),
    )


def named(names: Sequence[str]) -> str:
    """Return names in quotes, the first few of many."""
    shown = ", ".join(f"'{name}'" for name in names[:MAX_NAMED])
    return f"{shown} and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else shown


def _by(runs: Mapping[str, Run], values: Sequence[str]) -> dict[str, list[str]]:
    """Return names of runs by what they have; those that have nothing are left out."""
    owners: dict[str, list[str]] = {}
    for name, value in zip(runs, values, strict=True):
        if value:
            owners.setdefault(value, []).append(name)
    return owners


def _each(owners: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value} in {named(names)}" for value, names in owners.items())


def _copies(runs: Mapping[str, Run]) -> Iterator[str]:
    starts = [run.history.started for run in runs.values()]
    texts = ["" if each is None else canonical_json(each.to_json()) for each in starts]
    for names in _by(runs, texts).values():
        if len(names) > 1:
            yield f"{named(names)} begin with the same event: they are copies of one run"


def _left_out(runs: Mapping[str, Run], objectives: Sequence[Objective]) -> Iterator[str]:
    common = {objective.name for objective in objectives}
    only = [
        ", ".join(o.name for o in run.description.objectives if o.name not in common)
        for run in runs.values()
    ]
    if owners := _by(runs, only):
        yield f"left out, as not all runs have them among their objectives: {_each(owners)}"


def _seen_by_goals(runs: Mapping[str, Run]) -> Iterator[str]:
    if owners := _by(runs, [run.goal for run in runs.values()]):
        with_goals = [name for names in owners.values() for name in names]
        evaluations = "evaluations and seconds are those that all goals of a run share"
        yield f"seen by the goal '{next(iter(owners))}': {named(with_goals)}; {evaluations}"


def _bounds(runs: Mapping[str, Run], within: Sequence[str], *, exported: bool) -> Iterator[str]:
    texts = [_bound_text(run.front_bounds if exported else run.bounds) for run in runs.values()]
    owners = _by(runs, texts)
    whose = "the wishes given" if within else "its own run's constraints"
    if len(set(texts)) == 1:
        if within:
            yield f"all fronts keep to {texts[0]}, in place of the runs' own constraints"
        elif texts[0]:
            yield f"all fronts keep to {texts[0]}"
        return
    free = [name for name, text in zip(runs, texts, strict=True) if not text]
    also = f"; none in {named(free)}" if free else ""
    remedy = "" if within else ". `--within` judges all alike"
    yield f"each front keeps to {whose}, and they differ: {_each(owners)}{also}{remedy}"


def _bound_text(bounds: Sequence[Bound]) -> str:
    return " and ".join(str(bound) for bound in bounds)


def _measured_elsewhere(runs: Mapping[str, Run], *, exported: bool) -> Iterator[str]:
    ids = [", ".join(_target_ids(run, exported=exported)) for run in runs.values()]
    owners = _by(runs, ids)
    if len(owners) > 1:
        yield f"latencies were measured on different targets: {_each(owners)}"
    settings = [settings_of(run) for run in runs.values()]
    meant = [{name: each.get(name) for name in MEASURING} for each in settings]
    paths = sorted({path for each in meant for path in changed_fields(meant[0], each)})
    if paths:
        shown = ", ".join(paths[:MAX_NAMED])
        more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
        yield (
            f"what is measured is not set alike ({shown}{more}): values of one name need not "
            "mean the same"
        )


def _target_ids(run: Run, *, exported: bool) -> list[str]:
    searched = [trial.measurement for trial in run.history.trials]
    measured = run.history.exported.values() if exported else searched
    return sorted({measurement.target_id for measurement in measured} - {""})


def _other_code(runs: Mapping[str, Run]) -> Iterator[str]:
    versions = _by(runs, [version_of(run) for run in runs.values()])
    if len(versions) > 1:
        yield f"of different versions of niwaki: {_each(versions)}"
    processors = []
    for run in runs.values():
        cpu = environment_of(run).get("cpu")
        processors.append(str(cpu.get("model", "")) if isinstance(cpu, Mapping) else "")
    owners = _by(runs, processors)
    if len(owners) > 1:
        yield f"seconds are of different processors: {_each(owners)}"


def _not_over(runs: Mapping[str, Run]) -> Iterator[str]:
    if going := [name for name, run in runs.items() if run.running]:
        yield f"still going, and compared as they are now: {named(going)}"
    stopped = [name for name, run in runs.items() if not run.running and _unspent(run)]
    if stopped:
        spent = [
            f"'{name}' {numeral(runs[name].history.effort)} of "
            f"{runs[name].description.n_evaluations}"
            for name in stopped
        ]
        yield f"ended, or was stopped, before its evaluations were spent: {', '.join(spent)}"


def _unspent(run: Run) -> bool:
    # Efforts are added up, and a study ends where no further one has a place.
    return run.history.effort < run.description.n_evaluations - 1


def _nothing_counts(found: Sequence[tuple[str, Run, int]], *, exported: bool) -> Iterator[str]:
    if empty := [name for name, run, _ in found if not run.history.trials]:
        yield f"nothing was evaluated yet in {named(empty)}"
    none = [(name, run) for name, run, n in found if run.history.trials and not n]
    if unwritten := [name for name, run in none if exported and not run.history.exported]:
        yield f"no model was exported in {named(unwritten)}"
    if outside := [name for name, _ in none if name not in unwritten]:
        model = "exported model" if exported else "model with full effort"
        yield f"no {model} has all objectives and keeps to the constraints in {named(outside)}"


def _seeds(groups: Sequence[Sequence[NamedRun]]) -> Iterator[str]:
    for runs in groups:
        owners = _by(
            {each.name: each.run for each in runs},
            [str(each.run.description.seed) for each in runs],
        )
        for seed, names in owners.items():
            if len(names) > 1:
                yield f"repeats with the same seed {seed}: {named(names)}"


def _known_before(runs: Mapping[str, Run]) -> Iterator[str]:
    learned = [name for name, run in runs.items() if settings_of(run).get("learn_from")]
    if learned:
        yield f"learned from earlier runs, whose evaluations are not counted: {named(learned)}"


def _whose_values(runs: Mapping[str, Run], *, exported: bool) -> Iterator[str]:
    written = [name for name, run in runs.items() if run.history.exported]
    if exported and written:
        yield "values are those of exported files, on data that no search has seen"
    elif written:
        yield (
            "values are those that the searches measured, not those of the exported files, which "
            f"`--exported` compares, in {named(written)}"
        )
