"""What torch's exporter writes and the runtime has not is written otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from niwaki.export.general_path.torch_export import export_module
from tests.export.networks import run

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


class Judging(nn.Module):
    """Joins two comparisons."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x > 0.5, x < -0.5)


@pytest.mark.parametrize(
    "join", [torch.add, lambda a, b: ~a * ~b, lambda a, b: (a + b) * 2.0], ids=["or", "and", "real"]
)
def test_sums_and_products_of_yes_and_no_are_written(
    join: Callable[[Tensor, Tensor], Tensor],
) -> None:
    module = Judging(join).eval()
    (found,) = run(export_module(module, [X]), X.numpy()).values()
    np.testing.assert_array_equal(found, module(X).numpy())
