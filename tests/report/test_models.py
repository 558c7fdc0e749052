"""Who is who among the models of a report."""

from dataclasses import replace

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.report import ReportData
from niwaki.report.models import Models, State
from tests.report.studies import LATENCY, study


def told(number: int, measurement: Measurement) -> Trial:
    return Trial(number, Candidate.of({"width": number}), measurement)


def test_states_follow_status_and_bounds() -> None:
    trials = [
        told(0, Measurement("a", {"latency_ms": 1.0})),
        told(1, Measurement("b", {"latency_ms": 3.0})),
        told(2, Measurement("c", status=Status.INFEASIBLE, reason="too large")),
        told(3, Measurement("d", status=Status.FAILED, reason="NaN")),
    ]
    bound = Bound("latency_ms", 1.0, 2.0)
    models = Models(ReportData(study="s", objectives=(LATENCY,), trials=trials, bounds=(bound,)))
    assert [row.state for row in models.rows] == list(State)
    assert models.rows[1].broken == "latency_ms <= 2"
    assert [models.count(state) for state in State] == [1, 1, 1, 1]


def test_who_lacks_a_bounded_value_is_not_feasible() -> None:
    trials = [told(0, Measurement("a", {"latency_ms": 1.0}))]
    bounds = (Bound("size_mb", 1.0, 2.0),)
    models = Models(ReportData(study="s", objectives=(LATENCY,), trials=trials, bounds=bounds))
    assert models.rows[0].state is State.OUTSIDE
    assert models.rows[0].broken == "size_mb <= 2 (not measured)"


def test_the_baseline_is_a_row_unless_a_trial_is_it() -> None:
    data = study(5)
    assert Models(data).rows[-1].number is None
    same = replace(data, baseline=data.trials[2].measurement)
    assert len(Models(same).rows) == 5
    assert Models(same).find([data.trials[2].candidate.key]) == [2]


def test_of_repeated_keys_the_highest_fidelity_stands() -> None:
    trials = [
        told(0, Measurement("a", {"latency_ms": 1.0}, fidelity=1.0)),
        told(1, Measurement("a", {"latency_ms": 2.0}, fidelity=0.1)),
    ]
    data = ReportData(study="s", objectives=(LATENCY,), trials=trials, front_keys=("a", "gone"))
    assert Models(data).front == [0]


def test_a_trial_without_an_objective_is_not_measured() -> None:
    trials = [told(0, Measurement("a", {"latency_ms": float("nan")})), told(1, Measurement("b"))]
    assert Models(ReportData(study="s", objectives=(LATENCY,), trials=trials)).measured == []
