"""An evaluator on its way to other processes, with the users' files that it needs there."""

import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from niwaki.core.errors import StudyError
from niwaki.core.user_files import receive, user_code
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.failures import explain

_GUARD = re.compile(r"""__name__\s*==\s*["']__main__["']""")


def packed(evaluator: Evaluator, dumps: Callable[[Any], bytes] = pickle.dumps) -> bytes:
    """Return an evaluator in a form that `unpacked` takes, in any process that has niwaki.

    Args:
        evaluator: Its class is in a module that can be imported there, or in a file that was
            imported by its path.
        dumps: What pickles it.

    Raises:
        StudyError: If it cannot be pickled.
    """
    try:
        pickled = dumps(evaluator)
    except Exception as error:  # pickling runs code of the evaluator
        raise StudyError(
            f"the evaluator cannot travel to other processes ({explain(error)}): define its class "
            "at the top of a module or of a file, and load what is heavy or open, such as files, "
            "locks and sessions, on first use"
        ) from error
    return pickle.dumps((user_code(), pickled))


def unpacked(data: bytes) -> Evaluator:
    """Return the evaluator; from here on, users' files are those of the process that packed it.

    Whatever unpickling raises is not caught.
    """
    code, pickled = pickle.loads(data)
    receive(code)
    evaluator: Evaluator = pickle.loads(pickled)
    return evaluator


def needs_main(data: bytes) -> bool:
    """Return whether what `packed` gave is defined in the main script, such as its class."""
    _, pickled = pickle.loads(data)
    return b"__main__" in pickled


def main_expects_it() -> bool:
    """Return whether the main script looks at its name: it may be imported, and says what then.

    What it sets at its top, such as a constant of another module, then holds in workers, too.
    """
    file = getattr(sys.modules["__main__"], "__file__", None)
    try:
        text = Path(file).read_text(errors="replace") if file else ""
    except OSError:  # such as one that was deleted
        return False
    return _GUARD.search(text) is not None
