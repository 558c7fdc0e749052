"""Model-based search: expected hypervolume improvement under Gaussian processes."""

from niwaki.search.surrogate.search import Surrogate, SurrogateSettings

__all__ = ["Surrogate", "SurrogateSettings"]
