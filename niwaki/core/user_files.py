"""Python files that are named by their path: imported once, and sent along to other processes.

Pickles name the module of a class. A file has no name that another process knows, and on another
machine there may be no such file. So it is imported under a name made from its path, and its text
travels with what is pickled (`user_code`, `receive`), together with the modules beside it that
it has imported.
"""

import ast
import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import fingerprint

_INSTALLED = frozenset(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")
)
# Workers have a niwaki of their own, and Python's ways of seeing to a main module.
_NEVER_SENT = (__name__.partition(".")[0], "__main__", "__mp_main__")


@dataclass(frozen=True)
class UserFile:
    """A Python file as it was when it was imported, or packed.

    Attributes:
        module: Name that it is imported under.
        path: Where it lay, absolute.
        text: What was in it.
    """

    module: str
    path: Path
    text: bytes


@dataclass(frozen=True)
class UserCode:
    """Everything of users' files that another process needs. Picklable.

    Attributes:
        files: The files that were named, and the modules beside them that were imported.
        names: Names of modules by the absolute paths that were given for them.
        home: Working directory, from which paths were given.
    """

    files: tuple[UserFile, ...] = ()
    names: Mapping[Path, str] = field(default_factory=dict)
    home: Path = field(default_factory=Path.cwd)


class _Loader(SourceLoader):
    """Runs the text that is at hand, also where there is no such file."""

    def __init__(self, file: UserFile) -> None:
        self._file = file

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002
        return str(self._file.path)

    def get_data(self, path: str | bytes) -> bytes:  # noqa: ARG002
        return self._file.text


class _Finder(MetaPathFinder):
    """Finds users' files by the names of their modules.

    Attributes:
        files: Those that were named, by module.
        beside: Modules beside them that were imported.
        names: Names of modules by the absolute paths that were given for them.
        home: Where relative paths start; None for the working directory.
    """

    def __init__(self) -> None:
        self.files: dict[str, UserFile] = {}
        self.beside: dict[str, UserFile] = {}
        self.names: dict[Path, str] = {}
        self.home: Path | None = None

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        file = self.files.get(fullname)
        if file is None:
            return None
        return spec_from_file_location(fullname, file.path, loader=_Loader(file))


# One for the process, as the table of its modules is.
_FINDER = _Finder()


def import_file(file: Path) -> ModuleType:
    """Import a Python file; once, however often it is asked for.

    Modules beside it can be imported by it, unless something that is installed has their name.
    Whatever the file itself raises is not caught.

    Args:
        file: In a process that was sent users' files, one of these if it has its path.

    Raises:
        ConfigError: If there is no such file, or a module beside it has the name of one beside
            another file that was imported so: in one process, a name is one module.
    """
    given = _absolute(file, _FINDER.home or Path.cwd())
    if given not in _FINDER.names:
        _take_in(file, given)
    return importlib.import_module(_FINDER.names[given])


def user_code() -> UserCode:
    """Return what another process needs to import what was imported here by its file."""
    _note_beside()
    files = {**_FINDER.beside, **_FINDER.files}
    return UserCode(tuple(files.values()), dict(_FINDER.names), _FINDER.home or Path.cwd())


def receive(code: UserCode) -> None:
    """Make users' files importable here as they were where `code` was packed."""
    _search()
    named = set(code.names.values())
    for file in code.files:
        found = _seen_here(file, code.home)
        _FINDER.files[file.module] = found or file
        if found is not None and file.module in named:
            _import_beside(found.path)
    _FINDER.names.update(code.names)
    _FINDER.home = code.home


def _take_in(file: Path, given: Path) -> None:
    """Read a file, and make its module importable."""
    try:
        is_there = file.is_file()
    except OSError as error:
        raise _unreadable(file, error) from error
    if not is_there:
        raise ConfigError(f"there is no file '{file}' in {Path.cwd()}")
    path = file.resolve()
    _require_own_neighbours(path)
    name = f"niwaki_user_{fingerprint(str(path))}"
    _search()
    if name not in sys.modules:  # else what has run is what counts
        _FINDER.files[name] = UserFile(name, path, _text_of(path))
    _import_beside(path)
    importlib.import_module(name)
    _note_beside()
    # Only now: a file that fails is read again once it is mended.
    _FINDER.names[given] = name


def _text_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"'{path}' cannot be read: {error.strerror}. Check its path and permissions")


def _search() -> None:
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _import_beside(path: Path) -> None:
    """Let a file import its neighbours; at the end, so that none hides what is installed."""
    folder = str(path.parent)
    if folder not in sys.path and path.name != "__init__.py":
        sys.path.append(folder)


def _require_own_neighbours(path: Path) -> None:
    """Refuse a file that would get a neighbour of another file's in place of its own."""
    others = {file.path.parent for file in _FINDER.files.values()} - {path.parent, *_INSTALLED}
    for name, beside in _beside(path).items() if others else ():
        if name in sys.modules:
            found = _origin(name)
        else:
            specification = importlib.util.find_spec(name)
            found = _file_of(specification) if specification else None
        if found is None or _folder_of(found) not in others:
            continue
        loaded = _FINDER.beside.get(name)  # its file may be gone since
        text = loaded.text if loaded else _text_of(found)
        if text != _text_of(beside):  # else it does not matter whose it is
            raise ConfigError(
                f"'{path}' imports `{name}` from '{beside}', and '{found}' has that name too: in "
                "one process a name is one module. Rename one of them"
            )


def _beside(path: Path) -> dict[str, Path]:
    """Return the modules beside a file that it imports, or one of these does, with their files."""
    found: dict[str, Path] = {}
    waiting = [path]
    while waiting:
        for name in _imported(waiting.pop()):
            places = [path.parent / f"{name}.py", path.parent / name / "__init__.py"]
            place = next((place for place in places if place.is_file()), None)
            if place is not None and name not in found:
                found[name] = place
                waiting.append(place)
    return found


def _imported(path: Path) -> set[str]:
    """Return the top names that a file imports; none if it is no Python."""
    try:
        tree = ast.parse(_text_of(path))
    except (SyntaxError, ValueError):  # whoever imports it says so
        return set()
    named: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            named.append(node.module)
    return {name.partition(".")[0] for name in named}


def _note_beside() -> None:
    """Read the modules beside users' files that were imported since the last time."""
    files = _FINDER.files
    folders = {file.path.parent for file in files.values()} - _INSTALLED
    tops = {name.partition(".")[0] for name in files} | set(_neighbours(folders))
    for name in sorted(set(sys.modules) - set(files)):
        path = _origin(name) if name.partition(".")[0] in tops else None
        known = _FINDER.beside.get(name)
        if path is None or (known is not None and known.path == path):
            continue
        if path.is_file():
            _FINDER.beside[name] = UserFile(name, path, _text_of(path))
        elif path.name == "__init__.py":
            _FINDER.beside[name] = UserFile(name, path, b"")


def _neighbours(folders: set[Path]) -> Iterator[str]:
    """Yield the imported top modules that lie in one of the folders."""
    tops = [name for name in sys.modules if "." not in name] if folders else []
    for name in tops:
        path = None if name in _NEVER_SENT else _origin(name)
        if path is None:
            continue
        if _folder_of(path) in folders:
            yield name


def _folder_of(path: Path) -> Path:
    """Return the folder that a top module of this file is imported from."""
    return path.parent.parent if path.name == "__init__.py" else path.parent


def _origin(name: str) -> Path | None:
    """Return the file of an imported module; None if it is not written in Python."""
    specification = getattr(sys.modules[name], "__spec__", None)
    return _file_of(specification) if isinstance(specification, ModuleSpec) else None


def _file_of(specification: ModuleSpec) -> Path | None:
    if specification.origin is None:  # a folder without `__init__.py` is a package, too
        folder = next(iter(specification.submodule_search_locations or ()), None)
        return Path(folder).resolve() / "__init__.py" if folder else None
    path = Path(specification.origin)
    return path.resolve() if path.suffix == ".py" else None


def _seen_here(file: UserFile, home: Path) -> UserFile | None:
    """Return the file where this machine has it, if it has the same; so it finds what is beside."""
    places = [file.path]
    if file.path.is_relative_to(home):  # Ray brings a working directory elsewhere
        places.append(Path.cwd() / file.path.relative_to(home))
    for place in places:
        with suppress(OSError):  # what may not be read is of no use
            if place.is_file() and place.read_bytes() == file.text:
                return replace(file, path=place)
    return None


def _absolute(file: Path, home: Path) -> Path:
    return Path(os.path.normpath(home / file))
