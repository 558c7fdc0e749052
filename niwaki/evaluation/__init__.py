"""Evaluators: a candidate in, a measurement out."""
