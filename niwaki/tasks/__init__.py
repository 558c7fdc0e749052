"""Tasks: data, losses, metrics."""
