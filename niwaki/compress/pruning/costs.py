"""Multiply-accumulates and parameters of a pruned model, from how many channels each group keeps.

Nothing is rebuilt: each convolution costs a constant times the product of two widths, and each
width is a sum over the groups that it is made of. A thousand candidates are a few matrix products.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kept: TypeAlias = Ints | Floats | Sequence[int]


@dataclass(frozen=True, eq=False)
class Products:
    """A sum of products of widths.

    Attributes:
        coefficients: (n_terms,) constant of each product.
        factors: (n_terms, n_factors) row numbers of `CostModel.per_unit`; row 0 is the constant 1.
        owners: Module path of each convolution or linear layer, or name of each parameter.
    """

    coefficients: Floats
    factors: Ints
    owners: tuple[str, ...]

    @classmethod
    def of(cls, terms: Sequence[tuple[str, float, Sequence[int]]]) -> "Products":
        """Collect (owner, coefficient, widths)."""
        longest = max((len(widths) for _, _, widths in terms), default=1)
        factors = np.zeros((len(terms), max(longest, 1)), np.int64)
        for row, (_, _, widths) in enumerate(terms):
            factors[row, factors.shape[1] - len(widths) :] = widths
        return cls(
            np.array([coefficient for _, coefficient, _ in terms], np.float64),
            factors,
            tuple(owner for owner, _, _ in terms),
        )

    def only(self, terms: Sequence[int]) -> "Products":
        """Return the sum of some of the products, by their numbers."""
        rows = np.array(terms, np.int64)
        owners = tuple(self.owners[row] for row in terms)
        return Products(self.coefficients[rows], self.factors[rows], owners)


@dataclass(frozen=True, eq=False)
class CostModel:
    """Costs as functions of the number of units that each group keeps.

    Attributes:
        groups: Names of the groups, in the order of the columns of `kept`.
        n_units: (n_groups,) units of the whole model.
        fixed: (n_widths,) part of each width that no group touches.
        per_unit: (n_widths, n_groups) channels that one unit of each group adds to each width.
        macs_of: Products for multiply-accumulates of one example.
        params_of: Products for parameters.
        weights_of: For each product of `macs_of`, the names of the parameters that an operand was
            made of; one set for each operand that no input has a part in.
    """

    groups: tuple[str, ...]
    n_units: Ints
    fixed: Floats
    per_unit: Floats
    macs_of: Products
    params_of: Products
    weights_of: tuple[tuple[frozenset[str], ...], ...]

    def without(self, parameters: Collection[str]) -> "CostModel":
        """Return the costs of a model in which some parameters, by name, are not there.

        Neither is a product, one operand of which was made of nothing else.
        """
        gone = frozenset(parameters)
        terms = [
            term
            for term, weights in enumerate(self.weights_of)
            if not any(weight <= gone for weight in weights)
        ]
        names = self.params_of.owners
        return replace(
            self,
            macs_of=self.macs_of.only(terms),
            params_of=self.params_of.only([i for i, name in enumerate(names) if name not in gone]),
            weights_of=tuple(self.weights_of[term] for term in terms),
        )

    def of_groups(self, columns: Sequence[int]) -> "CostModel":
        """Return the costs as functions of some groups, by their columns; others stay whole."""
        others = np.setdiff1d(np.arange(len(self.groups)), columns)
        return replace(
            self,
            groups=tuple(self.groups[column] for column in columns),
            n_units=self.n_units[list(columns)],
            fixed=self.fixed + self.per_unit[:, others] @ self.n_units[others],
            per_unit=self.per_unit[:, list(columns)],
        )

    def macs(self, kept: Kept) -> Floats:
        """Return the multiply-accumulates of one example, in convolutions and matrix products.

        Args:
            kept: (n_groups,) or (n, n_groups) units that each group keeps.

        Returns:
            () or (n,) float64.
        """
        return self._sum(self.macs_of, kept)

    def params(self, kept: Kept) -> Floats:
        """Return the number of parameters, in the same way as `macs`."""
        return self._sum(self.params_of, kept)

    def macs_per_layer(self, kept: Kept) -> Floats:
        """Return (..., n_terms) multiply-accumulates, in the order of `macs_of.owners`."""
        return self._terms(self.macs_of, kept)

    def params_per_tensor(self, kept: Kept) -> Floats:
        """Return (..., n_terms) numbers of parameters, in the order of `params_of.owners`."""
        return self._terms(self.params_of, kept)

    def widths_per_layer(self, kept: Kept) -> Floats:
        """Return (..., n_terms, n_factors) widths of each layer; first 1 where there is no other.

        The last is its output channels; before it are its inputs, for a convolution of one group.
        """
        return self._widths(kept)[..., self.macs_of.factors]

    @property
    def whole(self) -> Ints:
        """(n_groups,) counts of the model as it is."""
        return self.n_units

    def _widths(self, kept: Kept) -> Floats:
        widths: Floats = np.asarray(kept, np.float64) @ self.per_unit.T + self.fixed
        return widths

    def _terms(self, products: Products, kept: Kept) -> Floats:
        factors = self._widths(kept)[..., products.factors]
        terms: Floats = products.coefficients * factors.prod(-1)
        return terms

    def _sum(self, products: Products, kept: Kept) -> Floats:
        total: Floats = self._terms(products, kept).sum(-1)
        return total
