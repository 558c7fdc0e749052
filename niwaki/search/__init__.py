"""Searchers: which candidate to try next."""
