"""Ridge regressions on features and their pairwise products."""
