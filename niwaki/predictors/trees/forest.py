"""Decision trees as arrays: all nodes of all trees in a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.state import State, array_of

_CHUNK = 8192  # rows at a time, so that what is looked up stays in the caches


@dataclass(frozen=True)
class Forest:
    """Regression trees.

    A node sends a row to its first child if the row's feature, in single precision, is at most the
    threshold, and to its second otherwise; a leaf sends it to itself.

    Attributes:
        constant: Added to all means: deviations from it keep their digits.
        roots: (n_trees,) index of each tree's root.
        depths: (n_trees,) steps from each root that reach all of its leaves.
        feature: (n_nodes,) which feature is looked at; 0 in leaves.
        threshold: (n_nodes,) float64.
        children: (2 n_nodes,) indices of the first and the second child of each node, in turns.
        mean: (n_nodes,) mean deviation of the values that reached the node while growing.
        variance: (n_nodes,) their variance.
    """

    constant: float
    roots: NDArray[np.int64]
    depths: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    children: NDArray[np.int64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    @classmethod
    def of_trees(cls, trees: Sequence[Any], *, constant: float, scale: float = 1.0) -> "Forest":
        """Copy trees that scikit-learn grew (`estimator.tree_`) on scaled deviations.

        Args:
            trees: What values less `constant`, over `scale`, were learned by.
            constant: Of the values.
            scale: Of the values.
        """
        counts = [tree.node_count for tree in trees]
        roots = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        parts = [_nodes(tree, int(root)) for tree, root in zip(trees, roots, strict=True)]
        depths = np.array([int(tree.max_depth) for tree in trees])
        feature, threshold, children, mean, variance = map(np.concatenate, zip(*parts, strict=True))
        return cls(
            constant, roots, depths, feature, threshold, children, mean * scale, variance * scale**2
        )

    def at(
        self, X: NDArray[np.float64], *, out_of: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (n,) means and standard deviations at (n, d) features.

        Args:
            X: The features.
            out_of: (n_trees, n) which trees have a say on which row; all if None. A row on which
                none has a say gets that of all.
        """
        rows: NDArray[np.float32] = X.astype(np.float32)
        mean, std = np.empty(len(X)), np.empty(len(X))
        for start in range(0, len(X), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            voters = None if out_of is None else out_of[:, chunk]
            mean[chunk], std[chunk] = self._at(rows[chunk], voters)
        return mean, std

    def _at(
        self, X: NDArray[np.float32], voters: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        totals, squares, within = np.zeros((3, len(X)))
        if voters is not None:
            voters = voters | ~voters.any(axis=0)
        for tree in range(len(self.roots)):
            leaves = self._leaves(X, tree)
            weight = 1.0 if voters is None else voters[tree]
            means = self.mean[leaves]
            totals += weight * means
            squares += weight * means**2
            within += weight * self.variance[leaves]
        n_votes = len(self.roots) if voters is None else voters.sum(axis=0)
        mean = totals / n_votes
        between = np.maximum(squares / n_votes - mean**2, 0.0)
        return mean + self.constant, np.sqrt(between + within / n_votes)

    def _leaves(self, X: NDArray[np.float32], tree: int) -> NDArray[np.int64]:
        """Return the (n,) leaf that each row falls into."""
        values, first = X.ravel(), np.arange(len(X)) * X.shape[1]
        nodes = np.full(len(X), self.roots[tree])
        for _ in range(self.depths[tree]):
            looked_at = values.take(first + self.feature.take(nodes))
            nodes = self.children.take(2 * nodes + (looked_at > self.threshold.take(nodes)))
        return nodes

    def state(self) -> State:
        """Return the arrays."""
        return {
            "constant": np.array(self.constant),
            **{name: getattr(self, name) for name in _ARRAYS},
        }

    @classmethod
    def from_state(cls, state: State) -> "Forest":
        """Read what `state` gave."""
        return cls(
            constant=float(array_of(state, "constant", n_dimensions=0)),
            **{name: array_of(state, name, n_dimensions=1) for name in _ARRAYS},
        )


# Of one dimension each.
_ARRAYS = ("roots", "depths", "feature", "threshold", "children", "mean", "variance")


def _nodes(tree: Any, root: int) -> tuple[NDArray[Any], ...]:
    """Return one tree's arrays, its nodes numbered from `root`."""
    own = np.arange(tree.node_count) + root
    leaf = tree.children_left < 0
    return (
        np.where(leaf, 0, tree.feature).astype(np.int64),
        np.where(leaf, np.inf, tree.threshold),
        np.where(leaf, own, [tree.children_left + root, tree.children_right + root]).T.ravel(),
        tree.value[:, 0, 0].astype(np.float64),
        np.maximum(tree.impurity, 0.0),
    )
