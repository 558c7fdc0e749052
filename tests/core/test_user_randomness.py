"""What users' code draws is the same each time, and leaves the generators as they were."""

import random

import numpy as np
import pytest
import torch

from niwaki.core.user_randomness import seeded, seeded_items


def _drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_all_generators_draw_the_same_and_go_on_as_before() -> None:
    with seeded(1):
        first = _drawn()
    with seeded(2):
        other = _drawn()
        with seeded(1):
            assert _drawn() == first
        follows = _drawn()
    with seeded(2):
        assert (_drawn(), _drawn()) == (other, follows)


def test_items_one_by_one_are_those_of_one_go_and_leave_others_alone() -> None:
    with seeded(3):
        wanted = [_drawn() for _ in range(4)]
    with seeded(5):
        others = [_drawn() for _ in range(4)]
    with seeded(5):
        pairs = [(item, _drawn()) for item in seeded_items((_drawn() for _ in range(4)), 3)]
    assert pairs == list(zip(wanted, others, strict=True))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> torch.Generator:
    """Stand in for the generator of a GPU."""
    generator = torch.Generator()
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [generator.get_state()])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda s: generator.set_state(s[0]))
    monkeypatch.setattr(torch.cuda, "manual_seed_all", generator.manual_seed)
    return generator


def test_gpus_in_use_are_seeded_and_put_back(
    gpu: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    gpu.manual_seed(5)
    with seeded(7):
        assert gpu.initial_seed() == 7
    assert gpu.initial_seed() == 5


def test_gpus_that_are_not_in_use_keep_the_seed_of_the_user(gpu: torch.Generator) -> None:
    gpu.manual_seed(5)
    with seeded(7):
        assert gpu.initial_seed() == 5
