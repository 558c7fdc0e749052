"""Networks that graph building and quantization are tested on."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import nn

INPUT_SHAPE = (1, 3, 32, 32)


def conv_bn_relu(n_in: int, n_out: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, 3, stride, 1, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv_bn_relu(n_in, n_out, stride)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out or stride != 1:
            conv = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn2(self.conv2(self.conv1(x))) + self.shortcut(x))


class Decoder(nn.Module):
    """Upsamples twice, joining the encoder's features on the way."""

    def __init__(self, widths: Sequence[int], width: int, n_out: int, mode: str) -> None:
        super().__init__()
        self.fuse1 = conv_bn_relu(widths[2] + widths[1], width)
        self.fuse2 = conv_bn_relu(width + widths[0], width)
        self.head = nn.Conv2d(width, n_out, 1)
        self.mode = mode

    def _joined(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        up = F.interpolate(x, size=skip.shape[-2:], mode=self.mode)
        return torch.cat([up, skip], dim=1)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        first, second, third = features
        x = self.fuse2(self._joined(self.fuse1(self._joined(third, second)), first))
        return F.interpolate(self.head(x), scale_factor=2, mode=self.mode)


class MultiTask(nn.Module):
    """A residual encoder with a classifier and two decoders."""

    def __init__(self, widths: Sequence[int] = (8, 16, 24), mode: str = "nearest") -> None:
        super().__init__()
        self.stem = conv_bn_relu(3, widths[0], 2)
        self.stages = nn.ModuleList(
            nn.Sequential(Residual(a, b, stride), Residual(b, b, 1))
            for a, b, stride in zip((widths[0], *widths), widths, (1, 2, 2), strict=False)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(widths[2], 16), nn.ReLU(), nn.Linear(16, 10))
        self.segmentation = Decoder(widths, 16, 5, mode)
        self.depth = Decoder(widths, 8, 1, mode)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x, features = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return {
            "label": self.classifier(torch.flatten(self.pool(x), 1)),
            "mask": self.segmentation(features),
            "distance": self.depth(features),
        }


class Attention(nn.Module):
    """A transformer block."""

    def __init__(self, width: int = 32, n_heads: int = 4) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.n_heads = n_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, n_tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, n_tokens, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = torch.softmax(q @ k.transpose(-1, -2) * 0.25, dim=-1) @ v
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, n_tokens, width))
        y: torch.Tensor = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return y


class Transformer(nn.Module):
    """Patches, one block, a head."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.block = Attention(width)
        self.head = nn.Linear(width, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(image).flatten(2).transpose(1, 2)
        scores: torch.Tensor = self.head(self.block(tokens).mean(1))
        return scores


def settled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Return `module` in eval mode, with batch-norm statistics that are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 4
            parameter.normal_(0.0, (2.0 / fan_in) ** 0.5, generator=generator)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                assert norm.running_mean is not None and norm.running_var is not None
                if norm.affine:
                    norm.weight.uniform_(0.6, 1.2, generator=generator)
                norm.running_mean.normal_(0.0, 0.2, generator=generator)
                norm.running_var.uniform_(0.6, 1.5, generator=generator)
    return module.eval()


def images(n_images: int = 4, shape: Sequence[int] = INPUT_SHAPE) -> NDArray[np.float32]:
    """Return smooth random images."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_images, *shape[1:])).astype(np.float32)


def run(
    model: onnx.ModelProto, *inputs: NDArray[np.float32], optimised: bool = True
) -> dict[str, NDArray[np.float32]]:
    """Run a model on onnxruntime, with one thread."""
    session = open_session(model, optimised=optimised)
    names = [info.name for info in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, inputs, strict=True)))
    return dict(zip([info.name for info in session.get_outputs()], outputs, strict=True))


def open_session(
    model: onnx.ModelProto,
    *,
    optimised: bool = True,
    written_to: str = "",
    signed_kernels: bool = False,
) -> onnxruntime.InferenceSession:
    """Open a session, and write what the runtime made of the model to a file if asked."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if written_to:
        options.optimized_model_filepath = written_to
    if signed_kernels:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def flat(result: object) -> list[NDArray[np.float32]]:
    """Return the tensors of a module's nested result, in order."""
    match result:
        case torch.Tensor():
            return [result.detach().numpy()]
        case Mapping():
            return [array for value in result.values() for array in flat(value)]
        case tuple() | list():
            return [array for value in result for array in flat(value)]
    raise AssertionError(f"no tensor: {result!r}")
