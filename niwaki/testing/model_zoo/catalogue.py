"""The architectures by name, with inputs for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from niwaki.testing.model_zoo import (
    classic_networks,
    dense_networks,
    language_models,
    mobile_networks,
    residual_networks,
    transformers,
)


@dataclass(frozen=True)
class ZooModel:
    """One architecture.

    Attributes:
        name: Its function's.
        source: Authors and year.
        make: Returns a new model of a width, 1.0 for that of the paper, with random weights from
            torch's generator.
        inputs: Returns inputs for it, of two examples.
        exact: Whether zeroed slices alone give what the pruned network computes; a norm over
            channels counts zeros.
    """

    name: str
    source: str
    make: Callable[[float], nn.Module]
    inputs: Callable[[], Any]
    exact: bool


def _image() -> Any:
    return torch.randn(2, 3, 64, 64)


def _latent() -> Any:
    return torch.randn(2, 3, 1, 1)


def _words() -> Any:
    return torch.randint(1, 100, (2, 12))


def _masked_words() -> Any:
    return {"input_ids": _words(), "attention_mask": torch.ones(2, 12, dtype=torch.long)}


def _two_sequences() -> Any:
    return _words(), torch.randint(1, 100, (2, 7))


def _sound() -> Any:
    return torch.randn(2, 1, 64)


_FAMILIES = (
    (
        residual_networks,
        "resnet18 resnet34 resnet50 resnext50 wide_resnet50 se_resnet50 regnet_x regnet_y "
        "res2net50 nf_resnet26 resnet20_cifar",
    ),
    (
        classic_networks,
        "vgg11_bn vgg16_bn densenet121 squeezenet googlenet inception_v3 xception",
    ),
    (
        mobile_networks,
        "mobilenet_v1 mobilenet_v2 mobilenet_v3_small efficientnet_b0 shufflenet_v1 shufflenet_v2 "
        "ghostnet mobileone",
    ),
    (
        dense_networks,
        "unet retinanet deeplab_v3 lraspp hrnet yolo_c2f yolo_csp multi_task generator edsr",
    ),
    (
        transformers,
        "vit_tiny deit_distilled vit_fixed swin_tiny mlp_mixer resmlp poolformer convnext_tiny "
        "convnext_v2 mobilevit",
    ),
    (language_models, "bert gpt llama t5 wavenet"),
)
_INPUTS: Mapping[str, Callable[[], Any]] = {
    "generator": _latent,
    "bert": _masked_words,
    "gpt": _words,
    "llama": _words,
    "t5": _two_sequences,
    "wavenet": _sound,
}
_CHANNEL_NORMS = (
    "vit_tiny deit_distilled vit_fixed swin_tiny mlp_mixer poolformer convnext_tiny convnext_v2 "
    "mobilevit bert gpt t5 llama nf_resnet26"
)


def _zoo() -> dict[str, ZooModel]:
    found = {}
    for module, names in _FAMILIES:
        for name in names.split():
            make: Callable[[float], nn.Module] = getattr(module, name)
            source = (make.__doc__ or "").strip().rstrip(".")
            found[name] = ZooModel(
                name, source, make, _INPUTS.get(name, _image), name not in _CHANNEL_NORMS.split()
            )
    return found


ZOO: Mapping[str, ZooModel] = _zoo()
"""Every architecture by name."""
