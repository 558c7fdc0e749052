"""A target on another machine, which needs no niwaki there: see `README.md` in this folder."""
