"""The tree of errors is the one drawn in its docstring."""

import re

from niwaki.core import errors
from niwaki.core.errors import NiwakiError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, NiwakiError)]


def test_the_drawing_names_every_error_with_its_exit_code() -> None:
    drawn = re.findall(r"(\w+Error)\s.*?(\d+)(?:\s{2,}|\n|$)", errors.__doc__ or "")
    assert {name: int(code) for name, code in drawn} == {c.__name__: c.exit_code for c in CLASSES}


def test_each_child_is_also_a_builtin_error() -> None:
    for child in NiwakiError.__subclasses__():
        assert issubclass(child, (ValueError, RuntimeError, AssertionError)), child


def test_siblings_leave_with_different_codes() -> None:
    codes = [child.exit_code for child in NiwakiError.__subclasses__()]
    assert len({*codes, NiwakiError.exit_code, 0}) == len(codes) + 2
