"""A busy machine is no reason to fail: hypothesis sets no deadlines."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
