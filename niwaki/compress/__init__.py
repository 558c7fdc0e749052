"""Compression: what is done to which layer of a network."""
