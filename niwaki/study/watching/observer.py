"""Who watches a study: the seam that progress displays plug into."""

from collections.abc import Mapping
from typing import Protocol

from niwaki.core.measurement import Trial
from niwaki.study.description import StudyDescription
from niwaki.study.record.history import History


class Observer(Protocol):
    """Told what happens, in the driver's process, between evaluations: be quick."""

    def begin(self, description: StudyDescription, history: History) -> None:
        """Take note that a session starts; `history` grows from here on."""

    def say(self, sentence: str) -> None:
        """Take note of a step: training, exporting."""

    def baseline(self, values: Mapping[str, float]) -> None:
        """Take note of the baseline's values."""

    def plan(self, n_evaluations: int) -> None:
        """Take note that the search ends by itself after so many evaluations at most."""

    def told(self, trial: Trial) -> None:
        """Take note of a finished trial; it is in the history already."""

    def end(self) -> None:
        """Take note that the session is over, for whatever reason."""


class Silence:
    """Watches nothing: the default from Python."""

    def begin(self, description: StudyDescription, history: History) -> None:
        """Do nothing."""

    def say(self, sentence: str) -> None:
        """Do nothing."""

    def baseline(self, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def plan(self, n_evaluations: int) -> None:
        """Do nothing."""

    def told(self, trial: Trial) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""
