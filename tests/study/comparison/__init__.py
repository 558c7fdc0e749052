"""Tests of runs beside each other."""
