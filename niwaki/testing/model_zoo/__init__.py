"""Well-known architectures, written from their papers, for tests and benchmarks of pruning."""

from niwaki.testing.model_zoo.catalogue import ZOO, ZooModel

__all__ = ["ZOO", "ZooModel"]
