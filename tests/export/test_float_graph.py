"""A module that neither path can write is refused with the place that both know."""

import pytest
import torch
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.float_graph import float_graph


class Pairs(nn.Module):
    """Encodes two inputs as one batch, as optical flow does, and takes them apart again."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 6)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        one, other = self.encoder(torch.cat([first, second])).chunk(2)
        answer: Tensor = one * other
        return answer


def test_where_the_batch_is_split_is_told() -> None:
    inputs = [torch.randn(2, 6), torch.randn(2, 6)]
    place = r"input 'first' .* or splits it.* layer 'chunk' .* it splits the batch$"
    with pytest.raises(ExportError, match=place):
        float_graph(Pairs().eval(), [(1, 6), (1, 6)], lambda: inputs)
