"""config, to come."""
