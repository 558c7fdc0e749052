"""Networks that begin alike: judged side by side as each alone, and with less to compute."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from niwaki.compress.allocation import Counts, Verdict
from niwaki.compress.pruning import analyse
from niwaki.compress.pruning.compensation import input_moments
from niwaki.compress.pruning.criteria import L1, score_groups
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.proposing.importance import looked_at
from niwaki.evaluation.compression.proposing.masked_oracle import MaskedOracle, Ranked
from niwaki.evaluation.compression.proposing.shared_prefix import (
    OtherCourseError,
    SharedPrefix,
    noting_reads,
)
from niwaki.evaluation.compression.tuning.kept_statistics import KeptStatistics
from niwaki.evaluation.recalibration import recalibrate
from tests.evaluation.compression import small


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts those that are computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += func is torch.ops.aten.convolution.default
        return func(*args, **(kwargs or {}))


def block(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    )


class Branching(nn.Module):
    """Nine convolutions; sums, halves, joined maps, and layer norms over channels in between."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = block(1, 16), block(16, 16), block(16, 16)
        self.d, self.e, self.f = block(8, 16), block(24, 16), block(16, 16)
        self.more = nn.Sequential(block(16, 16), block(16, 16), block(16, 16))
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 4)
        self.held: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        self.held = [x.mean((2, 3))]
        x = x + self.b(x)
        x = self.c(x).relu_().add_(x)
        one, other = x.chunk(2, 1)
        x = self.more(self.f(self.e(torch.cat([self.d(one), other], 1))))
        return self.head(self.norm(x.mean((2, 3)) + self.held[0]))  # type: ignore[no-any-return]


class WithinNumpy(Branching):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + float(np.mean(self.a(x).numpy()))


class WithScratch(Branching):
    """Writes into a tensor of its own, which is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = torch.zeros(16)

    def forward(self, x: Tensor) -> Tensor:
        self.scratch.copy_(self.a(x).mean((0, 2, 3)))
        return super().forward(x) + self.head(self.scratch)  # type: ignore[no-any-return]


class SharedNorm(nn.Module):
    """A norm that is called early and late has statistics of both."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3)
        self.third, self.norm = nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16)
        self.fourth, self.fifth = nn.Conv2d(16, 16, 3), nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = self.second(x).relu()
        x = self.third(x).relu()
        x = self.fifth(self.fourth(x).relu())
        return self.head(self.norm(x).mean((2, 3)))  # type: ignore[no-any-return]


def made(kind: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    module = kind()
    images, _ = small.spots(64, 9)
    recalibrate(module, iter([torch.from_numpy(images)]))
    return module.eval()


def oracle(module: nn.Module, *, keeps: bool = False) -> MaskedOracle:
    batches = {name: [(x, y["quarter"]) for x, y in each] for name, each in small.loaders().items()}
    data = infer_from(batches, module, seed=0)
    inputs = looked_at(data, 256, seed=0)
    groups = analyse(module, inputs[0][:2])
    return MaskedOracle(
        module,
        Ranked(groups, score_groups(L1(), module, groups)),
        data,
        recalibration=inputs,
        statistics=KeptStatistics(module, inputs) if keeps else None,
        moments=input_moments(module, inputs),
        n_items=64,
        batch_size=32,
    )


def probes(judge: MaskedOracle) -> list[Counts]:
    """Return states that differ from one, which is pruned already, in one group each."""
    return beside(judge.ranked.groups.n_units - 2)


def beside(base: Counts) -> list[Counts]:
    """Return states that differ from one in one group each."""
    return list(base - 4 * np.eye(len(base), dtype=np.int64))


@contextmanager
def counted() -> Iterator[Convolutions]:
    with Convolutions() as found:
        yield found


def alone_and_together(
    module: nn.Module, *, keeps: bool = False
) -> tuple[tuple[Verdict, int], tuple[Verdict, int]]:
    """Return the verdicts on the same states, and how many convolutions each took."""
    with counted() as found:
        judge = oracle(module, keeps=keeps)
        found.n = 0
        one_by_one = [judge.judge([state]) for state in probes(judge)]
        alone = (
            Verdict(
                *(
                    np.concatenate([getattr(v, n) for v in one_by_one])
                    for n in ("skills", "losses", "drifts")
                )
            ),
            found.n,
        )
        judge = oracle(module, keeps=keeps)
        found.n = 0
        return alone, (judge.judge(probes(judge)), found.n)


def assert_same(one: Verdict, other: Verdict) -> None:
    for name in ("skills", "losses", "drifts"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5)


@pytest.mark.parametrize("keeps", [False, True])
def test_judged_together_networks_are_as_each_alone_by_half_of_the_work(keeps: bool) -> None:
    (alone, n_alone), (together, n_together) = alone_and_together(made(Branching), keeps=keeps)
    assert_same(alone, together)
    assert len(np.unique(alone.losses)) == len(alone.losses)
    assert n_together < 0.75 * n_alone


def test_the_whole_network_has_lost_nothing_beside_those_that_are_next_to_it() -> None:
    judge = oracle(made(Branching))
    whole = judge.ranked.groups.n_units
    verdict = judge.judge([whole, *beside(whole)])
    np.testing.assert_allclose(verdict.drifts[0], 0.0, atol=1e-9)
    assert np.all(verdict.drifts[1:] > 1e-6)
    assert judge._can_share


def test_what_code_computes_with_numpy_is_there() -> None:
    (alone, n_alone), (together, n_together) = alone_and_together(made(WithinNumpy))
    assert_same(alone, together)
    assert n_together == n_alone


def test_sparse_tables_are_not_followed() -> None:
    class Sparse(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return (table @ super().forward(x).T).T

    network, table = Sparse(4, 4), torch.eye(4).to_sparse()
    network.register_buffer("table", table)
    with torch.no_grad(), noting_reads(network) as reads:
        network(torch.ones(2, 4))
    assert reads.is_unfollowed
    assert set(reads.first) == {"weight", "bias"}


def test_a_norm_that_is_called_early_and_late_has_statistics_of_both() -> None:
    (alone, _), (together, _) = alone_and_together(made(SharedNorm))
    assert_same(alone, together)


def test_what_is_written_into_a_tensor_that_a_model_holds_is_of_its_own_pass() -> None:
    (alone, _), (together, _) = alone_and_together(made(WithScratch))
    assert_same(alone, together)


def test_with_little_memory_less_is_shared_and_results_stay() -> None:
    judge, images = oracle(made(Branching)), looked_at(small.data(), 64, seed=0)
    plans = [judge.ranked.plan(state) for state in probes(judge)]
    base = set(judge.ranked.plan(judge.ranked.groups.n_units - 2).cuts)
    names = [{cut.tensor for cut in set(plan.cuts) ^ base} for plan in plans]
    with noting_reads(judge._module) as reads:
        judge._module(images[0])
    late = max(names, key=lambda each: min(reads.first[name] for name in each))

    def n_computed(most_bytes: int) -> int:
        prefix, answers = SharedPrefix(most_bytes), []
        with torch.no_grad(), counted() as found:
            for _ in range(2):
                found.n = 0
                with prefix.passes(judge._module, late):
                    answers.append(judge._module(images[0]))
        torch.testing.assert_close(*answers)
        return found.n

    assert n_computed(2**30) < n_computed(1000) == 9


def test_a_pass_that_begins_otherwise_is_an_error_also_if_the_model_catches_it() -> None:
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early, self.late, self.n_calls = nn.Linear(4, 4), nn.Linear(4, 4), 0

        def forward(self, x: Tensor) -> Tensor:
            self.n_calls += 1
            if self.n_calls == 1:
                return self.late(self.early(x))  # type: ignore[no-any-return]
            for _ in range(2):  # as many operations as there were
                with suppress(Exception):
                    x = x.sigmoid()
            return self.late(x)  # type: ignore[no-any-return]

    network, prefix = Fickle(), SharedPrefix()

    def run() -> None:
        with torch.no_grad(), prefix.passes(network, {"late.weight"}):
            network(torch.ones(2, 4))

    run()
    with pytest.raises(OtherCourseError, match="sigmoid"):
        run()
