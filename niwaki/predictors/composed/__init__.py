"""Predictors made of others: stacked, calibrated, bounded, on other scales, on some columns."""
