"""How long measurements of tests may take."""

from niwaki.targets.protocol import Budget

SMALL = Budget(
    warmup_runs=1,
    warmup_seconds=0.0,
    min_runs=4,
    min_seconds=0.0,
    max_seconds=0.05,
    relative_interval=0.5,
)
