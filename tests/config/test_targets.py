"""The target that a command line names."""

import platform
import sys
from pathlib import Path

import pytest

from niwaki.config.targets import bench_target, diagnose_target, named_target
from niwaki.core.errors import ConfigError
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.remote.target import RemoteOnnxRuntime


def test_a_target_has_a_short_name() -> None:
    assert isinstance(named_target("cpu"), OnnxRuntimeCpu)


def test_an_unknown_target_names_the_short_ones_too() -> None:
    with pytest.raises(
        ConfigError, match=r"no 'gpu' among the targets.*or cpu for onnxruntime_cpu"
    ):
        named_target("gpu")


def in_need_of_settings(settings: None) -> OnnxRuntimeCpu:
    """Make a target: named by path below."""
    return OnnxRuntimeCpu()


def test_what_makes_no_target_without_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes \(settings\), but .* without arguments"):
        named_target(f"{__name__}:in_need_of_settings")
    with pytest.raises(ConfigError, match="is a str, but a class or a function is needed"):
        named_target(f"{__name__}:__name__")


def test_another_machine_is_named_by_how_it_is_reached() -> None:
    found = named_target("ssh=-p 2222 pi@raspi4//python=venv/bin/python")
    assert isinstance(found, RemoteOnnxRuntime)
    assert found.connection == "ssh=-p 2222 pi@raspi4//python=venv/bin/python"


@pytest.mark.parametrize(
    "text",
    [
        "target: {kind: onnxruntime_cpu, threads: 2}\nobjectives: [latency_ms]",
        "kind: onnxruntime_cpu\nthreads: 2",
    ],
)
def test_a_file_holds_a_target_section_or_is_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pi.yaml"
    path.write_text(text)
    assert named_target(str(path)) == OnnxRuntimeCpu(threads=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("objectives: [latency_ms]", "holds no target: write a section `target:`"),
        ("[1, 2]", "holds no target"),
        ("target: {kind: onnxruntime_cpu, thread: 2}", "unknown key 'target.thread'"),
        ("target: onnxruntime", "did you mean 'onnxruntime_cpu'"),
    ],
)
def test_a_file_without_a_target_says_what_is_missing(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pi.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        named_target(str(path))


def test_threads_of_the_command_line_are_for_this_machine() -> None:
    assert bench_target("cpu", 2) == OnnxRuntimeCpu(threads=2)
    assert bench_target("cpu", None) == OnnxRuntimeCpu()
    with pytest.raises(ConfigError, match="--threads is for this machine"):
        bench_target("ssh=pi@raspi4", 2)


def test_a_target_is_diagnosed() -> None:
    found = diagnose_target(named_target(f"popen//python={sys.executable}"))
    assert found["target"]["id"] == OnnxRuntimeCpu().target_id  # type: ignore[index, call-overload]
    assert found["machine"]["python"] == platform.python_version()  # type: ignore[index, call-overload]
