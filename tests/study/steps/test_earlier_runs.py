"""Learning from runs that were made before."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, LedgerError, NiwakiError, RunFolderError
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem, Searcher
from niwaki.search.earlier import N_FIRST
from niwaki.search.surrogate import Surrogate
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.study.budget import Budget
from niwaki.study.results.run import Run, load_front
from niwaki.study.study import Study, StudySettings
from niwaki.study.watching.observer import Observer, Silence
from tests.study.formulas import FormulaEvaluator, formula_study


@dataclass(frozen=True)
class _Slower(FormulaEvaluator):
    """The same on a device that takes three times as long."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        measured = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        values = {**measured.values, "price": 3.0 * measured.values["price"]}
        return Measurement(key=measured.key, values=values)


@dataclass(frozen=True)
class _Wider(_Slower):
    @property
    def space(self) -> ChoiceSpace:
        return ChoiceSpace(tuple(Choice(f"x{i}", tuple(range(3, 9))) for i in range(6)))

    def baseline(self) -> Candidate:
        return self.space.decide(lambda _, options: options[0])


@dataclass(frozen=True)
class _Other(_Slower):
    @property
    def space(self) -> ChoiceSpace:
        return ChoiceSpace((Choice("y", (1, 2)),))


@dataclass(frozen=True)
class _Warmer(_Slower):
    """The same on a device that measures power, too."""

    @property
    def values(self) -> tuple[Objective, ...]:
        return (*super().values, Objective("watts", Direction.MINIMIZE, "W"))

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        measured = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        values = {**measured.values, "watts": measured.values["price"]}
        return Measurement(key=measured.key, values=values)


class _Hears(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def learning_study(
    folder: Path,
    *earlier: Path | str,
    n: int = 10,
    evaluator: FormulaEvaluator | None = None,
    constraints: Sequence[str] = (),
    observer: Observer | None = None,
) -> Study:
    settings = StudySettings(
        ("gain", "price"), constraints, Budget(n), searcher="surrogate", learn_from=earlier
    )
    return Study(folder, evaluator or _Slower(), Surrogate, settings, observer=observer)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    formula_study(tmp_path / "earlier", FormulaEvaluator(), n=40).run()
    return tmp_path / "earlier"


def asked(folder: Path) -> list[Candidate]:
    history = Run.read(folder).history
    return [history.asked[number].candidate for number in sorted(history.asked)]


def test_it_begins_with_the_best_of_before(tmp_path: Path, earlier: Path) -> None:
    learning_study(tmp_path / "run", earlier).run()
    best = {model.candidate for model in load_front(earlier).models}
    first = asked(tmp_path / "run")[: min(N_FIRST, len(best))]
    assert set(first) <= best
    assert len(asked(tmp_path / "run")) == 10


def test_the_searcher_is_given_what_was_measured(tmp_path: Path, earlier: Path) -> None:
    given: list[Problem] = []

    def make(problem: Problem) -> Searcher:
        given.append(problem)
        return Surrogate(problem)

    settings = StudySettings(("gain", "price"), budget=Budget(3), learn_from=[earlier])
    Study(tmp_path / "run", _Slower(), make, settings).run()
    [search] = given[-1].earlier
    assert len(search.trials) == 41  # the baseline too
    assert [objective.name for objective in search.objectives] == ["gain", "price"]


def test_it_goes_on_as_it_would_have_although_that_run_is_gone(
    tmp_path: Path, earlier: Path
) -> None:
    learning_study(tmp_path / "whole", earlier, n=14).run()
    learning_study(tmp_path / "run", earlier, n=8).run()
    shutil.rmtree(earlier)
    learning_study(tmp_path / "run", earlier, n=14).run()
    assert asked(tmp_path / "run") == asked(tmp_path / "whole")


def test_a_copy_that_is_damaged_is_told_as_such(tmp_path: Path, earlier: Path) -> None:
    learning_study(tmp_path / "run", earlier, n=3).run()
    shutil.rmtree(tmp_path / "run" / "earlier" / "0")
    with pytest.raises(RunFolderError, match=r"the copy of '.*' that this run learns from cannot"):
        learning_study(tmp_path / "run", earlier, n=5).run()


def test_copies_that_are_gone_are_not_made_anew(tmp_path: Path, earlier: Path) -> None:
    learning_study(tmp_path / "run", earlier, n=3).run()
    shutil.rmtree(tmp_path / "run" / "earlier")
    with pytest.raises(RunFolderError, match="is gone, where this run keeps what it learned"):
        learning_study(tmp_path / "run", earlier, n=5).run()


def test_one_run_is_given_as_a_list(tmp_path: Path, earlier: Path) -> None:
    settings = StudySettings(("gain", "price"), budget=Budget(3), learn_from=str(earlier))
    with pytest.raises(ConfigError, match="give a list of runs, such as"):
        Study(tmp_path / "run", _Slower(), Surrogate, settings).run()


def test_a_damaged_ledger_is_named(tmp_path: Path, earlier: Path) -> None:
    lines = (earlier / "trials.jsonl").read_bytes().splitlines(keepends=True)
    (earlier / "trials.jsonl").write_bytes(b"".join([*lines[:4], b"{}\n", *lines[5:]]))
    with pytest.raises(LedgerError, match=r"'learn_from' names '.*', but .*trials\.jsonl"):
        learning_study(tmp_path / "run", earlier, n=3).run()


def test_a_home_folder_may_be_a_tilde(
    tmp_path: Path, earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(earlier.parent))
    learning_study(tmp_path / "run", f"~/{earlier.name}", n=3).run()
    assert len(Run.read(tmp_path / "run").history.trials) == 3


def test_it_says_what_it_learns_from_when_it_begins(tmp_path: Path, earlier: Path) -> None:
    hears = _Hears()
    learning_study(tmp_path / "run", earlier, n=3, observer=hears).run()
    sentence = f"learns from '{earlier}': 41 evaluations of gain, price"
    assert sentence in hears.said
    learning_study(tmp_path / "run", earlier, n=4, observer=hears).run()
    assert hears.said.count(sentence) == 1


def test_constraints_mean_what_they_meant_there(tmp_path: Path, earlier: Path) -> None:
    # Half of this run's baseline is more than any of those costs that were three times as quick.
    learning_study(tmp_path / "run", earlier, constraints=["price <= 0.5 * baseline"]).run()
    trials = Run.read(tmp_path / "run").history.trials[:6]
    assert all(trial.measurement.values["price"] <= 0.5 * 3.0 * 6 * 16 for trial in trials)


def test_a_constraint_on_what_was_not_measured_there_is_told(tmp_path: Path, earlier: Path) -> None:
    hears = _Hears()
    study = learning_study(
        tmp_path / "run",
        earlier,
        n=3,
        evaluator=_Warmer(),
        constraints=["price <= baseline", "watts <= 900"],
        observer=hears,
    )
    study.run()
    [sentence] = [said for said in hears.said if said.startswith("learns from")]
    assert sentence.endswith("may break 'watts <= 900', as 'watts' was not measured there")


def test_what_is_outside_of_the_space_is_left_out_and_told(tmp_path: Path, earlier: Path) -> None:
    hears = _Hears()
    folder = tmp_path / "run"
    # 3, 4 and 5 alone are in both.
    learning_study(folder, earlier, n=3, evaluator=_Wider(), observer=hears).run()
    [sentence] = [said for said in hears.said if said.startswith("learns from")]
    assert "more are not of this space (decision 'x" in sentence
    n_inside = int(sentence.split(": ")[1].split()[0])
    assert 0 < n_inside < 40


@pytest.mark.parametrize("learned_from", ["nowhere", "run"])
def test_a_run_that_is_none_leaves_no_folder_behind(tmp_path: Path, learned_from: str) -> None:
    with pytest.raises(NiwakiError, match="'learn_from' names"):
        learning_study(tmp_path / "run", tmp_path / learned_from).run()
    assert not (tmp_path / "run").exists()


def test_a_run_cannot_learn_from_itself(tmp_path: Path) -> None:
    formula_study(tmp_path / "run", FormulaEvaluator(), n=3).run()
    with pytest.raises(ConfigError, match="is this run itself: leave it out"):
        learning_study(tmp_path / "run", tmp_path / "run").run()


def test_a_run_of_another_space_is_refused(tmp_path: Path, earlier: Path) -> None:
    with pytest.raises(ConfigError, match="none of its candidates is of this space"):
        learning_study(tmp_path / "run", earlier, evaluator=_Other()).run()


def test_a_run_without_evaluations_is_refused(tmp_path: Path, earlier: Path) -> None:
    ledger = earlier / "trials.jsonl"
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(ConfigError, match="no complete evaluation at full effort: let it search"):
        learning_study(tmp_path / "run", earlier).run()


def test_other_runs_to_learn_from_need_another_name(tmp_path: Path, earlier: Path) -> None:
    learning_study(tmp_path / "run", earlier, n=3).run()
    with pytest.raises(RunFolderError, match=r"learn_from was .* and is now"):
        learning_study(tmp_path / "run", n=3).run()


class _Fails(_Slower):
    def prepare(self, folder: Path) -> None:
        raise ConfigError("there are no data")


def test_after_a_mistake_another_run_may_be_learned_from(tmp_path: Path, earlier: Path) -> None:
    with pytest.raises(ConfigError, match="no data"):
        learning_study(tmp_path / "run", earlier, evaluator=_Fails()).run()
    formula_study(tmp_path / "second", FormulaEvaluator(), n=9, seed=5).run()
    learning_study(tmp_path / "run", tmp_path / "second", earlier, n=3).run()
    kept = [Run.read(tmp_path / "run" / "earlier" / name) for name in ("0", "1")]
    assert [len(run.history.trials) for run in kept] == [9, 40]
