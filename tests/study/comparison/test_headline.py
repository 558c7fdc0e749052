"""A comparison in a sentence."""

from dataclasses import replace
from pathlib import Path

from niwaki import compare_runs
from niwaki.study.comparison.headline import headline
from tests.study.comparison.written import FEW, MANY, priced, two_searches, write_run


def test_the_headline_says_who_found_most_and_soonest(tmp_path: Path) -> None:
    assert headline(two_searches(tmp_path)) == (
        "'many' found 100.0% of the hypervolume that all found together (median of its runs); "
        "99% took it 3 evaluations."
    )


def few(tmp_path: Path, name: str, seed: int) -> Path:
    return write_run(tmp_path / name, priced(*FEW), seed=seed)


def test_where_all_found_the_same_the_headline_names_all(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", priced(*FEW))
    other = write_run(tmp_path / "other", priced(*FEW), budget=1)
    assert headline(compare_runs([one, other])) == (
        "'one' and 'other' each found 100.0% of the hypervolume that all found together; 99% took "
        "each of them 1 evaluation."
    )


def test_shares_that_differ_by_rounding_are_the_same(tmp_path: Path) -> None:
    comparison = compare_runs(
        [few(tmp_path, name, seed) for seed, name in enumerate("ab")], apart=True
    )
    one, other = comparison.groups
    (run,) = other.runs
    less = replace(run, figures={**run.figures, "share": run.figures["share"] - 1e-15})
    said = headline(replace(comparison, groups=(one, replace(other, runs=(less,)))))
    assert said.startswith("'a' and 'b' each found 100.0% of")


def test_whoever_came_first_is_named_as_it_is_called(tmp_path: Path) -> None:
    soon = write_run(tmp_path / r"so\on", priced(*reversed(MANY)))
    late = write_run(tmp_path / "late", priced(*MANY), seed=1)
    assert headline(compare_runs([soon, late], apart=True)) == (
        r"'so\on' and 'late' each found 100.0% of the hypervolume that all found together; 99% "
        r"took 'so\on' 2 evaluations."
    )


def test_of_many_that_found_the_same_the_first_are_named(tmp_path: Path) -> None:
    folders = [few(tmp_path, name, seed) for seed, name in enumerate("abcdef")]
    said = headline(compare_runs(folders[:3], apart=True))
    assert said.startswith("'a', 'b' and 'c' each found")
    assert headline(compare_runs(folders, apart=True)).startswith(
        "'a', 'b', 'c', 'd' and 2 more each found"
    )


def test_where_nothing_was_found_the_headline_says_so(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, []) for name in ("one", "other")]
    assert headline(compare_runs(folders)) == "No run has a model that counts so far."


def test_where_runs_were_not_measured_alike_the_headline_doubts(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", [replace(m, target_id="slow") for m in priced(*FEW)])
    other = write_run(tmp_path / "other", [replace(m, target_id="fast") for m in priced(*FEW)])
    said = headline(compare_runs([one, other], apart=True))
    assert said.startswith("If values mean the same in runs that were not set alike, 'one' and")
