"""Cells of CSV files: names of columns that are unlike each other, and decisions."""

import json
from collections.abc import Container, Mapping

from niwaki.core.candidate import Value
from niwaki.core.wording import for_spreadsheet


def column_name(name: str, kind: str, taken: Container[str]) -> str:
    """Return the column of a value or a decision: with its kind behind it if its name is taken.

    What a spreadsheet would take for a formula has an apostrophe before it.
    """
    return f"{name} ({kind})" if name in taken else for_spreadsheet(name)


def decision_cell(decided: Mapping[str, Value], path: str) -> object:
    """Return a decision as the cell of a table; empty if there is none.

    What is no number and no text is spelled as in JSON.
    """
    if path not in decided:
        return None
    value = decided[path]
    if isinstance(value, str | float) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return json.dumps(value, separators=(",", ":"))
