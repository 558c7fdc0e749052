"""Whether functions can be called as they will be."""

import pytest

from niwaki.core.calls import misfit


def scaled(value: float, factor: float = 1.0, *, unit: str) -> str:
    return f"{value * factor} {unit}"


@pytest.mark.parametrize(
    ("given", "named"), [(("value",), ("unit",)), ((), ("value", "unit", "factor"))]
)
def test_what_can_be_called_so_is_no_misfit(given: tuple[str, ...], named: tuple[str, ...]) -> None:
    assert misfit(scaled, given, named) == ""


def test_a_misfit_says_what_is_taken_and_what_is_given() -> None:
    said = misfit(scaled, ("value",), ("length",))
    assert said.startswith("takes (value, factor, unit), but is called with (value, length=...): ")
    assert misfit(3) == "is an int, but a class or a function is needed"


def test_what_python_does_not_know_is_left_to_the_call() -> None:
    assert misfit(dict, ("anything",)) == ""
