"""Slimmable multi-task networks: elastic encoder, one elastic decoder per task."""

from niwaki.spaces.slimmable.layout import Head, HeadKind, Layout, Shape
from niwaki.spaces.slimmable.space import SlimmableSettings, SlimmableSpace, StageSettings
from niwaki.spaces.super_network.layers import Layer, LayerKind

__all__ = [
    "Head",
    "HeadKind",
    "Layer",
    "LayerKind",
    "Layout",
    "Shape",
    "SlimmableSettings",
    "SlimmableSpace",
    "StageSettings",
]
