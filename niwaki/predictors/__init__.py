"""Predictors: arrays in, means and standard deviations out."""
