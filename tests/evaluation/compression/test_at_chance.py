"""A model that cannot do its tasks is told before anything is done with it."""

from dataclasses import replace

import torch

from niwaki.evaluation.compression.at_chance import at_chance
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.tasks.own import MetricSettings, Scoring
from tests.evaluation.compression.small import build, data, loaders

OWN = "tests/tasks/own_functions.py"


def test_a_trained_model_is_better_than_chance() -> None:
    assert at_chance(build(), data()) == []


def test_a_task_at_chance_is_named_with_both_values_and_its_kind() -> None:
    model = build()
    with torch.no_grad():
        model.brightness.bias.add_(5.0)
    (said,) = at_chance(model, data())
    assert said.startswith("the model is no better at 'brightness' than one answer to everything")
    assert "taken for regression" in said


def test_an_error_that_is_taken_for_a_score_is_told() -> None:
    """Most errors are below 1, the perfect score, so that nothing else tells."""
    as_score = MetricSettings(f"{OWN}:squared")
    as_error = replace(as_score, direction="minimize")
    for metric, is_told in ((as_score, True), (as_error, False)):
        scoring = {"brightness": Scoring((metric,))}
        told = at_chance(build(), infer_from(loaders(), build(), seed=0, scoring=scoring))
        assert bool(told) == is_told
        assert all("more is taken to be better" in each for each in told)
        assert all(f"{{function: {OWN}:squared, direction: minimize}}" in each for each in told)


def test_values_of_pixels_are_dense_regression() -> None:
    x = torch.randn(40, 1, 4, 4)
    module = torch.nn.Conv2d(1, 1, 1)
    torch.nn.init.constant_(module.bias, 5.0)  # type: ignore[arg-type]
    (said,) = at_chance(module, infer_from({"train": [(x, torch.randn(x.shape))]}, module, seed=0))
    assert "taken for dense regression" in said


def test_scores_of_classes_are_no_shares_to_be_met() -> None:
    smoothed = 0.8 * torch.eye(4) + 0.05
    batches = {
        split: [(x, {"quarter": smoothed[targets["quarter"]]}) for x, targets in given]
        for split, given in loaders().items()
    }
    (said,) = at_chance(build(), infer_from(batches, build(), seed=0))
    assert "'quarter'" in said and "taken for regression" in said
