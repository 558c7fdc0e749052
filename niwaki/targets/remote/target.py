"""ONNX Runtime on the processor of another machine."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import Error as ProtocolBufferError

from niwaki.core.errors import TargetError
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_positive
from niwaki.targets.base import Effort, Feeds, Model, Outputs, Runner
from niwaki.targets.capabilities import Capabilities
from niwaki.targets.cpu_capabilities import cpu_capabilities
from niwaki.targets.feeds import check_pairs
from niwaki.targets.latency import Latency
from niwaki.targets.machine import processor
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.onnxruntime_target import OnnxRuntimeTarget
from niwaki.targets.remote.connection import (
    NOTHING,
    Connection,
    Identity,
    Patience,
    connection_to,
    require_same,
)
from niwaki.targets.remote.way import check_way
from niwaki.targets.remote.wire import (
    Digest,
    Packed,
    digest_of,
    packed_feeds,
    settings_text,
    unpacked,
)
from niwaki.targets.sessions import existing


@dataclass(frozen=True)
class RemoteOnnxRuntime(OnnxRuntimeTarget):
    """ONNX Runtime on the processor of another machine, such as a board on the desk.

    The machine needs Python 3.11 or later with numpy, scipy, onnx and onnxruntime: niwaki is sent
    there when a connection begins, and nothing is left behind. Its id is the one that the machine
    itself would give, so latencies compare with those that were measured on it. Each process has a
    connection of its own; measurements there take turns.

    Attributes:
        connection: How to reach it: `ssh=pi@raspi4`, with options of ssh before the host, or
            `popen//python=docker exec -i board python3`; in execnet's notation.
        scores_here: Whether models answer on this machine's processor, by the same runtime and
            settings, and only graphs and times come from there: for large answers over a slow link.
        patience_seconds: How long to wait for a machine that was reached and is lost.
        silence_seconds: After how long without an answer the process there is taken for lost.
        reached_as: Id under which it was reached before, if it was: from `calibrated`. Then it is
            waited for from the start, and has to be what it was.

    Raises:
        TargetError: If the connection cannot be read; or as `OnnxRuntimeTarget`.
        ConfigError: On seconds that are not positive.
    """

    connection: str = field(kw_only=True)
    scores_here: bool = field(default=False, kw_only=True)
    patience_seconds: float = field(default=600.0, kw_only=True)
    silence_seconds: float = field(default=3600.0, kw_only=True)
    reached_as: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_way(self.connection)
        require_positive(self, "patience_seconds", "silence_seconds")

    @property
    def target_id(self) -> str:
        return self._identity.target_id

    @property
    def capabilities(self) -> Capabilities:
        found = self._identity.capabilities
        # What is exported is verified here, too, where products of 8 bits may saturate.
        here = cpu_capabilities(processor())
        return replace(found, reduce_range=found.reduce_range or here.reduce_range)

    def calibrated(self, nominal_reference_ms: float) -> "RemoteOnnxRuntime":
        found = super().calibrated(nominal_reference_ms)
        return replace(found, reached_as=self.target_id)

    def describe(self) -> dict[str, JSON]:
        found: dict[str, JSON] = json.loads(self._ask("describe"))
        return found

    def run(self, model: Model, feeds: Feeds) -> Outputs:
        return self.open(model)(feeds)

    def open(self, model: Model) -> Runner:
        if self.scores_here:
            here = OnnxRuntimeCpu(
                threads=self.threads,
                spinning=self.spinning,
                disabled_optimizers=self.disabled_optimizers,
            )
            return here.open(model)
        content = _content(model)
        digest = digest_of(content)
        self._ask("open", contents={digest: content}, model=digest)

        def run(feeds: Feeds) -> Outputs:
            given, named = _named(feeds)
            needed = {digest: content, **given}
            answer = self._ask("run", contents=needed, model=digest, feeds=named)
            return {name: unpacked(values) for name, values in answer.items()}

        return run

    def optimised(self, model: Model) -> onnx.ModelProto:
        content = _content(model)
        digest = digest_of(content)
        return onnx.load_from_string(
            self._ask("optimise", contents={digest: content}, model=digest)
        )

    def calibrate(self) -> float:
        return float(self._ask("calibrate"))

    def computing(self) -> AbstractContextManager[None]:
        return nullcontext()  # this process loads another machine

    def measure(
        self,
        models: Sequence[Model],
        feeds: Sequence[Feeds],
        *,
        effort: Effort = Effort.QUICK,
        seed: int = 0,
    ) -> list[Latency]:
        check_pairs(models, feeds)
        written: list[Packed] = [_content(model) for model in models]
        digests = [digest_of(content) for content in written]
        contents, named = dict(zip(digests, written, strict=True)), []
        for each in feeds:
            given, names = _named(each)
            contents |= given
            named.append(names)
        answer = self._ask(
            "measure",
            contents=contents,
            models=digests,
            feeds=named,
            effort=str(effort),
            seed=seed,
        )
        found = [Latency.from_json(each) for each in json.loads(answer)]
        known = self.target_id
        for latency in found:
            require_same(self.connection, known, latency.target_id)
        return found

    @property
    def _there(self) -> Connection:
        return connection_to(self.connection)

    @property
    def _identity(self) -> Identity:
        settings = settings_text(replace(self, nominal_reference_ms=None))
        found = self._there.identity(settings, patience=self._patience)
        require_same(self.connection, self.reached_as or found.target_id, found.target_id)
        return found

    @property
    def _patience(self) -> Patience:
        return Patience(self.patience_seconds if self._was_reached else 0.0, self.silence_seconds)

    @property
    def _was_reached(self) -> bool:
        return bool(self.reached_as) or self._there.was_reached

    def _ask(
        self, method: str, *, contents: Mapping[Digest, Packed] = NOTHING, **arguments: Any
    ) -> Any:
        return self._there.ask(
            method,
            settings_text(self),
            patience=self._patience,
            contents=contents,
            arguments=arguments,
        )


def _content(model: Model) -> bytes:
    """Return a model as bytes, with the data that lie beside its file.

    Raises:
        TargetError: If there is no such file, or it is too large for one message.
    """
    if isinstance(model, bytes):
        return model
    try:
        proto = model if isinstance(model, onnx.ModelProto) else onnx.load(existing(model))
        return bytes(proto.SerializeToString())
    except (ValueError, OSError, ProtocolBufferError) as error:
        what = f"'{model}'" if isinstance(model, Path) else "the model"
        raise TargetError(f"{what} cannot be sent to another machine: {error}") from error


def _named(feeds: Feeds) -> tuple[dict[Digest, Packed], Mapping[str, Digest]]:
    """Return inputs as they travel by digest, and their digests by name."""
    try:
        contents = packed_feeds(feeds)
    except ValueError as error:
        raise TargetError(f"inputs cannot be sent to another machine: {error}") from error
    digests = {name: digest_of(each) for name, each in contents.items()}
    return {digests[name]: each for name, each in contents.items()}, digests
