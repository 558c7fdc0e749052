"""Families that several test modules use."""

import pytest

from niwaki.spaces.einspace import EinspaceSettings, NetworkFamily
from niwaki.spaces.grammar import Budget
from niwaki.spaces.heads import Head, HeadKind

DIGIT = Head("digit", HeadKind.VECTOR, 10)
DEPTH = Head("depth", HeadKind.MAP, 3)
# The input shapes that the space is judged by.
SHAPES = [(3, 32, 32), (1, 28, 28), (3, 64, 64), (12, 18, 18), (4, 128)]
# What a test builds in milliseconds.
SMALL = Budget(
    operations=64, depth=16, network_operations=200, parameters=1_000_000, macs=50_000_000,
    elements=200_000,
)  # fmt: skip


@pytest.fixture(scope="session")
def family() -> NetworkFamily:
    return EinspaceSettings(budget=SMALL).family((3, 32, 32), [DIGIT])


@pytest.fixture(scope="session")
def large() -> NetworkFamily:
    """Return a family that holds the published networks, with the heads that these have."""
    return EinspaceSettings(heads="plain").family((3, 32, 32), [DIGIT])
