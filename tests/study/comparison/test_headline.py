"""A comparison in a sentence."""

from dataclasses import replace
from pathlib import Path

from niwaki import compare_runs
from niwaki.study.comparison.headline import headline
from tests.study.comparison.written import FEW, priced, two_searches, write_run


def test_the_headline_says_who_found_most_and_soonest(tmp_path: Path) -> None:
    assert headline(two_searches(tmp_path)) == (
        "'many' found 100.0% of the hypervolume that all found together (median of its runs); "
        "99% took it 3 evaluations."
    )


def test_where_all_found_the_same_the_headline_names_all(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", priced(*FEW))
    other = write_run(tmp_path / "other", priced(*FEW), budget=1)
    said = headline(compare_runs([one, other]))
    assert said.startswith("'one' and 'other' found 100.0% of")


def test_where_nothing_was_found_the_headline_says_so(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, []) for name in ("one", "other")]
    assert headline(compare_runs(folders)) == "No run has a model that counts so far."


def test_where_runs_were_not_measured_alike_the_headline_doubts(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", [replace(m, target_id="slow") for m in priced(*FEW)])
    other = write_run(tmp_path / "other", [replace(m, target_id="fast") for m in priced(*FEW)])
    said = headline(compare_runs([one, other], apart=True))
    assert said.startswith("If values mean the same in runs that were not set alike, 'one' and")
