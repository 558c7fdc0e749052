"""Who takes part: ours through the registry, the peers as their users run them."""

import ast
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from benchmarks.efficiency import own, scenario
from benchmarks.efficiency.proxies import ProxyColumns
from benchmarks.efficiency.scenario import Meter
from niwaki.core.registry import import_object
from niwaki.search.registry import SEARCHERS

Run: TypeAlias = Callable[[Meter, int], None]


@dataclass(frozen=True)
class Contestant:
    """A searcher that takes part.

    Attributes:
        name: In the tables.
        ours: Whether it is niwaki's own.
        version: Of its library or source, with its settings: whatever its results depend on.
        load: Imports it, and returns what runs it.
        most_evaluations: Where it stops, because it is slow; None if it goes on to the end.
        asks_per_evaluation: How often it may ask for what it knows already, per evaluation.
    """

    name: str
    ours: bool
    version: str
    load: Callable[[], Run]
    most_evaluations: int | None = None
    asks_per_evaluation: int = 40


@dataclass(frozen=True)
class Peer:
    """A searcher of another library.

    Attributes:
        name: In the tables.
        distribution: What has to be installed.
        path: Module and function that run it; the module's `SETTINGS` say how.
        most_evaluations: See `Contestant`.
        asks_per_evaluation: See `Contestant`.
    """

    name: str
    distribution: str
    path: str
    most_evaluations: int | None = None
    asks_per_evaluation: int = 40


HERE = "benchmarks.efficiency"
SPACE = "niwaki.spaces.rows"
OURS = ("random", "nsga2", "regularized_evolution", "linas", "surrogate")
LEARN_FROM_CHEAP = ("surrogate",)
PEERS = (
    Peer("pymoo-nsga2", "pymoo", f"{HERE}.pymoo_peer:run_nsga2"),
    Peer("optuna-nsga2", "optuna", f"{HERE}.optuna_peer:run_nsga2"),
    Peer("optuna-tpe", "optuna", f"{HERE}.optuna_peer:run_tpe", asks_per_evaluation=2),
    Peer("botorch", "botorch", f"{HERE}.botorch_peer:run", most_evaluations=100),
    Peer("optuna-gp", "optuna", f"{HERE}.optuna_peer:run_gp", 100, 2),
)


def contestants(columns: ProxyColumns | None = None) -> dict[str, Contestant]:
    """Return who can take part here, by name: ours that exist, peers that are installed.

    Args:
        columns: What ours that learn from cheap values are told beside the table, in a row of their
            own: `surrogate+naswot`. Peers have no way to be told.
    """
    known = SEARCHERS.names()
    ours = [_own(name) for name in OURS if name in known]
    told = [_told(_own(name), columns) for name in LEARN_FROM_CHEAP] if columns else []
    peers = [_peer(peer) for peer in PEERS if _installed(peer.distribution)]
    return {contestant.name: contestant for contestant in [*ours, *told, *peers]}


def _told(contestant: Contestant, columns: ProxyColumns) -> Contestant:
    return replace(
        contestant,
        name="+".join([contestant.name, *columns.proxies]),
        version=f"{contestant.version}-{columns.version}",
        load=lambda: partial(own.run, searcher=contestant.name, columns=columns),
    )


def _own(name: str) -> Contestant:
    module = SEARCHERS.find(name).path.partition(":")[0]
    # The operators of the space, and who answers, are a part of what searches.
    sources = (module, SPACE, own.__name__, scenario.__name__)
    digests = (source_digest(source)[:8] for source in sources)
    digest = "-".join(digests)
    return Contestant(name, True, digest, lambda: partial(own.run, searcher=name))


def _peer(peer: Peer) -> Contestant:
    modules = (peer.path.partition(":")[0], scenario.__name__)  # who asks, and who answers
    texts = [ast.unparse(ast.parse(Path(_file(module)).read_text())) for module in modules]
    digest = hashlib.blake2b("\n".join(texts).encode(), digest_size=4).hexdigest()
    said = f"{peer.distribution} {version(peer.distribution)} {digest}"
    return Contestant(
        peer.name,
        False,
        said,
        lambda: import_object(peer.path),
        peer.most_evaluations,
        peer.asks_per_evaluation,
    )


def settings_of(name: str) -> str:
    """Return in words how a contestant is run."""
    for peer in PEERS:
        if peer.name == name:
            return str(import_object(f"{peer.path.partition(':')[0]}:SETTINGS"))
    told = ", and told the scores of untrained networks" if "+" in name else ""
    return f"niwaki's own, default settings{told}"


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


@lru_cache
def source_digest(module: str) -> str:
    """Name the source of a module of ours, with all that it imports: comments do not count."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or not (path := _file(name)):
            continue
        tree = ast.parse(Path(path).read_text())
        found[name] = ast.unparse(tree)
        waiting.extend(_imported(tree))
    text = "\n".join(f"{name}\n{found[name]}" for name in sorted(found))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of ours that are imported, inside functions too, or named in strings."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.startswith("niwaki."))
            case ast.ImportFrom(module=str() as module) if module.startswith("niwaki."):
                yield module
            case ast.Constant(value=str() as text) if text.startswith("niwaki.") and ":" in text:
                yield text.partition(":")[0]


def _file(module: str) -> str:
    spec = find_spec(module)
    return spec.origin or "" if spec else ""
