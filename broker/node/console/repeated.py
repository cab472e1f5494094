"""Rows of a form of which there may be several: fields of the same name, one value a row. A button of the form adds a row or removes one;
it is sent with everything that was typed, so that it works without scripts, and with them without a load of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from broker.node.console.session import one

ROWS: Final = 30
"""Most rows of one kind."""
Fields = Mapping[str, list[str]]


def rows_of(fields: Fields, names: Sequence[str]) -> list[dict[str, str]]:
    """The rows that these fields make, empty ones with them; at least one. A field that has fewer values is empty in the last rows."""
    count = min(max(1, *(len(fields.get(name, [])) for name in names)), ROWS)
    return [{name: _at(fields.get(name, []), number) for name in names} for number in range(count)]


def filled_rows(fields: Fields, names: Sequence[str], *, by: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows in which something was typed; ``by``: only these fields count, where others begin with a choice."""
    return [row for row in rows_of(fields, names) if any(row[name] for name in by or names)]


def changed_rows(fields: Fields, groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]] | None:
    """The fields after the button of a row: ``add-GROUP`` or ``drop-GROUP-NUMBER`` (from 0). None where another button was pressed."""
    verb, _, rest = one(fields, "do").partition("-")
    group, _, number = rest.partition("-")
    if verb not in ("add", "drop") or group not in groups:
        return None
    rows = rows_of(fields, groups[group])
    if verb == "add" and len(rows) < ROWS:
        rows.append(dict.fromkeys(groups[group], ""))
    elif verb == "drop" and number.isascii() and number.isdigit() and len(number) < 4 and int(number) < len(rows):
        rows.pop(int(number))
    return {**fields, **{name: [row[name] for row in rows] for name in groups[group]}}


def _at(values: Sequence[str], number: int) -> str:
    return values[number] if number < len(values) else ""
