"""Who is told of silence: the duty contacts of an agency, in the file ``contacts.json`` of its home.

::

    {"contacts": [{"name": "DUTY_OFFICER"}, {"name": "HEAD_OF_TARGETING", "after_minutes": 240}]}

The first is told when a duty's own allowance has passed once more (for an acknowledgement) or a day after its time (for answers), each
other so many minutes after that. A contact is a function, never a person. The file is read again for every command.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, cast

from broker.errors import UsageError
from broker.families.clocks.dates import MINUTE_MS
from broker.families.clocks.duty import Chain, Contact

MOST: Final = 10
"""Most contacts of a chain."""
NAME_LIMIT: Final = 80
"""Longest name of a contact in characters."""
_LATEST: Final = 60 * 24 * 366
_ADVICE: Final = 'write {"contacts": [{"name": "DUTY_OFFICER"}, {"name": "HEAD_OF_TARGETING", "after_minutes": 240}]}'


def read_contacts(path: Path) -> Chain:
    """The chain of a file; empty where there is no file. Raises UsageError where it is not what it should be."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` cannot be read: {error}", advice=_ADVICE) from error
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"`{path}` is no JSON: {error}", advice=_ADVICE) from error
    if not isinstance(found, dict) or set(cast("dict[str, Any]", found)) != {"contacts"} or not isinstance(found["contacts"], list):
        raise UsageError(f"`{path}` has no list of contacts, or something else beside it", advice=_ADVICE)
    chain = tuple(_contact(path, each) for each in cast("list[Any]", found["contacts"]))
    if len(chain) > MOST or len({contact.name for contact in chain}) < len(chain):
        raise UsageError(f"`{path}` names a contact twice, or more than {MOST}", advice=_ADVICE)
    if list(chain) != sorted(chain, key=lambda contact: contact.after_ms):
        raise UsageError(f"`{path}` is not in order: who is told later comes later", advice=_ADVICE)
    return chain


def _contact(path: Path, value: Any) -> Contact:
    fields: dict[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    name, after = fields.get("name"), fields.get("after_minutes", 0)
    good = isinstance(name, str) and 0 < len(name) <= NAME_LIMIT and name.isprintable() and name == name.strip()
    if not good or type(after) is not int or not 0 <= after <= _LATEST or set(fields) - {"name", "after_minutes"}:
        raise UsageError(f"`{path}` has a contact that is none: {json.dumps(value)[:100]}", advice=_ADVICE)
    return Contact(cast("str", name), after * MINUTE_MS)
