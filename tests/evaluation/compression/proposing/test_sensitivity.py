"""Layers that int8 hurts most."""

import numpy as np

from niwaki.evaluation.compression.proposing.sensitivity import most_sensitive


def test_layers_that_cause_half_of_the_loss_are_kept() -> None:
    losses = {"a": np.array([0.1, 0.0]), "b": np.array([0.0, 0.5]), "c": np.array([-0.2, 0.1])}
    assert most_sensitive(losses) == ("b",)
    assert most_sensitive({}) == ()


def test_a_task_that_cannot_be_scored_says_nothing() -> None:
    losses = {"a": np.array([np.nan, 0.1]), "b": np.array([np.nan, 0.4])}
    assert most_sensitive(losses) == ("b",)
