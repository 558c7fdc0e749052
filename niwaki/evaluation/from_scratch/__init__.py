"""Evaluation without shortcuts: each candidate is trained from its initial weights."""
