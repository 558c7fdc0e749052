"""What configuration files can name, for `niwaki list`."""

from niwaki.config.reader import SECTIONS
from niwaki.core.errors import ConfigError
from niwaki.core.registry import Record, nearest

PLURALS = {
    "searchers": "searcher",
    "spaces": "space",
    "data": "data",
    "evaluators": "evaluator",
    "targets": "target",
    "schedulers": "scheduler",
    "executors": "executor",
}


def catalogue(noun: str = "") -> dict[str, dict[str, str]]:
    """Return summaries by name, by plural noun.

    Args:
        noun: One plural noun; all of them if empty. `tasks` is the same as `data`.

    Raises:
        ConfigError: If there is no such noun.
    """
    wanted = "data" if noun == "tasks" else noun
    if wanted and wanted not in PLURALS:
        hint = nearest(noun, list(PLURALS))
        raise ConfigError(f"nothing is called '{noun}'{hint} Known: {', '.join(PLURALS)}")
    nouns = [wanted] if wanted else list(PLURALS)
    return {n: {r.name: _summary(r) for r in SECTIONS[PLURALS[n]]} for n in nouns}


def _summary(record: Record) -> str:
    return record.summary + (f" (needs {', '.join(record.needs)})" if record.needs else "")
