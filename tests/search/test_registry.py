"""The searchers by name."""

import pytest

from niwaki.search import SEARCHERS, Searcher
from niwaki.testing.other_process import run_elsewhere
from niwaki.testing.toys import flat_toy

HEAVY = ("pymoo", "optuna", "torch", "pandas", "scipy")


@pytest.mark.parametrize("name", SEARCHERS.names())
def test_each_name_makes_a_searcher(name: str) -> None:
    searcher = SEARCHERS.find(name).load()(flat_toy().problem(seed=0))
    assert isinstance(searcher, Searcher)
    assert len(searcher.ask(2)) == 2


def loaded(*modules: str) -> str:
    """Import modules and return which heavy ones came along: called in another process."""
    import importlib
    import sys

    for module in modules:
        importlib.import_module(module)
    return " ".join(name for name in HEAVY if name in sys.modules)


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    modules = [
        f"niwaki.search.{name}" for name in ("random_search", "nsga2", "regularized_evolution")
    ]
    code = "tests.search.test_registry:loaded"
    assert run_elsewhere(code, "niwaki.search", *modules, hash_seed=0) == ""
