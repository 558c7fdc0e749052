"""The test command: lint, types, floors, tests. `python -m tests`, or `python -m tests -k word`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHECKS = (
    ("lint", ["ruff", "check", "."]),
    ("format", ["ruff", "format", "--check", "."]),
    ("types", ["mypy"]),
    ("floors", ["lint-imports"]),
    ("tests", [sys.executable, "-m", "pytest"]),
)


def main(pytest_arguments: list[str]) -> int:
    """Run every check, also after one failed, and return the number of those that did."""
    scripts = Path(sys.executable).parent
    n_failed = 0
    for name, command in CHECKS:
        path = scripts / command[0]
        full = [str(path) if path.exists() else command[0], *command[1:]]
        extra = pytest_arguments if name == "tests" else []
        sys.stdout.write(f"== {name}\n")
        sys.stdout.flush()
        n_failed += subprocess.run([*full, *extra], cwd=ROOT, check=False).returncode != 0
    return n_failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
