"""einspace: networks from fundamental operations, as a grammar.

References:
    Ericsson, Espinosa Minano, Yang, Antoniou, Storkey, Cohen, McDonagh and Crowley, NeurIPS 2024,
    "einspace: Searching for Neural Architectures from Fundamental Operations".
"""

from niwaki.spaces.einspace.blueprint import Blueprint, LayerRow
from niwaki.spaces.einspace.family import NetworkFamily
from niwaki.spaces.einspace.own import GrammarSettings
from niwaki.spaces.einspace.settings import EXTRAS, EinspaceSettings

__all__ = [
    "EXTRAS",
    "Blueprint",
    "EinspaceSettings",
    "GrammarSettings",
    "LayerRow",
    "NetworkFamily",
]
