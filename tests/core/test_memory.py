"""Usable memory: the machine's, or what a container may take."""

from pathlib import Path

from niwaki.core.memory import usable_memory


def test_a_container_may_have_less_than_the_machine(tmp_path: Path) -> None:
    machine = usable_memory(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_memory(tmp_path) == machine > 2**20
    (tmp_path / "memory.max").write_text("1048576\n")
    assert usable_memory(tmp_path) == 2**20


def test_the_first_version_of_control_groups_has_another_file(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("524288\n")
    assert usable_memory(tmp_path) == 2**19
