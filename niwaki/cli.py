"""cli, to come."""
