"""Which symbols of a grammar derive each other: what is solved together, and in which order."""

from collections import deque
from collections.abc import Mapping, Sequence

from niwaki.spaces.grammar.grammar import Grammar


def uses(grammar: Grammar) -> dict[str, list[str]]:
    """Return the symbols among the children of each symbol's productions; weight 0 has none."""
    return {
        symbol: list(dict.fromkeys(s for w in ways if w.weight > 0.0 for s, _ in w.holes))
        for symbol, ways in grammar.by_symbol.items()
    }


def components(edges: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the strongly connected components, those that others lead to first.

    References:
        Tarjan, SIAM Journal on Computing 1972, "Depth-first search and linear graph algorithms";
        here with a stack of our own, so that long chains are no matter.
    """
    found: list[list[str]] = []
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: list[str] = []
    is_open: set[str] = set()
    for root in edges:
        path = [] if root in number else [(root, iter(edges[root]))]
        while path:
            node, rest = path[-1]
            if node not in number:
                number[node] = lowest[node] = len(number)
                open_nodes.append(node)
                is_open.add(node)
            following = next((n for n in rest if n in edges and _reaches(n, number, is_open)), None)
            if following is None:
                path.pop()
                _close(node, path[-1][0] if path else None, lowest)
                if lowest[node] == number[node]:
                    found.append(_popped(node, open_nodes, is_open))
            elif following in number:
                lowest[node] = min(lowest[node], number[following])
            else:
                path.append((following, iter(edges[following])))
    return found


def _reaches(node: str, number: Mapping[str, int], is_open: set[str]) -> bool:
    """Whether an edge to `node` says anything: it is new, or open still."""
    return node not in number or node in is_open


def _close(node: str, above: str | None, lowest: dict[str, int]) -> None:
    if above is not None:
        lowest[above] = min(lowest[above], lowest[node])


def _popped(node: str, open_nodes: list[str], is_open: set[str]) -> list[str]:
    members = [open_nodes.pop()]
    while members[-1] != node:
        members.append(open_nodes.pop())
    is_open.difference_update(members)
    return members[::-1]


def recurring(edges: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the nodes that lead back to themselves."""
    return {
        node
        for members in components(edges)
        for node in members
        if len(members) > 1 or node in edges[node]
    }


def shortest_cycle(node: str, edges: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a shortest way from a node back to itself, the node at both ends; empty if none."""
    came_from: dict[str, str] = {}
    waiting = deque([node])
    while waiting and node not in came_from:
        here = waiting.popleft()
        for following in edges.get(here, ()):
            if following not in came_from:
                came_from[following] = here
                waiting.append(following)
    if node not in came_from:
        return []
    way = [node, came_from[node]]
    while way[-1] != node:
        way.append(came_from[way[-1]])
    return way[::-1]
