"""Which changes of a schema are possible: each rule by a pair of schemas, with what Avro's own checker says of the same pair."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pytest

from broker.schema.compatibility import CHANGES, compare, compatible
from broker.schema.expansion import units
from broker.schema.lint import lint
from tests.support.avro_oracle import side_by_side
from tests.unit.schema.samples import TIMESTAMP, field, record


def enum(*symbols: str, **more: Any) -> Any:
    return {"type": "enum", "name": "Kind", "doc": "A kind.", "symbols": list(symbols), **more}


def money(*, size: int = 12, precision: int = 22, scale: int = 6) -> Any:
    return {"type": "fixed", "name": "money", "size": size, "logicalType": "decimal", "precision": precision, "scale": scale}


def array(items: Any) -> Any:
    return {"type": "array", "items": items}


def note(*fields: Any, **more: Any) -> Any:
    """The schema under test: a record with a field that never changes, and these."""
    return record("Note", field("stays", "string"), *fields, **{"namespace": "broker.note.v1", **more})


NULL: Any = {"default": None}


class Case(NamedTuple):
    """A pair, the finding expected (none: nothing is found), and whether Avro's checker lets both read each other."""

    old: Any
    new: Any
    finding: tuple[str, str, str] | None
    avro: bool


POSSIBLE: dict[str, Case] = {
    "nothing": Case(note(), note(), None, avro=True),
    "the order of fields": Case(
        note(field("a", "int"), field("b", "int")), note(field("b", "int"), field("a", "int")), None, avro=True
    ),
    "a field with a default": Case(note(), note(field("a", ["null", "int"], **NULL)), ("INFO", "CHANGE_ADDED", "a"), avro=True),
    "a list": Case(note(), note(field("a", array("string"), default=[])), ("INFO", "CHANGE_ADDED", "a"), avro=True),
    "words": Case(note(field("a", "int")), note(field("a", "int", doc="Clearer words.")), ("INFO", "CHANGE_DOC", "a"), avro=True),
    "words of a record": Case(note(), note(doc="Clearer words."), ("INFO", "CHANGE_DOC", ""), avro=True),
    "a unit that was not said before": Case(
        note(field("a", "int", doc="The mass.")), note(field("a", "int", doc="The mass in kg.")), ("WARN", "CHANGE_UNIT", "a"), avro=True
    ),
    "a symbol where there is a default": Case(
        note(field("a", enum("X", "Y", default="Y"))), note(field("a", enum("X", "Y", "Z", default="Y"))), None, avro=True
    ),
    "a default for an enum": Case(note(field("a", enum("X", "Y"))), note(field("a", enum("X", "Y", default="Y"))), None, avro=True),
    "a field with a default goes": Case(
        note(field("a", ["null", "string"], **NULL)), note(), ("WARN", "CHANGE_REMOVED", "a"), avro=True
    ),
    "a field with a default is renamed": Case(
        note(field("a", ["null", "string"], **NULL)), note(field("b", ["null", "string"], aliases=["a"], doc="The a.", **NULL)),
        ("WARN", "CHANGE_NAME", "b"), avro=True,
    ),
    "a default where there was none": Case(
        note(field("a", "int")), note(field("a", "int", default=0)), ("WARN", "CHANGE_DEFAULT", "a"), avro=True
    ),
    "another default": Case(
        note(field("a", "boolean", default=False)), note(field("a", "boolean", default=True)), ("WARN", "CHANGE_DEFAULT", "a"), avro=True
    ),
    "a mark in a section that has some": Case(
        note(field("a", "string"), field("b", "string", nominal=True)),
        note(field("a", "string", nominal=True), field("b", "string", nominal=True)), ("WARN", "CHANGE_NOMINAL", "a"), avro=True,
    ),
}  # fmt: skip

WRONG: dict[str, Case] = {
    "a new mandatory field": Case(note(), note(field("a", "int")), ("REJECT", "CHANGE_MANDATORY", "a"), avro=False),
    "a default goes": Case(
        note(field("a", ["null", "int"], **NULL)), note(field("a", ["null", "int"])), ("REJECT", "CHANGE_MANDATORY", "a"), avro=True
    ),
    "no longer absent": Case(
        note(field("a", ["null", "int"])), note(field("a", "int")), ("REJECT", "CHANGE_MANDATORY", "a"), avro=False
    ),
    "absent now": Case(note(field("a", "int")), note(field("a", ["null", "int"])), ("REJECT", "CHANGE_UNION", "a"), avro=False),
    "the union turned round": Case(
        note(field("a", ["null", "int"])), note(field("a", ["int", "null"])), ("REJECT", "CHANGE_UNION", "a"), avro=True
    ),
    "a longer union": Case(
        note(field("a", ["null", "int"])), note(field("a", ["null", "int", "string"])), ("REJECT", "CHANGE_UNION", "a"), avro=False
    ),
    "int to long": Case(note(field("a", "int")), note(field("a", "long")), ("REJECT", "CHANGE_TYPE", "a"), avro=False),
    "string to bytes": Case(note(field("a", "string")), note(field("a", "bytes")), ("REJECT", "CHANGE_TYPE", "a"), avro=True),
    "another type in a union": Case(
        note(field("a", ["null", "int"])), note(field("a", ["null", "string"])), ("REJECT", "CHANGE_TYPE", "a"), avro=False
    ),
    "a list in the place of one": Case(note(field("a", "int")), note(field("a", array("int"))), ("REJECT", "CHANGE_TYPE", "a"), avro=False),
    "other items": Case(
        note(field("a", array("int"))), note(field("a", array("string"))), ("REJECT", "CHANGE_TYPE", "a[]"), avro=False
    ),
    "scale": Case(
        note(field("a", money())), note(field("a", money(scale=2))), ("REJECT", "CHANGE_LOGICAL_TYPE", "a"), avro=True
    ),
    "precision": Case(
        note(field("a", money())), note(field("a", money(precision=20))), ("REJECT", "CHANGE_LOGICAL_TYPE", "a"), avro=True
    ),
    "size": Case(note(field("a", money())), note(field("a", money(size=16))), ("REJECT", "CHANGE_LOGICAL_TYPE", "a"), avro=False),
    "a time as a number": Case(note(field("a", TIMESTAMP)), note(field("a", "long")), ("REJECT", "CHANGE_LOGICAL_TYPE", "a"), avro=True),
    "milliseconds to microseconds": Case(
        note(field("a", TIMESTAMP)), note(field("a", {"type": "long", "logicalType": "timestamp-micros"})),
        ("REJECT", "CHANGE_LOGICAL_TYPE", "a"), avro=True,
    ),
    "kilograms to tonnes": Case(
        note(field("a", money(), doc="Mass in kg.")), note(field("a", money(), doc="Mass in tonnes.")),
        ("REJECT", "CHANGE_UNIT", "a"), avro=True,
    ),
    "universal to local time": Case(
        note(field("a", TIMESTAMP, doc="Arrival, UTC.")), note(field("a", TIMESTAMP, doc="Arrival, local time.")),
        ("REJECT", "CHANGE_UNIT", "a"), avro=True,
    ),
    "another code standard": Case(
        note(field("c", "string", doc="ISO 3166-1 alpha-2 code.")), note(field("c", "string", doc="ISO 3166-1 alpha-3 code.")),
        ("REJECT", "CHANGE_UNIT", "c"), avro=True,
    ),
    "a unit is no longer said": Case(
        note(field("a", "int", doc="Stay in days.")), note(field("a", "int", doc="Stay.")), ("REJECT", "CHANGE_UNIT", "a"), avro=True
    ),
    "the default of a unit": Case(
        note(field("unit", "string", default="KGM")), note(field("unit", "string", default="TNE")),
        ("REJECT", "CHANGE_DEFAULT", "unit"), avro=True,
    ),
    "the default of an amount": Case(
        note(field("a", ["null", money()])), note(field("a", ["null", money()], **NULL)), ("REJECT", "CHANGE_DEFAULT", "a"), avro=True
    ),
    "the default of an enum": Case(
        note(field("a", enum("X", "Y", default="Y"))), note(field("a", enum("X", "Y", default="X"))),
        ("REJECT", "CHANGE_DEFAULT", "a"), avro=True,
    ),
    "a mandatory field goes": Case(note(field("a", "int")), note(), ("REJECT", "CHANGE_REMOVED", "a"), avro=False),
    "a time goes": Case(
        note(field("a", ["null", TIMESTAMP], **NULL)), note(), ("REJECT", "CHANGE_REMOVED", "a"), avro=True
    ),
    "a currency goes": Case(
        note(field("fee_currency", ["null", "string"], **NULL)), note(), ("REJECT", "CHANGE_REMOVED", "fee_currency"), avro=True
    ),
    "a mandatory field is renamed": Case(
        note(field("a", "int")), note(field("b", "int", aliases=["a"])), ("REJECT", "CHANGE_NAME", "b"), avro=False
    ),
    "a time is renamed": Case(
        note(field("a", ["null", TIMESTAMP], **NULL)), note(field("b", ["null", TIMESTAMP], aliases=["a"], **NULL)),
        ("REJECT", "CHANGE_NAME", "b"), avro=True,
    ),
    "renamed without an alias": Case(
        note(field("a", "int")), note(field("b", "int", default=0)), ("REJECT", "CHANGE_REMOVED", "a"), avro=False
    ),
    "an alias that is another field": Case(
        note(field("a", "int", default=0)), note(field("a", "int", default=0), field("b", "int", aliases=["a"], default=0)),
        ("REJECT", "CHANGE_NAME", "b"), avro=True,
    ),
    "one alias for two fields": Case(
        note(field("a", "int", default=0)), note(field("b", "int", aliases=["a"], default=0), field("c", "int", aliases=["a"], default=0)),
        ("REJECT", "CHANGE_NAME", "c"), avro=True,
    ),
    "an old name for another field": Case(
        note(field("b", ["null", "int"], aliases=["a"], **NULL)),
        note(field("b", ["null", "int"], aliases=["a"], **NULL), field("a", ["null", "int"], **NULL)),
        ("REJECT", "CHANGE_NAME", "a"), avro=True,
    ),
    "a type is renamed": Case(
        note(field("a", enum("X"))), note(field("a", enum("X") | {"name": "Sort", "aliases": ["Kind"]})),
        ("REJECT", "CHANGE_NAME", "a"), avro=False,
    ),
    "a namespace moves": Case(note(), note(namespace="broker.note.v2"), ("REJECT", "CHANGE_NAMESPACE", ""), avro=True),
    "a symbol goes": Case(
        note(field("a", enum("X", "Y", default="X"))), note(field("a", enum("X", default="X"))),
        ("REJECT", "CHANGE_SYMBOLS", "a"), avro=True,
    ),
    "a symbol comes": Case(note(field("a", enum("X"))), note(field("a", enum("X", "Y"))), ("REJECT", "CHANGE_SYMBOLS", "a"), avro=False),
    "a symbol and a default come": Case(
        note(field("a", enum("X"))), note(field("a", enum("X", "Y", default="X"))), ("REJECT", "CHANGE_SYMBOLS", "a"), avro=False
    ),
    "a symbol comes in between": Case(
        note(field("a", enum("X", "Y", default="X"))), note(field("a", enum("X", "Z", "Y", default="X"))),
        ("REJECT", "CHANGE_SYMBOLS", "a"), avro=True,
    ),
    "symbols change places": Case(
        note(field("a", enum("X", "Y"))), note(field("a", enum("Y", "X"))), ("REJECT", "CHANGE_SYMBOLS", "a"), avro=True
    ),
    "a mark goes": Case(
        note(field("a", "string", nominal=True)), note(field("a", "string")), ("REJECT", "CHANGE_NOMINAL", "a"), avro=True
    ),
    "a mark comes where there was none": Case(
        note(field("a", "string")), note(field("a", "string", nominal=True)), ("REJECT", "CHANGE_NOMINAL", "a"), avro=True
    ),
    "a personal field in a section without any": Case(
        note(), note(field("a", ["null", "string"], nominal=True, **NULL)), ("REJECT", "CHANGE_NOMINAL", "a"), avro=True
    ),
    "a personal field inside a new list": Case(
        note(), note(field("a", array(record("Person", field("name", "string", nominal=True))), default=[])),
        ("REJECT", "CHANGE_NOMINAL", "a[].name"), avro=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POSSIBLE)
def test_possible_changes(name: str) -> None:
    """What can be in use side by side says what changed, if anything, and rejects nothing; Avro's checker agrees."""
    case = POSSIBLE[name]
    found = [(finding.severity, finding.code, finding.path) for finding in compare(case.old, case.new)]
    assert found == ([] if case.finding is None else [case.finding])
    assert compatible(case.old, case.new)
    assert case.avro
    assert side_by_side(case.old, case.new)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_changes(name: str) -> None:
    """What cannot be is rejected with its code at its path. Where Avro's checker would let it pass (``avro=True``), the rule is ours."""
    case = WRONG[name]
    found = [(finding.severity, finding.code, finding.path) for finding in compare(case.old, case.new)]
    assert case.finding in found
    assert not compatible(case.old, case.new)
    assert side_by_side(case.old, case.new) == case.avro


@pytest.mark.parametrize("name", [*POSSIBLE, *WRONG])
def test_changes_are_found_at_every_depth(name: str) -> None:
    """The same change inside a list of records and behind a reference to a named type gives the same finding, with its path."""
    case = POSSIBLE.get(name) or WRONG[name]

    def deep(inner: Any) -> Any:
        inner = copy.deepcopy(inner)
        first = field("first", array(inner))
        return record("Outer", first, field("second", ["null", inner["name"]], default=None), namespace=inner.pop("namespace"))

    found = [(finding.severity, finding.code, finding.path) for finding in compare(deep(case.old), deep(case.new))]
    assert compatible(deep(case.old), deep(case.new)) == compatible(case.old, case.new)
    if case.finding is None:
        assert found == []
    else:
        severity, code, path = case.finding
        for outer in ("first[]", "second"):
            assert (severity, code, f"{outer}.{path}".rstrip(".")) in found


def test_every_code_has_a_case() -> None:
    """No rule without a schema that breaks it. The list and the frame have tests of their own."""
    tried = {case.finding[1] for case in (*POSSIBLE.values(), *WRONG.values()) if case.finding}
    assert tried == set(CHANGES) - {"CHANGE_FRAME", "CHANGE_RELEASED", "CHANGE_UNLISTED"}


def test_the_cases_are_schemas() -> None:
    """But for unions and a logical type that the lint forbids anyway, both schemas of every case pass it."""
    forbidden = {"the union turned round", "a longer union", "milliseconds to microseconds"}
    for name, case in {**POSSIBLE, **WRONG}.items():
        for schema in (case.old, case.new):
            assert name in forbidden or [finding.code for finding in lint(schema)] == [], name


def test_the_header_has_one_version() -> None:
    """The header is named by a content type: no second version, however small the change."""
    new = note(field("a", ["null", "int"], **NULL))
    assert "CHANGE_FRAME" in [finding.code for finding in compare(note(), new, family="header")]
    assert not compatible(note(), new, family="header")
    assert compatible(note(), new, family="audience")


@pytest.mark.parametrize("family", ["receipt", "slip"])
def test_what_the_relay_signs_may_have_versions(family: str) -> None:
    """A new version of a receipt or slip is possible where any section's is, with the warning that its content type has to be new too."""
    new = note(field("a", ["null", "int"], **NULL))
    found = {finding.code: finding.severity for finding in compare(note(), new, family=family)}
    assert found == {"CHANGE_FRAME": "WARN", "CHANGE_ADDED": "INFO"}
    assert compatible(note(), new, family=family)
    assert not compatible(note(), note(field("a", "int")), family=family)


def test_units_are_picked_out_of_the_words() -> None:
    """Units, time zones and code standards, in any number; words that only contain one are none."""
    schema = note(
        field("a", "int", doc="Stay in days, 45 at most."),
        field("b", array(record("Row", field("t", TIMESTAMP, doc="When, UTC."), field("u", "string", doc="UN Recommendation 20 code.")))),
        field("c", "string", doc="A locally used yearbook; Degreed Monthly."),
        field("d", "int", doc="One Day or two Days; 3 kg."),
    )
    assert units(schema) == {"a": ["day"], "b[].t": ["UTC"], "b[].u": ["UN Recommendation 20"], "d": ["day", "kg"]}
