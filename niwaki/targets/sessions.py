"""Sessions of onnxruntime: opened with explicit settings, and errors that name the model."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as binding

from niwaki.core.errors import TargetError
from niwaki.targets.base import Feeds, Model, Outputs

Session: TypeAlias = Any  # onnxruntime ships no types

ERRORS_ONLY = 3  # severity: the runtime warns about every layout it picks for this processor
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    binding.EPFail,
    binding.Fail,
    binding.InvalidArgument,
    binding.InvalidGraph,
    binding.InvalidProtobuf,
    binding.NoModel,
    binding.NoSuchFile,
    binding.NotImplemented,
    binding.RuntimeException,
)


class Optimisation(StrEnum):
    """How far the runtime may rewrite a graph."""

    NONE = "none"
    BASIC = "basic"  # within the standard's operators
    ALL = "all"


@dataclass(frozen=True)
class SessionSettings:
    """What decides how onnxruntime runs a model.

    Attributes:
        threads: Threads inside one operator, at least 1. Never left to the runtime, which counts
            physical cores and knows nothing of quotas.
        spinning: Whether idle threads burn their core while they wait: faster on an otherwise idle
            machine, much slower on a shared one.
        disabled_optimizers: Optimizers to leave out, such as `WeightBiasQuantization`. Whoever
            deploys the model must leave them out too.
        optimisation: How far the runtime may rewrite the graph.

    Raises:
        TargetError: If `threads` is less than 1.
    """

    threads: int = 1
    spinning: bool = False
    disabled_optimizers: tuple[str, ...] = ()
    optimisation: Optimisation = Optimisation.ALL

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise TargetError(f"'threads' is {self.threads}: give at least 1 thread")


def open_session(
    model: Model, settings: SessionSettings, *, optimised_path: Path | None = None
) -> Session:
    """Open a session on the processor.

    Args:
        model: A model in memory, or its file.
        settings: How to run it.
        optimised_path: Where to write the graph that really runs; nowhere if None.

    Raises:
        TargetError: If there is no such file, the runtime cannot load the model, or the graph that
            really runs cannot be written.
    """
    try:
        return _opened(model, settings, optimised_path)
    except _RUNTIME_ERRORS as error:
        if optimised_path is not None:
            open_session(model, settings)  # what cannot be loaded is told as such
            raise TargetError(
                f"onnxruntime {onnxruntime.__version__} cannot write '{optimised_path}': "
                f"{_line(error)}. Free some space there, or name another folder in TMPDIR"
            ) from error
        raise TargetError(
            f"onnxruntime {onnxruntime.__version__} cannot load {describe(model)}: {_line(error)}. "
            "Check its opset and its operators, or export it again"
        ) from error


def run_session(session: Session, feeds: Feeds, *, what: str = "the model") -> Outputs:
    """Run a session once and return all outputs by name.

    Args:
        session: From `open_session`.
        feeds: Every input by name.
        what: What to call the model in a message.

    Raises:
        TargetError: If an input is missing, unknown, or of a wrong shape or type.
    """
    wanted, given = {node.name for node in session.get_inputs()}, set(feeds)
    if wanted != given:
        raise TargetError(
            f"{what} wants inputs {sorted(wanted)}, but {sorted(given)} came: "
            "give one array for each input, by its name"
        )
    names = [node.name for node in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))
    except _RUNTIME_ERRORS as error:
        raise TargetError(f"onnxruntime cannot run {what}: {_line(error)}") from error


def existing(path: Path) -> Path:
    """Return the path of a model's file.

    Raises:
        TargetError: If there is none.
    """
    if not path.is_file():
        raise TargetError(f"there is no model file '{path}': check the path")
    return path


def describe(model: Model) -> str:
    """Return what to call a model in a message."""
    if isinstance(model, Path):
        return f"'{model}'"
    if isinstance(model, bytes):
        return f"a model of {len(model)} bytes"
    return f"model '{model.graph.name or 'unnamed'}'"


def _opened(model: Model, settings: SessionSettings, optimised_path: Path | None) -> Session:
    options = _options(settings)
    if optimised_path is not None:
        options.optimized_model_filepath = str(optimised_path)
    return onnxruntime.InferenceSession(
        _loadable(model),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(settings.disabled_optimizers) or None,
    )


def _options(settings: SessionSettings) -> Any:
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = {
        Optimisation.NONE: levels.ORT_DISABLE_ALL,
        Optimisation.BASIC: levels.ORT_ENABLE_BASIC,
        Optimisation.ALL: levels.ORT_ENABLE_ALL,
    }[settings.optimisation]
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "1" if settings.spinning else "0"
    )
    return options


def _loadable(model: Model) -> str | bytes:
    if isinstance(model, Path):
        return str(existing(model))
    if isinstance(model, onnx.ModelProto):
        return bytes(model.SerializeToString())
    return model


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
