"""What ONNX Runtime can do on a processor, by its instruction set."""

from niwaki.compress.quantization.plan import ActivationType
from niwaki.targets.capabilities import Capabilities, Capability, Granularity
from niwaki.targets.machine import Processor

_LAYERS = ("conv", "depthwise_conv", "linear")
_INT8_KERNELS = ("relu", "clip", "add", "mul", "concat", "average_pool", "max_pool", "sigmoid")
_FLOAT_ONLY = ("silu", "hard_swish", "gelu", "layer_norm", "softmax", "resize")


def cpu_capabilities(cpu: Processor) -> Capabilities:
    """Return the table of ONNX Runtime's processor back end.

    The facts come from timing single layers and whole networks on x86 with AVX512-VNNI, and from
    the runtime's source for other processors; the notes say which.
    """
    return Capabilities(
        rows=(*_layer_rows(cpu), *_other_rows()),
        channel_grain={"fp32": _grain(cpu), "int8": _grain(cpu)},
        activation=ActivationType.U8 if cpu.is_x86 else ActivationType.S8,
        reduce_range=cpu.is_x86 and not cpu.has_fast_int8,
    )


def _grain(cpu: Processor) -> int:
    """Channels that one vector register of the blocked convolution holds."""
    return 16 if cpu.is_x86 and "avx512f" in cpu.flags else 8


def _layer_rows(cpu: Processor) -> list[Capability]:
    measured = cpu.is_x86 and cpu.has_fast_int8
    note = "static Q/DQ, signed weights" + ("" if measured else "; not measured here")
    tensor, channel = Granularity.PER_TENSOR, Granularity.PER_CHANNEL
    rows = []
    for layer in _LAYERS:
        rows += [
            Capability(layer, "fp32", Granularity.NONE, supported=True, fast=True),
            Capability(layer, "int8", channel, supported=True, fast=True, note=note),
            Capability(layer, "int8", tensor, supported=True, fast=True, note=note),
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
