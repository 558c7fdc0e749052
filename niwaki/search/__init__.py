"""Searchers: they propose candidates and learn from measurements."""

from niwaki.search.base import Problem, Searcher
from niwaki.search.registry import SEARCHERS

__all__ = ["SEARCHERS", "Problem", "Searcher"]
