"""How few evaluations searchers need: scenarios, contestants, a cache of runs, and the tables."""
