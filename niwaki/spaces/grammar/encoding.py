"""Numbers for predictors: what a tree is made of, and how its parts meet.

References:
    Shervashidze et al., JMLR 2011, "Weisfeiler-Lehman graph kernels", for the relabelling; here on
    ordered trees, downwards only. Weinberger et al., ICML 2009, "Feature hashing for large scale
    multitask learning", for the folding to a fixed width; here without signs: counts stay counts.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from niwaki.spaces.grammar.attributes import MOST_REMEMBERED, Attributes
from niwaki.spaces.grammar.tree import Tree

MOST_NUMBERS = 8_000_000  # in what is remembered: rows are as wide as there are operations


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


class Encoder:
    """Encodes trees of one grammar, and remembers what subtrees add: kin share most of theirs.

    Args:
        encoding: Which features.
        attributes: Of the grammar.
    """

    def __init__(self, encoding: Encoding, attributes: Attributes) -> None:
        self._encoding, self._attributes = encoding, attributes
        names = _vocabulary(attributes) if encoding.counts else ()
        self._column_of = {name: i for i, name in enumerate(names)}
        width = len(names) + encoding.n_neighbourhoods
        self._most = min(MOST_REMEMBERED, MOST_NUMBERS // max(1, width))
        self._sums: dict[tuple[str, Tree], NDArray[np.float64]] = {}
        self._paths: dict[tuple[str, Tree], NDArray[np.float64]] = {}

    def of(self, tree: Tree) -> NDArray[np.float64]:
        """Return (d,) features of a valid tree."""
        if len(self._sums) > self._most or len(self._paths) > MOST_REMEMBERED:
            self._sums.clear()
            self._paths.clear()
        summed = self._sum(self._attributes.grammar.start, tree)
        n_counts = len(self._column_of)
        blocks = [summed[:n_counts]]
        if self._encoding.costs:
            cost = self._attributes.whole(tree).cost
            logarithms = [math.log1p(each) for each in cost[:-1]]
            blocks.append(np.array([*logarithms, float(cost.depth)]))
        blocks.append(summed[n_counts:])
        if self._encoding.n_paths:
            blocks.append(self._paths_into("", tree))
        return np.concatenate(blocks)

    def _sum(self, symbol: str, node: Tree) -> NDArray[np.float64]:
        """Return counts of operations and labels, then neighbourhoods, of a node and all below."""
        key = (symbol, node)
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = self._sum_of(symbol, node)
        return found

    def _sum_of(self, symbol: str, node: Tree) -> NDArray[np.float64]:
        n_counts, width = len(self._column_of), self._encoding.n_neighbourhoods
        total = np.zeros(n_counts + width)
        if n_counts:
            total[self._column_of[node.label]] += 1.0
        if width:
            total[n_counts:] += _folded(_neighbourhoods(node, self._encoding.rounds), width)
        way = self._attributes.way(symbol, node) if node.children else None
        if way is not None:
            below = self._attributes.children(way, node)
            parts = np.array([self._sum(inner, child) for inner, _, child in below])
            copies = np.array([float(place.copies) for _, place, _ in below])
            total[:n_counts] += copies @ parts[:, :n_counts]
            total[n_counts:] += parts[:, n_counts:].sum(axis=0)
        return total

    def _paths_into(self, above: str, node: Tree) -> NDArray[np.float64]:
        """Return counts of paths through a node, with the labels above it, and of neighbours."""
        key = (above, node)
        found = self._paths.get(key)
        if found is None:
            found = self._paths[key] = self._paths_of(f"{above}/{node.label}", node.children)
        return found

    def _paths_of(self, way: str, children: Sequence[Tree]) -> NDArray[np.float64]:
        width = self._encoding.n_paths
        if not children:
            return _folded([way], width)
        neighbours = (f"{left.label}>{right.label}" for left, right in pairwise(children))
        below = [self._paths_into(way, child) for child in children]
        total: NDArray[np.float64] = np.array([_folded(neighbours, width), *below]).sum(axis=0)
        return total


_COSTS = ("operations", "network_operations", "parameters", "macs", "elements", "depth")


def _vocabulary(attributes: Attributes) -> list[str]:
    grammar = attributes.grammar
    labels = dict.fromkeys(way.label for way in grammar.productions if not way.renames)
    return [*grammar.operations, *labels]


def _neighbourhoods(node: Tree, rounds: int) -> Iterator[str]:
    """Yield what the node looks like down to each radius."""
    for radius in range(rounds + 1):
        yield _seen(node, radius)


def _seen(node: Tree, radius: int) -> str:
    if not radius or not node.children:
        return node.label
    return f"{node.label}<{' '.join(_seen(child, radius - 1) for child in node.children)}>"


def _folded(words: Iterable[str], width: int) -> NDArray[np.float64]:
    """Count words in `width` buckets, the same in every process."""
    counts = [0.0] * width
    for word in words:
        counts[_number(word) % width] += 1.0
    return np.array(counts)


@lru_cache(maxsize=20_000)
def _number(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
