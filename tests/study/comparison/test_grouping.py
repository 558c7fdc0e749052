"""Which runs are one search, what they are called together, and what tells them apart."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from niwaki.core.jsonable import JSON
from niwaki.study.comparison.grouping import differing, group_names, grouped
from niwaki.study.comparison.reading import NamedRun, read_runs
from niwaki.study.results.run import Run
from tests.study.comparison.written import priced, write_run

TOLD = priced((1.0, 1.0))


def groups_of(*folders: Path) -> list[list[str]]:
    return [[each.name for each in group] for group in grouped(read_runs(folders).runs)]


def test_a_seed_and_a_name_make_no_other_search(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", TOLD, seed=0)
    other = write_run(tmp_path / "other", TOLD, seed=1)
    assert groups_of(one, other) == [["one", "other"]]


def test_settings_that_hold_nothing_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", TOLD)
    other = write_run(tmp_path / "other", TOLD, config={"scheduler": None})
    assert groups_of(one, other) == [["one", "other"]]


@pytest.mark.parametrize(
    "more",
    [
        {"config": {"searcher": {"kind": "else"}}},
        {"constraints": ["price <= 5"]},
        {"budget": 7},
    ],
    ids=["settings", "constraints", "budget"],
)
def test_another_search_is_a_group_of_its_own(tmp_path: Path, more: dict[str, object]) -> None:
    one = write_run(tmp_path / "one", TOLD)
    other = write_run(tmp_path / "other", TOLD, **more)  # type: ignore[arg-type]
    third = write_run(tmp_path / "third", TOLD, seed=3)
    assert groups_of(one, other, third) == [["one", "third"], ["other"]]


@pytest.mark.parametrize(
    "environment",
    [{"user_files": {"searcher.py": "abc"}}, {"packages": {"niwaki": "0.0.1"}}],
    ids=["files", "version"],
)
def test_another_file_of_the_user_or_another_niwaki_is_another_search(
    tmp_path: Path, environment: dict[str, object]
) -> None:
    folders = [write_run(tmp_path / name, TOLD) for name in ("one", "other")]
    session = {"at": "2026-01-01T00:00:00+00:00", "environment": environment}
    (folders[1] / "environment.json").write_text(json.dumps({"sessions": [session]}))
    assert groups_of(*folders) == [["one"], ["other"]]


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        ([["a-0", "a-1"], ["b-0"]], ["a", "b-0"]),
        ([["a-1", "a-10", "a-11"]], ["a"]),
        ([["a/0", "a/1"], ["b/0", "b/1"]], ["a", "b"]),
        ([["a-0", "b-0"]], ["a-0 and 1 more"]),
        ([["a-0", "a-1"], ["a-2", "a-3"]], ["a-0 and 1 more", "a-2 and 1 more"]),
        ([["a-0", "a-1"], ["a"]], ["a-0 and 1 more", "a"]),
    ],
)
def test_a_group_is_called_by_what_its_names_have_in_common(
    groups: list[list[str]], names: list[str]
) -> None:
    assert group_names(groups) == names


def test_settings_that_only_one_of_them_has_tell_nothing(tmp_path: Path) -> None:
    configs: tuple[Mapping[str, JSON], ...] = (
        {"searcher": {"kind": "a", "size": 3}, "budget": {"evaluations": 5}},
        {"searcher": {"kind": "b", "depth": 1}, "budget": {"evaluations": 5}},
    )
    runs = [
        NamedRun(str(n), Run.read(write_run(tmp_path / str(n), TOLD, config=config)))
        for n, config in enumerate(configs)
    ]
    assert differing(runs) == [{"searcher.kind": "a"}, {"searcher.kind": "b"}]


def settings_that_differ(tmp_path: Path, *configs: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    folders = [
        write_run(tmp_path / str(n), TOLD, config=config) for n, config in enumerate(configs)
    ]
    return differing(read_runs(folders).runs)


def test_a_section_that_a_run_has_not_is_none(tmp_path: Path) -> None:
    asha: dict[str, JSON] = {"scheduler": {"kind": "asha", "rungs": 3}}
    hyperband: dict[str, JSON] = {"scheduler": {"kind": "hyperband"}}
    assert settings_that_differ(tmp_path / "a", asha, {}) == [asha, {"scheduler": None}]
    assert settings_that_differ(tmp_path / "b", asha, hyperband, {}) == [
        asha,
        hyperband,
        {"scheduler": None},
    ]


def test_a_key_may_hold_a_dot(tmp_path: Path) -> None:
    one, other = ({"evaluator": {"columns": {"v.1": name}}} for name in ("here", "there"))
    assert settings_that_differ(tmp_path, one, other) == [
        {"evaluator.columns.v.1": "here"},
        {"evaluator.columns.v.1": "there"},
    ]


def compressing(model: str, data: str = "my.py:loaders") -> dict[str, JSON]:
    """Return the settings of a compression that says of what it is."""
    return {"compression": {"only": ""}, "subject": {"model": model, "data": data}}


def test_compressions_of_other_models_or_on_other_data_are_other_searches(tmp_path: Path) -> None:
    told = [
        compressing("my.py:small"),
        compressing("my.py:large"),
        compressing("my.py:small", "my.py:others"),
        compressing("my.py:small"),
    ]
    folders = [
        write_run(tmp_path / str(seed), TOLD, seed=seed, config=config)
        for seed, config in enumerate(told)
    ]
    assert groups_of(*folders) == [["0", "3"], ["1"], ["2"]]
    (folders[3] / "artifacts").mkdir()
    (folders[3] / "artifacts" / "original.json").write_text('{"fingerprint": "0123456789abcdef"}')
    assert groups_of(*folders) == [["0"], ["1"], ["2"], ["3"]]


def test_compressions_that_do_not_say_of_what_they_are_stay_apart(tmp_path: Path) -> None:
    old: dict[str, JSON] = {"compression": {"only": ""}}
    folders = [write_run(tmp_path / str(seed), TOLD, seed=seed, config=old) for seed in (0, 1)]
    assert groups_of(*folders) == [["0"], ["1"]]
