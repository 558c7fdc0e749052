"""The steps of a study: what it learns from, the loop, its finalists; what it hears is vetted."""
