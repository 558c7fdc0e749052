"""How much channels matter to a whole model."""

import torch
from torch import nn

from niwaki.compress.pruning import analyse
from niwaki.evaluation.compression.importance import importance
from niwaki.evaluation.compression.inferred_data import infer_from


def test_a_model_without_channels_to_remove_has_no_importance() -> None:
    module, inputs = nn.Sequential(nn.Linear(4, 3)), torch.randn(64, 4)
    data = infer_from({"train": [(inputs, torch.arange(64) % 3)]}, module, seed=0)
    groups = analyse(module, inputs)
    assert not groups.groups
    assert importance(module, groups, data) == {}
