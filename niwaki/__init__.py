"""niwaki: searches for neural networks that fit."""

from niwaki._version import __version__

__all__ = ["__version__"]
