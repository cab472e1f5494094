"""The list of released schemas, and whether the files still keep to it.

``schemas/released.json`` names every schema file with its identity, one a line. A *released* one never changes: messages were
written with it. A *draft* is listed so that nothing is in the folder by accident, and may change until it is released. What the
identity leaves out, the unit words of the docs, is kept beside it as ``units``, a digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Literal, NamedTuple, cast

from broker.errors import Finding, UsageError
from broker.schema.avsc import is_object, read_text
from broker.schema.catalogue import Section
from broker.schema.compatibility import CHANGES, compare
from broker.schema.expansion import units

State = Literal["released", "draft"]
STATES: Final[tuple[State, ...]] = ("released", "draft")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list. ``name`` is as ``alert/v1/core``; ``schema_id`` and ``units`` are hexadecimal."""

    name: str
    schema_id: str
    units: str
    state: State

    @classmethod
    def of(cls, section: Section) -> Entry:
        """The line of a new file: a draft."""
        said = json.dumps(units(read_text(section.text)), sort_keys=True, ensure_ascii=False)
        return cls(section.name, section.schema_id.hex(), hashlib.sha256(said.encode()).hexdigest()[:16], "draft")


class Change(NamedTuple):
    """A finding on a new schema beside an old one; ``old`` is empty where it is about the list."""

    old: str
    new: str
    finding: Finding


def read_list(text: str) -> dict[str, Entry]:
    """The list by name. Raises UsageError."""
    given = read_text(text)
    entries: dict[str, Entry] = {}
    for name, row in (given if is_object(given) else {"": given}).items():
        values = [row.get(key) for key in ("schema_id", "units", "state")] if is_object(row) else [None]
        if not all(isinstance(value, str) for value in values) or values[-1] not in STATES:
            raise UsageError(f"`{name[:60]}` in the list of released schemas is no entry", advice="restore schemas/released.json")
        entries[name] = Entry(name, *cast("tuple[str, str, State]", tuple(values)))
    return entries


def list_text(entries: Mapping[str, Entry]) -> str:
    """The list as its file, one schema a line, by name: two branches that add families merge line by line."""
    rows = [
        f"  {json.dumps(name)}: " + json.dumps({"schema_id": entry.schema_id, "units": entry.units, "state": entry.state})
        for name, entry in sorted(entries.items())
    ]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def listed(sections: Iterable[Section], entries: Mapping[str, Entry], *, release: bool = False) -> dict[str, Entry]:
    """The list brought up to date: new files and changed drafts are listed as drafts, drafts without a file go, what is released
    stays as it is. ``release`` makes every draft released."""
    made = {name: entry for name, entry in entries.items() if entry.state == "released"}
    for section in sections:
        entry = Entry.of(section)
        made.setdefault(section.name, replace(entry, state="released") if release else entry)
    return made


def check_list(sections: Sequence[Section], entries: Mapping[str, Entry]) -> list[Change]:
    """What the files do that the list does not allow: CHANGE_RELEASED, CHANGE_UNIT, CHANGE_UNLISTED."""
    changes: list[Change] = []

    def found(name: str, code: str, reason: str) -> None:
        changes.append(Change("", name, Finding(CHANGES[code][0], code, "", reason)))

    by_name = {section.name: Entry.of(section) for section in sections}
    for name, entry in sorted(entries.items()):
        now = by_name.get(name)
        if now is None:
            found(name, "CHANGE_RELEASED" if entry.state == "released" else "CHANGE_UNLISTED", "the file is listed and not there")
        elif now.schema_id != entry.schema_id:
            code = "CHANGE_RELEASED" if entry.state == "released" else "CHANGE_UNLISTED"
            found(name, code, f"the schema was {entry.schema_id[:16]} and is {now.schema_id[:16]}")
        elif now.units != entry.units:
            code = "CHANGE_UNIT" if entry.state == "released" else "CHANGE_UNLISTED"
            found(name, code, "the docs say other units or code standards than when it was listed")
    for name in sorted(by_name.keys() - entries.keys()):
        found(name, "CHANGE_UNLISTED", "the file is not in schemas/released.json")
    return changes


def check_versions(sections: Iterable[Section]) -> list[Change]:
    """Every version of every section beside every later one."""
    changes: list[Change] = []
    ordered = sorted(sections, key=lambda each: (each.family, each.section, each.version))
    for _, group in groupby(ordered, key=lambda each: (each.family, each.section)):
        versions = list(group)
        for at, newer in enumerate(versions):
            for older in versions[:at]:
                changes += between(older, newer)
    return changes


def between(older: Section, newer: Section) -> list[Change]:
    """What changed from one version of a section to a later one."""
    findings = compare(read_text(older.text), read_text(newer.text), family=newer.family)
    return [Change(older.name, newer.name, finding) for finding in findings]


def check_folders(old: Sequence[Section], new: Sequence[Section]) -> list[Change]:
    """The schemas of one program beside those of a later one: nothing released is gone or altered, everything new is compatible."""
    changes: list[Change] = []
    for older in old:
        twin = next((each for each in new if each.name == older.name), None)
        reason = "the file is gone" if twin is None else f"the schema was {older.schema_id.hex()[:16]} and is {twin.schema_id.hex()[:16]}"
        if twin is None or twin.schema_id != older.schema_id:
            changes.append(Change(older.name, older.name, Finding("REJECT", "CHANGE_RELEASED", "", reason)))
        elif units(read_text(twin.text)) != units(read_text(older.text)):
            changes += [change for change in between(older, twin) if change.finding.code == "CHANGE_UNIT"]
        for newer in new:
            if (newer.family, newer.section) == (older.family, older.section) and newer.version > older.version:
                changes += between(older, newer)
    return changes
