"""The spaces that configuration files can name."""

from niwaki.core.registry import Record, Registry

# Each path names the frozen dataclass of a space's options; evaluators make the space from it.
SPACES = Registry(
    "spaces",
    (
        Record(
            "slimmable",
            "multi-task networks of elastic depth and width: shared encoder, a decoder per task",
            "niwaki.spaces.slimmable.space:SlimmableSettings",
        ),
        Record(
            "multi_resolution",
            "multi-task networks of parallel resolutions: which blocks and fusions there are",
            "niwaki.spaces.multi_resolution.settings:MultiResolutionSettings",
        ),
        Record(
            "einspace",
            "networks from fundamental operations: convolutions, attention, and what has no name",
            "niwaki.spaces.einspace.settings:EinspaceSettings",
        ),
        Record(
            "grammar",
            "networks from your own grammar file, with your own modules",
            "niwaki.spaces.einspace.own:GrammarSettings",
        ),
        Record(
            "choices",
            "named decisions with their options, for evaluators that make the networks themselves",
            "niwaki.spaces.choice_settings:ChoicesSettings",
        ),
    ),
)
