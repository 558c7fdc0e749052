"""Small spaces of several resolutions, and which networks they have, listed the plain way."""

from collections.abc import Iterator, Mapping
from itertools import product

from niwaki.spaces.heads import Head, HeadKind, Shape
from niwaki.spaces.multi_resolution import MultiResolutionSettings, MultiResolutionSpace

DIGIT = Head("digit", HeadKind.VECTOR, 5)
SEGMENTATION = Head("segmentation", HeadKind.MAP, 4)
DEPTH = Head("depth", HeadKind.MAP, 1)
SETTINGS = MultiResolutionSettings(
    channels=(4, 6, 8),
    n_stages=2,
    n_blocks=2,
    hidden=(0.5, 1.0),
    decoders={"digit": (8, 12)},
    default_decoder=(4, 6),
)


def small_space() -> MultiResolutionSpace:
    """Return a space that builds in milliseconds."""
    return MultiResolutionSpace(SETTINGS, Shape(3, 16, 16, (DIGIT, SEGMENTATION, DEPTH)))


def tiny_space(*heads: Head, n_paths: int = 2, n_stages: int = 2) -> MultiResolutionSpace:
    """Return a space of one block per path and stage, which is there or not, and fixed decoders."""
    settings = MultiResolutionSettings(
        channels=(2, 4, 8)[:n_paths],
        n_stages=n_stages,
        n_blocks=1,
        hidden=(1.0,),
        default_decoder=(4,),
    )
    return MultiResolutionSpace(settings, Shape(1, 16, 16, heads))


# What; stage, or number of the head that reads; path, and a path that is added to it or -1.
Part = tuple[str, int, int, int]


def live_networks(space: MultiResolutionSpace) -> set[frozenset[Part]]:
    """Return what is alive of a tiny space's networks, whatever is switched on: each once.

    Written forwards, as a graph of which every part is followed to the heads; the space itself
    works from the heads back.
    """
    n_paths, n_stages = len(space.settings.channels), space.settings.n_stages
    fusions = [
        ("fusion", stage, path, other)
        for stage in range(n_stages)
        for path in range(n_paths)
        for other in (path - 1, path + 1)
        if 0 <= other < n_paths
    ]
    blocks = [("block", stage, path, -1) for stage in range(n_stages) for path in range(n_paths)]
    heads = space.shape.heads
    reads = [
        ("read", number, path, -1)
        for number, head in enumerate(heads)
        for path in range(1, n_paths)
        if head.kind is HeadKind.MAP
    ]
    ends = {0 if head.kind is HeadKind.MAP else n_paths - 1 for head in heads}
    parts = [*blocks, *fusions, *reads]
    found = set()
    for switched in product((False, True), repeat=len(parts)):
        there = {part for part, on in zip(parts, switched, strict=True) if on}
        read = {path for what, _, path, _ in there if what == "read"}
        live = {
            part
            for part in there
            if part[0] == "read" or _begins_alive(part, there, ends | read, n_stages)
        }
        found.add(frozenset(live))
    return found


def _begins_alive(part: Part, there: set[Part], ends: set[int], n_stages: int) -> bool:
    """Whether some way leads from a part to a head."""
    what, stage, path, _ = part
    place = (stage, path) if what == "block" else (stage + 1, path)
    todo, seen = [place], set[tuple[int, int]]()
    while todo:
        stage, path = todo.pop()
        if stage == n_stages and path in ends:
            return True
        if stage < n_stages and (stage, path) not in seen:
            seen.add((stage, path))
            todo += [(stage + 1, to) for to in _next(stage, path, there)]
    return False


def _next(stage: int, path: int, there: set[Part]) -> Iterator[int]:
    """Yield the paths that what is on a path comes to after a stage."""
    yield path
    for to in (path - 1, path + 1):
        if ("fusion", stage, to, path) in there:
            yield to


def parts_of(space: MultiResolutionSpace, decisions: Mapping[str, object]) -> frozenset[Part]:
    """Return the parts that a tiny space's candidate has, by the names of its decisions."""
    found = set()
    number_of = {head.task: number for number, head in enumerate(space.shape.heads)}
    for path, value in decisions.items():
        if not value or path.endswith(".width"):
            continue
        if path.startswith("decoder"):
            _, task, read = path.split(".")
            found.add(("read", number_of[task], int(read.removeprefix("from_path")), -1))
            continue
        stage, own, what = path.split(".")[:3]
        numbers = int(stage.removeprefix("stage")), int(own.removeprefix("path"))
        if what.startswith("from_path"):
            found.add(("fusion", *numbers, int(what.removeprefix("from_path"))))
        else:
            found.add(("block", *numbers, -1))
    return frozenset(found)
