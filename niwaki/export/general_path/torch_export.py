"""The general path from a module to ONNX: torch's own exporter, cleaned up.

It follows Python control flow and knows every operator of torch, at seconds per network. A module
that decides by the values of tensors is followed the way that the examples go: see `decisions`.
What it writes is brought into the form of the fast path: the same opset, the same names of layers,
batch norm folded, and nothing in the file that tells on whose machine it was made.
"""

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import onnx
import torch
from torch import nn

from niwaki.compress.pruning.model_calls import repeatable
from niwaki.core.errors import ExportError
from niwaki.export.fast_path.code_called import CodeCalled
from niwaki.export.fast_path.lengths import lengths_followed
from niwaki.export.general_path.computed_weights import fold_computed_weights
from niwaki.export.general_path.decisions import Decision, decisions_of, repeated
from niwaki.export.general_path.inner_module import as_inner, with_names_of_the_model
from niwaki.export.general_path.one_head import OneHeadApart
from niwaki.export.general_path.simplification import simplified
from niwaki.export.general_path.weight_copies import weight_copies
from niwaki.export.general_path.weights_apart import weights_apart
from niwaki.export.graph.file_room import require_room
from niwaki.export.graph.layer_names import named_by_layers
from niwaki.export.graph.module_names import ModuleNames
from niwaki.export.graph.writer import BATCH, OPSET, finished_model, require_apart
from niwaki.export.user_code import place_of

_APART = ":end"
_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "torch.fx")


class FixedBatchError(ExportError):
    """torch's exporter took the batch for a constant, and does not say where."""


def export_module(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Return the float ONNX graph of a module: opset 20, dynamic batch, batch norm folded.

    The same module gives the same bytes. Layers are named as `build_graph` names them.

    Args:
        module: In eval mode. May take several tensors, and return a tensor or a tuple, list or
            dict of tensors, nested or not.
        example_inputs: One tensor per input, batch first.
        input_names: Name of each input; by default, of `forward`'s arguments.
        output_names: Name of each output, in order; by default torch's.

    Raises:
        ExportError: If torch cannot export the module, with torch's reason; or if it is too large.
    """
    if module.training:
        raise ExportError("the module is in training mode: call its eval() before exporting it")
    require_room(module)
    _require_no_projections(module)
    model = _followed(module, example_inputs, _apart(input_names), _apart(output_names))
    _check_operators(model)
    inputs, outputs = (list(map(_told, infos)) for infos in (model.graph.input, model.graph.output))
    require_apart(inputs, outputs)
    ends = {info.name: _told(info) for info in (*model.graph.input, *model.graph.output)}
    fold_computed_weights(model.graph)
    names = replace(ModuleNames.of(module), copies=weight_copies(model.graph, module))
    graph = named_by_layers(simplified(model.graph), names, ends)
    graph.name = "niwaki"
    return finished_model(graph)


def decisions_taken(
    module: nn.Module, example_inputs: Sequence[torch.Tensor]
) -> tuple[Decision, ...]:
    """Return what the examples decide in the graph that `export_module` writes; mostly nothing.

    Some models decide by values when they are called, and not when they are exported.

    Args:
        module: In evaluation mode.
        example_inputs: As for `export_module`.
    """
    decisions = decisions_of(module, example_inputs)
    if decisions:
        with contextlib.suppress(ExportError):
            _exported(module, example_inputs, None, None)
            return ()
    return decisions


def _require_no_projections(module: nn.Module) -> None:
    """Check that no LSTM projects its outputs: torch would write it as if it did not."""
    for path, child in module.named_modules():
        if isinstance(child, nn.LSTM) and child.proj_size:
            what = f"'{path}'" if path else "the module"
            raise ExportError(
                f"{what} is an LSTM with proj_size={child.proj_size}, and ONNX has none whose "
                "outputs are projected: take an LSTM without, and a linear layer behind it"
            )


def _apart(names: Sequence[str] | None) -> list[str] | None:
    """Return names that no buffer has: torch would give both the same."""
    return None if names is None else [f"{name}{_APART}" for name in names]


def _told(info: onnx.ValueInfoProto) -> str:
    """Return the name that was asked for."""
    name: str = info.name
    return name.removesuffix(_APART)


def _followed(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
) -> onnx.ModelProto:
    """Export a module; if it decides by values of tensors, the way that the examples go."""
    try:
        return _exported(module, example_inputs, input_names, output_names)
    except ExportError:
        decisions = decisions_of(module, example_inputs)
        if not decisions:
            raise
        with repeated(module, decisions):
            return _exported(module, example_inputs, input_names, output_names)


def _exported(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
) -> onnx.ModelProto:
    batch = torch.export.Dim(BATCH)
    # A batch of one would be taken for a constant.
    examples = tuple(x.repeat(2, *[1] * (x.ndim - 1)) if len(x) == 1 else x for x in example_inputs)
    try:
        # Some models keep what they computed for the next pass: here, stand-ins for tensors.
        with (
            _quiet(),
            torch.no_grad(),
            weights_apart(),
            repeatable(module),
            lengths_followed(CodeCalled(module)),
            OneHeadApart(),
        ):
            program = torch.onnx.export(
                as_inner(module),
                examples,
                dynamo=True,
                external_data=False,
                opset_version=OPSET,
                input_names=input_names,
                output_names=output_names,
                dynamic_shapes=_dynamic(module, len(examples), batch),
                verbose=False,
            )
    # torch wraps whatever went wrong, and lets some through as it was; the module's own code runs
    # here, too, and may raise anything.
    except Exception as error:
        place = place_of(error)
        where = f", at {place}" if place else ""
        raise ExportError(
            f"torch cannot export {type(module).__name__}{where}: {_reason(error)}"
            f"{_about_scripted(module)}{_about_quantized(module)}"
        ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    with_names_of_the_model(model.graph)
    for info in model.graph.input:
        if not info.type.tensor_type.shape.dim[0].dim_param:
            raise FixedBatchError(
                f"torch took the batch of input '{_told(info)}' for a constant of "
                f"{len(examples[0])}: {type(module).__name__} turns it into a plain number, or "
                "splits it. Read it as `x.shape[0]`, and split nothing along the first axis"
            )
    return model


def _dynamic(module: nn.Module, n_inputs: int, batch: object) -> tuple[object, ...]:
    """Return the dynamic shapes in the form that the signature of `forward` asks for."""
    dims = tuple({0: batch} for _ in range(n_inputs))
    code = inspect.unwrap(module.forward).__code__
    takes_any_number = bool(code.co_flags & 0x04) and code.co_argcount <= 1
    return (dims,) if takes_any_number else dims


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch prints, logs and warns of while exporting from the terminal."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """Return the first line of what went wrong first."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"


def _about_scripted(module: nn.Module) -> str:
    """Return what to do about the first scripted module, as the end of an error."""
    named = module.named_modules()
    scripted = [path for path, child in named if isinstance(child, torch.jit.ScriptModule)]
    if not scripted:
        return ""
    what = f"'{scripted[0]}'" if scripted[0] else "It"
    return f". {what} is scripted (torch.jit): give the module that it was scripted from"


def _about_quantized(module: nn.Module) -> str:
    """Return what to do about the first module that torch quantized, as the end of an error."""
    for path, child in module.named_modules():
        if type(child).__module__.startswith(_QUANTIZED):
            return f". '{path}' was quantized by torch: give the float model that it was made from"
    return ""


def _check_operators(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(
                f"torch wrote operator '{node.domain}::{node.op_type}', which is not of ONNX "
                "itself: other tools cannot read it. Replace the operation behind it"
            )
    if model.functions:
        raise ExportError(
            f"torch wrote {model.functions[0].name} as a function of its own: "
            "replace the operation behind it"
        )
