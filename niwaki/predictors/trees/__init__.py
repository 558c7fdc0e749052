"""Randomised regression trees, as plain arrays."""
