"""The target that a command line names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from niwaki.config.build import made_target
from niwaki.config.reader import SECTIONS, read_section
from niwaki.config.yaml_file import read_yaml
from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.targets.base import Target
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.remote.way import is_way

SHORT = {"cpu": "onnxruntime_cpu"}
REMOTE = "remote_onnxruntime"


def named_target(name: str) -> Target:
    """Return the target that a name, a file or an address means.

    Args:
        name: `cpu`; a target that needs no settings; a YAML file that holds a `target` section, or
            is one; or how another machine is reached, such as `ssh=pi@raspi4`.

    Raises:
        ConfigError: If there is none.
        TargetError: If the target refuses its settings.
    """
    if is_way(name):
        return _from_section({"kind": REMOTE, "connection": name})
    if name.endswith((".yaml", ".yml")):
        return _from_section(_section_in(Path(name)))
    try:
        record = SECTIONS["target"].find(SHORT.get(name, name))
    except ConfigError as error:
        short = ", ".join(f"{each} for {full}" for each, full in SHORT.items())
        raise ConfigError(
            f"{error}; or {short}, a YAML file with a target section, or ssh=user@host"
        ) from error
    make = record.load()
    if fault := misfit(make):
        raise ConfigError(
            f"'{name}' {fault}. Give one that makes a target without arguments, or a YAML file "
            "with its target section"
        )
    return made_target(record.name, make())


def bench_target(name: str, threads: int | None) -> Target:
    """Return the target that `niwaki bench` measures on.

    Raises:
        ConfigError: If threads are given beside a target with settings of its own.
    """
    if threads is None:
        return named_target(name)
    if SHORT.get(name, name) != SHORT["cpu"]:
        raise ConfigError(
            f"--threads is for this machine, and the target is '{name}': give `threads` in a YAML "
            "file with its target section"
        )
    return OnnxRuntimeCpu(threads=threads)


def diagnose_target(target: Target) -> dict[str, JSON]:
    """Return what can be told of a target, and of its machine, for `niwaki doctor`.

    Raises:
        TargetError: If it cannot be reached.
    """
    able = target.capabilities
    bits = "7 bits, as wider products saturate" if able.reduce_range else "8 bits"
    return {
        "target": {
            "id": target.target_id,
            "reference_ms": round(target.calibrate(), 4),
            "int8": f"weights of {bits}; activations {able.activation}",
            "channel_grain": ", ".join(f"{n} in {p}" for p, n in able.channel_grain.items()),
        },
        "machine": target.describe(),
    }


def _section_in(path: Path) -> Mapping[str, Any]:
    data = read_yaml(path)
    section = data.get("target", data) if isinstance(data, Mapping) else data
    if isinstance(section, str):
        return {"kind": section}
    if not isinstance(section, Mapping) or "kind" not in section:
        raise ConfigError(
            f"'{path}' holds no target: write a section `target:` with its `kind` and settings"
        )
    return section


def _from_section(section: Mapping[str, Any]) -> Target:
    return made_target(*read_section("target", section))
