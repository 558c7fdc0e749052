"""The machine: what decides latency on it, and how busy it is."""

import math
import os
import platform
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import onnxruntime

from niwaki.core.jsonable import JSON

# Instruction sets that onnxruntime picks its kernels by, as Linux spells them.
KERNEL_FLAGS = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",  # the dot products of ARMv8.2
    "i8mm",
    "sve",
    "bf16",
)


@dataclass(frozen=True)
class Processor:
    """What of a processor decides how fast a kernel is.

    Attributes:
        model: As the vendor calls it, such as `AMD EPYC`.
        architecture: `x86_64`, `aarch64`, ...
        flags: Those of `KERNEL_FLAGS` that it has.
    """

    model: str
    architecture: str
    flags: tuple[str, ...]

    @property
    def is_x86(self) -> bool:
        """Whether it is an x86 processor."""
        return self.architecture in ("x86_64", "AMD64", "i686")

    @property
    def has_fast_int8(self) -> bool:
        """Whether 8-bit products are added up in 32 bits, without saturation on the way."""
        fast = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}
        return not fast.isdisjoint(self.flags)


@cache
def processor() -> Processor:
    """Return the processor of this machine."""
    text = _read(Path("/proc/cpuinfo"))
    model = platform.processor() or "unknown processor"
    for field in ("model name", "Model", "Hardware"):
        if found := re.search(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE):
            model = found[1].strip()
            break
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    present = set(found[1].split()) if found else set()
    flags = tuple(flag for flag in KERNEL_FLAGS if flag in present)
    return Processor(model, platform.machine(), flags)


def usable_cores() -> float:
    """Return how many cores this process may use: affinity, and the quota of its cgroup."""
    n_cores = float(len(affinity()))
    quota = cgroup_cores(Path("/sys/fs/cgroup"))
    return min(n_cores, quota)


def affinity() -> tuple[int, ...]:
    """Return the cores this thread may run on."""
    if sys.platform == "linux":
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cgroup_cores(root: Path) -> float:
    """Return the quota of the control group under `root`, in cores; infinite if there is none."""
    if words := _read(root / "cpu.max").split():  # version 2
        return math.inf if words[0] == "max" else float(words[0]) / float(words[1])
    quota, period = (_read(root / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if not quota or not period or float(quota) <= 0:
        return math.inf
    return float(quota) / float(period)


def load_average() -> float:
    """Return the load average of the last minute; 0 where the system has none."""
    return os.getloadavg()[0] if sys.platform != "win32" else 0.0


def describe_machine() -> dict[str, JSON]:
    """Return what a reader of a measurement must know of this machine. No name, no path."""
    cpu = processor()
    governor = _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")).strip()
    return {
        "processor": cpu.model,
        "architecture": cpu.architecture,
        "flags": list(cpu.flags),
        "usable_cores": usable_cores(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "governor": governor or None,
        "load_average": round(load_average(), 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "providers": list(onnxruntime.get_available_providers()),
    }


def memory_bytes() -> int:
    """Return the memory of this machine; 0 where the system does not tell."""
    if sys.platform == "linux":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # not on this system, or not for us
        return ""
