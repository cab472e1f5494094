"""What changed between two versions of a draft, field by field: ``GET /console/drafts/{id}/changes``.

Lists are laid beside each other so that what is the same in both stays together: a party that was put in is one line, and not a change of
all that follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, Final, Literal, cast

import msgspec

from broker.families.attachment import SECTION

Json = dict[str, Any]
MOST: Final = 300
"""Most changes that are told; who sees so many reads the draft anew."""
NOT_TOLD: Final = frozenset({"key", "file", "chunk_size", "chunks"})
"""Of an attached file: what is not shown."""
LONG: Final = 400
"""From so many entries lists are compared place by place: laying them beside each other costs the square of their length."""
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One field: ``section`` it is in (empty: a label of the message), the names that lead to it with the places in lists (from 1), and
    what it was and is."""

    section: str
    path: tuple[str | int, ...]
    kind: Literal["ADDED", "REMOVED", "CHANGED"]
    before: Any
    after: Any


def changes(before: Json, after: Json) -> list[Change]:
    """The changes from one message (JSON form) to another, in the order of the later one, and then what is gone."""
    return list(islice(_all(before, after), MOST))


def _all(before: Json, after: Json) -> Iterator[Change]:
    for name in ("subject", "revision"):
        yield from _between("", (name,), before.get(name, _ABSENT), after.get(name, _ABSENT))
    yield from _between("", (), before.get("header", {}), after.get("header", {}))
    old, new = before.get("sections", {}), after.get("sections", {})
    for name in dict.fromkeys((*new, *old)):
        was, now = old.get(name, _ABSENT), new.get(name, _ABSENT)
        yield from _between(name, (), *((_told(was), _told(now)) if name == SECTION else (was, now)))


def _told(files: Any) -> Any:
    """Attached files as they may be shown: without their keys, and without what is no reader's business."""
    if not isinstance(files, dict):
        return files
    entries: list[Json] = cast("Json", files).get("files") or []
    return {"files": [{name: value for name, value in each.items() if name not in NOT_TOLD} for each in entries]}


def _between(section: str, path: tuple[str | int, ...], old: Any, new: Any) -> Iterator[Change]:
    if old is _ABSENT or new is _ABSENT:
        if old is not new:
            kind: Literal["ADDED", "REMOVED"] = "ADDED" if old is _ABSENT else "REMOVED"
            yield Change(section, path, kind, None if old is _ABSENT else old, None if new is _ABSENT else new)
    elif isinstance(old, dict) and isinstance(new, dict):
        was, now = cast("Json", old), cast("Json", new)
        for name in dict.fromkeys((*now, *was)):
            yield from _between(section, (*path, name), was.get(name, _ABSENT), now.get(name, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(section, path, cast("list[Any]", old), cast("list[Any]", new))
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Change(section, path, "CHANGED", old, new)


def _lists(section: str, path: tuple[str | int, ...], old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    """Entries that were put in or taken out, and those that changed in their place; an entry has the place of the list where it is."""
    for was_from, was_to, now_from, now_to in _blocks(old, new):
        both = min(was_to - was_from, now_to - now_from)
        for step in range(both):
            yield from _between(section, (*path, now_from + step + 1), old[was_from + step], new[now_from + step])
        for place in range(was_from + both, was_to):
            yield from _between(section, (*path, place + 1), old[place], _ABSENT)
        for place in range(now_from + both, now_to):
            yield from _between(section, (*path, place + 1), _ABSENT, new[place])


def _blocks(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[int, int, int, int]]:
    """The parts of two lists that differ: where each begins and ends, in the old and in the new one."""
    if len(old) + len(new) > LONG:
        yield 0, len(old), 0, len(new)
        return
    was, now = ([msgspec.json.encode(each, order="deterministic") for each in side] for side in (old, new))
    for tag, *block in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if tag != "equal":
            was_from, was_to, now_from, now_to = block
            yield was_from, was_to, now_from, now_to
