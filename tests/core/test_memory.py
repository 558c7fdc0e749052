"""Usable memory: the machine's, or what a container may take."""

from pathlib import Path

import pytest

from niwaki.core.memory import usable_memory


def test_a_container_may_have_less_than_the_machine(tmp_path: Path) -> None:
    own = tmp_path / "nobody"
    machine = usable_memory(tmp_path, own)
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory(tmp_path, own) == machine > 2**20
    (tmp_path / "memory.max").write_text("1048576\n")
    assert usable_memory(tmp_path, own) == 2**20


def test_the_first_version_of_control_groups_has_another_file(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("524288\n")
    assert usable_memory(tmp_path, tmp_path / "nobody") == 2**19


@pytest.mark.parametrize("limited", ["jobs", "jobs/7", "jobs/7/step"])
@pytest.mark.parametrize(
    ("line", "base", "name"),
    [("0::", "", "memory.max"), ("4:cpu,memory:", "memory", "memory.limit_in_bytes")],
)
def test_a_group_may_lie_in_others(
    tmp_path: Path, limited: str, line: str, base: str, name: str
) -> None:
    own = tmp_path / "own"
    own.write_text(f"9:pids:/elsewhere\n{line}/jobs/7/step\n")
    for place, limit in (("jobs/7/step/deeper", 2**10), ("jobs/8", 2**11), (limited, 2**20)):
        (tmp_path / base / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / base / place / name).write_text(f"{limit}\n")
    assert usable_memory(tmp_path, own) == 2**20
