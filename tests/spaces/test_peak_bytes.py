"""Whether the counted bound of activations in memory is one, as torch makes and frees them."""

import weakref
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.multi_resolution import MultiResolutionSettings
from niwaki.spaces.slimmable.space import SlimmableSettings

SHAPE = (3, 32, 32)
MAP, LABELS = Head("segmentation", HeadKind.MAP, 80), Head("digit", HeadKind.VECTOR, 10)


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the bytes of tensors that are alive at once, those known before left out."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.most = 0, 0
        self._seen = set(known)

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        made = function(*args, **kwargs)
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._seen:
            self._seen.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def most_alive(network: nn.Module, image: Tensor) -> int:
    """Return the most bytes of activations that are alive at once."""
    network.eval()
    there = [*network.parameters(), *network.buffers(), image]
    alive = Alive({tensor.untyped_storage()._cdata for tensor in there})
    with torch.no_grad(), alive:
        network(image)
    return alive.most


@pytest.mark.parametrize("heads", [(MAP,), (MAP, LABELS), (LABELS,)], ids=["map", "both", "vector"])
@pytest.mark.parametrize(
    "settings", [MultiResolutionSettings(channels=(8, 16, 32)), SlimmableSettings()]
)
def test_what_is_counted_bounds_what_is_alive(
    settings: MultiResolutionSettings | SlimmableSettings, heads: tuple[Head, ...]
) -> None:
    family = settings.elastic_family(SHAPE, heads)
    rng = np.random.default_rng(0)
    sampled = [family.space.sample(rng) for _ in range(8)]
    for candidate in (family.space.largest, family.space.smallest, *sampled):
        alive = most_alive(family.build(candidate), torch.zeros(1, *SHAPE))
        assert 0.1 * family.counts(candidate)["peak_bytes"] < alive
        assert alive <= family.counts(candidate)["peak_bytes"]
