"""Layers that int8 hurts most."""

import numpy as np
import torch
from torch import nn

from niwaki.compress.quantization.plan import Precision
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.proposing.masked_oracle import judged_items
from niwaki.evaluation.compression.proposing.sensitivity import most_sensitive, sensitivities
from niwaki.evaluation.deployment import Deployment, DeploymentSettings
from tests.hasty import HASTY


def test_a_layer_is_scored_on_as_many_items_as_are_asked_for() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    inputs = torch.randn(2000, 4)
    data = infer_from({"train": [(inputs, module(inputs).detach())]}, module, seed=0)
    deployment = Deployment(data, HASTY, DeploymentSettings())
    graph = deployment.float_graph(module)

    (lost,) = sensitivities(deployment, graph, ["0"], n_items=10)["0"]

    few = next(judged_items(data, 10, 64))
    plans = [HASTY.capabilities.plan(each) for each in ({}, {"0": Precision.INT8})]
    assert len(few) == 64  # of 100 in the split
    whole, int8 = (
        deployment.score_on(deployment.quantized(graph, plan), [few])["mean_skill"]
        for plan in plans
    )
    assert lost == whole - int8 > 0.001


def test_layers_that_cause_half_of_the_loss_are_kept() -> None:
    losses = {"a": np.array([0.1, 0.0]), "b": np.array([0.0, 0.5]), "c": np.array([-0.2, 0.1])}
    assert most_sensitive(losses) == ("b",)
    assert most_sensitive({}) == ()


def test_a_task_that_cannot_be_scored_says_nothing() -> None:
    losses = {"a": np.array([np.nan, 0.1]), "b": np.array([np.nan, 0.4])}
    assert most_sensitive(losses) == ("b",)
