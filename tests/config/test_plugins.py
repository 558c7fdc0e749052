"""Plug-ins that are not what their section needs: known before anything is prepared."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from niwaki.config.build import _data_loader, build_study, study_from_config
from niwaki.config.reader import parse_config
from niwaki.core.errors import ConfigError
from tests.command_line import FORMULAS, write_config

FILE = """
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from niwaki.search.base import Searcher

if TYPE_CHECKING:
    from elsewhere import Unseen

NUMBER = 3

@dataclass(frozen=True)
class Options:
    width: int = 8

class Half(Searcher):
    def __init__(self, problem, settings: None = None):
        pass

    def ask(self, n, pending=()):
        return []

def no_arguments():
    return NUMBER

def untyped(settings, ingredients):
    return NUMBER

def number(settings: Options, ingredients: object) -> int:
    return NUMBER

def without_options(settings: None) -> None:
    return None

def unseen(settings: Unseen, ingredients: object) -> None:
    return None
"""


@pytest.mark.parametrize(
    ("section", "name", "said"),
    [
        ("evaluator", "no_arguments", r"called with \(settings, ingredients\): too many"),
        ("evaluator", "untyped", "its argument `settings` has no type: annotate it"),
        ("evaluator", "number", r"made an int: it must be a .*base\.Evaluator"),
        ("evaluator", "NUMBER", "it is an int: give a class or a function"),
        ("searcher", "Half", "a class without `resume`, `tell`: write what is missing"),
        ("searcher", "no_arguments", r"which takes \(\), but is called with \(problem, settings\)"),
        ("scheduler", "no_arguments", r"called with \(problem, fidelities\): .* these parameters"),
        ("evaluator", "unseen", "'Unseen' is not defined. Import them, .* outside of"),
        ("executor", "no_arguments", r"called with \(evaluator, settings, logs=\.\.\.\)"),
        ("data", "no_arguments", r"called with \(settings, seed=\.\.\.\): too many"),
        ("data", "Options", r"class of something else: it must be a .*base\.TaskData"),
        ("target", "Options", r"made an Options: it must be a .*base\.Target"),
        ("space", "without_options", "has no settings: name the dataclass of the space's options"),
    ],
)
def test_it_is_refused_with_what_is_wanted(
    section: str, name: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    kind: dict[str, Any] = {"kind": f"{tmp_path}/mine.py:{name}"}
    with pytest.raises(ConfigError, match=said) as caught:
        build_study(parse_config({**FORMULAS, section: kind}), tmp_path / "run")
    assert f"'{section}.kind' is" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("section", ["evaluator", "searcher", "scheduler", "target", "executor"])
@pytest.mark.parametrize("kind", ["collections:OrderedDict", "builtins:int", "typing:Any"])
def test_what_python_brings_along_is_no_plug_in(section: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"'{section}.kind' is '{kind}'"):
        build_study(parse_config({**FORMULAS, section: {"kind": kind}}), tmp_path / "run")


@pytest.mark.parametrize("section", ["data", "space"])
def test_what_cannot_be_called_by_name_is_said(section: str) -> None:
    with pytest.raises(ConfigError, match="Python does not know what `int` is called with"):
        parse_config({**FORMULAS, section: {"kind": "builtins:int"}})


def test_what_is_not_installed_is_known_before_anything_is_prepared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "niwaki.search.botorch_model", None)
    config = parse_config({**FORMULAS, "searcher": {"kind": "botorch"}})
    with pytest.raises(ConfigError, match=r"pip install 'niwaki\[botorch\]'"):
        build_study(config, tmp_path / "run")


@pytest.mark.parametrize("moment", ["read", "made", "prepared"])
def test_a_working_directory_that_is_changed_moves_no_run(
    moment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(home)
    leave = f"os.chdir({str(elsewhere)!r})"
    lines = {each: leave if each == moment else "pass" for each in ("read", "made", "prepared")}
    (home / "own.py").write_text(
        "import os\n"
        "from tests.study.formulas import FormulaEvaluator\n"
        f"{lines['read']}\n"
        "class Own(FormulaEvaluator):\n"
        f"    def prepare(self, folder): {lines['prepared']}\n"
        "def create(settings: None, ingredients):\n"
        f"    {lines['made']}\n"
        "    return Own()\n"
    )
    kind = "own.py:create" if moment != "read" else f"{home}/own.py:create"
    write_config(home / "own.yaml", FORMULAS, evaluator={"kind": kind}, constraints=[])
    study_from_config("own.yaml").run()
    assert (home / "runs" / "own" / "logs").is_dir()
    assert not any(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"tasks": {"label": {"kind": "clasification", "classes": 2}}}, r"tasks\.label\.kind is '"),
        ({"fractions": {"tets": 0.2}}, r"fractions\.tets does not name a split"),
        ({"layout": "NHCW"}, "layout is 'NHCW'"),
        ({"path": {"val": "rooms.npz"}}, "'path' has no path for the train split"),
    ],
)
def test_a_mistake_in_the_data_is_told_with_their_section(
    data: dict[str, object], said: str, tmp_path: Path
) -> None:
    inputs = np.zeros((8, 1, 4, 4), np.float32)
    np.savez(tmp_path / "rooms.npz", inputs=inputs, label=np.arange(8) % 2)
    task = {"label": {"kind": "classification", "classes": 2}}
    given = {"kind": "npz", "path": str(tmp_path / "rooms.npz"), "tasks": task, **data}
    load = _data_loader(parse_config({**FORMULAS, "data": given}))
    assert load is not None
    with pytest.raises(ConfigError, match=rf"in 'data': {said}"):
        load()
