"""Small models of three libraries for images, as those give them: segmentation, medicine, ViTs.

Weights are random: nothing is fetched.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import nn

Options: TypeAlias = Mapping[str, Any]
Listed: TypeAlias = tuple[str, Callable[[], nn.Module], Callable[[], Any]]

# Decoders of segmentation-models-pytorch with the encoder, options and the side of images.
_DECODERS = (
    *("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet"),
    *("DeepLabV3", "DeepLabV3Plus", "UPerNet", "Segformer"),
)
SEGMENTATION: tuple[tuple[str, str, Options, int], ...] = (
    *((kind, "resnet18", {}, 64) for kind in _DECODERS),
    ("PAN", "resnet18", {}, 128),
    ("Unet", "resnet18", {"decoder_attention_type": "scse"}, 64),
    ("Unet", "resnet18", {"aux_params": {"classes": 4, "dropout": 0.1}}, 64),
    ("FPN", "resnet18", {"decoder_merge_policy": "cat"}, 64),
    *(("Unet", encoder, {}, 64) for encoder in ["mobilenet_v2", "efficientnet-b0", "mit_b0"]),
    *(("Unet", encoder, {}, 64) for encoder in ["vgg11_bn", "dpn68", "densenet121", "se_resnet50"]),
    ("FPN", "mobileone_s0", {}, 64),
    ("Linknet", "resnext50_32x4d", {}, 64),
    ("Unet", "inceptionv4", {}, 128),
)

_LEVELS = {"channels": (8, 16, 32, 64), "strides": (2, 2, 2)}
_FEATURES = {"features": (8, 8, 16, 32, 64, 8)}
_KERNELS = {"kernel_size": [3, 3, 3, 3], "strides": [1, 2, 2, 2]}
_KERNELS |= {"upsample_kernel_size": [2, 2, 2], "filters": [8, 16, 32, 64]}
_IN_OUT = {"in_channels": 1, "out_channels": 2}
# Networks of monai, each for images and for volumes.
MEDICINE: Mapping[str, Options] = MappingProxyType(
    {
        "UNet": {**_IN_OUT, **_LEVELS, "num_res_units": 2},
        "AttentionUnet": {**_IN_OUT, **_LEVELS},
        "BasicUNet": {**_IN_OUT, **_FEATURES},
        "BasicUNetPlusPlus": {**_IN_OUT, **_FEATURES},
        "DynUNet": {**_IN_OUT, **_KERNELS},
        "SegResNet": {**_IN_OUT, "init_filters": 8},
        "SegResNetDS": {**_IN_OUT, "init_filters": 8},
        "AutoEncoder": {
            **{"in_channels": 1, "out_channels": 1, "num_res_units": 1},
            **{"channels": (8, 16, 32), "strides": (2, 2, 2)},
        },
        "DenseNet": {
            **{"in_channels": 1, "out_channels": 3, "init_features": 16, "growth_rate": 8},
            "block_config": (2, 2, 2),
        },
        "EfficientNetBN": {
            **{"model_name": "efficientnet-b0", "pretrained": False},
            **{"in_channels": 1, "num_classes": 3},
        },
        "HighResNet": _IN_OUT,
        "RegUNet": {**_IN_OUT, "num_channel_initial": 8, "depth": 2},
    }
)

_VIT = {"num_classes": 5, "dim": 32, "depth": 2, "heads": 2, "mlp_dim": 64, "dim_head": 16}
_PATCHES = {"image_size": 64, "patch_size": 16}
_PLAIN = {**_VIT, **_PATCHES}
_STAGES = {"num_classes": 5, "dim": 16, "depth": (1, 1, 1, 1), "heads": (1, 2, 2, 2)}
_WINDOWS = {**_STAGES, "depth": (1, 1), "dim_conv_stem": 16, "window_size": 4, "dim_head": 8}
_LIKE_VIT = (
    *("vit", "parallel_vit", "vit_for_small_dataset", "learnable_memory_vit"),
    "vit_with_patch_merger",
)
_LIKE_SIMPLE_VIT = (
    *("simple_vit", "simple_vit_with_register_tokens", "simple_vit_with_qk_norm"),
    "simple_flash_attn_vit",
)
# Modules of vit-pytorch, with the class, its options and the side of images.
VITS: tuple[tuple[str, str, Options, int], ...] = (
    *((module, "ViT", _PLAIN, 64) for module in _LIKE_VIT),
    *((module, "SimpleViT", _PLAIN, 64) for module in _LIKE_SIMPLE_VIT),
    ("rvt", "RvT", _PLAIN, 64),
    ("deepvit", "DeepViT", _PLAIN, 64),
    ("jumbo_vit", "JumboViT", _PLAIN, 64),
    ("cait", "CaiT", {**_PLAIN, "cls_depth": 1}, 64),
    ("xcit", "XCiT", {**_PLAIN, "cls_depth": 1}, 64),
    ("pit", "PiT", {**_PLAIN, "depth": (1, 1)}, 64),
    ("t2t", "T2TViT", {**_VIT, "image_size": 64}, 64),
    ("sep_vit", "SepViT", {**_STAGES, "window_size": 7}, 224),
    ("max_vit", "MaxViT", _WINDOWS, 64),
    ("crossformer", "CrossFormer", {**_STAGES, "dim": (32, 32, 64, 64)}, 224),
    ("regionvit", "RegionViT", {**_STAGES, "dim": (16, 32, 32, 32)}, 224),
)
_NOT_TAKEN = {
    "MaxViT": ["heads"],
    "CrossFormer": ["heads"],
    "RegionViT": ["heads"],
}


def segmentation_models() -> list[Listed]:
    """Return decoders of segmentation-models-pytorch with encoders."""
    import segmentation_models_pytorch as library

    def make(kind: str, encoder: str, options: Options) -> nn.Module:
        build = getattr(library, kind)
        model: nn.Module = build(encoder_name=encoder, encoder_weights=None, classes=3, **options)
        return model

    return [
        (
            "-".join([kind, encoder, *map(str, options)]),
            lambda k=kind, e=encoder, o=options: make(k, e, o),  # type: ignore[misc]
            lambda s=side: torch.randn(2, 3, s, s),  # type: ignore[misc]
        )
        for kind, encoder, options, side in SEGMENTATION
    ]


def monai_models() -> list[Listed]:
    """Return networks of monai for images and for volumes."""
    networks = import_module("monai.networks.nets")

    def make(kind: str, options: Options) -> nn.Module:
        model: nn.Module = getattr(networks, kind)(**options)
        return model

    return [
        (
            f"{kind}-{n_axes}d",
            lambda k=kind, o={"spatial_dims": n_axes, **options}: make(k, o),  # type: ignore[misc]
            lambda n=n_axes: torch.randn(2, 1, *[64 if n == 2 else 32] * n),  # type: ignore[misc]
        )
        for n_axes in (2, 3)
        for kind, options in MEDICINE.items()
    ]


def vit_models() -> list[Listed]:
    """Return transformers of vit-pytorch."""

    def make(module: str, kind: str, options: Options) -> nn.Module:
        taken = {k: v for k, v in options.items() if k not in _NOT_TAKEN.get(kind, ())}
        model: nn.Module = getattr(import_module(f"vit_pytorch.{module}"), kind)(**taken)
        return model

    return [
        (
            module,
            lambda m=module, k=kind, o=options: make(m, k, o),  # type: ignore[misc]
            lambda s=side: torch.randn(2, 3, s, s),  # type: ignore[misc]
        )
        for module, kind, options, side in VITS
    ]
