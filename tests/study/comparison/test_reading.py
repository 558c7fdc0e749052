"""Runs that are read to be compared: each once, by one front."""

from pathlib import Path

import pytest

from niwaki.core.errors import ConfigError, RunFolderError
from niwaki.core.goals import Goal
from niwaki.study.comparison.reading import read_runs
from tests.study.comparison.written import GAIN, PRICE, WEIGHT, measured, priced, write_run

TOLD = priced((1.0, 1.0))


def test_a_name_is_as_much_of_a_path_as_tells_it_from_others(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, TOLD) for name in ("a/run", "b/run", "c")]
    names = [each.name for each in read_runs(folders).runs]
    assert names[:2] == ["a/run", "b/run"] and names[2].endswith("/c")
    assert [each.name for each in read_runs(folders[1:]).runs] == ["run", "c"]


def test_a_folder_that_comes_again_counts_once(tmp_path: Path) -> None:
    one, other = (write_run(tmp_path / name, TOLD) for name in ("one", "other"))
    reading = read_runs([one, other, tmp_path / "other" / ".." / "one"])
    assert [each.name for each in reading.runs] == ["one", "other"]
    assert reading.repeated == (f"{tmp_path}/other/../one",)


@pytest.mark.parametrize(("n", "fault"), [(0, "none came"), (1, "one came:"), (2, "one came, mo")])
def test_one_run_is_beside_nothing(tmp_path: Path, n: int, fault: str) -> None:
    one = write_run(tmp_path / "one", TOLD)
    with pytest.raises(ConfigError, match=fault):
        read_runs([one] * n)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", TOLD)
    with pytest.raises(RunFolderError, match=r"there is no run at '.*nothing'"):
        read_runs([one, tmp_path / "nothing"])


GOALS = (Goal("cheap", (GAIN, PRICE)), Goal("light", (GAIN, WEIGHT)))


def test_a_run_with_goals_is_seen_by_the_one_that_is_named(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", TOLD)
    several = write_run(tmp_path / "several", TOLD, goals=GOALS)
    seen = [each.run for each in read_runs([one, several], goal="cheap").runs]
    assert [run.goal for run in seen] == ["", "cheap"]


@pytest.mark.parametrize(
    ("goal", "fault"),
    [
        ("", "'several' has several fronts: choose the goal .* Its goals are cheap, light"),
        ("ligth", "'several': the run has no goal 'ligth'; did you mean 'light'"),
    ],
)
def test_a_run_with_goals_needs_one_that_it_has(tmp_path: Path, goal: str, fault: str) -> None:
    one = write_run(tmp_path / "one", TOLD)
    several = write_run(tmp_path / "several", TOLD, goals=GOALS)
    with pytest.raises(ConfigError, match=fault):
        read_runs([one, several], goal=goal)


def test_a_goal_beside_runs_that_have_none_is_refused(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, TOLD) for name in ("one", "other")]
    with pytest.raises(ConfigError, match="no run has goals, and so none has the goal 'cheap'"):
        read_runs(folders, goal="cheap")


def test_a_wish_that_a_run_cannot_be_judged_by_names_the_run(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, TOLD) for name in ("one", "other")]
    with pytest.raises(ConfigError, match="'one': constraint 'wieght <= 1' is on a value that no"):
        read_runs(folders, within=["wieght <= 1"])


def test_runs_without_a_baseline_are_left_out_of_wishes_relative_to_it(tmp_path: Path) -> None:
    baseline = measured(-1, {"gain": 0.0, "price": 2.0})
    done = [write_run(tmp_path / name, TOLD, baseline=baseline) for name in ("one", "other")]
    begun = write_run(tmp_path / "begun", [])
    reading = read_runs([*done, begun], within=["price <= baseline"])
    assert [each.name for each in reading.runs] == ["one", "other"]
    assert reading.without_baseline == ("begun",)
    with pytest.raises(ConfigError, match=r"'price <= baseline' .* not measured so far in 'begun'"):
        read_runs([done[0], begun], within=["price <= baseline"])
