"""Scripts that measure niwaki."""
