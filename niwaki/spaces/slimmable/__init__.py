"""Slimmable multi-task networks: elastic encoder, one elastic decoder per task."""

from niwaki.spaces.slimmable.layout import Layout
from niwaki.spaces.slimmable.space import SlimmableSettings, SlimmableSpace, StageSettings
from niwaki.spaces.super_network.layers import Layer, LayerKind

__all__ = [
    "Layer",
    "LayerKind",
    "Layout",
    "SlimmableSettings",
    "SlimmableSpace",
    "StageSettings",
]
