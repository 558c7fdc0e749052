"""Numbers for predictors: what a tree is made of, and how its parts meet.

References:
    Shervashidze et al., JMLR 2011, "Weisfeiler-Lehman graph kernels", for the relabelling; here on
    ordered trees, downwards only. Weinberger et al., ICML 2009, "Feature hashing for large scale
    multitask learning", for the folding to a fixed width; here without signs: counts stay counts.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.tree import Tree


@dataclass(frozen=True)
class Encoding:
    """Which features there are.

    Attributes:
        counts: One column per operation and per label: how often it is used, copies counted.
        costs: Logarithms of the costs, and the depth.
        n_neighbourhoods: Width of the Weisfeiler-Lehman features; 0 leaves them out.
        rounds: Their radius, in levels of the tree.
        n_paths: Width of the path features: labels from the root down to each leaf, and pairs of
            neighbours in sequences; 0 leaves them out.
    """

    counts: bool = True
    costs: bool = True
    n_neighbourhoods: int = 64
    rounds: int = 2
    n_paths: int = 32

    def names(self, attributes: Attributes) -> list[str]:
        """Return a name per column."""
        return [
            *(_vocabulary(attributes) if self.counts else ()),
            *(_COSTS if self.costs else ()),
            *(f"neighbourhood{i}" for i in range(self.n_neighbourhoods)),
            *(f"path{i}" for i in range(self.n_paths)),
        ]

    def of(self, attributes: Attributes, tree: Tree) -> NDArray[np.float64]:
        """Return (d,) features of a valid tree."""
        uses = _uses(attributes, tree)
        blocks: list[NDArray[np.float64]] = []
        if self.counts:
            index = {name: i for i, name in enumerate(_vocabulary(attributes))}
            blocks.append(np.zeros(len(index)))
            for node, copies in uses:
                blocks[-1][index[node.label]] += copies
        if self.costs:
            cost = attributes.whole(tree).cost
            logarithms = [math.log1p(each) for each in cost[:-1]]
            blocks.append(np.array([*logarithms, float(cost.depth)]))
        if self.n_neighbourhoods:
            words = (word for node, _ in uses for word in _neighbourhoods(node, self.rounds))
            blocks.append(_folded(words, self.n_neighbourhoods))
        if self.n_paths:
            blocks.append(_folded(_paths(tree), self.n_paths))
        return np.concatenate(blocks) if blocks else np.zeros(0)


_COSTS = ("operations", "network_operations", "parameters", "macs", "elements", "depth")


def _vocabulary(attributes: Attributes) -> list[str]:
    grammar = attributes.grammar
    labels = dict.fromkeys(way.label for way in grammar.productions if not way.renames)
    return [*grammar.operations, *labels]


def _uses(attributes: Attributes, tree: Tree) -> list[tuple[Tree, int]]:
    """Return every node with how often it is used in the network."""
    return [(spot.node, spot.copies) for spot in attributes.spots(tree)]


def _neighbourhoods(node: Tree, rounds: int) -> Iterator[str]:
    """Yield what the node looks like down to each radius."""
    for radius in range(rounds + 1):
        yield _seen(node, radius)


def _seen(node: Tree, radius: int) -> str:
    if not radius or not node.children:
        return node.label
    return f"{node.label}<{' '.join(_seen(child, radius - 1) for child in node.children)}>"


def _paths(tree: Tree, above: str = "") -> Iterator[str]:
    way = f"{above}/{tree.label}"
    if not tree.children:
        yield way
    for child in tree.children:
        yield from _paths(child, way)
    for left, right in zip(tree.children, tree.children[1:], strict=False):
        yield f"{left.label}>{right.label}"


def _folded(words: Iterator[str], width: int) -> NDArray[np.float64]:
    """Count words in `width` buckets, the same in every process."""
    counts = np.zeros(width)
    for word in words:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        counts[int.from_bytes(digest, "little") % width] += 1.0
    return counts
