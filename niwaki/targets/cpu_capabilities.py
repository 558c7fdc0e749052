"""What ONNX Runtime can do on a processor, by its instruction set."""

from niwaki.compress.quantization.plan import ActivationType
from niwaki.targets.capabilities import Capabilities, Capability, Granularity
from niwaki.targets.machine import Processor

_LAYERS = ("conv", "depthwise_conv", "linear")
_INT8_KERNELS = ("relu", "clip", "add", "mul", "concat", "average_pool", "max_pool", "sigmoid")
_FLOAT_ONLY = ("silu", "hard_swish", "gelu", "layer_norm", "softmax", "resize")


def cpu_capabilities(cpu: Processor) -> Capabilities:
    """Return the table of ONNX Runtime's processor back end.

    The facts come from timing single layers and whole networks on x86, with AVX512-VNNI and with
    AVX2 alone, and from the runtime's source for other processors; the notes say which.
    """
    return Capabilities(
        rows=(*_layer_rows(cpu), *_other_rows()),
        channel_grain={"fp32": _grain(cpu), "int8": _grain(cpu)},
        activation=ActivationType.U8 if cpu.is_x86 else ActivationType.S8,
        reduce_range=_lacks_vnni(cpu),
    )


def _lacks_vnni(cpu: Processor) -> bool:
    return cpu.is_x86 and not cpu.has_fast_int8


def _grain(cpu: Processor) -> int:
    """Channels that one vector register of the blocked convolution holds."""
    return 16 if cpu.is_x86 and "avx512f" in cpu.flags else 8


def _layer_rows(cpu: Processor) -> list[Capability]:
    note = "static Q/DQ, signed weights" + ("" if cpu.is_x86 else "; not measured here")
    slow = {"depthwise_conv"} if _lacks_vnni(cpu) else set()
    tensor, channel = Granularity.PER_TENSOR, Granularity.PER_CHANNEL
    rows = []
    for layer in _LAYERS:
        fast = layer not in slow
        said = note if fast else f"{note}; half to three quarters as fast as fp32, without VNNI"
        rows += [
            Capability(layer, "fp32", Granularity.NONE, supported=True, fast=True),
            Capability(layer, "int8", channel, supported=True, fast=fast, note=said),
            Capability(layer, "int8", tensor, supported=True, fast=fast, note=said),
            Capability(layer, "fp16", Granularity.NONE, False, False, "cast back to fp32"),
            Capability(layer, "int16", channel, False, False, "runs in fp32, at half its speed"),
            Capability(layer, "int4", channel, False, False, "smaller file; runs in fp32"),
        ]
    return rows


def _other_rows() -> list[Capability]:
    none, tensor = Granularity.NONE, Granularity.PER_TENSOR
    rows = [
        Capability(operation, "fp32", none, supported=True, fast=True)
        for operation in (*_INT8_KERNELS, *_FLOAT_ONLY)
    ]
    rows += [
        Capability(operation, "int8", tensor, supported=True, fast=True)
        for operation in _INT8_KERNELS
    ]
    rows += [
        Capability(operation, "int8", tensor, False, False, "a float island between int8 layers")
        for operation in _FLOAT_ONLY
    ]
    return rows
