"""Tests of tasks: data, metrics, losses."""
