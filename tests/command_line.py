"""The command line as a user runs it: in a process of its own, on small configurations."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-c", "from niwaki.cli import main; main()")

_HASTE = {
    "warmup_runs": 1,
    "warmup_seconds": 0,
    "min_runs": 4,
    "min_seconds": 0,
    "max_seconds": 0.05,
    "relative_interval": 1,
}

# The quickstart in miniature: its networks learn nothing, but every step is taken.
TINY: dict[str, Any] = {
    "data": {
        "kind": "digit_scenes",
        "size": 32,
        "train": 40,
        "search": 16,
        "val": 16,
        "test": 16,
        "calibration": 8,
        "cache": "cache",
    },
    "space": {
        "kind": "slimmable",
        "stem_widths": [8],
        "stages": [{"widths": [8, 12], "hidden": [8, 12], "depths": [1, 2]}],
        "default_decoder": [4, 8],
    },
    "evaluator": {
        "kind": "supernet",
        "training": {"epochs": 1, "batch_size": 20, "n_threads": 1},
        "deployment": {"n_calibration": 8, "batch_size": 16},
        "n_recalibration": 16,
    },
    "target": {"kind": "onnxruntime_cpu", "quick": _HASTE, "thorough": _HASTE},
    "objectives": ["mean_skill", "latency_ms"],
    "searcher": {"kind": "random"},
    "executor": {"kind": "in_process"},
    "budget": {"evaluations": 4},
    "finalists": 2,
}

# A search that costs nothing: its evaluator is a plug-in that is named by its path.
FORMULAS: dict[str, Any] = {
    "evaluator": {"kind": "tests.formula_plugin:create"},
    "objectives": ["gain", {"name": "price", "direction": "minimize"}],
    "constraints": ["weight <= 1.2 * baseline"],
    "searcher": {"kind": "nsga2"},
    "executor": {"kind": "in_process"},
    "budget": {"evaluations": 20},
}


@dataclass(frozen=True)
class Done:
    """What a command did.

    Attributes:
        code: Its exit code.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, read as JSON."""
        return json.loads(self.out)


def write_config(path: Path, config: dict[str, Any], **changes: object) -> Path:
    """Write a configuration with some sections changed, and return its path."""
    path.write_text(yaml.safe_dump({**config, **changes}, sort_keys=False))
    return path


def environment() -> dict[str, str]:
    """Return the environment of commands: plug-ins of the tests can be imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    """Start a command in a group of its own."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]") -> Done:
    """Wait for a command to end."""
    out, err = process.communicate(timeout=240)
    return Done(process.returncode, out, err)


def niwaki(*arguments: str, cwd: Path) -> Done:
    """Run a command to its end."""
    return finish(start(*arguments, cwd=cwd))


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a run's ledger."""
    path = folder / "trials.jsonl"
    lines: Sequence[bytes] = path.read_bytes().splitlines(keepends=True) if path.exists() else ()
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def count(folder: Path, kind: str) -> int:
    """Return how many events of a kind a run's ledger holds."""
    return sum(event["event"] == kind for event in events(folder))
