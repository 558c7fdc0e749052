"""Models that benchmarks cover: niwaki's own architectures, and those of public libraries.

timm's are the smallest of each of its files, where one has less than a quarter of a billion
weights. Weights are random: nothing is fetched. A library that is not installed has no models.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from niwaki.testing.model_zoo import ZOO

TIMM = (
    "beit_base_patch16_224 halonet_h1 mobileone_s1 cait_xxs24_224 coat_tiny convit_tiny "
    "convmixer_768_32 convnext_atto_rms cpubone_nano crossvit_tiny_240 csatv2 cs3darknet_focus_s "
    "cspnext_tiny davit_tiny deit_tiny_patch16_224 densenet121 dla46x_c dpn48b edgenext_xx_small "
    "efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientvim_m1 efficientvit_b0 "
    "efficientvit_m0 vit_tiny_patch16_dinov3_qkvb fasternet_t0 fastvit_mci0 focalnet_tiny_srf "
    "gcvit_xxtiny gemma4_vit_167m ghostnet_050 hardcorenas_b hgnetv2_b0 hiera_tiny_224 "
    "sam2_hiera_tiny hrnet_w18_small iformer_t inception_next_atto inception_resnet_v2 "
    "inception_v3 inception_v4 lcnetv2_small levit_128s lowformer_b0 mambaout_femto coatnet_0_224 "
    "poolformerv2_s12 gmlp_ti16_224 mobilenetv3_small_050 mobilenetv5_base mobilevit_xxs "
    "mvitv2_tiny naflexvit_base_patch16_gap nasnetalarge nest_tiny nextvit_small nf_regnet_b0 "
    "pit_ti_224 pnasnet5large pvt_v2_b0 qwen3_vit_88m rdnet_tiny regnetx_002 repghostnet_050 "
    "repvit_m1 res2next50 resnest14d resnet10t resnetv2_18 rexnet_100 selecsls42 "
    "legacy_seresnet18 sequencer2d_s shvit_s1 skresnet18 starnet_s050 swiftformer_xs "
    "swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224 "
    "tnt_s_legacy_patch16_224 tresnet_m twins_svt_small vgg11 visformer_tiny vit_tiny_patch16_224 "
    "vit_tiny_r_s16_p8_224 vit_srelpos_small_patch16_224 samvit_base_patch16 vitamin_small_224 "
    "volo_d1_224 ese_vovnet19b_slim_dw legacy_xception xception41p xcit_nano_12_p8_224 "
)
TORCHVISION = (
    "alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 "
    "maxvit_t mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_y_400mf resnet18 resnet50 "
    "resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 swin_t swin_v2_t vgg11_bn vit_b_32 "
    "wide_resnet50_2 deeplabv3_mobilenet_v3_large deeplabv3_resnet50 fcn_resnet50 "
    "lraspp_mobilenet_v3_large mc3_18 r2plus1d_18 r3d_18 s3d mvit_v2_s swin3d_t "
)
VIDEOS = ("mc3_18", "r2plus1d_18", "r3d_18", "s3d", "mvit_v2_s", "swin3d_t")


@dataclass(frozen=True)
class Case:
    """One model with its inputs.

    Attributes:
        name: Of the model, in its library.
        make: Returns a new model with random weights from torch's generator.
        inputs: Returns inputs for it, of two examples.
        exact: Whether zeroed slices are an exact mask of pruned ones.
    """

    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    exact: bool = False


def zoo(width: float) -> list[Case]:
    """Return niwaki's own architectures, at a share of their papers' width."""
    return [
        Case(m.name, lambda m=m: m.make(width), m.inputs, m.exact)  # type: ignore[misc]
        for m in ZOO.values()
    ]


def timm_models() -> list[Case]:
    """Return models of timm at the image size that each was made for."""
    if not _is_installed("timm"):
        return []
    import timm

    def images(name: str) -> Any:
        return torch.randn(2, *timm.get_pretrained_cfg(name).input_size)

    return [
        Case(name, lambda n=name: timm.create_model(n, pretrained=False), lambda n=name: images(n))  # type: ignore[misc]
        for name in TIMM.split()
    ]


def torchvision_models() -> list[Case]:
    """Return models of torchvision: classification, segmentation and video."""
    if not _is_installed("torchvision"):
        return []
    from torchvision.models import get_model

    def inputs(name: str) -> Any:
        if name in VIDEOS:
            side = 224 if name in ("mvit_v2_s", "s3d") else 112
            return torch.randn(2, 3, 16, side, side)
        return torch.randn(2, 3, 224, 224)

    def make(name: str) -> nn.Module:
        segments = name.startswith(("deeplab", "fcn", "lraspp"))
        options = {"weights_backbone": None} if segments else {}
        return get_model(name, weights=None, **options)

    return [
        Case(name, lambda n=name: make(n), lambda n=name: inputs(n))  # type: ignore[misc]
        for name in TORCHVISION.split()
    ]


LIBRARIES: dict[str, Callable[[], list[Case]]] = {
    "timm": timm_models,
    "torchvision": torchvision_models,
}


def _is_installed(library: str) -> bool:
    if importlib.util.find_spec(library):
        return True
    print(f"{library} is not installed: its models are left out\n")
    return False
