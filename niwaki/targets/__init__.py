"""Targets: what a runtime can do, and how fast."""
