"""Messages whose texts are all recognisable: wherever a section goes, a search of raw bytes finds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

from broker import ids
from broker.errors import Refusal
from broker.exchange.publish import encode_sections, preview
from broker.exchange.rules import Rules
from broker.exchange.topology import DAY_MS
from broker.families.message import Message
from broker.testing.sample_answers import SAMPLES
from broker.testing.samples import START_MS
from tests.support.parcels import catalogue
from tests.unit.exchange.bench import Bench
from tests.unit.families.samples import good_alert, good_licence, good_seizure

Path = tuple[str | int, ...]
"""Section, then fields and numbers in lists."""

BASES: Mapping[str, Callable[[], Message]] = {**SAMPLES, "alert": good_alert, "licence": good_licence, "seizure": good_seizure}


def marked(family: str, token: Callable[[str], str]) -> Message:
    """A message of the family in which every text that may be any text is ``token(section)``."""
    message = _base(family)
    sections = deepcopy(dict(message.sections))
    for path in places(family):
        _put(sections, path, token(str(path[0])))
    return replace(message, sections=sections)


@lru_cache
def places(family: str) -> tuple[Path, ...]:
    """Every text of every section that can be exchanged for another: none that is a code of a closed list, and none that the header
    shows (a free zone's code): that is no secret of its section."""
    message = _base(family)
    found: list[Path] = []
    for section in message.sections:
        schema = catalogue().current(family, section)
        assert schema is not None
        named: dict[str, Any] = {}
        for path in _texts(json.loads(schema.text), message.sections[section], (section,), named):
            sections = deepcopy(dict(message.sections))
            _put(sections, path, "ZQ0MARK0MARK0")
            if _accepted(replace(message, sections=sections)):
                found.append(path)
    return tuple(found)


def _base(family: str) -> Message:
    return replace(BASES[family](), valid_until_ms=START_MS + 20 * DAY_MS)


def _accepted(message: Message) -> bool:
    owner = ids.owner_of(message.subject)
    encoded = encode_sections(message, owner, rules(), issued_ms=START_MS)
    return not isinstance(encoded, Refusal) and "ZQ0MARK" not in repr(preview(message, encoded, originator=owner, now_ms=START_MS))


@lru_cache(maxsize=1)
def rules() -> Rules:
    """Directory and schemas, as far as checking and encoding need them."""
    return Bench().rules


def _put(value: Any, path: Path, text: str) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = text


def _texts(schema: Any, value: Any, path: Path, named: dict[str, Any]) -> Iterator[Path]:
    """The places of texts that a value has or could have: fields of records that are there, and what their lists hold."""
    if isinstance(schema, str):
        schema = named.get(schema, schema)
    if isinstance(schema, list):
        for branch in cast("list[Any]", schema):
            if branch != "null":
                yield from _texts(branch, value, path, named)
        return
    kind: Any = {"type": schema} if isinstance(schema, str) else schema
    if kind["type"] == "string":
        yield path
    elif kind["type"] == "record":
        named[kind["name"]] = kind
        for field in kind["fields"]:
            there = None if value is None else value.get(field["name"])
            below = list(_texts(field["type"], there, (*path, field["name"]), named))
            yield from below if value is not None else ()
    elif kind["type"] == "array":
        list(_texts(kind["items"], None, path, named))  # for the names of types: those of an empty list may be used elsewhere
        for number, item in enumerate(value or ()):
            yield from _texts(kind["items"], item, (*path, number), named)
