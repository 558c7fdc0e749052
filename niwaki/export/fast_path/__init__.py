"""The fast path from a module to its float graph: a symbolic trace, written call by call."""
