"""Random schemas of the subset, random values, random damage: one value has one encoding, and nothing else gets through."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, NamedTuple, cast

from fastavro import parse_schema, schemaless_writer  # pyright: ignore[reportUnknownVariableType]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import Refusal
from broker.schema.avsc import JsonValue, read_schema
from broker.schema.canonical import schema_id
from broker.schema.catalogue import Section
from broker.schema.codec import Codec
from broker.schema.encoder import FieldError, compile_encoder
from broker.schema.json_form import from_json, read_json, to_json
from broker.schema.limits import BODY_LIMIT, FIRST_DAY, LAST_DAY
from broker.schema.lint import lint
from broker.schema.walk import WalkError, compile_walk
from broker.schema.writer import UNWRITABLE, compile_writer
from tests.unit.schema.samples import EVERYTHING, TIMESTAMP

Values = st.SearchStrategy[Any]
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=150)

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    | st.sampled_from("\t\n"),
    max_size=40,
)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 12, 31, 23, 59, 59), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1_000 * 1_000)
)
PLAIN: list[tuple[JsonValue, Values]] = [
    ("boolean", st.booleans()),
    ("int", st.integers(-(1 << 31), (1 << 31) - 1)),
    ("long", st.integers(-(1 << 63), (1 << 63) - 1)),
    ("string", TEXTS),
    ("bytes", st.binary(max_size=40)),
    (TIMESTAMP, TIMES),
    ({"type": "int", "logicalType": "date"}, st.dates(FIRST_DAY, LAST_DAY)),
]


class Sample(NamedTuple):
    """A schema and the strategy of its values."""

    avsc: JsonValue
    values: Values


class _Schemas:
    """Draws one schema; named types are numbered and may be used again by name."""

    def __init__(self, draw: Callable[[Values], Any]) -> None:
        self.draw = draw
        self.count = 0
        self.named: list[Sample] = []

    def name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def node(self, depth: int) -> Sample:
        kinds = ["plain", "plain", "nullable", "fixed", "decimal", "enum", *(["again"] if self.named else [])]
        if depth:
            kinds += ["array", "record"]
        match self.draw(st.sampled_from(kinds)):
            case "plain":
                return Sample(*self.draw(st.sampled_from(PLAIN)))
            case "nullable":
                inner = self.node(depth)
                if isinstance(inner.avsc, list):
                    return inner
                return Sample(["null", inner.avsc], st.none() | inner.values)
            case "array":
                inner = self.node(depth - 1)
                return Sample({"type": "array", "items": inner.avsc}, st.lists(inner.values, max_size=4))
            case "record":
                return self.record(depth - 1)
            case "again":
                return self.draw(st.sampled_from(self.named))
            case kind:
                return self.leaf(kind)

    def leaf(self, kind: str) -> Sample:
        name = self.name("N")
        if kind == "enum":
            symbols = [f"S_{number}" for number in range(self.draw(st.integers(1, 70)))]
            sample = Sample({"type": "enum", "name": name, "doc": "E.", "symbols": [*symbols]}, st.sampled_from(symbols))
        elif kind == "fixed":
            size = self.draw(st.sampled_from([1, 4, 16, 32]))
            sample = Sample({"type": "fixed", "name": name, "size": size}, st.binary(min_size=size, max_size=size))
        else:
            precision = self.draw(st.integers(1, 18))
            scale = self.draw(st.integers(0, precision))
            avsc: JsonValue = {"type": "fixed", "name": name, "size": 8, "logicalType": "decimal", "precision": precision, "scale": scale}
            bound = 10**precision - 1
            sample = Sample(avsc, st.integers(-bound, bound).map(lambda unscaled: Decimal(unscaled).scaleb(-scale)))
        self.named.append(Sample(name, sample.values))
        return sample

    def record(self, depth: int) -> Sample:
        name = self.name("R")
        fields = {f"f{number}": self.node(depth) for number in range(self.draw(st.integers(1, 4)))}
        avsc: JsonValue = {
            "type": "record",
            "name": name,
            "doc": "R.",
            "fields": [{"name": key, "type": sample.avsc, "doc": "F."} for key, sample in fields.items()],
        }
        self.named.append(Sample(name, st.fixed_dictionaries({key: sample.values for key, sample in fields.items()})))
        return Sample(avsc, self.named[-1].values)


@st.composite
def samples(draw: Callable[[Values], Any]) -> tuple[JsonValue, Any]:
    """A schema and one value of it."""
    sample = _Schemas(draw).record(3)
    return sample.avsc, draw(sample.values)


def _again(codec: Codec, body: bytes) -> bytes:
    return codec.encode(codec.decode(body))


@SLOW
@given(samples())
def test_every_value_survives_and_fastavro_agrees(sample: tuple[JsonValue, Any]) -> None:
    """The lint passes the schema, the walk passes the bytes, decoding gives the value back, fastavro writes the same bytes
    from the schema as published, and the JSON form leads back to the same record."""
    avsc, value = sample
    assert lint(avsc) == []
    codec = Codec(read_schema(avsc))
    body = codec.encode(value)
    compile_walk(avsc)(body, BODY_LIMIT)
    assert codec.decode(body) == value
    assert codec.encode(codec.decode(body, logical=False)) == body
    published: Any = json.loads(json.dumps(avsc))
    out = BytesIO()
    schemaless_writer(out, parse_schema(published, {}), value, strict=True)
    assert out.getvalue() == body
    section = Section.from_text("sample", "extra", 1, json.dumps(avsc))
    assert section.schema_id == schema_id(avsc)
    for record in (value, codec.decode(body, logical=False)):
        assert from_json(section, read_json(json.dumps(to_json(section, record)))) == value


@SLOW
@given(samples(), st.data())
def test_damage_is_refused_or_is_another_value(sample: tuple[JsonValue, Any], data: st.DataObject) -> None:
    """A changed, added or dropped byte either stops the walk or makes the one encoding of another value."""
    avsc, value = sample
    codec, walk = Codec(read_schema(avsc)), compile_walk(avsc)
    body = codec.encode(value)
    for _ in range(10):
        at = data.draw(st.integers(0, len(body) - 1))
        byte = bytes([data.draw(st.integers(0, 255))])
        damaged = data.draw(st.sampled_from([body[:at] + byte + body[at + 1 :], body[:at] + byte + body[at:], body[:at] + body[at + 1 :]]))
        try:
            walk(damaged, BODY_LIMIT)
        except WalkError as error:
            assert error.reason  # noqa: PT017 (a refusal is one of the two good outcomes)
        else:
            assert _again(codec, damaged) == damaged


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_walked_without_another_error(body: bytes) -> None:
    """Whatever the bytes, the walk returns or raises WalkError; what it accepts decodes and encodes to itself."""
    section = Section.from_text("sample", "extra", 1, json.dumps(EVERYTHING))
    refused = section.check(body)
    if refused is None:
        assert _again(section.codec, body) == body
    else:
        assert refused.path.startswith("extra")


WORDS = ["int", "null", "record", "array", "fixed", "decimal"]
KEYS = ["type", "name", "doc", "fields", "items", "symbols", "size", "default", "logicalType", "precision", "scale", "aliases", "nominal"]
JSON: Values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=6),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_the_lint_survives_any_json(avsc: JsonValue) -> None:
    """The lint never fails on JSON, and what it passes can be compiled."""
    if not lint(avsc):
        compile_walk(avsc)


@settings(deadline=None)
@given(JSON, st.sampled_from(["flag", "count", "text", "value", "at", "day", "id", "tlp", "places", "route", "items"]))
def test_any_json_value_is_read_or_refused(value: object, name: str) -> None:
    """A field of any JSON value gives a record that encodes, or a refusal; never an exception."""
    section = Section.from_text("sample", "extra", 1, json.dumps(EVERYTHING))
    good: dict[str, object] = {"flag": True, "count": 0, "mass": 0, "text": "", "blob": "", "id": "00" * 16, "digest": "00" * 32}
    rest: dict[str, object] = {"value": 0, "at": "2026-11-24T03:00:00Z", "day": "2026-11-24", "tlp": "CLEAR", "items": []}
    read = from_json(section, good | rest | {"route": {"mode": 0}} | {name: value})
    if isinstance(read, Refusal):
        assert read.path.startswith(f"extra.{name}")
    else:
        section.codec.encode(read)


def test_the_strategy_reaches_every_kind_of_node() -> None:
    """The random schemas are worth something: over some hundred of them every kind of type occurs."""
    seen: set[str] = set()

    @settings(SLOW, max_examples=200, database=None, derandomize=True)
    @given(samples())
    def collect(sample: tuple[JsonValue, Any]) -> None:
        seen.update(json.dumps(sample[0]).split('"'))

    collect()
    wanted = {"boolean", "int", "long", "string", "bytes", "timestamp-millis", "date", "decimal", "fixed", "enum", "array", "null", "R1"}
    assert wanted <= seen
    assert any(name.startswith("R") and name != "R1" for name in seen)


@SLOW
@given(sample=samples(), noise=st.binary(max_size=120), at=st.integers(0, 200), times=st.booleans())
def test_the_reader_is_the_walk_and_the_decoder(sample: tuple[Any, Any], noise: bytes, at: int, times: bool) -> None:
    """For good bytes, any bytes, and good bytes that were spoilt: the reader takes what the walk takes, and gives what fastavro gives."""
    avsc, value = sample
    schema = read_schema(avsc)
    codec, walk = Codec(schema), compile_walk(schema)
    body = codec.encode(value)
    spoilt = body[: at % (len(body) + 1)] + noise[:3] + body[at % (len(body) + 1) + len(noise[:2]) :]
    for candidate in (body, noise, spoilt, body[:-1], body + b"\x00"):
        try:
            walk(candidate, BODY_LIMIT)
        except WalkError:
            assert codec.read(candidate, logical=times) is None
        else:
            read, decoded = codec.read(candidate, logical=times), codec.decode(candidate, logical=times)
            assert read == decoded
            assert repr(read) == repr(decoded)
    assert codec.read(body, logical=times) is not None


DAMAGE = st.sampled_from([None, 7, -1, 1 << 70, True, "text", "\u202e", b"bytes", 1.5, [], [1], {}, {"x": 1}, Decimal("1.0000001")])


def _spoilt(value: Any, at: int, put: Any) -> Any:
    """The value with one part of it, the ``at``-th, exchanged."""
    count = 0

    def again(node: Any) -> Any:
        nonlocal count
        count += 1
        if count == at:
            return put
        if isinstance(node, dict):
            return {key: again(part) for key, part in cast("dict[str, Any]", node).items()}
        return [again(part) for part in cast("list[Any]", node)] if isinstance(node, list) else node

    return again(value)


@SLOW
@given(sample=samples(), at=st.integers(1, 40), put=DAMAGE)
def test_the_writer_is_the_encoder(sample: tuple[Any, Any], at: int, put: Any) -> None:
    """For good values and spoilt ones: what the writer writes the encoder writes, and what the encoder refuses it never writes."""
    avsc, value = sample
    schema = read_schema(avsc)
    write, encode = compile_writer(schema), compile_encoder(schema)
    for candidate in (value, _spoilt(value, at, put)):
        expected: bytearray | None = bytearray()
        try:
            encode(candidate, expected)
        except FieldError:
            expected = None
        try:
            written: bytearray | None = write(candidate)
        except UNWRITABLE:
            written = None
        if written is not None:
            assert written == expected
    assert write(value) == Codec(schema).encode(value)
