"""Registries: names in configuration files, resolved to factories that are imported on use."""

import difflib
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from niwaki.core.errors import ConfigError
from niwaki.core.excerpt import listed
from niwaki.core.files import expanded
from niwaki.core.user_files import import_file

SHORTEST = 3  # beginning, in letters, that says anything


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """Return the end of a sentence: `; did you mean 'x'?` for the nearest known name, or `.`.

    One that begins alike, and is longer or shorter, is nearer than any other: `val` for
    `validation`.
    """
    related = [each for each in known if _continues(each, name)]
    cutoff = 0.0 if related else 0.5
    matches = difflib.get_close_matches(name, related or known, n=1, cutoff=cutoff)
    return f"; did you mean '{matches[0]}'?" if matches else "."


def _continues(first: str, second: str) -> bool:
    """Whether one of two names begins with the whole of the other."""
    short, long = sorted((first, second), key=len)
    return len(short) >= SHORTEST and long.startswith(short)


def import_object(path: str) -> Any:
    """Import `package.module:name`, or `path/to/file.py:name`.

    Raises:
        ConfigError: If the path is malformed, or nothing is there.
    """
    place, colon, name = path.rpartition(":")
    if not (place and colon and name):
        raise ConfigError(
            f"'{path}' does not name a Python object: write 'package.module:name', or "
            "'path/to/file.py:name'"
        )
    module = _file(place) if place.endswith(".py") else _module(place, name)
    if not hasattr(module, name):
        known = _offered(module)
        offer = f"It has {listed(known)}" if known else "It defines nothing that can be called"
        raise ConfigError(f"'{place}' has no '{name}'{nearest(name, known)} {offer}")
    return getattr(module, name)


@contextmanager
def named_by(key: str) -> Iterator[None]:
    """Let what is wrong with the value of a setting be told with its key.

    Raises:
        ConfigError: What was raised, with the key before it.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error


def _offered(module: ModuleType) -> list[str]:
    """Return the names of what a module, or a part of it, defines for others to call."""
    public = {name: each for name, each in vars(module).items() if not name.startswith("_")}
    own = f"{module.__name__}."
    return [
        name
        for name, each in public.items()
        if callable(each) and f"{getattr(each, '__module__', '')}.".startswith(own)
    ]


def _file(place: str) -> ModuleType:
    try:
        return import_file(expanded(place))
    except SyntaxError as error:
        raise ConfigError(f"'{place}' is not Python: {error}") from error
    except ImportError as error:
        raise ConfigError(
            f"'{place}' cannot be imported: {error}. Install it, put it beside the file, or add "
            "its folder to PYTHONPATH"
        ) from error


def _module(place: str, name: str) -> ModuleType:
    try:
        if place.startswith("."):
            raise ImportError("it is relative to no package")
        return importlib.import_module(place)
    except ImportError as error:
        remedy = ". Install it, add its folder to PYTHONPATH, or give the file: "
        remedy += "'path/to/file.py:name'"
        if expanded(f"{place}.py").is_file():
            remedy = f"; did you mean '{place}.py:{name}'?"
        raise ConfigError(f"'{place}' cannot be imported: {error}{remedy}") from error


@dataclass(frozen=True)
class Record:
    """One plug-in.

    Attributes:
        name: What configuration files call it.
        summary: One line for `niwaki list`.
        path: `package.module:name` of its factory, imported on use.
        needs: Distributions that it needs beyond niwaki's own, for `niwaki list`.
        check: `package.module:name` of what is called with its settings before long preparations,
            and raises if they would be for nothing; empty if there is nothing to check.
        installed: Whether another distribution offers it.
    """

    name: str
    summary: str
    path: str
    needs: tuple[str, ...] = ()
    check: str = ""
    installed: bool = False

    def load(self) -> Callable[..., Any]:
        """Import the factory."""
        factory: Callable[..., Any] = import_object(self.path)
        return factory

    def examine(self, settings: object) -> None:
        """Raise if the plug-in cannot work now with these settings, as far as that is known."""
        if self.check:
            import_object(self.check)(settings)


class Registry:
    """The plug-ins of one noun: ours, and those other distributions offer as entry points.

    Args:
        noun: Plural noun; entry points are looked up in the group `niwaki.<noun>`.
        records: What ships with niwaki.
    """

    def __init__(self, noun: str, records: tuple[Record, ...]) -> None:
        self.noun = noun
        self._shipped = records

    def __iter__(self) -> Iterator[Record]:
        """Yield every plug-in once; one whose name is taken goes by its path."""
        yield from self._shipped
        names = {record.name for record in self._shipped}
        for point in entry_points(group=f"niwaki.{self.noun}"):
            name, summary = point.name, f"from {point.value}"
            if name in names:
                name, summary = point.value, f"by its path, as the name '{name}' is taken"
            if name not in names:
                names.add(name)
                yield Record(name, summary, point.value, installed=True)

    def names(self) -> list[str]:
        """Return every known name."""
        return [record.name for record in self]

    def find(self, name: str) -> Record:
        """Return the record called `name`; `package.module:factory` names one directly.

        Raises:
            ConfigError: If there is none, with the nearest name.
        """
        for record in self:
            if record.name == name:
                return record
        if ":" in name:
            return Record(name, "given by path", name)
        known = self.names()
        raise ConfigError(
            f"there is no '{name}' among the {self.noun}{nearest(name, known)} "
            f"Known: {', '.join(known)}; or give 'package.module:factory', or 'file.py:factory'"
        )
