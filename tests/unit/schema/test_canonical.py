"""Content ids of schemas: what they ignore, and everything they do not."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from broker.errors import UsageError
from broker.schema.avsc import read_text
from broker.schema.canonical import canonical, schema_id
from tests.unit.schema.samples import EVERYTHING, field, record


def test_form_is_sorted_resolved_and_without_documentation() -> None:
    """The exact bytes for a small schema, as a reader in another language must produce them."""
    number = {"type": "fixed", "name": "id", "size": 4}
    fields = [field("code", {"type": "string"}), field("next", ["null", number]), field("last", "id")]
    avsc = record("Port", *fields, namespace="x.v1")
    expected = (
        b'{"fields":[{"name":"code","type":"string"},'
        b'{"name":"next","type":["null",{"name":"x.v1.id","size":4,"type":"fixed"}]},'
        b'{"name":"last","type":"x.v1.id"}],"name":"x.v1.Port","type":"record"}'
    )
    assert canonical(avsc) == expected
    assert schema_id(avsc) == hashlib.sha256(expected).digest()


SPELLINGS: list[Callable[[Any], None]] = [
    lambda s: s.update(doc="Other words."),
    lambda s: s["fields"][0].update(doc="Other words."),
    lambda s: s.update(name="test.v1.Notice", namespace="ignored"),
    lambda s: s["fields"][1].update(type={"type": "int"}),
    lambda s: s["fields"][7]["type"].__setitem__(1, "test.v1.fixed16"),
    lambda s: s.update(dict(reversed(list(s.items())))),
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelling_does_not_change_the_id(spelling: Callable[[Any], None]) -> None:
    """Documentation, key order and the way a name is written are no part of a schema's meaning."""
    other: Any = copy.deepcopy(EVERYTHING)
    spelling(other)
    assert schema_id(other) == schema_id(EVERYTHING)


CHANGES: list[Callable[[Any], None]] = [
    lambda s: s["fields"][8]["type"].update(scale=3),
    lambda s: s["fields"][8]["type"].update(precision=17),
    lambda s: s["fields"][8]["type"].pop("logicalType"),
    lambda s: s["fields"][9].update(type={"type": "long", "logicalType": "timestamp-micros"}),
    lambda s: s["fields"][13].pop("default"),
    lambda s: s["fields"][12].pop("nominal"),
    lambda s: s["fields"][12].update(aliases=["note"]),
    lambda s: s["fields"][12].update(type=["string", "null"]),
    lambda s: s["fields"][11]["type"]["symbols"].reverse(),
    lambda s: s["fields"][11]["type"].update(default="CLEAR"),
    lambda s: s["fields"].reverse(),
    lambda s: s.update(namespace="test.v2"),
    lambda s: s.update(aliases=["Old"]),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_meaning_changes_the_id(change: Callable[[Any], None]) -> None:
    """Defaults, logical types, scales, orders, aliases and nominal marks all count, though Avro's own fingerprint drops most."""
    other: Any = copy.deepcopy(EVERYTHING)
    change(other)
    assert schema_id(other) != schema_id(EVERYTHING)


def test_fractions_are_refused() -> None:
    """A schema with a fraction has no canonical form: its digits depend on the JSON library."""
    avsc = record("R", field("a", "long", default=1.5))
    with pytest.raises(UsageError, match=r"1\.5"):
        canonical(avsc)


@pytest.mark.parametrize("text", ["{", '{"a": 1, "a": 2}', '{"a": 1.5}', '{"a": NaN}', "[" * 100_000])
def test_text_is_read_strictly(text: str) -> None:
    """Broken JSON, a doubled key, a fraction, NaN and absurd nesting are the caller's mistake, never a crash."""
    with pytest.raises(UsageError):
        read_text(text)
