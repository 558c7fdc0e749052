"""The side of the target's machine: keeps what it was sent, and does what it is asked."""

import json
import logging
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from niwaki.core.errors import NiwakiError
from niwaki.targets.base import Effort, Feeds, Runner
from niwaki.targets.machine import memory_bytes
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.remote.wire import (
    Digest,
    Packed,
    packed_feeds,
    size_of,
    target_of,
    unpacked,
)

MOST_BYTES = 2**28  # of models and inputs that are kept for later questions
SHARE_OF_MEMORY = 1 / 16  # at most; each worker of a search has a process here
MOST_RUNNERS = 2

DONE, MISSING, REFUSED, BROKEN = "done", "missing", "refused", "broken"
SAID = "said"  # in between, such as that another measurement is waited for


class Channel(Protocol):
    """One end of a connection, as execnet's channels are."""

    def receive(self, timeout: float | None = None) -> Any:
        """Return the next message.

        Raises:
            EOFError: If there will be none.
        """

    def send(self, item: object) -> None:
        """Send a message of plain values."""


class _Telling(logging.Handler):
    """Hands on what niwaki has to say on the machine of the target."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


class MissingError(Exception):
    """Contents that a question is about are not here (any more)."""

    def __init__(self, digests: Sequence[Digest]) -> None:
        super().__init__("contents are missing")
        self.digests = list(digests)


class Server:
    """Answers the questions that come through a channel, one after the other.

    A message is either ("keep", digest, content), which has no answer, or (number, method, settings
    of the target, arguments); its answer is (number, how it went, payload), after any number of
    (number, "said", sentence). Models and inputs are named by their digests: what is asked about
    again is not sent again.

    Args:
        channel: To whoever asks.
        most_bytes: Of contents to keep between two questions; None goes by the machine's memory.
    """

    def __init__(self, channel: Channel, *, most_bytes: int | None = None) -> None:
        self._channel = channel
        self._most_bytes = most_bytes or min(MOST_BYTES, int(memory_bytes() * SHARE_OF_MEMORY))
        self._kept: OrderedDict[Digest, Packed] = OrderedDict()
        self._runners: OrderedDict[tuple[str, Digest], Runner] = OrderedDict()

    def serve(self) -> None:
        """Answer until the other side is gone."""
        while True:
            try:
                message = self._channel.receive()
            except EOFError:
                return
            if message[0] == "keep":
                _, digest, content = message
                self._kept[digest] = content
                continue
            number, method, settings, arguments = message
            with self._telling(number):
                answer = self._answer(method, settings, arguments)
            self._channel.send((number, *answer))
            if answer[0] != MISSING:  # then the rest is on its way
                self._forget()

    @contextmanager
    def _telling(self, number: int) -> Iterator[None]:
        """Have whoever asked hear what is said while the question is answered."""
        handler = _Telling(lambda sentence: self._channel.send((number, SAID, sentence)))
        logger = logging.getLogger("niwaki")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    def _answer(
        self, method: str, settings: str, arguments: Mapping[str, Any]
    ) -> tuple[str, object]:
        methods: dict[str, Callable[..., object]] = {
            "identify": self._identify,
            "describe": self._describe,
            "open": self._open,
            "run": self._run,
            "optimise": self._optimised,
            "calibrate": self._calibrate,
            "measure": self._measure,
        }
        try:
            return DONE, methods[method](target_of(settings), settings, **arguments)
        except MissingError as error:
            return MISSING, error.digests
        except NiwakiError as error:
            return REFUSED, (type(error).__name__, str(error))
        except Exception:  # whatever it was, who asked should know, and others may be answered
            return BROKEN, traceback.format_exc()

    def _identify(self, target: OnnxRuntimeCpu, _: str) -> str:
        able = target.capabilities.to_json()
        return json.dumps({"target_id": target.target_id, "capabilities": able})

    def _describe(self, target: OnnxRuntimeCpu, _: str) -> str:
        return json.dumps(target.describe())

    def _calibrate(self, target: OnnxRuntimeCpu, _: str) -> float:
        return target.calibrate()

    def _open(self, target: OnnxRuntimeCpu, settings: str, *, model: Digest) -> None:
        self._runner(target, settings, model)

    def _run(
        self, target: OnnxRuntimeCpu, settings: str, *, model: Digest, feeds: Mapping[str, Digest]
    ) -> dict[str, Packed]:
        self._require([model, *feeds.values()])
        given = self._feeds(feeds)
        runner = self._runner(target, settings, model)
        with target.computing():
            return packed_feeds(runner(given))

    def _optimised(self, target: OnnxRuntimeCpu, _: str, *, model: Digest) -> bytes:
        data = self._model(model)
        with target.computing():
            return bytes(target.optimised(data).SerializeToString())

    def _measure(
        self,
        target: OnnxRuntimeCpu,
        _: str,
        *,
        models: Sequence[Digest],
        feeds: Sequence[Mapping[str, Digest]],
        effort: str,
        seed: int,
    ) -> str:
        self._require([*models, *(digest for given in feeds for digest in given.values())])
        found = target.measure(
            [self._model(model) for model in models],
            [self._feeds(given) for given in feeds],
            effort=Effort(effort),
            seed=seed,
        )
        return json.dumps([latency.to_json() for latency in found])

    def _runner(self, target: OnnxRuntimeCpu, settings: str, model: Digest) -> Runner:
        key = (settings, model)
        if key not in self._runners:
            data = self._model(model)
            with target.computing():
                self._runners[key] = target.open(data)
        self._runners.move_to_end(key)
        return self._runners[key]

    def _model(self, digest: Digest) -> bytes:
        content = self._content(digest)
        assert isinstance(content, bytes)
        return content

    def _feeds(self, feeds: Mapping[str, Digest]) -> Feeds:
        self._require(list(feeds.values()))
        return {name: unpacked(self._content(digest)) for name, digest in feeds.items()}

    def _content(self, digest: Digest) -> Packed:
        self._require([digest])
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def _require(self, digests: Sequence[Digest]) -> None:
        if missing := [digest for digest in dict.fromkeys(digests) if digest not in self._kept]:
            raise MissingError(missing)

    def _forget(self) -> None:
        """Let go of what was not asked about for longest, once a question is answered."""
        held = sum(map(size_of, self._kept.values()))
        while held > self._most_bytes and len(self._kept) > 1:
            _, content = self._kept.popitem(last=False)
            held -= size_of(content)
        while len(self._runners) > MOST_RUNNERS:
            self._runners.popitem(last=False)
