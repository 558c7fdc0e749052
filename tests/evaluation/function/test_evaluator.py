"""Functions of users as evaluators: how they are called, and what becomes of what they return."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from niwaki.config.build import study_from_config
from niwaki.config.reader import parse_config
from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, ExportError, SpaceError, StudyError
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Direction, Objective
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.function import FunctionEvaluator
from niwaki.evaluation.function.evaluator import create
from niwaki.evaluation.registry import Ingredients
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.study.results.run import Run
from tests.evaluation.function import own_functions

HERE = "tests.evaluation.function.own_functions"
CONFIG: dict[str, Any] = {
    "space": {
        "kind": "choices",
        "decisions": {
            "width": [8, 16, 32],
            "rate": [0.1, 1e-3],
            "optimizer": ["adam", "sgd"],
            "momentum": {"options": [0.9, 0.99], "when": {"optimizer": "sgd"}},
        },
    },
    "evaluator": {
        "kind": "function",
        "function": f"{HERE}:train",
        "cheap": f"{HERE}:count",
        "fidelities": [0.25],
        "values": {
            "accuracy": {"direction": "maximize", "unit": "%", "least": 0},
            "latency_ms": {"direction": "minimize"},
            "params": {"direction": "minimize"},
        },
        "baseline": {"width": 16},
    },
    "objectives": ["accuracy", "latency_ms"],
    "executor": {"kind": "in_process"},
    "budget": {"evaluations": 100},
}

GRAMMAR = """start Net
input 64
terminal conv(c=8|16), pool
Net -> net: Net Net [0.3] | conv | pool
"""


def made(**changes: Any) -> FunctionEvaluator:
    """Return the evaluator of `CONFIG`, settings of it changed."""
    config = parse_config({**CONFIG, "evaluator": {**CONFIG["evaluator"], **changes}})
    ingredients = Ingredients(config.section("space")[1], None, None, ("fp32",), 0, print)
    return create(config.section("evaluator")[1], ingredients)


def evaluate(
    evaluator: FunctionEvaluator, fidelity: float = 1.0, seed: int = 0, **decisions: Any
) -> Measurement:
    candidate = Candidate.of({"width": 8, "rate": 0.1, "optimizer": "adam", **decisions})
    evaluator.space.validate(candidate)
    return evaluator.evaluate(candidate, fidelity=fidelity, seed=seed)


def test_a_function_is_called_with_decisions_effort_and_seed() -> None:
    measurement = evaluate(made(), fidelity=0.25, seed=3, width=32)
    assert dict(measurement.values) == {"accuracy": 8.0, "latency_ms": 64, "params": 1024}
    assert measurement.complete
    returned = measurement.details["returned"]
    assert isinstance(returned, dict)
    assert returned["seed"] == 3


def test_what_a_function_draws_at_random_follows_the_seed() -> None:
    drawn = [evaluate(made(), seed=seed).details for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_function_may_take_less_or_anything() -> None:
    assert evaluate(made(function=f"{HERE}:train_in_full", fidelities=[])).complete
    anything = evaluate(made(function=f"{HERE}:train_anything"), fidelity=0.25)
    assert anything.values["accuracy"] == 0.25


def test_an_evaluator_travels_with_its_function() -> None:
    sent = pickle.loads(pickle.dumps(made()))
    assert evaluate(sent) == evaluate(made())


def test_of_decisions_that_are_left_out_the_first_option_is_the_baseline() -> None:
    evaluator = made(initial=[{"optimizer": "sgd"}, {"rate": 0.001}])
    assert str(evaluator.baseline()) == "optimizer=adam, rate=0.1, width=16"
    first, second = map(str, evaluator.initial())
    assert first == "momentum=0.9, optimizer=sgd, rate=0.1, width=8"
    assert second == "optimizer=adam, rate=0.001, width=8"


def test_what_was_returned_beside_the_values_wanted_is_told() -> None:
    found = evaluate(made(function=f"{HERE}:misspelt", fidelities=[], cheap=""))
    assert dict(found.values) == {"latency_ms": 1.0}
    assert "no 'accuracy', 'params': it returned 'acuracy', 'latency_ms'" in found.reason


@pytest.mark.parametrize(("least", "most"), [(0, 1), (94, 100)])
def test_a_value_beyond_its_limits_fails_the_evaluation(least: int, most: int) -> None:
    values = {"accuracy": {"direction": "maximize", "least": least, "most": most}}
    evaluator = made(function=f"{HERE}:in_percent", fidelities=[], cheap="", values=values)
    said = f"'accuracy' is 93.5, but .*`least: {least}` and `most: {most}`: .* in percent"
    with pytest.raises(StudyError, match=said):
        evaluate(evaluator)


def test_a_value_at_its_limit_is_one() -> None:
    values = {"accuracy": {"direction": "maximize", "most": 93.5}}
    assert evaluate(
        made(function=f"{HERE}:in_percent", fidelities=[], cheap="", values=values)
    ).complete


def test_two_numbers_of_one_value_fail_the_evaluation() -> None:
    evaluator = made(function=f"{HERE}:counts_too", fidelities=[])
    assert evaluate(evaluator, width=32).values["params"] == 1024
    with pytest.raises(StudyError, match=r"'params' is 65\.0 by .*'counts_too', and 64\.0"):
        evaluate(evaluator, width=8)


def test_values_without_names_are_an_error() -> None:
    with pytest.raises(StudyError, match="returned a tuple: return values by name"):
        evaluate(made(function=f"{HERE}:pair", fidelities=[]))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"function": f"{HERE}:by_name"}, ConfigError, "'by_name' has no parameter `fidelity`"),
        ({"function": f"{HERE}:by_name", "fidelities": []}, ConfigError, r"takes \(width, rate\)"),
        ({"cheap": f"{HERE}:by_name"}, ConfigError, r"takes \(width, rate\)"),
        ({"function": f"{HERE}:trian"}, ConfigError, "did you mean 'train'"),
        (
            {"function": f"{HERE}:N_FUNCTIONS"},
            ConfigError,
            r"'evaluator.function' is .*:N_F",
        ),
        (
            {"cheap": f"{HERE}:N_FUNCTIONS"},
            ConfigError,
            r"'evaluator.cheap' is .*:N_F",
        ),
        ({"values": {}}, ConfigError, "'values' is empty"),
        ({"fidelities": [0.5, 0.1]}, ConfigError, "rising"),
        ({"baseline": {"wdth": 8}}, SpaceError, "in 'evaluator.baseline': .* did you mean"),
        ({"baseline": {"width": 9}}, SpaceError, "in 'evaluator.baseline': .* not one of"),
        ({"initial": [{"momentum": 0.9}]}, SpaceError, "in 'evaluator.initial': .*'momentum'"),
    ],
)
def test_mistakes_are_explained(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        made(**changes)


@pytest.mark.parametrize("space", [None, {"kind": "slimmable"}, {"kind": "einspace"}])
def test_a_space_that_only_an_evaluator_makes_is_refused(
    tmp_path: Path, space: dict[str, Any] | None
) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**CONFIG, "space": space}))
    with pytest.raises(ConfigError, match="of kind 'choices'"):
        study_from_config(tmp_path / "own.yaml", runs=tmp_path)


def test_a_function_evaluates_trees_of_a_grammar(tmp_path: Path) -> None:
    (tmp_path / "own.grammar").write_text(GRAMMAR)
    given = {"tree": "net(conv(c=16), pool, pool)"}
    config = {
        **{key: CONFIG[key] for key in ("executor", "budget")},
        "space": {"kind": "grammar", "file": str(tmp_path / "own.grammar")},
        "evaluator": {
            "kind": "function",
            "function": f"{HERE}:count_leaves",
            "values": {"leaves": {"direction": "maximize"}, "convs": {"direction": "minimize"}},
            "baseline": given,
            "initial": [{"tree": "net(pool, pool)"}],
        },
        "objectives": ["leaves", "convs"],
        "budget": {"evaluations": 5},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    study_from_config(tmp_path / "own.yaml", runs=tmp_path).run()
    history = Run.read(tmp_path / "own").history
    assert history.baseline is not None
    assert dict(history.baseline.measurement.values) == {"leaves": 3, "convs": 1}
    assert dict(history.trials[0].measurement.values) == {"leaves": 2, "convs": 0}
    config["evaluator"]["baseline"] = {"tree": "net(conv(c=7), pool)"}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SpaceError, match=r"in 'evaluator.baseline': .*conv\(c=7\)"):
        study_from_config(tmp_path / "other.yaml", runs=tmp_path)


def test_a_function_keeps_its_networks(tmp_path: Path) -> None:
    evaluator = made()
    with pytest.raises(ExportError, match="keeps its networks to itself"):
        evaluator.export(evaluator.baseline(), tmp_path, provenance=Provenance("", (), ""), seed=0)


@pytest.mark.parametrize("scheduler", [None, {"kind": "asha"}])
def test_a_function_is_searched(tmp_path: Path, scheduler: dict[str, Any] | None) -> None:
    changes = {"scheduler": scheduler, "constraints": ["params <= baseline"]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}))
    front = study_from_config(tmp_path / "own.yaml", runs=tmp_path).run()
    assert sorted({model.values["accuracy"] for model in front.models}) == [8.0, 16.0]
    run = Run.read(tmp_path / "own")
    with pytest.raises(ExportError, match=r"this run exports nothing: .* as `function`"):
        run.front.export(tmp_path / "models")
    by_status = {trial.measurement.status for trial in run.history.trials}
    assert by_status == {Status.COMPLETE, Status.FAILED}  # others are not even asked for
    failed = [
        t.measurement.reason for t in run.history.trials if t.measurement.status is Status.FAILED
    ]
    place = "tests/evaluation/function/own_functions.py, line 13"
    assert set(failed) == {f"ValueError: the loss is not finite ({place})"}


def test_a_function_of_a_program_is_evaluated_as_it_is() -> None:
    space = ChoiceSpace((Choice("width", (8, 16)),))
    objectives = (Objective("accuracy", Direction.MAXIMIZE), Objective("b", Direction.MINIMIZE))
    evaluator = FunctionEvaluator(
        lambda decisions, fidelity: {"accuracy": decisions["width"] * fidelity, "b": 1},
        space,
        objectives,
        fidelities=Fidelities((0.5, 1.0)),
    )
    assert evaluator.baseline() == Candidate.of({"width": 8})
    measured = evaluator.evaluate(evaluator.baseline(), fidelity=0.5, seed=0)
    assert dict(measured.values) == {"accuracy": 4.0, "b": 1}
    assert own_functions.count({"width": 3}) == {"params": 9}


def test_fidelities_are_no_tuple() -> None:
    space = ChoiceSpace((Choice("x", (1, 2)),))
    with pytest.raises(ConfigError, match=r"Fidelities\(\(0.1, 1.0\)\)"):
        FunctionEvaluator(
            lambda decisions, fidelity: {"y": fidelity},
            space,
            [Objective("y", Direction.MINIMIZE)],
            fidelities=(0.1, 1.0),  # type: ignore[arg-type]
        )
