"""Models that ask functions which remember what they gave for sizes, as einops does."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from niwaki.compress.pruning import analyse, apply_plan
from niwaki.compress.pruning.masking import masked
from tests.compress.pruning.equality import half_of_each

TOKENS = torch.randn(2, 6, 8)
Shape = tuple[int, ...]


def split(shape: Shape, heads: int) -> Shape:
    """Return the shape with channels told apart by heads."""
    batch, tokens, channels = shape
    return batch, tokens, heads, channels // heads


remembering = functools.lru_cache(split)
_KNOWN: dict[tuple[Shape, int], Shape] = {}


def keeping_to_itself(shape: Shape, heads: int) -> Shape:
    """Remember in a way that nothing tells of."""
    key = tuple(shape), heads
    if key not in _KNOWN:
        _KNOWN[key] = tuple(map(int, map(str, split(shape, heads))))
    return _KNOWN[key]


class Attention(nn.Module):
    """Two heads, of which the code only says how many they are.

    Args:
        split: Tells channels apart by heads.
        steepness: Of what places add to the scores, which is nothing at first.
    """

    def __init__(self, split: Callable[[Shape, int], Shape], steepness: float = 0.0) -> None:
        super().__init__()
        self.heads, self.split, self.steepness = 2, split, steepness
        self.enter, self.qkv = nn.Linear(8, 16), nn.Linear(16, 48, bias=False)
        self.out, self.head = nn.Linear(16, 16), nn.Linear(16, 3)
        self.places = nn.Parameter(torch.zeros(6, 6))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(torch.relu(self.enter(x))).chunk(3, -1)
        q, k, v = (
            each.reshape(self.split(each.shape, self.heads)).transpose(1, 2) for each in parts
        )
        scores = 3.0 * q @ k.transpose(-1, -2) + self.steepness * self.places
        seen = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        answer: Tensor = self.head(self.out(seen).mean(1))
        return answer


@pytest.mark.parametrize("called_before", [False, True])
def test_what_was_remembered_from_earlier_calls_changes_nothing(*, called_before: bool) -> None:
    remembering.cache_clear()
    module = Attention(remembering).eval()
    if called_before:
        module(TOKENS)
    groups = analyse(module, TOKENS)
    assert groups["qkv"].n_units == 2
    assert apply_plan(module, half_of_each(groups)).heads == 1
    assert all(type(size) is int for size in remembering((2, 6, 16), 2))  # for others, as before


def test_caches_that_a_model_does_not_ask_are_left_alone() -> None:
    other = functools.lru_cache(split)
    other((2, 6, 16), 2)
    analyse(Attention(remembering).eval(), TOKENS)
    assert other.cache_info().currsize == 1


def test_what_random_weights_hide_is_seen_by_the_models_own() -> None:
    """Random places decide alone what is looked at, so that heads may be cut in any way."""
    module = Attention(keeping_to_itself, steepness=1e6).eval()
    with torch.no_grad():
        module(TOKENS)
        plan = half_of_each(analyse(module, TOKENS))
        smaller = apply_plan(module, plan)
        with masked(module, plan):
            torch.testing.assert_close(smaller(TOKENS), module(TOKENS))
