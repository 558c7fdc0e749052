"""Each converter, against the torch operation it writes."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import Tensor, nn

from niwaki.core.errors import ExportError
from niwaki.export.fast_path.fx_graph import build_graph
from niwaki.export.fast_path.operators import FUNCTIONS, MODULES
from niwaki.export.float_graph import float_graph
from tests.export.fast_path import test_attention
from tests.export.fast_path.test_fx_graph import check_equal
from tests.export.networks import run, settled

IMAGE = (1, 8, 12, 10)
VIDEO = (1, 4, 6, 8, 10)


class Recurrent(nn.Module):
    """Gives the outputs of a recurrent layer, and every one of its last states."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if isinstance(self.layer, nn.LSTM):
            outputs, (hidden, cells) = self.layer(x)
            return outputs, hidden[-1], cells.transpose(0, 1)
        outputs, hidden = self.layer(x)
        return outputs, hidden[-1]


class AsLarge(nn.Module):
    """Gives what has been made smaller the size that it had."""

    def __init__(self, smaller: nn.Module, larger: nn.Module) -> None:
        super().__init__()
        self.smaller, self.larger = smaller, larger

    def forward(self, x: Tensor) -> Tensor:
        larger: Tensor = self.larger(self.smaller(x), output_size=x.shape[2:])
        return larger


WEIGHTS = torch.linspace(-1, 1, 4 * 8 * 9).reshape(4, 8, 3, 3)

LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (Recurrent(nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True)), (1, 7, 6)),
    (Recurrent(nn.GRU(6, 5, bias=False, bidirectional=True, batch_first=True)), (1, 7, 6)),
    (Recurrent(nn.GRU(6, 5, 3)), (1, 7, 6)),
    (Recurrent(nn.RNN(6, 5, 2, batch_first=True)), (1, 7, 6)),
    (Recurrent(nn.RNN(6, 5, nonlinearity="relu", batch_first=True)), (1, 7, 6)),
    (nn.Conv1d(8, 4, 3, 2, 1), (1, 8, 11)),
    (nn.Conv2d(8, 4, 3, 2, 1, dilation=2), IMAGE),
    (nn.Conv2d(8, 8, 3, padding="same", groups=8), IMAGE),
    (nn.Conv2d(8, 8, (2, 4), padding="same"), IMAGE),
    (nn.Conv2d(8, 4, 5, padding=(2, 1), padding_mode="reflect"), IMAGE),
    (nn.Conv2d(8, 4, 3, padding=1, padding_mode="replicate"), IMAGE),
    (nn.Conv2d(8, 4, 3, padding="valid", bias=False), IMAGE),
    (nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1, groups=2), IMAGE),
    (nn.Sequential(nn.ConvTranspose2d(8, 6, 2, 2, groups=2), nn.BatchNorm2d(6)), IMAGE),
    (AsLarge(nn.Conv2d(8, 4, 3, 2, 1), nn.ConvTranspose2d(4, 6, (3, 4), 2, 1)), IMAGE),
    (AsLarge(nn.Conv1d(8, 4, 5, 4), nn.ConvTranspose1d(4, 6, 5, 4)), (1, 8, 12)),
    (AsLarge(nn.Conv3d(4, 2, 3, 2, 1), nn.ConvTranspose3d(2, 4, 3, 2, 1)), VIDEO),
    (nn.Sequential(nn.Conv1d(8, 4, 3), nn.BatchNorm1d(4)), (1, 8, 11)),
    (nn.Sequential(nn.Linear(8, 4, bias=False), nn.BatchNorm1d(4)), (1, 8)),
    (nn.Linear(8, 4), (1, 5, 8)),
    (nn.Linear(8, 4, bias=False), (1, 3, 5, 8)),
    (nn.BatchNorm2d(8), IMAGE),
    (nn.BatchNorm1d(8, affine=False), (1, 8)),
    (nn.LayerNorm(10), IMAGE),
    (nn.LayerNorm((12, 10), elementwise_affine=False), IMAGE),
    (nn.Sequential(nn.Linear(10, 4), nn.BatchNorm2d(8)), IMAGE),
    (nn.ZeroPad2d((1, 2, 3, 0)), IMAGE),
    (nn.ConstantPad2d(2, 0.5), IMAGE),
    (nn.ConstantPad1d((3, 4), 0.0), (1, 8, 11)),
    (nn.ZeroPad1d(1), (1, 8, 11)),
    (nn.GLU(1), IMAGE),
    (nn.ReLU(), IMAGE),
    (nn.ReLU6(), IMAGE),
    (nn.Hardtanh(-0.5, 0.7), IMAGE),
    (nn.LeakyReLU(0.2), IMAGE),
    (nn.SiLU(), IMAGE),
    (nn.GELU(), IMAGE),
    (nn.GELU("tanh"), IMAGE),
    (nn.Hardswish(), IMAGE),
    (nn.Hardsigmoid(), IMAGE),
    (nn.Sigmoid(), IMAGE),
    (nn.Tanh(), IMAGE),
    (nn.Softmax(1), IMAGE),
    (nn.LogSoftmax(-1), IMAGE),
    (nn.MaxPool2d(3, 2, 1), IMAGE),
    (nn.MaxPool2d(2, ceil_mode=True, dilation=2), IMAGE),
    (nn.MaxPool1d(2), (1, 8, 11)),
    (nn.AvgPool2d(3, 2, 1), IMAGE),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    (nn.AvgPool1d(2), (1, 8, 10)),
    (nn.AdaptiveAvgPool2d(1), IMAGE),
    (nn.AdaptiveAvgPool2d((6, 5)), IMAGE),
    (nn.AdaptiveAvgPool2d((1, None)), IMAGE),
    (nn.AdaptiveAvgPool1d(1), (1, 8, 11)),
    (nn.AdaptiveMaxPool2d(1), IMAGE),
    (nn.AdaptiveMaxPool1d(1), (1, 8, 11)),
    (nn.Upsample(scale_factor=2), IMAGE),
    (nn.Upsample(scale_factor=1.5, mode="bilinear"), IMAGE),
    (nn.Upsample(size=(7, 13), mode="bilinear"), IMAGE),
    (nn.UpsamplingBilinear2d(scale_factor=2), IMAGE),
    (nn.UpsamplingNearest2d(size=(24, 30)), IMAGE),
    (nn.GroupNorm(4, 8), IMAGE),
    (nn.GroupNorm(2, 8, affine=False), (1, 8, 11)),
    (nn.InstanceNorm2d(8), IMAGE),
    (nn.InstanceNorm2d(8, affine=True), IMAGE),
    (nn.InstanceNorm1d(8), (1, 8, 11)),
    (nn.RMSNorm(10), IMAGE),
    (nn.RMSNorm((12, 10), eps=0.1, elementwise_affine=False), IMAGE),
    (nn.PReLU(), IMAGE),
    (nn.PReLU(8, 0.3), IMAGE),
    (nn.PReLU(8, 0.3), (1, 8)),
    (nn.ELU(0.7), IMAGE),
    (nn.Softplus(), IMAGE),
    (nn.Softsign(), IMAGE),
    (nn.Mish(), IMAGE),
    (nn.PixelShuffle(2), IMAGE),
    (nn.PixelUnshuffle(2), IMAGE),
    (nn.ChannelShuffle(4), IMAGE),
    (nn.Sequential(nn.Conv3d(4, 6, 3, (1, 2, 2), 1), nn.BatchNorm3d(6)), VIDEO),
    (nn.Sequential(nn.ConvTranspose3d(4, 6, 2, 2, bias=False), nn.BatchNorm3d(6)), VIDEO),
    (nn.Sequential(nn.MaxPool3d((1, 2, 2)), nn.AvgPool3d(3, 2, 1)), VIDEO),
    (nn.AdaptiveAvgPool3d((1, 4, 5)), VIDEO),
    (nn.AdaptiveAvgPool3d((4, 3, 10)), VIDEO),
    (nn.AdaptiveMaxPool3d(1), VIDEO),
    (nn.AdaptiveAvgPool2d((7, 4)), IMAGE),
    (nn.AdaptiveAvgPool2d((16, 10)), IMAGE),
    (nn.AdaptiveAvgPool1d(7), (1, 8, 11)),
    (nn.Unfold(3, dilation=2, padding=(2, 1), stride=(1, 2)), IMAGE),
    (nn.Sequential(nn.Unfold(2, stride=2), nn.Fold((12, 10), 2, stride=2)), IMAGE),
    (nn.Sequential(nn.Unfold(3, padding=1), nn.Fold((12, 10), 3, padding=1)), IMAGE),
    (nn.Sequential(nn.ReflectionPad2d((1, 2, 0, 3)), nn.ReplicationPad2d(1)), IMAGE),
    (nn.CircularPad2d((2, 0, 1, 1)), IMAGE),
    (nn.Sequential(nn.ReflectionPad1d(2), nn.ReplicationPad1d(3), nn.CircularPad1d(1)), (1, 8, 11)),
    (nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE),
    (nn.Upsample((9, 21), mode="bicubic", align_corners=True), IMAGE),
    (nn.AdaptiveMaxPool2d((4, 5)), IMAGE),
    (nn.AdaptiveMaxPool3d((3, 4, 2)), VIDEO),
    (nn.Sequential(nn.InstanceNorm3d(4, affine=True), nn.InstanceNorm3d(4)), VIDEO),
    (nn.Sequential(nn.ConstantPad3d((1, 2, 0, 1, 3, 0), 0.5), nn.ZeroPad3d(1)), VIDEO),
    (nn.Sequential(nn.ReflectionPad3d((1, 2, 0, 3, 1, 0)), nn.ReplicationPad3d(1)), VIDEO),
    (nn.CircularPad3d((1, 2, 0, 1, 1, 0)), VIDEO),
    (nn.Upsample(scale_factor=2, mode="trilinear"), VIDEO),
    (nn.Upsample((3, 9, 15), mode="trilinear", align_corners=True), VIDEO),
    (nn.Sequential(nn.Dropout3d(), nn.AlphaDropout(), nn.FeatureAlphaDropout()), VIDEO),
    (nn.Flatten(), IMAGE),
    (nn.Flatten(2), IMAGE),
    (nn.Unflatten(1, (2, 4)), IMAGE),
    (nn.Sequential(nn.Dropout(), nn.Identity(), nn.Dropout2d()), IMAGE),
]

FUNCTIONALS: dict[str, Callable[[Tensor], object]] = {
    "relu": lambda x: F.relu(x) + torch.relu(x) + x.relu(),
    "relu6": lambda x: F.relu6(x) - F.hardtanh(x, -0.3, 0.4),
    "clamp": lambda x: x.clamp(min=-0.5) + torch.clamp(x, -0.1, 0.2),
    "smooth": lambda x: F.silu(x) + F.gelu(x) + F.hardswish(x) + F.hardsigmoid(x),
    "gated": lambda x: F.glu(x) * F.glu(x, dim=3),
    "leaky": lambda x: F.leaky_relu(x, 0.3) + x.sigmoid() * x.tanh(),
    "softmax": lambda x: F.softmax(x, dim=1) + x.softmax(-1) + F.log_softmax(x, dim=1),
    "arithmetic": lambda x: (2.0 - x) * x / 3 + (-x) - 1,
    "functions": lambda x: x.abs().sqrt() + torch.exp(-x) + torch.log(x.square() + 1) + x**2,
    "more functions": lambda x: torch.rsqrt(x * x + 1) + x.sin() * x.cos() + torch.erf(x).floor(),
    "reciprocal": lambda x: torch.reciprocal(x.abs() + 1) + torch.pow(x.abs() + 1, -0.5),
    "larger and smaller": lambda x: torch.maximum(x, -x) - torch.minimum(x, 0.5 * x) + x.max(-x),
    "sum": lambda x: x.sum((2, 3), keepdim=True) + torch.sum(x, 1, keepdim=True),
    "largest": lambda x: (x.amax((2, 3)), x.max(1).values, x.min(dim=1)[0], x.argmin(1)),
    "normalised": lambda x: F.normalize(x) + F.normalize(x, p=1.0, dim=-1, eps=5.0),
    "linear": lambda x: F.linear(x, torch.linspace(-1, 1, 30).reshape(3, 10), torch.ones(3)),
    "least": lambda x: x.clamp_min(0.1),
    "matmul": lambda x: x @ x.transpose(2, 3),
    "cat": lambda x: torch.cat([x, x * 2], dim=-3),
    "cat along pixels": lambda x: torch.concat((x, x), 2),
    "max_pool": lambda x: F.max_pool2d(x, 2) + F.avg_pool2d(x, 2, stride=2),
    "pool to one": lambda x: F.adaptive_avg_pool2d(x, 1),
    "global mean": lambda x: x.mean((2, 3)),
    "global mean kept": lambda x: x.mean([-1, -2], keepdim=True),
    "mean of channels": lambda x: torch.mean(x, 1),
    "mean as numpy has it": lambda x: (x.mean(axis=1), torch.mean(x, dim=(2, 3), out=None)),  # type: ignore[call-overload]
    "nearest to a size": lambda x: F.interpolate(x, size=(5, 7)),
    "nearest to a size that float32 misses": lambda x: F.interpolate(x[..., :7, :7], size=31),
    "nearest by no scale": lambda x: F.interpolate(F.pad(x, (4, 0, 2, 0)), size=62),
    "centred by no scale": lambda x: F.interpolate(
        F.pad(x, (4, 0, 2, 0)), size=62, mode="nearest-exact"
    ),
    "bilinear to a size that float32 misses": lambda x: F.interpolate(
        x[..., :7, :7], size=31, mode="bilinear"
    ),
    "nearest-exact": lambda x: F.interpolate(x, scale_factor=2.5, mode="nearest-exact"),
    "by factors that float32 cuts": lambda x: (
        F.interpolate(x, scale_factor=(0.7, 1.9)) + F.interpolate(x, (8, 19), mode="bilinear")
    ),
    "nearest by a factor": lambda x: F.interpolate(x, scale_factor=1.7),
    "bilinear down": lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"),
    "aligned": lambda x: F.interpolate(x, (24, 20), mode="bilinear", align_corners=True),
    "bilinear by a factor": lambda x: F.interpolate(
        x, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True
    ),
    "view by size": lambda x: x.view(x.size(0), -1),
    "view by shape": lambda x: x.reshape(x.shape[0] * x.shape[1], -1),
    "flatten": lambda x: torch.flatten(x, 1) * x.flatten(start_dim=1),
    "permute": lambda x: x.permute(0, 2, 3, 1).contiguous(),
    "clone": lambda x: x.clone(memory_format=torch.contiguous_format),
    "transpose": lambda x: torch.transpose(x, 1, -1),
    "attributes": lambda x: (x @ x.mT, x.mean((2, 3)).T, x.relu().mean((2, 3)).T.mT),
    "squeeze": lambda x: x.mean(1, keepdim=True).squeeze(1).unsqueeze(-1),
    "pad": lambda x: F.pad(x, (1, 0, 2, 3), value=0.5) + F.pad(x, [0, 1, 5, 0]),
    "chunk": lambda x: x.chunk(2, dim=1)[0] + x.chunk(2, 1)[1],
    "parts that are returned": lambda x: (x + 1, torch.split(x, 4, dim=1), x.max(1)),
    "split": lambda x: torch.split(x, [3, 5], dim=1)[1],
    "norms": lambda x: x.norm(dim=1) + torch.norm(x, 1, dim=1) + torch.linalg.vector_norm(x, dim=1),
    "elu and softplus": lambda x: F.elu(x, 0.4) + F.softplus(3 * x),
    "largest of all pixels": lambda x: F.adaptive_max_pool2d(x, 1),
    "matrix": lambda x: x.mean((2, 3)).t().t() @ torch.ones(3, 8).t(),
    "flip": lambda x: torch.flip(x, (1, 3)) + x.flip(2),
    "slice": lambda x: x[:, 1:7:2, ..., :-1],
    "pick": lambda x: x[:, 2] + x[..., -1, :, :],
    "select": lambda x: torch.select(x, 1, 3) + x.select(-3, -1) + x.narrow(1, 2, 3).sum(1),
    "narrow from the end": lambda x: x.narrow(1, -2, 2) + x.narrow(1, -5, 2),
    "some of the parts": lambda x: torch.cat(x.chunk(4, 1)[1:], 1) + x.chunk(4, 1)[:2][-1][:, :1],
    "normalised over two axes": lambda x: F.normalize(x, dim=(2, 3)),  # type: ignore[arg-type]
    "norms of matrices": lambda x: (torch.linalg.norm(x, dim=(2, 3)), torch.linalg.norm(x, 1, 1)),
    "a method's choice": lambda x: x.where(x > 0, -x) + (x > 0).where(x < 1, 2.0),
    "no number": lambda x: torch.where((x.log()).isnan(), 0.0, x) * torch.isnan(x).logical_not(),
    "made like what grows by more than the batch": lambda x: (
        torch.zeros_like(x.flatten(0, 1)),
        torch.ones_like(torch.cat([x, x])) * 2,
        torch.full_like(x.reshape(-1, 10), 3.0) + x.reshape(-1, 10),
        x[0, :1].mean(0, keepdim=True).expand_as(torch.cat([x, x])),
    ),
    "the last axis alone, repeated": lambda x: torch.tile(x.sum(0).sum(-1, keepdim=True), (3,)),
    "a number, turned": lambda x: x.amax((0, 1, 2, 3)).t(),
    # The runtime may write what is joined where what it is joined from was.
    "joined along the batch": lambda x: F.softplus(torch.cat([torch.exp(x * 0.5)] * 2)),
    "counted by names": lambda x: (
        x[..., :5] * torch.arange(0, 10, step=2) + torch.arange(1, end=6),
        x * torch.arange(end=10) + torch.zeros(x.shape[0], 1, 1, 1),
    ),
    "dropout": lambda x: F.dropout(x, training=False).clone(),
    "convolved": lambda x: (
        F.conv2d(x, WEIGHTS, torch.ones(4), stride=(2, 1), padding=1),
        F.conv2d(x, WEIGHTS, padding="same", dilation=2)
        + F.conv2d(x, WEIGHTS[:, :2], None, 1, 1, 1, 4),
        F.conv1d(x.flatten(2), WEIGHTS[..., 0], padding="valid"),
        F.conv_transpose2d(x, WEIGHTS.transpose(0, 1), stride=2, output_padding=1, padding=1),
    ),
    "convolved by what is computed": lambda x: F.conv2d(x, WEIGHTS + x[0, 0, 0, 0]),
    "multiplied by what is computed": lambda x: F.linear(x, x[0, 0], torch.ones(12)),
    "multiplied and added": lambda x: torch.addmm(
        torch.linspace(0, 1, 8), x.mean((2, 3)), WEIGHTS.flatten(1)[:, :64].reshape(32, 8)[:8]
    ),
    "normalised by functions": lambda x: (
        F.batch_norm(x, torch.linspace(0, 1, 8), torch.linspace(1, 2, 8), eps=0.1),
        F.batch_norm(x, torch.ones(8), torch.ones(8) * 2, torch.full((8,), 3.0), torch.ones(8)),
        F.group_norm(x, 4, torch.linspace(0, 1, 8)) + F.group_norm(x, 2),
        F.rms_norm(x, (10,)) * F.rms_norm(x, (12, 10), eps=0.5),
    ),
    "products of axes": lambda x: (
        torch.einsum("b h i j, b h k j -> b i h k", x, x),
        torch.einsum("bchw,cd->bdhw", [x, torch.linspace(0, 1, 24).reshape(8, 3)]),
    ),
    "sums of products": lambda x: (
        torch.addcmul(x, x, x[:, :1], value=0.5) + torch.addcmul(x, x, x),
        torch.baddbmm(x[:, 0], x[:, 1, :, :3], x[:, 2, :3], beta=0.3, alpha=2),
    ),
    "rounded": lambda x: (
        torch.div(x, 0.3, rounding_mode="floor") + (10 * x).round() + x.ceil() + x.sign(),
        torch.tan(x) - torch.atan(x),
    ),
    "places in a list": lambda x: (x[:, [3, 0, -1]], x[..., [1, 2], :], x[:, 2, [1, 0, 1]]),
    "places in a tensor": lambda x: (
        x[:, torch.tensor([[0, 5], [2, 2]])],
        x[:, None, 1, torch.tensor([2, 0])],
        torch.index_select(x, -1, torch.tensor([4, 4, 0])),
    ),
    "places by several tensors": lambda x: (
        x[torch.arange(x.shape[0]), x.mean((2, 3)).argmax(1)],
        x[torch.arange(x.size(0))[:, None], torch.tensor([1, 0, -1])],
    ),
    "gathered": lambda x: torch.gather(x, 2, (x[:, :, :4] > 0).long() * 3),
    "rolled": lambda x: torch.roll(x, (2, -3), (2, 3)) + x.roll(1, 1) + x.roll(12, dims=2),
    "windows": lambda x: x.unfold(2, 4, 2).unfold(-2, 3, 3),
    "repeated items": lambda x: (
        x.repeat_interleave(2, dim=1) - torch.repeat_interleave(x, 2, 1),
        x.mean((2, 3)).repeat_interleave(3, dim=0),
    ),
    "as often as there are items": lambda x: (
        torch.linspace(0, 1, 24).reshape(3, 8).repeat(x.shape[0], 2) * 2,
        torch.tile(WEIGHTS[0, 0], (x.size(0), 1)),
    ),
    "split in other ways": lambda x: (*x.tensor_split(3, dim=1), *torch.tensor_split(x, (2, 5), 2)),
    "one of several": lambda x: F.one_hot(x.argmax(1), 8).float(),
    "within tensors": lambda x: x.clamp(min=x.mean(1, keepdim=True)) + torch.clamp_max(x, 0.2),
    "as another": lambda x: x.mean(1, keepdim=True).reshape_as(x[:, 0]).view_as(x[:, 0]),
    "by names": lambda x: (
        x.flip(dims=(1,)).mean(1, keepdim=True).squeeze(dim=1).unsqueeze(dim=2),
        torch.linalg.vector_norm(x, ord=1, dim=(1, 2), keepdim=True),
        torch.softmax(x, dim=1, dtype=torch.float32),
    ),
    "variances": lambda x: (
        x.var(1, unbiased=False, keepdim=True) + torch.var(x, (1, -1), keepdim=True),
        x.var(dim=-1) * x.std((2,), correction=0)[..., :1] - torch.std(x, 3),
    ),
    "shuffled by functions": lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2) + x,
    "products of matrices": lambda x: (
        x.mean((2, 3)).mm(WEIGHTS.flatten(1)[:, :8].T),
        torch.mm(x[:, 0, 0], x[:, 1, 1].T),
    ),
    "sampled": lambda x: (
        F.grid_sample(x, torch.tanh(3 * x[:, :6, :, :2]), align_corners=False),
        F.grid_sample(x, x[:, 1:4, :, 4:6], padding_mode="border", align_corners=True)
        + F.grid_sample(x, x[:, :3, :, :2], "nearest", "reflection", align_corners=False),
        F.grid_sample(x, x[:, :3, :, :2], mode="bicubic", align_corners=False),
    ),
    "empty": lambda x: (
        torch.cat([x, torch.empty(x.shape[0], 0, 12, 10, device=x.device)], 1),
        torch.cat([torch.empty_like(x[:, :0]), x], 1) * 2,
    ),
    "grids": lambda x: (
        *torch.meshgrid(x[0, 0, 0], x[0, 0, 1, :3], x[0, 1, 0, :2], indexing="ij"),
        *torch.meshgrid([torch.arange(3).type_as(x), x[0, 0, 1, :2]], indexing="xy"),
    ),
    "padded by what is there": lambda x: (
        F.pad(x, (1, 2, 3, 0), mode="reflect") + F.pad(x, (0, 3, 1, 2), mode="replicate")
    ),
}


class Functional(nn.Module):
    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda x: str(x)[:60])
def test_a_layer(layer: nn.Module, shape: tuple[int, ...]) -> None:
    # A layer on its own would be traced through, into the function that it calls.
    check_equal(settled(nn.Sequential(layer)), shape)


@pytest.mark.parametrize("name", list(FUNCTIONALS))
def test_a_function(name: str) -> None:
    check_equal(Functional(FUNCTIONALS[name]).eval(), IMAGE)


@pytest.mark.parametrize(
    ("before", "is_taken"),
    [
        (nn.ZeroPad2d((1, 2, 0, 3)), True),
        (Functional(lambda x: F.pad(x, (0, 0, 2, 1))), True),
        (nn.ConstantPad2d(1, 0.5), False),
        (nn.ReflectionPad2d(1), False),
        (Functional(lambda x: F.pad(x, (-1, 2, 0, 0))), False),
        (Functional(lambda x: F.pad(x[:, :7], (0, 0, 0, 0, 1, 0))), False),
    ],
)
def test_a_convolution_takes_the_zeros_before_it(before: nn.Module, is_taken: bool) -> None:
    model = check_equal(settled(nn.Sequential(before, nn.Conv2d(8, 4, 3, 2, (1, 0)))), IMAGE)
    assert is_taken == ("Pad" not in [node.op_type for node in model.graph.node])


def test_zeros_that_others_read_stay() -> None:
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            padded = F.pad(x, (1, 1, 1, 1))
            return self.conv(padded), padded * 2

    check_equal(settled(Read()), IMAGE)


def test_interpolation_that_no_scale_gives_is_left_to_torch() -> None:
    almost = Functional(lambda x: F.interpolate(x, scale_factor=1.99999999, mode="bilinear")).eval()
    assert almost(torch.zeros(IMAGE)).shape == (1, 8, 23, 19)  # float32 says twice the size
    with pytest.raises(ExportError, match=r"interpolation from \[12, 10\] to \[23, 19\]"):
        build_graph(almost, [IMAGE])


class Started(nn.Module):
    """Begins the second layer with the last states of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.GRU(6, 5), nn.GRU(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.second(x, self.first(x)[1])[0]
        return outputs


class FromZeros(nn.Module):
    """Says itself that both layers begin with zeros, and with ones in their cells."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.zeros(4, x.size(0), 5, device=x.device)
        cells = torch.ones(4, x.size(0), 5, device=x.device)
        outputs, (last, _) = self.memory(x, (hidden, cells))
        joined: Tensor = torch.cat([outputs[:, -1], last[-1]], 1)
        return joined


@pytest.mark.parametrize("module", [Started(), FromZeros()], ids=["another's", "made"])
def test_recurrent_layers_begin_with_states_that_they_are_given(module: nn.Module) -> None:
    check_equal(module.eval(), (1, 7, 6))


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Functional(lambda x: (x, x.shape[0])), "only tensors can be outputs"),
        (Functional(lambda x: (x, 3)), "only tensors can be outputs"),
        (Functional(lambda x: torch.zeros(size=(2 * x.shape[0], 1)) + 1), "a size depends on"),
        (Functional(lambda x: torch.linalg.norm(x, 2, (1, 2))), "a norm of matrices of power 2"),
        (Functional(lambda x: x[:, 0].mean(dim=())), "mixes the batch"),
        (Functional(lambda x: F.softplus(x, threshold=1.0)), "threshold=1.0"),
        (Functional(lambda x: (x > 0).int() + 2**40), "1099511627776 is no int32"),
        (Functional(lambda x: x.chunk(3)[0]), "how many axes or parts there are depends"),
        (Functional(lambda x: F.layer_norm(x.amax((1, 2)), x.shape[:1])), "over the batch"),
        (Functional(lambda x: x[:2] * 2), "it keeps 2 of the batch"),
        (Recurrent(nn.LSTM(6, 5, proj_size=2)), "layer 'layer' .* its outputs are projected"),
    ],
)
def test_what_is_not_written_is_left_to_torch(module: nn.Module, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        build_graph(module.eval(), [(1, 7, 6)])


def test_what_a_converter_does_not_know_is_left_to_torch() -> None:
    nothing = Functional(lambda x: F.scaled_dot_product_attention(x[..., :0], x[..., :0], x))
    with pytest.raises(ExportError, match="a way not known: ZeroDivisionError"):
        build_graph(nothing.eval(), [(1, 7, 6)])


def test_every_layer_of_the_table_is_tested() -> None:
    tested = {type(module) for layer, _ in LAYERS for module in layer.modules()}
    tested |= {type(module) for module in test_attention.Texts().modules()}
    untested = {kind.__name__ for kind in MODULES if kind not in tested}
    assert untested <= {"ConvTranspose1d", "Dropout1d"}


def test_functions_are_registered_by_object_and_methods_by_name() -> None:
    assert FUNCTIONS[F.relu] is FUNCTIONS["relu"]


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)])
def test_pooling_without_channels_is_left_to_torch(pool: nn.Module) -> None:
    with pytest.raises(ExportError, match="without an axis of channels"):
        build_graph(nn.Sequential(pool).eval(), [(4, 10, 8)])
    inputs = torch.randn(4, 10, 8)
    model = float_graph(nn.Sequential(pool).eval(), [(4, 10, 8)], lambda: [inputs])
    (found,) = run(model, inputs.numpy()).values()
    torch.testing.assert_close(torch.from_numpy(found), pool(inputs))
