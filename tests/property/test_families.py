"""Random messages of every family: from JSON to a message, to bytes, back to a message and to the same JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import Refusal
from broker.families.catalogue import FAMILIES, check
from broker.families.message import Message
from broker.families.message_json import message_from_json, message_to_json
from broker.families.routing import check_routing
from broker.ids import uuid_text
from broker.schema.avsc import Array, DecimalFixed, Enum, Fixed, Node, Nullable, Record, Scalar
from broker.schema.catalogue import Section
from broker.schema.json_form import WRITTEN, from_json, read_json, to_json
from broker.schema.limits import FIRST_DAY, INT_MAX, INT_MIN, LAST_DAY, LONG_MAX, LONG_MIN
from broker.storage.schemas import load_catalogue
from broker.testing.samples import START_MS
from tests.property.test_schema_codec import TEXTS, TIMES, Values

CATALOGUE = load_catalogue()
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=60)


def section_of(family: str, name: str) -> Section:
    section = CATALOGUE.current(family, name)
    assert section is not None
    return section


def values(node: Node) -> Values:
    """JSON values of a type, as :func:`to_json` writes them."""
    match node:
        case Scalar("timestamp"):
            return TIMES.map(lambda time: time.isoformat(timespec="milliseconds").replace(".000", "").replace("+00:00", "Z"))
        case Scalar("date"):
            return st.dates(FIRST_DAY, LAST_DAY).map(str)
        case Scalar(kind):
            plain: dict[str, Values] = {
                "boolean": st.booleans(),
                "int": st.integers(INT_MIN, INT_MAX),
                "long": st.integers(LONG_MIN, LONG_MAX),
                "string": TEXTS,
                "bytes": st.binary(max_size=8).map(bytes.hex),
            }
            return plain[kind]
        case Fixed(size):
            return st.binary(min_size=size, max_size=size).map(uuid_text if size == 16 else bytes.hex)
        case DecimalFixed(_, precision, scale):
            bound = 10**precision - 1
            return st.integers(-bound, bound).map(lambda unscaled: f"{Decimal(unscaled).scaleb(-scale):f}")
        case Enum(symbols):
            return st.sampled_from([WRITTEN.get(symbol, symbol) for symbol in symbols])
        case Nullable(inner):
            return st.none() | values(inner)
        case Array(items):
            return st.lists(values(items), max_size=2)
        case Record(_, fields):
            return st.fixed_dictionaries({field.name: values(field.node) for field in fields})


def messages(family: str) -> Values:
    """Messages of a family in JSON, with its mandatory sections and any of the others."""
    kinds = FAMILIES[family]
    parts = {name: values(section_of(family, name).schema) for name in kinds.types}
    must = {name: part for name, part in parts.items() if name in kinds.mandatory}
    return st.fixed_dictionaries(
        {
            "family": st.just(family),
            "subject": st.just("SG-CUSTOMS/2026/1"),
            "revision": st.integers(1, 9),
            "header": st.fixed_dictionaries(
                {
                    "tlp": st.sampled_from(["GREEN", "AMBER+STRICT"]),
                    "valid_until": st.just("2027-03-01T00:00:00.000Z"),
                    "correlation": st.fixed_dictionaries({"target": st.just("DE-BAFA/2026/1"), "target_revision": st.integers(1, 9)}),
                    "audience": st.fixed_dictionaries({"agencies": st.just(["DE-BAFA"])}),
                }
            ),
            "sections": st.fixed_dictionaries(must, optional={name: part for name, part in parts.items() if name not in must}),
        }
    )


def read_section(family: str, name: str, value: object) -> Any:
    return from_json(section_of(family, name), value)


def write_section(family: str, name: str, record: Any) -> object:
    return to_json(section_of(family, name), record)


@pytest.mark.parametrize("family", FAMILIES)
def test_json_to_bytes_and_back(family: str) -> None:
    """Nothing is lost or altered on the way of any message: JSON, message, Avro, walk, message, JSON."""

    @SLOW
    @given(messages(family))
    def goes_round(content: Any) -> None:
        message = message_from_json(read_json(json.dumps(content)), read_section)
        assert isinstance(message, Message)
        decoded: dict[str, Any] = {}
        for name, record in message.sections.items():
            section = section_of(family, name)
            body = section.codec.encode(record)
            assert section.check(body) is None
            decoded[name] = section.codec.decode(body)
        assert decoded == message.sections
        again: Any = message_to_json(message, write_section)
        assert again["sections"] == content["sections"]
        assert {key: again["header"][key] for key in content["header"]} == content["header"]
        assert message_from_json(json.loads(json.dumps(again)), read_section) == message

    goes_round()


@pytest.mark.parametrize("family", FAMILIES)
def test_rules_answer_whatever_the_schema_lets_through(family: str) -> None:
    """Any content that fits the schema is judged, in both forms of times: findings or a refusal, never an exception; and what
    passes gives routing labels that the relay accepts."""

    @SLOW
    @given(messages(family))
    def judged(content: Any) -> None:
        message = message_from_json(content, read_section)
        assert isinstance(message, Message)
        plain = {name: section_of(family, name).codec for name in message.sections}
        moved = {name: codec.decode(codec.encode(message.sections[name]), logical=False) for name, codec in plain.items()}
        verdict = check(message, issued_ms=START_MS)
        other = check(replace(message, sections=moved), issued_ms=START_MS)
        assert verdict == other
        labels = FAMILIES[family].routing(message.sections)
        if not isinstance(verdict, Refusal):
            assert check_routing(labels) is None

    judged()
