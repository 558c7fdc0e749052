"""What a run says it is about: `study.json`."""

import json
from pathlib import Path

import pytest

from niwaki.core.errors import RunFolderError
from niwaki.core.objectives import Direction, Objective
from niwaki.study.description import FILE_NAME, StudyDescription

ERROR = Objective("error", Direction.MINIMIZE, "m", least=0.0)
SAID = StudyDescription("digits", (ERROR,), (), (ERROR,), "random", 12, 0.0, 7)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    SAID.save(tmp_path)
    assert StudyDescription.load(tmp_path) == SAID


@pytest.mark.parametrize(
    "change",
    [
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
