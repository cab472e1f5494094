"""Random schemas, random changes of them, real data: what we call compatible is read by both sides, with the same values.

Three judges look at each pair: our rules, Avro's own compatibility checker, and fastavro, which reads the bytes of one version
under the other. Our projection has to give what fastavro's resolution gives.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any, cast

from fastavro import parse_schema, schemaless_reader  # pyright: ignore[reportUnknownVariableType]
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from broker.schema.avsc import Array, DecimalFixed, Enum, Fixed, JsonValue, Node, Nullable, Record, Scalar, read_schema
from broker.schema.codec import Codec
from broker.schema.compatibility import compatible
from broker.schema.encoder import FieldError
from broker.schema.lint import lint
from broker.schema.projection import compile_projection, fitted
from broker.schema.walk import compile_walk
from tests.property.test_schema_codec import PLAIN, samples
from tests.support.avro_oracle import side_by_side
from tests.unit.schema.samples import TIMESTAMP, field, record

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=200)
Draw = Callable[[st.SearchStrategy[Any]], Any]


def values(node: Node) -> st.SearchStrategy[Any]:
    """Everything that a type can hold."""
    match node:
        case Scalar(kind):
            names: dict[str, JsonValue] = {"timestamp": TIMESTAMP, "date": {"type": "int", "logicalType": "date"}}
            return next(strategy for avsc, strategy in PLAIN if avsc == names.get(kind, kind))
        case Fixed(size):
            return st.binary(min_size=size, max_size=size)
        case DecimalFixed(_, precision, scale):
            bound = 10**precision - 1
            return st.integers(-bound, bound).map(lambda unscaled: Decimal(unscaled).scaleb(-scale))
        case Enum(symbols):
            return st.sampled_from(symbols)
        case Nullable(inner):
            return st.none() | values(inner)
        case Array(items):
            return st.lists(values(items), max_size=3)
        case Record(_, fields):
            return st.fixed_dictionaries({each.name: values(each.node) for each in fields})


def records_of(schema: Any) -> list[Any]:
    """Every record defined in a schema, and every enum."""
    found: list[Any] = []
    if isinstance(schema, list):
        for branch in cast("list[Any]", schema):
            found += records_of(branch)
    elif isinstance(schema, dict):
        known = cast("dict[str, Any]", schema)
        if known["type"] in ("record", "enum"):
            found.append(known)
        found += records_of(known.get("items"))
        for each in known.get("fields", []):
            found += records_of(each["type"])
    return found


NEW_TYPES: list[tuple[Any, dict[str, Any]]] = [
    (["null", "string"], {"default": None}), ({"type": "array", "items": "string"}, {"default": []}), ("int", {"default": 7}),
    (["null", TIMESTAMP], {"default": None}), ("boolean", {"default": False}), ("string", {"default": "none"}), ("string", {}),
    ({"type": "enum", "name": "Fresh", "doc": "E.", "symbols": ["P", "Q"], "default": "Q"}, {"default": "P"}),
    ({"type": "array", "items": record("Row", field("x", "long"))}, {"default": []}),
]  # fmt: skip


def add(draw: Draw, target: Any) -> None:
    kind, more = draw(st.sampled_from(NEW_TYPES))
    target["fields"].insert(draw(st.integers(0, len(target["fields"]))), field("added", copy.deepcopy(kind), **more))


def turn(draw: Draw, target: Any) -> None:
    target["fields"] = draw(st.permutations(target["fields"]))


def drop(draw: Draw, target: Any) -> None:
    if len(target["fields"]) > 1:
        target["fields"].pop(draw(st.integers(0, len(target["fields"]) - 1)))


def rename(draw: Draw, target: Any) -> None:
    each = draw(st.sampled_from(target["fields"]))
    if draw(st.booleans()):
        each["aliases"] = [each["name"]]
    each["name"] = "renamed"


def retype(draw: Draw, target: Any) -> None:
    each = draw(st.sampled_from(target["fields"]))
    each["type"] = draw(st.sampled_from(["int", "long", "string", "bytes", ["null", "string"], TIMESTAMP]))


def reword(draw: Draw, target: Any) -> None:
    each = draw(st.sampled_from(target["fields"]))
    each["doc"] = draw(st.sampled_from(["Clearer.", "In kg.", "Time, UTC."]))


def append(draw: Draw, target: Any) -> None:
    target["symbols"] = [*target["symbols"], *draw(st.sampled_from([["NEW"], ["NEW", "NEWER"]]))]


def shuffle(draw: Draw, target: Any) -> None:
    target["symbols"] = draw(st.permutations(target["symbols"]))


def shrink(draw: Draw, target: Any) -> None:
    target["symbols"] = target["symbols"][: max(1, len(target["symbols"]) - 1)]


CHANGES_OF: dict[str, list[Callable[[Draw, Any], None]]] = {
    "record": [add, add, add, turn, turn, drop, rename, retype, reword],
    "enum": [append, append, append, shuffle, shrink],
}


@st.composite
def pairs(draw: Draw) -> tuple[Any, Any]:
    """A schema whose enums mostly have a default and some of whose fields do, and the same after one to three changes."""
    old: Any = copy.deepcopy(draw(samples())[0])
    for each in records_of(old):
        if each["type"] == "enum" and draw(st.integers(0, 3)):
            each["default"] = each["symbols"][0]
        for one in each.get("fields", []):
            if isinstance(one["type"], list) and draw(st.booleans()):
                one["default"] = None
    new = copy.deepcopy(old)
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.sampled_from(records_of(new)))
        draw(st.sampled_from(CHANGES_OF[target["type"]]))(draw, target)
    assume(not lint(old))
    assume(not lint(new))
    return old, new


def resolved(body: bytes, writer: Any, reader: Any) -> Any:
    """What fastavro makes of it."""
    return schemaless_reader(BytesIO(body), parse_schema(copy.deepcopy(writer), {}), parse_schema(copy.deepcopy(reader), {}))


@SLOW
@given(pairs(), st.data())
def test_what_is_compatible_is_read_by_both_sides(pair: tuple[Any, Any], data: st.DataObject) -> None:
    """Data of either version is read under the other by fastavro, the projection gives the same values, and they are values of the
    reader's version: its encoder and its walk take them."""
    assume(compatible(*pair))
    for writer, reader in (pair, pair[::-1]):
        written, read = read_schema(writer), read_schema(reader)
        record = data.draw(values(written))
        body = Codec(written).encode(record)
        seen = compile_projection(written, read)(Codec(written).decode(body))
        assert seen == resolved(body, writer, reader)
        compile_walk(read)(Codec(read).encode(seen), 1 << 20)


@SLOW
@given(pairs())
def test_avro_lets_pass_what_we_let_pass(pair: tuple[Any, Any]) -> None:
    """Ours is never looser than Avro's checker, in either direction. Where ours is stricter, tests/unit/schema/test_compatibility.py
    has a pair of schemas for the rule."""
    assume(compatible(*pair))
    assert side_by_side(*pair)


@SLOW
@given(pairs(), st.data())
def test_a_newer_record_fits_an_older_version_or_is_refused(pair: tuple[Any, Any], data: st.DataObject) -> None:
    """A record of the newest version, made to fit an older one, is read back as it was: nothing is dropped that says anything."""
    assume(compatible(*pair))
    old, new = read_schema(pair[0]), read_schema(pair[1])
    record = data.draw(values(new))
    try:
        body = Codec(old).encode(fitted(new, old, record, 1))
    except FieldError as error:
        assert error.path  # noqa: PT017 (a refusal is one of the two good outcomes)
    else:
        assert compile_projection(old, new)(Codec(old).decode(body)) == record


def test_both_verdicts_are_common() -> None:
    """The pairs are worth something: some hundreds of them hold enough of either verdict."""
    seen: list[bool] = []

    @settings(deadline=None, database=None, max_examples=300, suppress_health_check=SLOW.suppress_health_check)
    @given(pairs())
    def look(pair: tuple[Any, Any]) -> None:
        seen.append(compatible(*pair))

    look()
    assert seen.count(True) > 30
    assert seen.count(False) > 30
