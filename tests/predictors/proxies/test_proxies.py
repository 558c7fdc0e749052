"""Proxies on networks that are small enough to work out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from niwaki.core.errors import DataError
from niwaki.predictors.proxies.base import Batch, Proxy, weights_of
from niwaki.predictors.proxies.grad_norm import grad_norm
from niwaki.predictors.proxies.jacov import jacov
from niwaki.predictors.proxies.macs import macs
from niwaki.predictors.proxies.naswot import naswot
from niwaki.predictors.proxies.params import params
from niwaki.predictors.proxies.registry import PROXIES, proxy_scores
from niwaki.predictors.proxies.snip import snip
from niwaki.predictors.proxies.synflow import synflow
from niwaki.predictors.proxies.zico import zico


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(outputs, targets)


def line(*weights: float) -> nn.Module:
    """Return a linear layer without bias, with these weights."""
    layer = nn.Linear(len(weights), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
    return layer


def conv_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def pictures(n: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(n, 3, 16, 16, generator=generator)
    return Batch(inputs, torch.randint(5, (n,), generator=generator))


REGRESSION = Batch(
    torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 1.0], [2.0, 2.0]]),
    torch.tensor([[1.0], [0.0], [2.0], [0.0]]),
    squared,
)


def gradient_by_hand(batch: Batch, weights: list[float]) -> np.ndarray:
    x, y = batch.inputs.numpy(), batch.targets.numpy()
    return np.asarray(2.0 * x.T @ (x @ np.array(weights)[:, None] - y) / len(x))[:, 0]


def test_parameters_and_products_are_counted() -> None:
    network = conv_net()
    assert params(network, pictures()) == 3 * 8 * 9 + 16 + (2 * 8 * 9 + 8) + 8 * 5 + 5
    # 16 x 16 with stride 2 leaves 8 x 8 positions.
    assert macs(network, pictures()) == 64 * 8 * 27 + 64 * 8 * 2 * 9 + 8 * 5


def test_products_of_a_transposed_convolution_are_counted_at_its_inputs() -> None:
    network = nn.ConvTranspose2d(3, 4, 2, stride=2)
    assert macs(network, pictures()) == 16 * 16 * 3 * 4 * 4


def test_gradient_norm_and_snip_by_hand() -> None:
    weights = [0.5, -1.5]
    gradient = gradient_by_hand(REGRESSION, weights)
    found = grad_norm(line(*weights), REGRESSION)
    assert found == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    expected = np.abs(gradient * weights).sum()
    assert snip(line(*weights), REGRESSION) == pytest.approx(expected, rel=1e-5)


def test_zico_by_hand() -> None:
    weights = [0.5, -1.5]
    halves = [
        Batch(REGRESSION.inputs[i : i + 2], REGRESSION.targets[i : i + 2], squared) for i in (0, 2)
    ]
    sizes = np.abs([gradient_by_hand(half, weights) for half in halves])
    expected = math.log((sizes.mean(axis=0) / sizes.std(axis=0)).sum())
    assert zico(line(*weights), REGRESSION) == pytest.approx(expected, rel=1e-4)


def test_synflow_by_hand() -> None:
    # Two layers in a row: the flow is |w1| |w2|, and each weight contributes all of it.
    network = nn.Sequential(line(-3.0), nn.BatchNorm1d(1), line(2.0))
    batch = Batch(torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64))
    assert synflow(network, batch) == pytest.approx(math.log(6.0 + 6.0))
    assert synflow(nn.Sequential(line(-3.0), line(0.0)), batch) == -math.inf


def test_naswot_by_hand() -> None:
    # Three rectifiers; the second input agrees with the first in one of them.
    network = nn.Sequential(nn.Identity(), nn.ReLU())
    inputs = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 1.0, -1.0]])
    expected = math.log(3 * 3 - 1 * 1)
    assert naswot(network, Batch(inputs, torch.zeros(2))) == pytest.approx(expected)
    alike = Batch(inputs[[0, 0]], torch.zeros(2))
    assert naswot(network, alike) == -math.inf


@pytest.mark.parametrize("seed", range(5))
def test_naswot_finds_two_alike_among_many(seed: int) -> None:
    inputs = torch.randn(32, 300, generator=torch.Generator().manual_seed(seed))
    network = nn.Sequential(nn.Identity(), nn.ReLU())
    assert math.isfinite(naswot(network, Batch(inputs, torch.zeros(32))))
    inputs[25] = 2.0 * inputs[2]
    assert naswot(network, Batch(inputs, torch.zeros(32))) == -math.inf


def test_jacov_by_hand() -> None:
    # f(x) = sum of x^2 has gradient 2x: correlations are those of the inputs.
    class Squares(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x**2).sum(dim=1)

    inputs = torch.randn(5, 30, generator=torch.Generator().manual_seed(3))
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(inputs.numpy())) + 1e-5
    expected = -(np.log(eigenvalues) + 1.0 / eigenvalues).sum()
    found = jacov(Squares(), Batch(inputs, torch.zeros(5)))
    assert found == pytest.approx(expected, rel=1e-3)
    apart = torch.eye(4).repeat_interleave(2, 1) * torch.tensor([1.0, -1.0]).repeat(4)
    assert jacov(Squares(), Batch(apart, torch.zeros(4))) == pytest.approx(-4.0)  # the best


@pytest.mark.parametrize("name", PROXIES.names())
def test_a_network_is_left_as_it_was(name: str) -> None:
    network = conv_net()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    proxy: Proxy = PROXIES.find(name).load()
    first, second = proxy(network, pictures()), proxy(network, pictures())
    assert math.isfinite(first)
    assert first == second
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


def test_scores_come_by_name_and_may_be_few() -> None:
    assert list(proxy_scores(conv_net(), pictures())) == PROXIES.names()
    assert list(proxy_scores(conv_net(), pictures(), ["snip"])) == ["snip"]


def test_frozen_weights_have_gradients_like_any_others() -> None:
    frozen = conv_net().requires_grad_(requires_grad=False)
    names = [name for name in PROXIES.names() if name != "params"]
    found, expected = (proxy_scores(each, pictures(), names) for each in (frozen, conv_net()))
    assert found == expected
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


@pytest.mark.parametrize("proxy", [jacov, synflow])
def test_words_have_no_gradient(proxy: Proxy) -> None:
    network = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 3))
    words = Batch(torch.zeros(6, 5, dtype=torch.int64), torch.zeros(6, dtype=torch.int64))
    with pytest.raises(DataError, match=r"torch\.int64.*choose another proxy"):
        proxy(network, words)
    assert snip(network, words) > 0.0


def test_several_outputs_are_summed() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = conv_net()

        def forward(self, x: torch.Tensor) -> dict[str, object]:
            y = self.body(x)
            return {"a": y, "b": (y, y)}

    batch = pictures()
    assert synflow(Two(), batch) == pytest.approx(synflow(conv_net(), batch) + math.log(3.0))


@pytest.mark.parametrize(
    ("proxy", "network", "said"),
    [
        (grad_norm, nn.Sequential(nn.ReLU()), "no convolution and no linear layer"),
        (naswot, nn.Linear(2, 2), "no rectifier"),
        (zico, nn.Linear(2, 2), "zico needs 4 inputs or more, but 2 came"),
    ],
)
def test_what_cannot_be_judged_is_said(
    proxy: Callable[[nn.Module, Batch], float], network: nn.Module, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        proxy(network, Batch(torch.ones(2, 2), torch.zeros(2, dtype=torch.int64)))


class Attention(nn.Module):
    """Queries of 6 values attend to 3 tokens of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(6, 2, kdim=4, vdim=4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x[:, :3, :4]
        found, _ = self.attend(x, value=tokens, key=tokens)
        return torch.as_tensor(found).mean(dim=(1, 2))


def scores_of(network: nn.Module, batch: Batch, name: str) -> float:
    return proxy_scores(network, batch, [name])[name]


def test_products_of_attention_recurrence_and_sequences_are_counted() -> None:
    sequences = Batch(torch.randn(4, 5, 6), torch.zeros(4))
    n_projections = 5 * 6 * 6 + 2 * 3 * 4 * 6 + 5 * 6 * 6
    assert macs(Attention(), sequences) == n_projections
    gru = nn.GRU(6, 7, num_layers=2, batch_first=True)
    assert macs(gru, sequences) == 5 * (21 * 6 + 21 * 7 + 21 * 7 + 21 * 7)
    assert macs(nn.ConvTranspose1d(5, 4, 3, stride=2), sequences) == 6 * 5 * 4 * 3


@pytest.mark.parametrize(
    "network",
    [
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 1)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(6, 1)),
    ],
)
def test_weights_that_are_computed_from_others_are_judged(network: nn.Module) -> None:
    plain = nn.Linear(6, 1)
    with torch.no_grad():
        plain.weight.copy_(torch.as_tensor(network.weight))
        plain.bias.copy_(torch.as_tensor(network.bias))
    batch = Batch(torch.randn(4, 6), torch.ones(4, 1), squared)
    assert scores_of(network, batch, "snip") == pytest.approx(
        scores_of(plain, batch, "snip"), rel=1e-2
    )


def test_projections_of_attention_and_recurrent_maps_are_judged_like_linear_layers() -> None:
    def shapes(network: nn.Module) -> list[tuple[int, ...]]:
        return [tuple(weight.shape) for weight in weights_of(network)]

    assert shapes(Attention()) == [(6, 6), (6, 4), (6, 4), (6, 6)]
    assert shapes(nn.GRU(6, 7)) == [(21, 6), (21, 7)]
    assert shapes(nn.ConvTranspose1d(5, 4, 3)) == [(5, 4, 3)]


@pytest.mark.parametrize("name", PROXIES.names())
def test_scores_do_not_depend_on_what_was_drawn_before(name: str) -> None:
    network = nn.Sequential(conv_net(), nn.Dropout(), nn.Linear(5, 5), nn.ReLU())
    first = scores_of(network, pictures(), name)
    before = torch.random.get_rng_state()
    assert scores_of(network, pictures(), name) == first
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert proxy_scores(network, pictures(), ["snip", name])[name] == first


@pytest.mark.parametrize("name", PROXIES.names())
def test_networks_that_work_in_place_leave_the_batch_as_it_was(name: str) -> None:
    network, batch = nn.Sequential(nn.LeakyReLU(0.5, inplace=True), conv_net()), pictures()
    assert math.isfinite(scores_of(network, batch, name))
    assert torch.equal(batch.inputs, pictures().inputs)


def test_zico_parts_the_targets_of_several_tasks() -> None:
    def loss(outputs: torch.Tensor, targets: dict[str, torch.Tensor]) -> torch.Tensor:
        return squared(outputs, targets["line"])

    several = Batch(REGRESSION.inputs, {"line": REGRESSION.targets}, loss)
    assert zico(line(0.5, -1.5), several) == zico(line(0.5, -1.5), REGRESSION)


def test_a_network_that_cannot_be_copied_is_refused() -> None:
    network = line(1.0, 2.0)
    network.computed = torch.as_tensor(network.weight) * 2.0
    with pytest.raises(DataError, match="cannot be copied"):
        snip(network, REGRESSION)


def classes(n: int = 12, most: int = 5) -> torch.Tensor:
    return torch.arange(n) % most


UNFIT = [  # a batch, and what is said of it
    (Batch(torch.ones(12, 3, 16, 16), torch.rand(12)), "targets of shape (12,), float32"),
    (Batch(torch.ones(12, 3, 16, 16), classes(9)), "the loss fails for outputs of shape"),
    (Batch(torch.ones(12, 3, 16, 16), classes(most=9)), "the loss fails for outputs of shape"),
    (Batch(torch.ones(12, 3, 16, 16), {}), "targets of type dict"),
    (Batch(torch.ones(12, 2, 16, 16), classes()), "the network fails on inputs of shape"),
    (
        Batch(torch.ones(12, 3, 16, 16), classes(), lambda outputs, targets: outputs[:, 0]),
        "but one number that depends on the weights was wanted",
    ),
    (
        Batch(torch.ones(12, 3, 16, 16), classes(), lambda outputs, targets: torch.ones(())),
        "but one number that depends on the weights was wanted",
    ),
]


@pytest.mark.parametrize(("batch", "words"), UNFIT)
def test_what_does_not_fit_the_network_is_said(batch: Batch, words: str) -> None:
    for proxy in (grad_norm, snip, zico) if "network fails" not in words else (jacov, naswot, macs):
        with pytest.raises(DataError) as fault:
            proxy(conv_net(), batch)
        assert words.replace("(12,)", f"({6 if proxy is zico else 12},)") in str(fault.value)
    with pytest.raises(DataError, match="give a tensor, or a mapping of tensors"):
        zico(conv_net(), Batch(batch.inputs, "words"))


def test_complex_weights_are_judged_by_their_size() -> None:
    class Turning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.turn = nn.Linear(1, 1, bias=False, dtype=torch.complex64)
            with torch.no_grad():
                self.turn.weight.fill_(3.0 + 4.0j)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.view_as_real(self.turn(x.to(torch.complex64)))[..., 0]

    batch = Batch(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.zeros(4, 1), squared)
    # The loss is the mean of (3 x)^2 by the real part of the weight alone: 2 * 3 * 7.5.
    assert grad_norm(Turning(), batch) == pytest.approx(45.0)
    assert snip(Turning(), batch) == pytest.approx(45.0 * 5.0)
    assert synflow(Turning(), batch) == pytest.approx(math.log(5.0))
