"""What a run says it is about: `study.json`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from niwaki.core.constraints import Constraint
from niwaki.core.errors import RunFolderError
from niwaki.core.goals import Goal
from niwaki.core.objectives import Direction, Objective
from niwaki.study.description import FILE_NAME, StudyDescription

ERROR = Objective("error", Direction.MINIMIZE, "m", least=0.0)
GOAL = Goal("near", (ERROR,), (Constraint.parse("error <= 2"),), "depth")
SAID = StudyDescription("digits", (ERROR,), (), (ERROR,), "random", 12, 0.0, 7)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    for said in (SAID, replace(SAID, exports=False)):
        said.save(tmp_path)
        assert StudyDescription.load(tmp_path) == said


def test_goals_that_are_saved_are_loaded(tmp_path: Path) -> None:
    wanted = replace(SAID, named_goals=(GOAL,))
    wanted.save(tmp_path)
    assert StudyDescription.load(tmp_path) == wanted
    assert wanted.of_goal("near").goals == (replace(GOAL, name="", task=""),)


def test_one_from_before_there_were_goals_is_loaded(tmp_path: Path) -> None:
    SAID.save(tmp_path)
    file = tmp_path / FILE_NAME
    said = json.loads(file.read_text())
    del said["goals"]
    file.write_text(json.dumps(said))
    assert StudyDescription.load(tmp_path) == SAID


@pytest.mark.parametrize(
    "change",
    [
        {"goals": [{**GOAL.to_json(), "objectives": []}]},
        {"goals": [{**GOAL.to_json(), "name": "a/b"}]},
        {"goals": ["near"]},
        {"objectives": []},
        {"objectives": ["error"]},
        {"objectives": [{**ERROR.to_json(), "name": None}]},
        {"values": [{**ERROR.to_json(), "unit": True}]},
        {"values": [{**ERROR.to_json(), "most": 10**400}]},
        {"budget": {"evaluations": float("inf"), "seconds": 0.0}},
    ],
)
def test_one_that_is_damaged_is_told_with_its_remedy(
    tmp_path: Path, change: dict[str, object]
) -> None:
    SAID.save(tmp_path)
    file = tmp_path / FILE_NAME
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(RunFolderError, match=r"study\.json' is damaged .* start the same search"):
        StudyDescription.load(tmp_path)


def test_one_that_nests_too_deeply_is_told_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("[" * 100_000)
    with pytest.raises(RunFolderError, match=r"cannot be read .* start the same search"):
        StudyDescription.load(tmp_path)
