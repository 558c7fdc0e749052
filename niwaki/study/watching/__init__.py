"""Who watches a study, and what they are told on the way."""
