"""The benchmark of compression: what it keeps."""

from pathlib import Path

import torch
from torch import nn

from benchmarks.compress_models import Case, Loaders, trained
from niwaki.tasks.base import SplitName


def _loaders(n_train: int) -> Loaders:
    torch.manual_seed(0)
    images, labels = torch.randn(n_train, 1, 4, 4), torch.arange(n_train) % 2
    few = [(images[:8], labels[:8])]
    return {**{str(split): few for split in SplitName}, "train": [(images, labels)]}


def test_an_original_that_learned_from_other_images_is_trained_anew(tmp_path: Path) -> None:
    case = Case("tiny", lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), epochs=2.0)
    few, again, more = (
        trained(case, _loaders(n), tmp_path, seed=0).state_dict()["1.weight"] for n in (16, 16, 64)
    )
    assert torch.equal(few, again)
    assert not torch.equal(few, more)
