"""What a study may spend, and how it is told what was."""

from pathlib import Path

import pytest

from niwaki.core.errors import ConfigError
from niwaki.search.nsga2 import NSGA2
from niwaki.study.budget import Budget, spent
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from tests.study.formulas import FormulaEvaluator


@pytest.mark.parametrize(
    "evaluations", [-1, float("nan"), 10**16, pytest.param(10**400, id="huge")]
)
def test_what_nobody_can_spend_is_refused(evaluations: int) -> None:
    with pytest.raises(ConfigError, match="the budget's `evaluations` is"):
        Budget(evaluations)


def test_what_was_spent_of_a_larger_budget_is_no_share(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), budget=Budget(5))
    Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings).run()
    history = Run.read(tmp_path / "run").history
    assert spent(history, 5, sign="/") == "5/5"
    assert spent(history, 4, sign="/") == "5 (of a budget of 4)"
    assert spent(history, 0) == "5 of 0"  # there was no limit
