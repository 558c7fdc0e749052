"""What can be named, for `niwaki list`."""

from collections.abc import Mapping

from niwaki.config.reader import SECTIONS
from niwaki.core.errors import ConfigError
from niwaki.core.registry import Record, Registry, nearest
from niwaki.predictors.proxies.registry import PROXIES
from niwaki.predictors.registry import PREDICTORS

# What sections of a configuration name, by plural noun, and what only Python does.
NOUNS: Mapping[str, Registry] = {
    "searchers": SECTIONS["searcher"],
    "spaces": SECTIONS["space"],
    "data": SECTIONS["data"],
    "evaluators": SECTIONS["evaluator"],
    "targets": SECTIONS["target"],
    "schedulers": SECTIONS["scheduler"],
    "executors": SECTIONS["executor"],
    "predictors": PREDICTORS,
    "proxies": PROXIES,
}


def catalogue(noun: str = "") -> dict[str, dict[str, str]]:
    """Return summaries by name, by plural noun.

    Args:
        noun: One plural noun; all of them if empty. `tasks` is the same as `data`.

    Raises:
        ConfigError: If there is no such noun.
    """
    wanted = "data" if noun == "tasks" else noun
    if wanted and wanted not in NOUNS:
        hint = nearest(noun, list(NOUNS))
        raise ConfigError(f"nothing is called '{noun}'{hint} Known: {', '.join(NOUNS)}")
    nouns = [wanted] if wanted else list(NOUNS)
    return {n: {record.name: _summary(record) for record in NOUNS[n]} for n in nouns}


def _summary(record: Record) -> str:
    return record.summary + (f" (needs {', '.join(record.needs)})" if record.needs else "")
