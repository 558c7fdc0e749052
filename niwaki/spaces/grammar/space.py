"""A grammar as a search space: candidates hold one decision, the tree."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.core.excerpt import excerpt, listed
from niwaki.core.registry import nearest
from niwaki.spaces.base import Choose
from niwaki.spaces.grammar.attributes import Evaluation
from niwaki.spaces.grammar.check import require_sound, why_nothing_applies
from niwaki.spaces.grammar.costs import Budget
from niwaki.spaces.grammar.counting import Counting, TooManyStatesError, largest_size
from niwaki.spaces.grammar.crossover import cross
from niwaki.spaces.grammar.derive import Derived, Hole, Pick, Promise
from niwaki.spaces.grammar.distance import distance
from niwaki.spaces.grammar.encoding import Encoder, Encoding
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import Grammar, Production
from niwaki.spaces.grammar.mutation import mutate
from niwaki.spaces.grammar.picking import by_weight
from niwaki.spaces.grammar.rates import (
    greatest_heights,
    least_operations,
    require_termination,
)
from niwaki.spaces.grammar.retracing import Retracing
from niwaki.spaces.grammar.sizes import SizeCounts, by_size
from niwaki.spaces.grammar.spelling import read_tree
from niwaki.spaces.grammar.tilting import tilted
from niwaki.spaces.grammar.tree import Tree, tree_from_value
from niwaki.spaces.grammar.variation import Change, Engine
from niwaki.spaces.joint import WholeSpace

TREE = "tree"
_MOST_LISTED = 2_000
_LARGEST_LISTED = 64
_MOST_COUNTED = 20_000
_MOST_SUMS = 500_000
_MOST_DRAWS = 16
_MOST_ALIKE = 1_000
_LARGEST_FORESEEN = 3
_MORE_SLACK = 8
_MOST_TREES = 2_000


@dataclass(frozen=True)
class GrammarSpace(WholeSpace):
    """The trees that a grammar derives within a budget.

    A candidate is `{"tree": nested tuples}`, always in canonical form, so two spellings of one
    network are one candidate.

    Attributes:
        grammar: What networks are made of.
        budget: What each may cost; held by construction.
        expected_operations: Weights are tilted so that derivations have this many operations on
            average (attributes and budget aside); None leaves them as they are.
        sampling: `weights`: top-down, by the productions' weights. `sizes`: sizes even over their
            logarithm, and among the trees of one size by the weights, as far as attributes and the
            budget allow. `trees`: the same, but all trees of one size alike.
            `uniform`: every tree of at most that size equally likely, by exact counting, for small
            sizes only; limits other than on operations cannot be set. Networks that several trees
            are, by identities or by branches that commute, are as likely as the others where all
            trees are listed, which is up to two thousand; beyond, as likely as so many trees.
        largest_sample: Most operations of a sample; None for those of the budget. Mutation and
            crossover may go up to the budget.
        proposal: Grammar that samples are drawn from, by its weights: it may draw as a whole what
            `grammar` derives piece by piece, but all its trees must derive from `grammar`. Its
            weights are tilted in place of the grammar's. None draws from `grammar`.
        slack: Lookahead beyond the lowest derivations; more finds more ways to a wanted output. It
            is raised by itself as far as it takes to know of one, if few attributes are on the way.
        encoding: Features for predictors.
        prefers: Says of what a tree gives whether a sample of it is good enough; others are drawn
            again, up to sixteen times, and sizes that have no such tree are not drawn, as far as
            this can be counted. It changes nothing about which trees are candidates. None takes the
            first.

    Raises:
        SpaceError: If the grammar has errors, does not end, or no tree is within the budget.
    """

    grammar: Grammar
    budget: Budget = field(default_factory=Budget)
    expected_operations: float | None = None
    sampling: Literal["weights", "sizes", "trees", "uniform"] = "weights"
    largest_sample: int | None = None
    proposal: Grammar | None = None
    slack: int = 0
    encoding: Encoding = field(default_factory=Encoding)
    prefers: Callable[[Attribute], bool] | None = None

    def __post_init__(self) -> None:
        require_sound(self.grammar)
        if self.sampling not in ("weights", "sizes", "trees", "uniform"):
            known = "'weights', 'sizes', 'trees' or 'uniform'"
            raise SpaceError(f"sampling is {known}, but {self.sampling!r} came")
        if self.proposal is not None:
            self._require_proposal(self.proposal)
        if self.expected_operations is None and self.sampling == "weights":
            require_termination(self.proposal or self.grammar)
        if self.sampling == "uniform":
            self._require_countable()
            if self.prefers is not None:
                raise SpaceError("uniform sampling has no preferences: leave out `prefers`")
        for engine in (self.engine, self.sampler):
            self._require_tree(engine)

    def _require_tree(self, engine: Engine) -> None:
        if _promised(engine) is None:
            wanted = self.grammar.output
            output = "" if wanted is None else f" and the output {wanted!r}"
            raise SpaceError(
                f"no tree is known to derive from '{engine.grammar.start}' with the input "
                f"{self.grammar.input!r}{output} within {engine.budget}: {self._why_none(engine)}"
            )

    def _why_none(self, engine: Engine) -> str:
        """Return what to do where nothing is known to be within the budget."""
        least = _least(engine)
        if least > engine.budget.operations:
            return f"the smallest has {least} operations: raise the budget, or `largest_sample`"
        if engine.deriver.overworked:
            return (
                "there are too many small ones that cost more and less in different ways to look "
                "at all: raise the budget, or give productions fewer alternatives"
            )
        lookahead = engine.deriver.lookahead
        for _, cost, _ in lookahead.outcomes(engine.grammar.start, engine.grammar.input):
            if excess := engine.budget.excess(cost):
                return f"a small one costs too much ({excess}): raise the budget"
        return (
            "raise the budget or `slack`, or see why operations do not apply "
            f"({why_nothing_applies(engine.grammar)})"
        )

    def _require_proposal(self, proposal: Grammar) -> None:
        require_sound(proposal)
        if self.sampling != "weights":
            raise SpaceError("a proposal is drawn from by its weights: set sampling to 'weights'")
        if proposal.input != self.grammar.input or proposal.output != self.grammar.output:
            raise SpaceError("a proposal has the input and the output of the grammar itself")

    def _require_countable(self) -> None:
        limits = (self.budget.parameters, self.budget.macs, self.budget.elements)
        if any(limit is not None for limit in limits):
            raise SpaceError(
                "uniform sampling counts operations only: leave out the limits on parameters, "
                "macs and elements, or sample by weights"
            )

    def __getstate__(self) -> dict[str, object]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def engine(self) -> Engine:
        """The grammar with its tables, weights tilted."""
        grammar = self._weighted
        if self.expected_operations is not None:
            grammar = tilted(grammar, operations=self.expected_operations)
        return Engine(grammar, self.budget, slack=self._slack)

    @cached_property
    def _weighted(self) -> Grammar:
        """The grammar, without weights where sampling knows none."""
        return self.grammar.unweighted if self.sampling == "uniform" else self.grammar

    @cached_property
    def _slack(self) -> int:
        """The slack, and more where only more of it is known to keep the budget and the output."""
        for slack in range(self.slack, self.slack + _MORE_SLACK):
            engine = Engine(self._weighted, self.budget, slack=slack)
            if _promised(engine) is not None:
                return slack
            if engine.deriver.overworked or _least(engine) > engine.budget.operations:
                break  # the next ones would take longer still, or find nothing either
        return self.slack

    @cached_property
    def sampler(self) -> Engine:
        """The engine that samples are drawn with."""
        most = self.budget.operations
        most = most if self.largest_sample is None else min(most, self.largest_sample)
        if self.proposal is None and most == self.budget.operations:
            return self.engine
        grammar = self.engine.grammar
        if self.proposal is not None:
            grammar = self.proposal
            if self.expected_operations is not None:
                grammar = tilted(grammar, operations=self.expected_operations)
        return Engine(grammar, replace(self.budget, operations=most), slack=self._slack)

    @cached_property
    def counting(self) -> Counting:
        """Exact counts of trees by size."""
        return Counting(self.engine.attributes)

    def decide(self, choose: Choose) -> Candidate:
        return self.candidate(self.engine.derive(_asking(choose)).tree)

    def answers(self, candidate: Candidate) -> Mapping[str, Value]:
        tree, found = self.tree(candidate), dict[str, Value]()
        retracing = Retracing(self.engine.attributes, tree)

        def pick(
            hole: Hole, ways: Sequence[Production], possible: Callable[[Production], bool]
        ) -> Production | None:
            name = _names(ways)[ways.index(retracing.way(hole, ways))]

            def answer(path: str, options: Sequence[Value]) -> Value:  # noqa: ARG001
                found[path] = name
                return name

            return _asking(answer)(hole, ways, possible)

        if self.engine.derive(pick).tree != tree:
            raise SpaceError(f"no derivation of '{tree.shown}' is known")
        return found

    def sample(self, rng: np.random.Generator) -> Candidate:
        drawn = self._drawn(rng)
        for _ in range(_MOST_DRAWS - 1):
            if self.prefers is None or self.prefers(drawn.output):
                break
            drawn = self._drawn(rng)
        return self._of_form(self.engine.canonical.of(*drawn))

    def _drawn(self, rng: np.random.Generator) -> Derived:
        sampler = self.sampler
        if self.sampling == "uniform":
            return self._drawn_alike(rng)
        if self.sampling != "weights":
            return by_size(sampler, self._untyped, rng)
        drawn = sampler.derive(by_weight(rng))
        return drawn if self.proposal is None else self._retold(drawn.tree)

    def _drawn_alike(self, rng: np.random.Generator) -> Derived:
        """Draw among all trees, and again where one nests or repeats more than the budget has."""
        if self._alike:
            tree = self._alike[int(rng.integers(len(self._alike)))]
            return Derived(tree, self.engine.attributes.whole(tree).output)
        for _ in range(_MOST_ALIKE):
            tree = self.counting.sample_up_to(rng, self.sampler.budget.operations)
            found = self.engine.attributes.whole(tree)
            excess = self.budget.excess(found.cost)
            if not excess:
                return Derived(tree, found.output)
        raise SpaceError(
            f"of {_MOST_ALIKE} trees drawn alike none is within the budget (the last: {excess}): "
            "lower `largest_sample`, raise the budget, or sample by sizes"
        )

    @cached_property
    def _alike(self) -> tuple[Tree, ...]:
        """The canonical forms of few trees, which several may have; none if there are many."""
        if not self._are_few:
            return ()
        largest = int(min(self._largest, self.sampler.budget.operations))
        return tuple(self._forms(Counting(self.engine.drawn), largest))

    def _retold(self, tree: Tree) -> Derived:
        """Take a tree of the proposal for one of this grammar."""
        own = self._flattened(tree)
        found = self.engine.attributes.whole(own)
        if found.fault:
            raise SpaceError(found.fault)
        return Derived(own, found.output)

    @cached_property
    def _untyped(self) -> SizeCounts:
        grammar, alike = self.engine.grammar, self.sampling == "trees"
        return SizeCounts(grammar, alike=alike, unwanted=frozenset(self._unwanted()))

    def _unwanted(self) -> Iterator[int]:
        """Yield small sizes of which no tree is preferred: they would be drawn again for sure."""
        if self.prefers is None:
            return
        counting = Counting(self.engine.attributes, most_states=_MOST_COUNTED, most_sums=_MOST_SUMS)
        for size in range(1, _LARGEST_FORESEEN + 1):
            try:
                outputs = counting.outputs(size)
            except TooManyStatesError:
                return
            if not any(map(self.prefers, outputs)):
                yield size

    def _flattened(self, tree: Tree) -> Tree:
        """Flatten the sequences of this grammar in a tree of the proposal."""
        if not tree.children:
            return tree
        children: list[Tree] = []
        for child in map(self._flattened, tree.children):
            joins = child.children and child.label == tree.label in self.grammar.sequences
            children.extend(child.children if joins else (child,))
        return Tree(tree.label, tuple(children))

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        return self.candidate(self.mutation(self.tree(candidate), rng).tree)

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        change = self.recombination(self.tree(first), self.tree(second), rng)
        return self.candidate(change.tree)

    def mutation(self, tree: Tree, rng: np.random.Generator) -> Change:
        """Return a neighbour of `tree`, with what was changed and how local it was."""
        return mutate(self.engine, tree, rng)

    def recombination(self, first: Tree, second: Tree, rng: np.random.Generator) -> Change:
        """Return a child of two trees, with what was changed and how local it was."""
        return cross(self.engine, first, second, rng)

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        trees = [self.tree(candidate) for candidate in candidates]
        rows = [self._encoder.of(tree) for tree in trees]
        return np.array(rows).reshape(len(rows), len(self.columns))

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.encoding, self.engine.attributes)

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns of `encode`."""
        return self.encoding.names(self.engine.attributes)

    @cached_property
    def size(self) -> int | float:
        """Number of candidates, or infinity if it is not known.

        Trees that need productions of weight 0 are not counted, unless sampling is uniform.
        Up to two thousand small trees are listed, and their canonical forms counted. Beyond, the
        number of trees is given if the grammar has no identities and no commuting branches, so that
        every tree is canonical, and only operations are limited; otherwise infinity.
        """
        if self._are_few:
            return sum(1 for _ in self._forms(Counting(self.engine.drawn), int(self._largest)))
        plain = not any(each.traits for each in self.grammar.terminals.values())
        return self._n_trees if plain and not self._limits() else math.inf

    @cached_property
    def _n_trees(self) -> int | float:
        """Number of trees, whatever else than operations may rule out; infinity if unknown."""
        counting = Counting(self.engine.drawn, most_states=_MOST_COUNTED, most_sums=_MOST_SUMS)
        try:
            return counting.count_up_to(int(self._largest))
        except TooManyStatesError:
            return math.inf

    @property
    def _are_few(self) -> bool:
        """Whether all trees can be listed."""
        return self._n_trees <= _MOST_LISTED and self._largest <= _LARGEST_LISTED

    def listing(self) -> Iterator[Candidate] | None:
        # A walk meets a sequence in all ways to nest it: ten operations in 4,862.
        if math.isinf(self.size):
            return None
        counting = Counting(self.engine.drawn)
        return map(self._of_form, self._forms(counting, int(self._largest)))

    @property
    def _largest(self) -> int | float:
        """The most operations of a tree that is drawn."""
        return min(largest_size(self.engine.grammar.drawn), self.budget.operations)

    def _forms(self, counting: Counting, largest: int) -> Iterator[Tree]:
        """Yield the canonical forms of all trees within the budget, each once."""
        met: set[Tree] = set()
        for tree in (tree for n in range(1, largest + 1) for tree in counting.enumerate(n)):
            if self.engine.fault(tree):
                continue
            form = self.engine.canonical.of(tree)
            if form not in met:
                met.add(form)
                yield form

    def _limits(self) -> bool:
        """Whether anything but operations may rule a tree out."""
        budget = self.budget
        limits = (budget.parameters, budget.macs, budget.elements)
        copies = any(n > 1 for way in self.grammar.productions for _, n in way.holes)
        return any(limit is not None for limit in limits) or copies or self._deep()

    def _deep(self) -> bool:
        """Whether the limit on depth may rule a tree out."""
        items = self.grammar.sequences
        flat = {  # whose items are of its own symbol, and never it again
            way
            for way in self.grammar.productions
            if not way.renames and items.get(way.label) == way.symbol
        }
        nesting = tuple(way for way in self.grammar.productions if way not in flat)
        heights = greatest_heights(replace(self.grammar, productions=nesting))
        kinds = {(way.symbol, way.label) for way in flat}
        takes_turns = len(kinds) > len({symbol for symbol, _ in kinds})
        if set(heights) >= set(self.grammar.by_symbol) and not takes_turns:
            # A sequence may stand on each level, and a symbol of sequences alone ends in one more.
            return 2 * max(heights.values()) > self.budget.depth
        return self.budget.operations - 1 > self.budget.depth

    def canonical(self, decisions: Mapping[str, Value]) -> Candidate:
        if TREE not in decisions:
            raise SpaceError(
                f"decision '{TREE}' is missing{nearest(TREE, list(decisions))} A candidate of a "
                "grammar is {'tree': nested lists, or text such as 'seq(relu, linear(d=64))'}"
            )
        tree = decisions[TREE]
        return self.candidate(tree if isinstance(tree, str) else tree_from_value(tree))

    def tree(self, candidate: Candidate) -> Tree:
        """Return the tree that a candidate holds."""
        if TREE not in candidate.decisions:
            raise SpaceError(f"the candidate has no decision '{TREE}': it is of another space")
        tree = self._trees.get(candidate)
        return tree_from_value(candidate.decisions[TREE]) if tree is None else tree

    @cached_property
    def _trees(self) -> dict[Candidate, Tree]:
        """Trees of candidates that were made lately: reading one takes long."""
        return {}

    def candidate(self, tree: Tree | str) -> Candidate:
        """Return the candidate of a tree, or of a tree's text, in canonical form.

        Raises:
            SpaceError: If it does not derive from this grammar, or breaks the budget.
        """
        spelled = read_tree(tree) if isinstance(tree, str) else tree
        if fault := self.engine.attributes.whole(spelled).fault:
            raise SpaceError(fault)
        return self._of_form(self.engine.canonical.of(spelled))

    def _of_form(self, form: Tree) -> Candidate:
        if fault := self.engine.fault(form):
            raise SpaceError(fault)
        candidate = Candidate.of({TREE: form.to_value()})
        if len(self._trees) >= _MOST_TREES:
            self._trees.clear()
        self._trees[candidate] = form
        return candidate

    def evaluation(self, candidate: Candidate) -> Evaluation:
        """Return what a candidate's network gives, and what it costs."""
        return self.engine.attributes.whole(self.tree(candidate))

    def distance(self, first: Candidate, second: Candidate) -> float:
        """Return how many nodes have to be edited to turn one into the other; a metric."""
        return distance(self.tree(first), self.tree(second))


def _promised(engine: Engine) -> Promise | None:
    """Return that there is a tree within the budget, if that is known."""
    if _least(engine) > engine.budget.operations:
        return None
    return engine.deriver.promise(engine.root(), engine.budget.purse)


def _least(engine: Engine) -> int:
    """Return the operations of the smallest tree, attributes aside."""
    return least_operations(engine.grammar)[engine.grammar.start]


def _asking(choose: Choose) -> Pick:
    """Let `choose` pick among all productions that are possible.

    A hole's path names its place and symbol, and which options it has where some are impossible:
    so one path always has the same options.
    """

    def pick(hole: Hole, ways: Sequence[Production], possible: object) -> Production | None:
        assert callable(possible)
        names = _names(ways)
        open_ways = [index for index, way in enumerate(ways) if possible(way)]
        if len(open_ways) < 2:
            return ways[open_ways[0]] if open_ways else None
        path = ".".join(map(str, hole.path)) or "root"
        mask = "" if len(open_ways) == len(ways) else f"~{sum(1 << i for i in open_ways):x}"
        options: list[Value] = [names[index] for index in open_ways]
        answer = choose(f"{path}:{hole.symbol}{mask}", options)
        if answer not in options:
            given = excerpt(repr(answer))
            raise SpaceError(f"decision '{path}' is {given}, which is not one of {listed(options)}")
        return ways[open_ways[options.index(answer)]]

    return pick


def _names(ways: Sequence[Production]) -> list[str]:
    """Spell productions, each in its own way."""
    names: list[str] = []
    n_before: Counter[str] = Counter()
    for way in ways:
        spelled = way.spelled
        n_before[spelled] += 1
        names.append(f"{spelled} #{n_before[spelled]}" if n_before[spelled] > 1 else spelled)
    return names
