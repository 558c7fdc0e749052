"""Schedulers: how much effort each candidate gets, and which of them get more."""
