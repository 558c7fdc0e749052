"""Contracts that every plug-in can be tested against, and stand-ins to test with."""
