"""Where in somebody's own code an error came from."""

import re
import sysconfig
from pathlib import Path
from types import TracebackType

from torch import fx

_NIWAKI = Path(__file__).parents[1]
_NOT_THEIRS = (
    str(_NIWAKI),
    sysconfig.get_path("stdlib"),
    sysconfig.get_path("purelib"),
    sysconfig.get_path("platlib"),
)
_OWN_MODELS = str(_NIWAKI / "testing")
_MOST_CAUSES = 16
_QUOTED = re.compile(r'File "([^"]+)", line (\d+)')


def is_users(file: str) -> bool:
    """Whether a file of code is neither niwaki's, nor Python's, nor of an installed package."""
    is_file = not file.startswith("<")
    return is_file and (file.startswith(_OWN_MODELS) or not file.startswith(_NOT_THEIRS))


def place_of(error: BaseException) -> str:
    """Return `file.py:line` of the innermost line of the user's code, or nothing if there is none.

    Args:
        error: Its causes are looked through as well, the first of them first.
    """
    chain: list[BaseException] = [error]
    for _ in range(_MOST_CAUSES):
        before = chain[-1].__cause__ or chain[-1].__context__
        if before is None or before in chain:
            break
        chain.append(before)
    places = [_innermost(each.__traceback__) for each in reversed(chain)]
    written = [_written(each.__traceback__) for each in reversed(chain)]
    quoted = [_quoted(str(each)) for each in reversed(chain)]
    return next((place for place in (*places, *written, *quoted) if place), "")


def _written(traceback: TracebackType | None) -> str:
    """Return the line behind the call that torch's exporter was writing when it failed."""
    place = ""
    while traceback is not None:
        node = traceback.tb_frame.f_locals.get("node")
        if isinstance(node, fx.Node):
            place = _quoted(str(node.meta.get("stack_trace", ""))) or place
        traceback = traceback.tb_next
    return place


def _quoted(message: str) -> str:
    """Return the last line of the user's code that a message quotes, as torch's exporter does."""
    found = [f"{file}:{line}" for file, line in _QUOTED.findall(message) if is_users(file)]
    return found[-1] if found else ""


def _innermost(traceback: TracebackType | None) -> str:
    place = ""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if is_users(file):
            place = f"{file}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
