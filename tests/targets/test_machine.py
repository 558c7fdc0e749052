"""The machine is described, by what decides latency and nothing else."""

import getpass
import json
import math
import platform
from pathlib import Path

import pytest

from niwaki.targets.machine import Processor, cgroup_cores, describe_machine, processor


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000\n", math.inf), ("150000 100000\n", 1.5), ("50000 100000", 0.5)]
)
def test_quota_of_version_2(tmp_path: Path, text: str, cores: float) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cgroup_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1\n", math.inf), ("200000\n", 2.0)])
def test_quota_of_version_1(tmp_path: Path, quota: str, cores: float) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cgroup_cores(tmp_path) == cores


def test_no_control_group_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_cores(tmp_path) == math.inf


def test_the_description_is_json_without_names_of_people_or_machines() -> None:
    text = json.dumps(describe_machine(), allow_nan=False)
    assert processor().model in text
    assert platform.node() not in text
    assert str(Path.home()) not in text
    assert getpass.getuser() not in json.loads(text).values()


@pytest.mark.parametrize(
    ("flags", "fast"),
    [(("avx2",), False), (("avx2", "avx_vnni"), True), (("asimd", "asimddp"), True), ((), False)],
)
def test_fast_int8_needs_dot_products(flags: tuple[str, ...], fast: bool) -> None:
    assert Processor("some", "x86_64", flags).has_fast_int8 is fast
