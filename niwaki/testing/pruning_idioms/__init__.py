"""Small networks, each with one idiom that pruning has to get right, or leave alone."""

from niwaki.testing.pruning_idioms.catalogue import IDIOMS, Idiom

__all__ = ["IDIOMS", "Idiom"]
