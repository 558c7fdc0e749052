"""Data for a model, as loaders give them, and the tasks that they tell."""
