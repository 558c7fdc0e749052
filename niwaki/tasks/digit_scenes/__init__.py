"""Scenes of real handwritten digits: which is nearest, what is where, and how far away."""

from niwaki.tasks.digit_scenes.source import DigitScenesSettings, load

__all__ = ["DigitScenesSettings", "load"]
