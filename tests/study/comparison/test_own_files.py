"""Files of the user that differ: which ones, and whether they measure."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from niwaki import compare_runs
from niwaki.core.jsonable import JSON
from tests.study.comparison.written import priced, write_run

PAIRS = ((1.0, 1.0), (5.0, 5.0))


def with_files(folder: Path, text: str, config: Mapping[str, JSON], *, file: str = "s.py") -> Path:
    """Write a run that had imported a file of the user."""
    write_run(folder, priced(*PAIRS), seed=len(text), config=config)
    session = {"at": "2026-01-01T00:00:00+00:00", "environment": {"user_files": {file: text}}}
    (folder / "environment.json").write_text(json.dumps({"sessions": [session]}))
    return folder


@pytest.mark.parametrize("file", ["s.py", "beside.py"])
@pytest.mark.parametrize("section", ["evaluator", "data"])
def test_another_file_that_measures_is_told_and_doubted(
    tmp_path: Path, section: str, file: str
) -> None:
    config: dict[str, JSON] = {section: {"kind": "folder/s.py:Mine"}}
    folders = [with_files(tmp_path / text, text, config, file=file) for text in ("a", "bb")]
    comparison = compare_runs(folders)
    assert comparison.notes == (
        "what is measured comes of your own files, and not all runs had the same "
        f"'{file}': values of one name need not mean the same",
    )
    assert not comparison.alike


def test_another_file_that_searches_is_told(tmp_path: Path) -> None:
    config: dict[str, JSON] = {"searcher": {"kind": "folder/s.py:Mine"}}
    folders = [with_files(tmp_path / text, text, config) for text in ("a", "bb")]
    comparison = compare_runs(folders)
    assert comparison.notes == ("of your own files, not all runs had the same 's.py'",)
    assert comparison.alike
    alone = with_files(tmp_path / "alone", "ccc", config, file="other.py")
    assert compare_runs([folders[0], alone]).notes == ()
