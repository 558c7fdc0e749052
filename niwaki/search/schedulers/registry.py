"""The schedulers by name."""

from niwaki.core.registry import Record, Registry

# Each factory takes (problem, fidelities), and settings if it has any.
SCHEDULERS = Registry(
    "schedulers",
    (
        Record(
            "full",
            "every candidate at full effort: the default",
            "niwaki.search.schedulers.full:FullEffort",
        ),
        Record(
            "asha",
            "little effort first, more for the promising: successive halving without waiting",
            "niwaki.search.schedulers.asha:ASHA",
        ),
        Record(
            "hyperband",
            "as asha, and a share of the candidates starts higher, in case little effort misleads",
            "niwaki.search.schedulers.hyperband:Hyperband",
        ),
    ),
)
