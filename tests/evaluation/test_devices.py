"""What is laid out channels last, and what keeps its own layout."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from niwaki.evaluation.devices import layout_for, placed, to_tensors
from niwaki.tasks.base import Batch

CPU, LAST = torch.device("cpu"), torch.channels_last


class Table(nn.Module):
    """Looks at a table of its own by `view`."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.arange(96.0).reshape(2, 3, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.table.view(2, -1).T


def test_tables_of_the_users_own_keep_their_layout() -> None:
    module, inputs = Table(), torch.ones(1, 48)
    expected = module(inputs)
    torch.testing.assert_close(placed(module, CPU, LAST)(inputs), expected)


def test_weights_of_convolutions_are_laid_out_whatever_is_computed_from_them() -> None:
    normed = parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    network = placed(nn.Sequential(normed, nn.ConvTranspose2d(4, 3, 3)), CPU, LAST)
    for weight in network.parameters():
        assert weight.ndim < 4 or weight.is_contiguous(memory_format=LAST)


class Normalising(nn.Module):
    """Normalises what it is given in place."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sub_(0.5)


@pytest.mark.parametrize("shape", [(4, 6), (4, 1, 5, 5), (4, 3, 5, 5)])
def test_what_a_network_does_to_its_inputs_is_not_done_to_the_data(shape: tuple[int, ...]) -> None:
    batch = Batch(np.ones(shape, np.float32), {})
    inputs, _ = to_tensors(batch, CPU)
    Normalising()(inputs)
    layout_for(Normalising(), torch.from_numpy(batch.inputs))
    assert (batch.inputs == 1.0).all()
