"""Models that benchmarks cover: niwaki's own architectures, and those of public libraries.

timm's are the smallest of each of its files, where one has less than a quarter of a billion
weights; those of transformers are tiny, made from configurations. Weights are random: nothing is
fetched. A library that is not installed has no models.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from benchmarks.imaging_models import Listed, monai_models, segmentation_models, vit_models
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

# Options that transformers' configurations are given: each has some of them.
_SMALL: Mapping[str, Any] = MappingProxyType(
    {
        **{"vocab_size": 200, "type_vocab_size": 2},
        **dict.fromkeys(["hidden_size", "max_position_embeddings", "image_size"], 64),
        **dict.fromkeys(["intermediate_size", "hidden_dim", "ffn_dim", "d_ff"], 128),
        **dict.fromkeys(["encoder_ffn_dim", "decoder_ffn_dim"], 128),
        **dict.fromkeys(["num_hidden_layers", "decoder_layers", "num_decoder_layers"], 2),
        **dict.fromkeys(["num_attention_heads", "decoder_attention_heads"], 4),
        **dict.fromkeys(["patch_size", "head_dim"], 16),
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
        **{"cls_token_id": 1, "sep_token_id": 2, "use_cache": False, "num_labels": 5},
    }
)
_GROUPED = {"num_key_value_heads": 2}
_EMBEDDED = {"embedding_size": 32}
_FEW = {"image_size": 64, "num_labels": 5}
_STAGES = {**_FEW, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1]}
_WINDOWS = {**_FEW, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
_HEARD = {"conv_dim": [32, 32], "conv_stride": [5, 4], "conv_kernel": [10, 8]}
_HEARD |= {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
_TOWER = {k: _SMALL[k] for k in _SMALL if k not in ("num_labels", "head_dim")}
# By what they take; those that are made of stages get these options alone.
TRANSFORMERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "words": {
            "AlbertForSequenceClassification": _EMBEDDED,
            "BertForSequenceClassification": {},
            "DebertaV2ForSequenceClassification": {
                "relative_attention": True,
                "position_buckets": 8,
                "pos_att_type": ["p2c", "c2p"],
                "norm_rel_ebd": "layer_norm",
                "share_att_key": True,
                "position_biased_input": False,
            },
            "DistilBertForSequenceClassification": {},
            "ElectraForTokenClassification": _EMBEDDED,
            "FNetForSequenceClassification": {},
            "MPNetForSequenceClassification": {},
            "MobileBertForSequenceClassification": {
                **_EMBEDDED,
                "intra_bottleneck_size": 32,
                "true_hidden_size": 32,
            },
            "ModernBertForSequenceClassification": {"local_attention": 8},
            "RobertaForSequenceClassification": {},
            "RoFormerForSequenceClassification": _EMBEDDED,
            "CLIPTextModelWithProjection": {"projection_dim": 32},
            "BloomForCausalLM": {},
            "GPT2ForSequenceClassification": {},
            "GPTNeoXForCausalLM": {},
            "Gemma2ForCausalLM": _GROUPED,
            "LlamaForCausalLM": _GROUPED,
            "MambaForCausalLM": {},
            "MistralForCausalLM": _GROUPED,
            "OPTForCausalLM": {"word_embed_proj_dim": 64},
            "Phi3ForCausalLM": _GROUPED,
            "PhiForCausalLM": _GROUPED,
            "Qwen2ForSequenceClassification": _GROUPED,
            "Qwen3ForCausalLM": _GROUPED,
            "T5EncoderModel": {},
        },
        "two texts": {
            "BartForConditionalGeneration": {},
            "T5ForConditionalGeneration": {},
        },
        "sounds": {
            "HubertForSequenceClassification": _HEARD,
            "Wav2Vec2ForCTC": _HEARD,
        },
        "spectra": {
            "WhisperForAudioClassification": {"num_mel_bins": 16, "max_source_positions": 32},
        },
        "images": {
            "BeitForImageClassification": {},
            "CLIPVisionModelWithProjection": {"projection_dim": 32},
            "DPTForDepthEstimation": {
                "num_hidden_layers": 4,
                "backbone_out_indices": [0, 1, 2, 3],
                "neck_hidden_sizes": [16, 16, 32, 32],
                "fusion_hidden_size": 16,
            },
            "DetrForObjectDetection": {
                "num_queries": 5,
                "backbone_config": {"model_type": "resnet", **_STAGES, "embedding_size": 16},
            },
            "DeiTForImageClassification": {},
            "Dinov2ForImageClassification": {},
            "SiglipForImageClassification": {"vision_config": _TOWER},
            "ViTForImageClassification": {},
            "YolosForObjectDetection": {"image_size": [64, 64], "num_detection_tokens": 5},
        },
        "images in stages": {
            "BitForImageClassification": {**_STAGES, "embedding_size": 16, "num_groups": 4},
            "ConvNextV2ForImageClassification": _STAGES,
            "EfficientNetForImageClassification": {
                **_FEW,
                "width_coefficient": 0.5,
                "depth_coefficient": 0.3,
                "hidden_dim": 640,
            },
            "HieraForImageClassification": {
                **_FEW,
                "image_size": [64, 64],
                "embed_dim": 16,
                "depths": [1, 1, 1],
                "num_heads": [1, 2, 4],
                "num_query_pool": 2,
            },
            "LevitForImageClassification": {**_FEW, "hidden_sizes": [32, 64, 96]},
            "MobileViTForImageClassification": {**_FEW, "hidden_sizes": [32, 48, 64]},
            "PoolFormerForImageClassification": _STAGES,
            "PvtV2ForImageClassification": {**_STAGES, "num_attention_heads": [1, 2, 3, 4]},
            "RegNetForImageClassification": {**_STAGES, "groups_width": 8},
            "ResNetForImageClassification": {**_STAGES, "embedding_size": 16},
            "SegformerForSemanticSegmentation": {
                **_STAGES,
                "num_attention_heads": [1, 2, 3, 4],
                "decoder_hidden_size": 32,
            },
            "SwinForImageClassification": _WINDOWS,
            "Swinv2ForImageClassification": _WINDOWS,
        },
        "images and words": {
            "CLIPModel": {"text_config": _TOWER, "vision_config": _TOWER, "projection_dim": 32},
        },
    }
)


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


def transformers_models() -> list[Case]:
    """Return models of Hugging Face's transformers for text, sound and images, all of them tiny."""
    if not _is_installed("transformers"):
        return []
    import transformers

    def make(name: str, options: Mapping[str, Any]) -> nn.Module:
        kind = getattr(transformers, name)
        model: nn.Module = kind(kind.config_class(**options))
        # It draws values so small that signals vanish.
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.reset_parameters()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter)
        return model

    return [
        Case(name, lambda n=name, o=options: make(n, o), lambda t=takes: _taken(t))  # type: ignore[misc]
        for takes, models in TRANSFORMERS.items()
        for name, own in models.items()
        for options in [own if takes == "images in stages" else {**_SMALL, **own}]
    ]


def _taken(kind: str) -> dict[str, torch.Tensor]:
    """Return what models of transformers take, by name, of two examples; a text is padded."""
    words, mask = torch.randint(3, 200, (2, 16)), torch.ones(2, 16, dtype=torch.int64)
    words[1, 12:], mask[1, 12:] = 0, 0
    text = {"input_ids": words, "attention_mask": mask}
    image = {"pixel_values": torch.randn(2, 3, 64, 64)}
    return {
        "words": text,
        "two texts": {**text, "decoder_input_ids": torch.randint(3, 200, (2, 8))},
        "sounds": {"input_values": torch.randn(2, 1600)},
        "spectra": {"input_features": torch.randn(2, 16, 64)},
        "images": image,
        "images in stages": image,
        "images and words": {**text, **image},
    }[kind]


def imaging_models(library: str, models: Callable[[], list[Listed]]) -> list[Case]:
    """Return small models of one of the libraries for images, if it is installed."""
    return [Case(*listed) for listed in models()] if _is_installed(library) else []


LIBRARIES: dict[str, Callable[[], list[Case]]] = {
    "timm": timm_models,
    "torchvision": torchvision_models,
    "transformers": transformers_models,
    "segmentation": partial(imaging_models, "segmentation_models_pytorch", segmentation_models),
    "monai": partial(imaging_models, "monai", monai_models),
    "vit_pytorch": partial(imaging_models, "vit_pytorch", vit_models),
}


def _is_installed(library: str) -> bool:
    if importlib.util.find_spec(library):
        return True
    print(f"{library} is not installed: its models are left out\n")
    return False
