"""Large tensors: their memory is asked of the system a few times, not for each of them."""

import itertools
import platform
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from niwaki.compress.pruning import analyse
from niwaki.compress.pruning.criteria import L1, score_groups
from niwaki.evaluation.compression.original import example_of
from niwaki.evaluation.compression.proposing.importance import importance
from niwaki.evaluation.compression.proposing.masked_oracle import MaskedOracle, Ranked
from niwaki.evaluation.compression.reused_memory import reusing_memory
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from tests.evaluation.compression import small

N_PAGES = 64 * 2**20 // resource.getpagesize()  # of a tensor of 64 MiB

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="memory is kept where the C library is glibc"
)


def n_faults(work: Callable[[], object]) -> int:
    """Return how many pages came from the system, the fewest of three times.

    Systems that are short of memory take some back meanwhile.
    """
    found = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        work()
        found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(found)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize()


class Large(nn.Module):
    """Computes 64 MiB beside what it answers, in every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.network = small.build()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        large = torch.ones(16 * 2**20)
        return {name: answer * large[0] for name, answer in self.network(x).items()}


def test_freed_memory_is_used_for_the_next_tensor() -> None:
    def work() -> None:
        with reusing_memory():
            for _ in range(16):
                torch.ones(16 * 2**20)

    assert n_faults(work) < 8 * N_PAGES


def test_on_leaving_memory_goes_back_to_the_system() -> None:
    with reusing_memory():
        torch.ones(2**28)  # 1 GiB
        held = resident_bytes()
    assert resident_bytes() < held - 2**29


def test_networks_are_judged_in_memory_that_is_used_again() -> None:
    module, data = Large().eval(), small.data()
    groups = analyse(module, example_of(data))
    ranked = Ranked(groups, score_groups(L1(), module, groups))
    oracle = MaskedOracle(module, ranked, data, n_items=64, batch_size=4)
    fewer = itertools.count(2)  # what was judged once is known
    assert n_faults(lambda: oracle.judge([groups.n_units - next(fewer)])) < 8 * N_PAGES


def test_gradients_are_taken_in_memory_that_is_used_again() -> None:
    module, data = Large().eval(), small.data()
    groups = analyse(module, example_of(data))
    assert n_faults(lambda: importance(module, groups, data)) < 8 * N_PAGES


def test_networks_are_tuned_in_memory_that_is_used_again() -> None:
    tuning = Tuning(Large().eval(), small.data(), TuningSettings(epochs=2.0), seed=0)
    assert n_faults(lambda: tuning.tuned(Large())) < 12 * N_PAGES
