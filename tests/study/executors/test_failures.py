"""Failures are explained without telling where somebody lives."""

from importlib import import_module
from pathlib import Path

import pytest

from niwaki.core.errors import DataError
from niwaki.study.executors.failures import (
    MAX_TRACEBACK_LINES,
    explain,
    explain_with_place,
    traceback_lines,
    without_private_paths,
)


def caught(cause: Exception) -> Exception:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise cause from inner
    except Exception as error:
        return error


def test_a_reason_is_one_line_with_its_type() -> None:
    assert explain(ValueError("two\n  lines")) == "ValueError: two lines"
    assert explain(MemoryError()) == "MemoryError"


def test_the_users_own_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_training.py").write_text("import json\n\ndef train():\n    json.loads('[')\n")
    monkeypatch.syspath_prepend(tmp_path)
    train = import_module("my_training").train
    with pytest.raises(ValueError, match="Expecting value") as caught:
        train()
    assert explain_with_place(caught.value).endswith(" (my_training.py, line 4)")


def test_only_what_the_users_lines_raise_has_a_place() -> None:
    assert explain_with_place(ValueError("diverged")) == "ValueError: diverged"
    assert explain_with_place(caught(DataError("no labels"))) == "no labels"
    with pytest.raises(AttributeError) as fault:
        without_private_paths(3)  # type: ignore[arg-type]
    within = fault.value.with_traceback(fault.tb.tb_next)
    assert explain_with_place(within) == explain(within)


def test_an_exception_that_cannot_be_told_is_named() -> None:
    class MuteError(ValueError):
        def __str__(self) -> str:
            raise RuntimeError

    assert explain(MuteError()) == "MuteError"
    assert "MuteError" in traceback_lines(caught(MuteError()))[-1]


def test_a_working_directory_that_is_gone_takes_no_reason_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert explain(ValueError("diverged")) == "ValueError: diverged"
    assert traceback_lines(caught(ValueError("diverged")))[-1] == "ValueError: diverged"


def test_a_chain_longer_than_a_recursion_is_told() -> None:
    last: Exception | None = None
    for attempt in range(1500):
        try:
            raise ConnectionError(attempt) from last
        except ConnectionError as error:
            last = error
    assert last is not None
    assert traceback_lines(last)[-1] == "ConnectionError: 1499"


def test_our_own_errors_speak_for_themselves() -> None:
    assert explain(DataError("the split is empty: add images")) == "the split is empty: add images"


def test_a_long_reason_is_cut() -> None:
    assert len(explain(ValueError("x" * 10_000))) < 600


def test_a_traceback_has_relative_paths_source_and_causes() -> None:
    text = "\n".join(traceback_lines(caught(ValueError("outer"))))
    assert 'File "tests/study/executors/test_failures.py", line' in text
    assert 'raise KeyError("inner")' in text
    assert "direct cause" in text
    assert text.endswith("ValueError: outer")
    assert str(Path.cwd()) not in text


def test_groups_are_told_member_by_member() -> None:
    group = ExceptionGroup("several", [caught(ValueError("one")), caught(ValueError("two"))])
    text = "\n".join(traceback_lines(group))
    assert "ValueError: one" in text
    assert "ValueError: two" in text
    assert str(Path.cwd()) not in text


def test_a_runaway_recursion_is_short() -> None:
    def fall(depth: int) -> int:
        return fall(depth + 1) if depth % 2 else fall(depth + 3)

    with pytest.raises(RecursionError) as error:
        fall(0)
    lines = traceback_lines(error.value)
    assert len(lines) <= MAX_TRACEBACK_LINES + 1
    assert lines[-1].startswith("RecursionError")


def test_home_and_working_directory_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    text = f"no file {work}/data/x.npz, nor {tmp_path}/y.npz"
    assert without_private_paths(text) == "no file data/x.npz, nor ~/y.npz"


def test_a_home_of_root_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    assert without_private_paths("/etc/hosts") == "/etc/hosts"
