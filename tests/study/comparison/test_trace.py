"""What a run had found, and spent, at every moment."""

from dataclasses import replace
from pathlib import Path

from niwaki.study.comparison.trace import exported_trace_of, trace_of
from niwaki.study.results.front import front_of
from niwaki.study.results.run import Run
from tests.study.comparison.written import GAIN, PRICE, WEIGHT, measured, priced, write_run
from tests.study.formulas import FormulaEvaluator, formula_study

WANTED = (GAIN, PRICE)


def test_the_front_of_a_trace_is_that_of_the_run(tmp_path: Path) -> None:
    constraints = ("price <= 60",)
    formula_study(tmp_path / "run", FormulaEvaluator(), n=40, constraints=constraints).run()
    run = Run.read(tmp_path / "run")
    trace = trace_of(run, run.description.objectives)
    front = front_of(
        run.history,
        objectives=run.description.objectives,
        constraints=run.description.constraints,
        folder=run.folder.path,
    )
    assert trace.numbers[trace.front].tolist() == [model.number for model in front.models]
    assert trace.costs[trace.front].tolist() == front.costs.tolist()


def test_what_lacks_an_objective_or_full_effort_does_not_count(tmp_path: Path) -> None:
    whole, half = priced((1.0, 1.0), (2.0, 2.0))
    told = [whole, replace(half, fidelity=0.5), measured(2, {"gain": 3.0})]
    run = Run.read(write_run(tmp_path / "run", told))
    assert trace_of(run, WANTED).numbers.tolist() == [0]
    assert trace_of(run, (GAIN,)).numbers.tolist() == [0, 2]
    assert trace_of(run, (WEIGHT,)).costs.shape == (0, 1)


def test_files_are_had_when_everything_is_spent(tmp_path: Path) -> None:
    finals = priced((0.5, 1.0), (1.5, 3.0))
    told = priced((1.0, 1.0), (2.0, 2.0), (3.0, 3.0))
    run = Run.read(write_run(tmp_path / "run", told, finals=finals))
    trace = exported_trace_of(run, WANTED)
    assert trace.costs.tolist() == [[-1.5, 3.0], [-0.5, 1.0]]
    assert trace.spent.tolist() == [3.0, 3.0] and trace.seconds.tolist() == [4.0, 4.0]
