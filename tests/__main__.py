"""The test command: lint, types, floors, tests. `python -m tests`, or `python -m tests -k word`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_PROCESSES = 8  # each may take some gigabytes
N_PROCESSES = min(len(os.sched_getaffinity(0)), MOST_PROCESSES)
# By the file: what a file sets up once is set up once.
IN_PARALLEL = ["--numprocesses", str(N_PROCESSES), "--dist", "loadfile"]
CHECKS = (
    ("lint", ["ruff", "check", "."]),
    ("format", ["ruff", "format", "--check", "."]),
    ("types", ["mypy"]),
    ("floors", ["lint-imports"]),
    ("tests", [sys.executable, "-m", "pytest", *IN_PARALLEL]),
)


def main(pytest_arguments: list[str]) -> int:
    """Run every check, also after one failed, and return the number of those that did."""
    scripts = Path(sys.executable).parent
    # Every process has a core of its own, and is not to want the others'.
    environment = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **os.environ}
    n_failed = 0
    for name, command in CHECKS:
        path = scripts / command[0]
        full = [str(path) if path.exists() else command[0], *command[1:]]
        extra = pytest_arguments if name == "tests" else []
        sys.stdout.write(f"== {name}\n")
        sys.stdout.flush()
        finished = subprocess.run([*full, *extra], cwd=ROOT, env=environment, check=False)
        n_failed += finished.returncode != 0
    return n_failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
