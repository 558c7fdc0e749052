"""Plug-ins that do not answer a study as they must: told what they gave, and what is wanted."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2
from niwaki.search.schedulers.base import Scheduler, Step
from niwaki.search.surrogate import Surrogate
from niwaki.spaces import ChoiceSpace
from niwaki.study.answers.prediction import run_predictor
from niwaki.study.budget import Budget
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from niwaki.study.watching.observer import Silence
from tests.study.formulas import SPACE, FormulaEvaluator

FIRST = SPACE.decide(lambda _, options: options[0])
SETTINGS = StudySettings(("gain", "price"), ("weight <= 20",), budget=Budget(5))


class _Says(Searcher):
    """Gives one candidate, and then whatever it was told to."""

    def __init__(self, problem: Problem, answers: Any) -> None:
        self._answers = iter([[FIRST], answers])

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        answer: list[Candidate] = next(self._answers)
        return answer

    def tell(self, trials: Sequence[Trial]) -> None:
        pass

    def resume(self, asked: Sequence[Candidate]) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, r"`ask\(1, pending\)` of the searcher gave None: it must be a list"),
        (FIRST, "must be a list of one Candidate"),
        ([dict(FIRST.items)], "must be a list of one Candidate"),
        ([SPACE.decide(lambda _, o: o[1]), SPACE.decide(lambda _, o: o[2])], "a list of one Can"),
        ([Candidate.of({**FIRST.decisions, "x0": 7})], "'x0' is 7, which is not one of"),
        ([Candidate.of({**FIRST.decisions, "x0": cast("int", np.int64(1))})], "'x0' is np.int64"),
        ([Candidate.of({**FIRST.decisions, "colour": "red"})], "'colour' is unknown here"),
        ([FIRST], rf"proposed {FIRST.key} \(x0=0, .*\) again: let it remember"),
    ],
)
def test_a_searcher_that_proposes_something_else_is_told(
    answer: object, said: str, tmp_path: Path
) -> None:
    study = Study(tmp_path / "run", FormulaEvaluator(), lambda p: _Says(p, answer), SETTINGS)
    with pytest.raises(StudyError, match=said):
        study.run()
    assert len(Run.read(tmp_path / "run").history.asked) == 1


class _HasNothing(_Says):
    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        return []


class _Listens(Silence):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, sentence: str) -> None:
        self.heard.append(sentence)


def test_that_a_searcher_has_nothing_from_the_start_is_said(tmp_path: Path) -> None:
    observer = _Listens()
    study = Study(
        tmp_path / "run",
        FormulaEvaluator(),
        lambda p: _HasNothing(p, []),
        SETTINGS,
        observer=observer,
    )
    assert len(study.run()) <= 1
    assert observer.heard == [
        "the searcher had no candidate to propose: there is the baseline alone"
    ]


class _HasThree(NSGA2):
    _left = 3

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        n = min(n, self._left)
        self._left -= n
        return super().ask(n, pending) if n else []


def test_that_a_searcher_has_no_more_is_said(tmp_path: Path) -> None:
    observer = _Listens()
    Study(tmp_path / "run", FormulaEvaluator(), _HasThree, SETTINGS, observer=observer).run()
    assert observer.heard == [
        "the searcher has no more candidates to propose: the search ends after 3 of 5 evaluations"
    ]


class _KnowsSo(_HasThree):
    @property
    def n_left(self) -> int | None:
        return self._left


def test_who_told_how_many_there_are_need_not_say_when_they_end(tmp_path: Path) -> None:
    observer = _Listens()
    Study(tmp_path / "run", FormulaEvaluator(), _KnowsSo, SETTINGS, observer=observer).run()
    assert observer.heard == []


class _Raises(_Says):
    def tell(self, trials: Sequence[Trial]) -> None:
        raise ZeroDivisionError("division by zero")


def test_what_a_plug_in_raises_says_who_was_asked_for_what(tmp_path: Path) -> None:
    study = Study(tmp_path / "run", FormulaEvaluator(), lambda p: _Raises(p, []), SETTINGS)
    with pytest.raises(ZeroDivisionError) as caught:
        study.run()
    assert "raised by the searcher" in caught.value.__notes__[0]
    assert "the same command continues" in caught.value.__notes__[0]


class _Plans(Scheduler):
    """Starts one candidate, and then plans whatever it was told to."""

    def __init__(self, step: object) -> None:
        self._steps: Iterator[Any] = chain([Step(1.0)], repeat(step))

    def next(self, *, may_start: bool = True) -> Step | None:
        step: Step | None = next(self._steps)
        return step

    def asked(self, candidate: Candidate, fidelity: float) -> None:
        pass

    def told(self, trials: Sequence[Trial]) -> None:
        pass


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (1.0, r"`next` of the scheduler gave 1\.0: it must be a Step, or None"),
        (Step(cast("Any", None), FIRST), "a Step has a fidelity, which is a number, and then"),
        (Step(1.0, cast("Any", {"x0": 1})), "a Step has a fidelity, which is a number, and then"),
        (Step(0.5), r"of fidelity 0\.5, but the evaluator can be asked for \[1\.0\]"),
        (Step(1.0, FIRST), f"of fidelity 1, with {FIRST.key}, which was asked for at 1 already"),
        (Step(1.0, Candidate.of({"x0": 9})), "which was never begun: give None for a new"),
        (Step(1.0), r"may_start=False.* with a new candidate, but there are no more: give None"),
    ],
)
def test_a_scheduler_that_plans_what_cannot_be_is_told(
    step: object, said: str, tmp_path: Path
) -> None:
    study = Study(
        tmp_path / "run",
        FormulaEvaluator(),
        lambda p: _Says(p, []),
        SETTINGS,
        make_scheduler=lambda *_: _Plans(step),
    )
    with pytest.raises(StudyError, match=said):
        study.run()


def test_that_a_scheduler_plans_no_more_is_said(tmp_path: Path) -> None:
    observer = _Listens()
    Study(
        tmp_path / "run",
        FormulaEvaluator(),
        NSGA2,
        SETTINGS,
        make_scheduler=lambda *_: _Plans(None),
        observer=observer,
    ).run()
    assert observer.heard == [
        "the scheduler plans no more: the search ends after 1 of 5 evaluations"
    ]


class _Fails(_Plans):
    """Fails in one of its methods."""

    def __init__(self, method: str) -> None:
        super().__init__(Step(1.0))
        self._method = method

    def asked(self, candidate: Candidate, fidelity: float) -> None:
        assert self._method != "asked"

    def told(self, trials: Sequence[Trial]) -> None:
        assert self._method != "told" or not trials
        assert self._method != "earlier"


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("asked", "`asked` of the scheduler"),
        ("told", "`told` of the scheduler"),
        ("earlier", "the scheduler, which was told what earlier sessions found"),
    ],
)
def test_what_a_scheduler_raises_says_who_was_asked_for_what(
    method: str, said: str, tmp_path: Path
) -> None:
    study = Study(
        tmp_path / "run",
        FormulaEvaluator(),
        NSGA2,
        SETTINGS,
        make_scheduler=lambda *_: _Fails(method),
    )
    with pytest.raises(AssertionError) as caught:
        study.run()
    assert f"raised by {said}" in caught.value.__notes__[0]


def test_a_scheduler_that_plans_nothing_at_all_is_told(tmp_path: Path) -> None:
    scheduler = _Plans(None)
    scheduler.next()
    study = Study(
        tmp_path / "run",
        FormulaEvaluator(),
        lambda p: _Says(p, []),
        SETTINGS,
        make_scheduler=lambda *_: scheduler,
    )
    with pytest.raises(StudyError, match=r"gave None before anything was evaluated"):
        study.run()


class _Features(ChoiceSpace):
    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return super().encode(candidates)[:, 0]


class _OfAWrongSpace(FormulaEvaluator):
    @property
    def space(self) -> ChoiceSpace:
        return _Features(SPACE.choices)


def test_features_of_another_shape_are_told_before_anything_is_paid(tmp_path: Path) -> None:
    study = Study(tmp_path / "run", _OfAWrongSpace(), lambda p: _Says(p, []), SETTINGS)
    with pytest.raises(ConfigError, match=r"encode.* gave array\(\[.*must be .* shape \(1, d\)"):
        study.run()


@pytest.mark.parametrize(
    ("member", "answer", "wanted"),
    [
        ("space", None, "niwaki.spaces.base.Space"),
        ("values", ("gain", "price"), "one Objective or more"),
        ("values", 2 * (Objective("gain", Direction.MAXIMIZE),), "each of another name"),
        ("fidelities", (0.1, 1.0), "Fidelities"),
        ("baseline", None, "a Candidate"),
        ("initial", None, "a tuple of Candidates"),
        ("initial", (Candidate.of({"x0": 9}),), "of its space"),
        ("cheap", None, "a mapping: finite numbers"),
        ("cheap", {"weight": "heavy"}, "finite numbers"),
        ("cheap", {"weight": math.nan}, "without those that are not known"),
        ("cheap", {"weight": math.inf}, "finite numbers of at most 1e.100"),
        ("cheap", {"wieght": 3.0}, r"names of its values \(gain, price, weight\)"),
        ("identity", None, "text"),
    ],
)
def test_an_evaluator_that_gives_something_else_is_told_before_anything_is_paid(
    member: str, answer: object, wanted: str, tmp_path: Path
) -> None:
    is_method = callable(getattr(FormulaEvaluator, member))
    gives = (lambda *_: answer) if is_method else property(lambda _: answer)
    evaluator = type("Odd", (FormulaEvaluator,), {member: gives})(tmp_path / "visits")
    with pytest.raises(ConfigError, match=rf"`{member}.*` of the evaluator Odd gave .*{wanted}"):
        Study(tmp_path / "run", evaluator, lambda p: _Says(p, []), SETTINGS).run()
    assert not (tmp_path / "visits").exists()


class _NamesWhatItKnows(FormulaEvaluator):
    def identity(self, candidate: Candidate) -> str:
        return str(candidate.decisions["x5"])


@pytest.mark.parametrize(
    ("kind", "member"), [(FormulaEvaluator, "cheap"), (_NamesWhatItKnows, "identity")]
)
def test_a_baseline_outside_the_space_is_told_where_nothing_is_known_of_it(
    kind: type[FormulaEvaluator], member: str, tmp_path: Path
) -> None:
    members: dict[str, Any] = {"baseline": lambda _: Candidate.of({"x0": 1})}
    if member == "identity":
        members["cheap"] = lambda *_: {}
    study = Study(tmp_path / "run", type("Odd", (kind,), members)(), NSGA2, SETTINGS)
    with pytest.raises(KeyError) as caught:
        study.run()
    note = caught.value.__notes__[0]
    assert f"raised by `{member}` of the evaluator, asked about its baseline, which is out" in note
    assert "(decision 'x1' i" in note
    assert "give a baseline of the space, or let the evaluator answer for this one too" in note


class _StartsElsewhere(FormulaEvaluator):
    def baseline(self) -> Candidate:
        return Candidate.of({**FIRST.decisions, "x0": 9})


def test_a_baseline_outside_the_space_is_measured_and_not_learned_from(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), ("gain >= baseline",), budget=Budget(14))
    Study(tmp_path / "run", _StartsElsewhere(), Surrogate, settings).run()
    run = Run.read(tmp_path / "run")
    assert run.history.baseline is not None
    assert run.bounds[0].limit == run.history.baseline.measurement.values["gain"] == 9.0
    assert run_predictor(run, SPACE).n_rows == 14


class _SpellsItsOwnWay(FormulaEvaluator):
    def baseline(self) -> Candidate:
        return Candidate.of({**FIRST.decisions, "x0": 0.0, "x1": 0.0})


def test_a_baseline_is_taken_as_its_space_spells_it(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), budget=Budget(14))
    Study(tmp_path / "run", _SpellsItsOwnWay(), Surrogate, settings).run()
    run = Run.read(tmp_path / "run")
    assert run.history.baseline is not None
    assert run.history.baseline.candidate == FIRST
    assert run_predictor(run, SPACE).n_rows == 15


class _Miscounts(FormulaEvaluator):
    def cheap(self, candidate: Candidate) -> dict[str, float]:
        return {"weight": super().cheap(candidate)["weight"] + 1.0}

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        values = {"gain": 1.0, "price": 1.0, **super().cheap(candidate)}
        return Measurement(key=candidate.key, values=values)


def test_what_cheap_and_evaluate_give_differently_is_said_once(tmp_path: Path) -> None:
    observer = _Listens()
    settings = StudySettings(("gain", "price"), budget=Budget(4))
    Study(tmp_path / "run", _Miscounts(), NSGA2, settings, observer=observer).run()
    (said,) = observer.heard
    first = Run.read(tmp_path / "run").history.trials[0]
    weight = first.measurement.values["weight"]
    assert said.startswith(
        f"`cheap` of the evaluator says that 'weight' of {first.candidate.key} is "
        f"{weight + 1:g}, and `evaluate` that it is {weight:g}. "
    )


class _CountsNothingOfTheFirst(FormulaEvaluator):
    def cheap(self, candidate: Candidate) -> dict[str, float]:
        return {"weight": math.nan if candidate == FIRST else 1.0}


def test_every_count_of_an_evaluator_is_checked(tmp_path: Path) -> None:
    evaluator = _CountsNothingOfTheFirst(tmp_path / "visits")
    with pytest.raises(ConfigError, match=r"`cheap\(candidate\)` .* gave \{'weight': nan\}"):
        Study(tmp_path / "run", evaluator, lambda p: _Says(p, []), SETTINGS).run()


class _CountsWithNumpy(FormulaEvaluator):
    def cheap(self, candidate: Candidate) -> dict[str, float]:
        return {"weight": cast("float", np.float32(super().cheap(candidate)["weight"]))}


def test_counts_of_numpy_turn_candidates_away_as_well(tmp_path: Path) -> None:
    heavy = SPACE.decide(lambda _, options: options[-1])
    study = Study(tmp_path / "run", _CountsWithNumpy(), lambda p: _Says(p, [heavy]), SETTINGS)
    with pytest.raises(StopIteration):
        study.run()
    turned_away = Run.read(tmp_path / "run").history.trials[1].measurement
    assert turned_away.values == {"weight": 30.0}
