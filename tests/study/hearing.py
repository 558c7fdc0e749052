"""An observer that takes note of what a study says."""

from niwaki.study.watching.observer import Silence


class Hears(Silence):
    """Hears sentences.

    Attributes:
        said: They, in order.
    """

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)
