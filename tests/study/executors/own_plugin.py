"""Somebody's own evaluator, in a file that is named by its path, with a module beside it."""

from pathlib import Path

from niwaki.core.registry import import_object
from niwaki.evaluation.base import Evaluator

EVALUATOR = '''
from dataclasses import dataclass

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script
from tariff_of_mine import price


@dataclass(frozen=True)
class Shop(ScriptedEvaluator):
    """Asks a price."""

    discount: float = 0.0

    def baseline(self) -> Candidate:
        return script("return", value=5)

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        measured = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        values = {"value": price(measured.values["value"]) - self.discount, "seed": float(seed)}
        return Measurement(candidate.key, values, details={"file": __file__})


def create(settings: None, ingredients: object) -> Shop:
    """Return the evaluator that a configuration describes."""
    return Shop(discount=1.0)
'''

# As a data loader's workers do, its child calls a function of the file.
PARENT = """
import multiprocessing
from dataclasses import dataclass

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement
from niwaki.testing.scripted_evaluator import ScriptedEvaluator


def double(value):
    return 2.0 * value


@dataclass(frozen=True)
class Parent(ScriptedEvaluator):
    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        with multiprocessing.Pool(1) as pool:
            value = pool.apply_async(double, (21.0,)).get(timeout=60)
        return Measurement(candidate.key, {"value": value})


def create(settings: None, ingredients: object) -> Parent:
    return Parent()
"""
TARIFF = "def price(value):\n    return 10.0 * value\n"


def write_plugin(folder: Path) -> Path:
    """Write the files, and return the path of that with the evaluator."""
    folder.mkdir()
    (folder / "tariff_of_mine.py").write_text(TARIFF)
    file = folder / "shop_of_mine.py"
    file.write_text(EVALUATOR)
    return file


def parent_evaluator(file: Path) -> Evaluator:
    """Write a file, and return an evaluator that was made from it; its children find 42."""
    file.write_text(PARENT)
    made: Evaluator = import_object(f"{file}:create")(None, None)
    return made


def own_evaluator(folder: Path) -> Evaluator:
    """Write the files, and return an evaluator that was made from them; 3 is worth 29."""
    made: Evaluator = import_object(f"{write_plugin(folder)}:create")(None, None)
    return made
