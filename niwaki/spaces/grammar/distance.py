"""A distance between trees that is a metric.

References:
    Selkow, Information Processing Letters 1977, "The tree-to-tree editing problem": relabel a node,
    insert or delete a leaf. Here an operation that only changes its parameters costs one half.
"""

from niwaki.spaces.grammar.tree import Tree

_RENAMED = 1.0
_RETUNED = 0.5


def distance(first: Tree, second: Tree) -> float:
    """Return the cheapest way to edit one tree into the other, in nodes.

    Zero if and only if the trees are equal; symmetric; obeys the triangle inequality. Apply it to
    canonical forms to compare networks. Takes time in the product of the numbers of nodes, fewer
    where subtrees repeat.
    """
    return _distance(first, second, {})


def relative_distance(first: Tree, second: Tree) -> float:
    """Return the distance scaled to [0, 1), still a metric.

    References:
        The Steinhaus transform 2d / (|a| + |b| + d) of a metric, with the empty tree as its centre:
        Deza and Deza, "Encyclopedia of distances", 2009, section 4.1.
    """
    apart = distance(first, second)
    return 2.0 * apart / (first.n_nodes + second.n_nodes + apart)


def _distance(first: Tree, second: Tree, known: dict[tuple[Tree, Tree], float]) -> float:
    if first == second:
        return 0.0
    key = (first, second)
    if key not in known:
        known[key] = _relabel(first.label, second.label) + _align(first, second, known)
    return known[key]


def _relabel(first: str, second: str) -> float:
    if first == second:
        return 0.0
    return _RETUNED if first.partition("(")[0] == second.partition("(")[0] else _RENAMED


def _align(first: Tree, second: Tree, known: dict[tuple[Tree, Tree], float]) -> float:
    """Align the children in order; a child without a partner costs all its nodes."""
    row = [0.0]
    for child in second.children:
        row.append(row[-1] + child.n_nodes)
    for one in first.children:
        above, row = row, [row[0] + one.n_nodes]
        for column, other in enumerate(second.children):
            row.append(
                min(
                    above[column + 1] + one.n_nodes,
                    row[column] + other.n_nodes,
                    above[column] + _distance(one, other, known),
                )
            )
    return row[-1]
