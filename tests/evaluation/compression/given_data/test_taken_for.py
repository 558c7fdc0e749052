"""What outputs without targets are, told by answers of models that were trained for it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.given_data.taken_for import taken_for
from niwaki.evaluation.compression.given_model.plain_calls import plainly_called
from tests.evaluation.compression.small import build, spots

Rows = NDArray[np.float32]


def _logits() -> torch.Tensor:
    logits: torch.Tensor = build()(torch.from_numpy(spots(100, 5)[0]))["quarter"]
    return logits.detach()


def _features() -> torch.Tensor:
    """Return (100, 512) features of the same model, none below 0."""
    model = build()
    features = model.middle(model.enter(torch.from_numpy(spots(100, 5)[0])))
    return torch.flatten(features.detach(), 1)


def _projected() -> torch.Tensor:
    torch.manual_seed(0)
    projected: torch.Tensor = nn.Linear(512, 32)(_features())
    return projected.detach()


@pytest.mark.parametrize(
    "answers",
    [
        _logits,
        lambda: _logits() - 100.0,  # none above 0: cross-entropy does not look at that
        lambda: _logits().softmax(1),
        lambda: _logits().log_softmax(1),
    ],
)
def test_scores_of_one_choice(answers: Callable[[], torch.Tensor]) -> None:
    assert taken_for(answers().numpy()).is_choice


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (lambda: _logits().sigmoid(), "do not sum to 1"),
        (_features, "none is below 0"),
        (_projected, "no more than 0"),
        (lambda: functional.normalize(_projected()), "length 1"),
        (lambda: torch.full((3, 2), torch.nan), "finite"),
    ],
)
def test_values(answers: Callable[[], torch.Tensor], why: str) -> None:
    found = taken_for(answers().numpy())
    assert not found.is_choice
    assert why in found.why


def test_what_an_output_is_taken_for_is_told_with_how_to_say_otherwise() -> None:
    images: Rows = spots(60, 5)[0]
    found = infer_from({"train": [images]}, build(), seed=0)
    [told] = found.warnings
    assert "'quarter' has no targets and is taken for scores of one choice of 4" in told
    assert "`--kind quarter=regression`" in told


def test_an_embedding_is_judged_as_values() -> None:
    model = build()
    embed = nn.Sequential(model.enter, model.middle, nn.Flatten(), nn.LayerNorm(512)).eval()
    found = infer_from({"train": [spots(60, 5)[0]]}, plainly_called(embed), seed=0)
    assert [task.kind for task in found.tasks] == ["regression"]
    assert "`--kind output=classification`" in found.warnings[0]
