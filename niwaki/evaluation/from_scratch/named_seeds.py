"""Seeds by name: networks that a family knows, or candidates in files."""

import json

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, SpaceError
from niwaki.core.files import expanded
from niwaki.evaluation.families import NetworkFamily


def named_seed(name: str, family: NetworkFamily) -> Candidate:
    """Return the architecture that a setting names.

    Args:
        name: Of one of the family's seeds; or a `.json` file with the decisions of a candidate, its
            architecture alone or the whole of it, as `niwaki front --json` prints them.
        family: Where it should come from.

    Raises:
        ConfigError: If the file cannot be read.
        SpaceError: If there is no such seed, or the file holds no candidate of the family's space.
    """
    if not name.endswith(".json"):
        return family.seed(name)
    try:
        data = json.loads(expanded(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the seed '{name}' cannot be read: {error}") from error
    try:
        whole = Candidate.from_json(data)
        candidate = whole.part("architecture") if whole.part("architecture").items else whole
        family.space.validate(candidate)
    except SpaceError as error:
        raise SpaceError(f"the seed '{name}' is not of this space: {error}") from error
    return candidate
