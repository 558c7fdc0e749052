"""The side of the target's machine, asked directly: what it keeps, and what it says."""

import logging
from collections import deque
from typing import Any

import numpy as np
import pytest

from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.remote.server import BROKEN, DONE, MISSING, REFUSED, SAID, Server
from niwaki.targets.remote.wire import digest_of, packed_feeds, settings_text, size_of, unpacked
from tests.targets.networks import conv_net, image

SETTINGS = settings_text(OnnxRuntimeCpu())
MODEL = conv_net(8, 16, 1)
IMAGE = packed_feeds(image(16))["x"]


class Script:
    """A channel of which one side is written down beforehand."""

    def __init__(self, *messages: object) -> None:
        self.coming, self.said = deque(messages), list[Any]()

    def receive(self, timeout: float | None = None) -> Any:
        if not self.coming:
            raise EOFError
        return self.coming.popleft()

    def send(self, item: object) -> None:
        self.said.append(item)


def keep(content: Any) -> tuple[str, str, Any]:
    return "keep", digest_of(content), content


def ask(method: str, settings: str = SETTINGS, **arguments: object) -> Any:
    return 7, method, settings, arguments


def run_of(model: bytes) -> Any:
    return ask("run", model=digest_of(model), feeds={"x": digest_of(IMAGE)})


def said(*messages: object, most_bytes: int = 2**20) -> list[Any]:
    channel = Script(*messages)
    Server(channel, most_bytes=most_bytes).serve()
    return channel.said


def test_what_was_sent_is_run() -> None:
    [(number, outcome, outputs)] = said(keep(MODEL), keep(IMAGE), run_of(MODEL))
    assert (number, outcome) == (7, DONE)
    expected = OnnxRuntimeCpu().run(MODEL, image(16))["y"]
    np.testing.assert_array_equal(unpacked(outputs["y"]), expected)


def test_what_is_missing_is_asked_for() -> None:
    [(_, outcome, digests)] = said(keep(MODEL), run_of(MODEL))
    assert (outcome, digests) == (MISSING, [digest_of(IMAGE)])


def test_what_was_not_asked_about_for_longest_is_forgotten_first() -> None:
    other = conv_net(8, 16, 1, seed=1)
    first, second, third, fourth = said(
        *(keep(MODEL), keep(other), keep(IMAGE)),
        *(run_of(other), run_of(MODEL), run_of(other), run_of(MODEL)),
        most_bytes=len(MODEL) + size_of(IMAGE) + 1,
    )
    # The model that the first question is not about was kept before the other, and has to go.
    assert (first[1], second[1:], third[1]) == (DONE, (MISSING, [digest_of(MODEL)]), DONE)
    assert fourth[1:] == (MISSING, [digest_of(MODEL)])


def test_one_question_may_be_about_more_than_is_kept() -> None:
    [first, second] = said(keep(MODEL), keep(IMAGE), run_of(MODEL), run_of(MODEL), most_bytes=1)
    assert first[1] == DONE
    assert second[1] == MISSING


def test_what_the_target_refuses_is_told_as_it_says_it() -> None:
    wrong = ask("run", model=digest_of(MODEL), feeds={"z": digest_of(IMAGE)})
    [(_, outcome, (name, text))] = said(keep(MODEL), keep(IMAGE), wrong)
    assert (outcome, name) == (REFUSED, "TargetError")
    assert "wants inputs ['x'], but ['z'] came" in text


def test_settings_that_cannot_be_had_here_are_refused() -> None:
    settings = SETTINGS.replace('"cores": []', '"cores": [4096]')
    [(_, outcome, (_, text))] = said(ask("identify", settings))
    assert outcome == REFUSED
    assert "core 4096 was asked for" in text


def test_what_is_said_meanwhile_comes_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def talkative(self: OnnxRuntimeCpu) -> float:
        logging.getLogger("niwaki.targets.lock").warning("waiting for %s", "somebody")
        return 0.25

    monkeypatch.setattr(OnnxRuntimeCpu, "calibrate", talkative)
    found = said(ask("calibrate"), ask("identify"))
    assert found[:2] == [(7, SAID, "waiting for somebody"), (7, DONE, 0.25)]
    assert len(found) == 3
    assert not logging.getLogger("niwaki").handlers


def test_whatever_breaks_is_told_and_others_are_answered() -> None:
    first, second = said(ask("no such thing"), ask("identify"))
    assert first[1] == BROKEN
    assert "KeyError: 'no such thing'" in first[2]
    assert second[1] == DONE
