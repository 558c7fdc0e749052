"""Joint spaces: named parts, the later ones depending on what the earlier ones decided."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import SEPARATOR, Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.spaces.base import Choose, EnumerableSpace, Space
from niwaki.spaces.walks import at_random, every_candidate, recombine, resample


class DependentSpace(ABC):
    """A part that depends on earlier parts: a layer that is not there has no precision."""

    @property
    @abstractmethod
    def reads(self) -> Mapping[str, frozenset[str]]:
        """The decisions that `given` looks at: paths, by name of the earlier part."""

    @abstractmethod
    def given(self, earlier: Mapping[str, Candidate]) -> Space:
        """Return the space that is left once the earlier parts are decided."""

    @property
    def switches(self) -> frozenset[str] | None:
        """As `Space.switches`, of this part's own decisions, whatever came earlier."""
        return None

    def n_together(self, earlier: Mapping[str, Space]) -> int | None:  # noqa: ARG002
        """Return how many candidates all earlier parts and this one have together.

        None if that takes a look at all that this part reads of them, which may be much.
        """
        return None

    @abstractmethod
    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return (n, d) features of this part's candidates, the same d whatever came earlier."""

    @property
    def encoded_paths(self) -> Sequence[str] | None:
        """As `Space.encoded_paths`."""
        return None


class WholeSpace(Space):
    """A space that draws, spells and varies its candidates as wholes, trees for example.

    Its candidates' decisions are not those that its walk asks for, so a joint space does not answer
    the walk in its place, but leaves `sample`, `mutate`, `crossover` and `canonical` to it.
    """


@dataclass(frozen=True)
class JointSpace(Space):
    """The product of named parts, such as architecture x quantization.

    A neighbour differs in a few decisions of any parts; where there are whole parts, in one part,
    with later ones kept as far as they still fit. A child takes decisions from either parent, and
    of a whole part that part's own child, or a parent's.

    Attributes:
        parts: Parts by name, in the order of deciding. Paths get `name/` in front.

    Raises:
        SpaceError: If a name is empty or holds a slash, or the first part depends on others.
    """

    parts: Mapping[str, Space | DependentSpace]

    def __post_init__(self) -> None:
        if not self.parts:
            raise SpaceError("a joint space needs at least one part")
        for name in self.parts:
            if not name or SEPARATOR in name:
                raise SpaceError(f"part name '{name}' must not be empty or hold a '{SEPARATOR}'")
        first = next(iter(self.parts))
        if isinstance(self.parts[first], DependentSpace):
            raise SpaceError(f"part '{first}' depends on earlier parts, but it is the first")

    def decide(self, choose: Choose) -> Candidate:
        return self._walk(lambda name, space: space.decide(_within(name, choose)))

    def _walk(self, decide: Callable[[str, Space], Candidate]) -> Candidate:
        """Let `decide` fill the parts in order, each in the space that the earlier ones leave."""
        decided: dict[str, Candidate] = {}
        items: list[tuple[str, Value]] = []
        for name, part in self.parts.items():
            space = part.given(decided) if isinstance(part, DependentSpace) else part
            decided[name] = decide(name, space)
            items.extend(decided[name].prefixed(name).items)
        return Candidate.of(items)

    def listing(self) -> Iterator[Candidate] | None:
        return self._listed(tuple(self.parts), {}) if _is_whole(self) else None

    def _listed(
        self, names: tuple[str, ...], decided: Mapping[str, Candidate]
    ) -> Iterator[Candidate]:
        """Yield what the parts `names` can be, given the earlier ones, as each part lists them."""
        if not names:
            parts = (own.prefixed(name).items for name, own in decided.items())
            yield Candidate.of(item for items in parts for item in items)
            return
        name, later = names[0], names[1:]
        part = self.parts[name]
        space = part.given(decided) if isinstance(part, DependentSpace) else part
        for own in every_candidate(space):
            yield from self._listed(later, {**decided, name: own})

    def answers(self, candidate: Candidate) -> Mapping[str, Value]:
        found: dict[str, Value] = {}

        def retrace(name: str, space: Space) -> Candidate:
            own = candidate.part(name)
            found.update({f"{name}{SEPARATOR}{p}": v for p, v in space.answers(own).items()})
            return own

        self._walk(retrace)
        return found

    def sample(self, rng: np.random.Generator) -> Candidate:
        if not _is_whole(self):
            return self.decide(at_random(rng))
        return self._walk(lambda _, space: space.sample(rng))

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        if not _is_whole(self):
            return resample(self, candidate, rng)
        names = list(self.parts)
        for index in rng.permutation(len(names)):
            mutant = self._with_mutant(candidate, names[int(index)], rng)
            if mutant != candidate:
                return mutant
        return candidate

    def _with_mutant(
        self, candidate: Candidate, changed: str, rng: np.random.Generator
    ) -> Candidate:
        """Mutate one part; parts behind it keep what still fits."""

        def decide(name: str, space: Space) -> Candidate:
            own = candidate.part(name)
            return space.mutate(own, rng) if name == changed else _fitted(space, (own,), rng)

        return self._walk(decide)

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        if not _is_whole(self):
            return recombine(self, first, second, rng)

        def decide(name: str, space: Space) -> Candidate:
            parents = first.part(name), second.part(name)
            both = all(space.contains(parent) for parent in parents)
            if _is_whole(space) and both and rng.random() < 0.5:
                return space.crossover(*parents, rng)
            return _fitted(space, parents, rng)

        return self._walk(decide)

    def canonical(self, decisions: Mapping[str, Value]) -> Candidate:
        if not _is_whole(self):
            return super().canonical(decisions)
        given = Candidate.of(decisions)

        def spell(name: str, space: Space) -> Candidate:
            try:
                return space.canonical(given.part(name).decisions)
            except SpaceError as fault:
                raise SpaceError(f"in part '{name}': {fault}") from fault

        return self._walk(spell)

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        parts = self._parted(candidates)
        return np.concatenate([p.encode(parts[name]) for name, p in self.parts.items()], axis=1)

    @property
    def encoded_paths(self) -> list[str] | None:
        found: list[str] = []
        for name, part in self.parts.items():
            if (paths := part.encoded_paths) is None:
                return None
            found += [f"{name}/{path}" for path in paths]
        return found

    def _parted(self, candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
        """Return what `Candidate.part` gives, for all parts of many candidates at once.

        Paths are sorted, so the decisions of a part stand together; where they begin and end, and
        what they are called there, is looked up once for all candidates with the same paths.
        """
        parted: dict[str, list[Candidate]] = {name: [] for name in self.parts}
        known: dict[tuple[str, ...], list[tuple[str, slice, tuple[str, ...]]]] = {}
        for candidate in candidates:
            paths = tuple(path for path, _ in candidate.items)
            if paths not in known:
                known[paths] = [(name, *_stretch(paths, name + SEPARATOR)) for name in self.parts]
            values = [value for _, value in candidate.items]
            for name, stretch, inner in known[paths]:
                parted[name].append(Candidate(tuple(zip(inner, values[stretch], strict=True))))
        return parted

    @cached_property
    def switches(self) -> frozenset[str] | None:
        found: set[str] = set()
        for name, part in self.parts.items():
            if part.switches is None:
                return None
            found |= {name + SEPARATOR + path for path in part.switches | self._read_of(name)}
        return frozenset(found)

    @cached_property
    def size(self) -> int | float:
        *earlier, (_, last) = self.parts.items()
        independent = {name: part for name, part in earlier if isinstance(part, Space)}
        if isinstance(last, DependentSpace) and len(independent) == len(earlier):
            known = last.n_together(independent)
            if known is not None:
                return known
        return self._count(tuple(self.parts), {})

    def _count(self, names: tuple[str, ...], decided: Mapping[str, Candidate]) -> int | float:
        """Count the candidates of the parts `names`, given what is decided of the earlier ones."""
        if not names:
            return 1
        name, later = names[0], names[1:]
        part = self.parts[name]
        space = part.given(decided) if isinstance(part, DependentSpace) else part
        read = self._read_of(name)
        if not read:
            return _product(space.size, self._count(later, decided))
        if not isinstance(space, EnumerableSpace):
            return math.inf
        counts = [
            _product(n, self._count(later, {**decided, name: seen}))
            for seen, n in space.projections(read)
        ]
        return math.inf if math.inf in counts else sum(counts)

    def _read_of(self, name: str) -> frozenset[str]:
        dependent = [part for part in self.parts.values() if isinstance(part, DependentSpace)]
        return frozenset().union(*(part.reads.get(name, frozenset()) for part in dependent))


def _product(first: int | float, second: int | float) -> int | float:
    """Multiply counts: Python cannot, if one is infinite and the other beyond all floats."""
    return math.inf if math.inf in (first, second) else first * second


def _is_whole(space: Space) -> bool:
    """Whether candidates of a space cannot be varied by answering its walk."""
    if isinstance(space, JointSpace):
        return any(isinstance(part, Space) and _is_whole(part) for part in space.parts.values())
    return isinstance(space, WholeSpace)


def _fitted(space: Space, parents: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
    """Return a candidate of `space` that takes its decisions from parents, as far as they fit."""
    if _is_whole(space):
        fitting = [parent for parent in parents if space.contains(parent)]
        return fitting[int(rng.integers(len(fitting)))] if fitting else space.sample(rng)

    def choose(path: str, options: Sequence[Value]) -> Value:
        known = [each.decisions[path] for each in parents if path in each.decisions]
        kept = [value for value in known if value in options]
        pool = kept or options
        return pool[int(rng.integers(len(pool)))]

    return space.decide(choose)


def _stretch(paths: tuple[str, ...], prefix: str) -> tuple[slice, tuple[str, ...]]:
    """Return where the paths with this prefix stand, and what follows it in each."""
    inside = [index for index, path in enumerate(paths) if path.startswith(prefix)]
    if not inside:
        return slice(0), ()
    inner = tuple(paths[index][len(prefix) :] for index in inside)
    return slice(inside[0], inside[-1] + 1), inner


def _within(name: str, choose: Choose) -> Choose:
    def choose_within(path: str, options: Sequence[Value]) -> Value:
        return choose(name + SEPARATOR + path, options)

    return choose_within
