"""Networks of parallel paths, one for each resolution, of which each task's network keeps some."""

from niwaki.spaces.multi_resolution.layout import Layout, Stage
from niwaki.spaces.multi_resolution.settings import MultiResolutionSettings
from niwaki.spaces.multi_resolution.space import MultiResolutionSpace

__all__ = ["Layout", "MultiResolutionSettings", "MultiResolutionSpace", "Stage"]
