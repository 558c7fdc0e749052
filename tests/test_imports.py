"""What importing niwaki costs, and what it gives."""

import os
import subprocess
import sys

import pytest

import niwaki

HEAVY = (
    "matplotlib",
    "onnx",
    "onnxruntime",
    "optuna",
    "pandas",
    "pydantic",
    "pymoo",
    "ray",
    "scipy",
    "sklearn",
    "torch",
)
PUBLIC = [
    "Budget",
    "Candidate",
    "Comparison",
    "CompressionRequest",
    "Constraint",
    "Direction",
    "Front",
    "GoalSettings",
    "Measurement",
    "Objective",
    "Run",
    "Study",
    "StudySettings",
    "__version__",
    "compare_runs",
    "compress",
    "load_front",
    "load_predictor",
    "study_from_config",
]


def modules_after(code: str) -> set[str]:
    """Return the names of the top-level modules that a fresh interpreter has after `code`."""
    script = f"{code}\nimport sys\nprint('loaded:', *{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.rpartition("loaded: ")[2].split())


def test_importing_niwaki_loads_nothing_heavy() -> None:
    assert not modules_after("import niwaki") & {*HEAVY, "numpy"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["search", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['niwaki', *{arguments}]\nfrom niwaki.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
    )
    loaded = modules_after(code)
    assert "niwaki" in loaded
    assert not loaded & ({*HEAVY} - {"pydantic"})  # Typer's own arguments need pydantic


def test_listing_what_can_be_named_loads_no_framework() -> None:
    code = "from niwaki.config.catalogue import catalogue; catalogue()"
    assert not modules_after(code) & {"torch", "optuna", "pymoo", "sklearn"}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ],
)
def test_waiting_threads_do_not_burn_their_cores_unless_told_to(
    chosen: dict[str, str], expected: str
) -> None:
    unset = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    code = "import niwaki, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, env={**kept, **chosen}, text=True).strip() == expected


def test_public_names_are_these() -> None:
    assert niwaki.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(niwaki, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Stduy'"):
        _ = niwaki.Stduy
