"""Evaluation by weight sharing: one super-network is trained, candidates are slices of it."""
