"""Tasks of the Unseen-NAS kind: AddNIST, MultNIST, CIFARTile, Language."""

from niwaki.tasks.unseen.cifartile import CifarTileSettings, load_cifartile
from niwaki.tasks.unseen.digit_triples import DigitTriplesSettings, load_addnist, load_multnist
from niwaki.tasks.unseen.language import LanguageSettings, load_language

__all__ = [
    "CifarTileSettings",
    "DigitTriplesSettings",
    "LanguageSettings",
    "load_addnist",
    "load_cifartile",
    "load_language",
    "load_multnist",
]
