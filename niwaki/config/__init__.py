"""Configuration files: read, checked, and turned into studies."""

from niwaki.config.build import build_study, study_from_config
from niwaki.config.reader import StudyConfig, read_config

__all__ = ["StudyConfig", "build_study", "read_config", "study_from_config"]
