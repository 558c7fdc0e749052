"""The general path from a module to its float graph: torch's own exporter, cleaned up."""
