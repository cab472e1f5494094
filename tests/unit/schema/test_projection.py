"""From one version to another: what a reader sees, and what a publisher may leave out."""

from __future__ import annotations

from typing import Any

import pytest

from broker.errors import UsageError
from broker.schema.avsc import read_schema
from broker.schema.encoder import FieldError
from broker.schema.projection import compile_projection, fitted
from tests.unit.schema.samples import TIMESTAMP, field, record

MODES: Any = {"type": "enum", "name": "Mode", "doc": "M.", "symbols": ["SEA", "AIR", "OTHER"], "default": "OTHER"}
TAGS: Any = {"type": "array", "items": "string"}
MORE: Any = {**MODES, "symbols": ["SEA", "AIR", "OTHER", "PIPE", "DRONE"]}


def leg(modes: Any, *more: Any) -> Any:
    return record("Leg", field("mode", modes), field("at", ["null", TIMESTAMP], default=None), *more)


OLD = read_schema(
    record(
        "Route",
        field("legs", {"type": "array", "items": leg(MODES)}),
        field("last", ["null", "Leg"], default=None),
        field("remark", ["null", "string"], default=None),
    )
)
NEW = read_schema(
    record(
        "Route",
        field("note", ["null", "string"], default=None, aliases=["remark"]),
        field("last", ["null", leg(MORE, field("km", ["null", "int"], default=None), field("tags", TAGS, default=[]))], default=None),
        field("legs", {"type": "array", "items": "Leg"}),
        field("sealed", "boolean", default=False),
    )
)

NEWER: dict[str, Any] = {
    "note": "n", "last": {"mode": "DRONE", "at": None, "km": 12, "tags": ["x"]},
    "legs": [{"mode": "SEA", "at": 5, "km": None, "tags": []}, {"mode": "PIPE", "at": None, "km": 1, "tags": []}], "sealed": True,
}  # fmt: skip
OLDER = {"legs": [{"mode": "SEA", "at": 5}, {"mode": "AIR", "at": None}], "last": {"mode": "OTHER", "at": None}, "remark": "r"}


def test_an_old_reader_sees_what_it_knows() -> None:
    """Unknown fields go at every depth, unknown symbols become the default of the enum, and a field that got another name has its
    default: the old reader cannot know that name."""
    assert compile_projection(NEW, OLD)(NEWER) == {
        "legs": [{"mode": "SEA", "at": 5}, {"mode": "OTHER", "at": None}], "last": {"mode": "OTHER", "at": None}, "remark": None,
    }  # fmt: skip


def test_a_new_reader_sees_defaults() -> None:
    """Fields that the writer did not know have their defaults at every depth; a renamed field is found by its alias."""
    nothing: dict[str, Any] = {"km": None, "tags": []}
    assert compile_projection(OLD, NEW)(OLDER) == {
        "note": "r", "last": {"mode": "OTHER", "at": None, **nothing},
        "legs": [{"mode": "SEA", "at": 5, **nothing}, {"mode": "AIR", "at": None, **nothing}], "sealed": False,
    }  # fmt: skip


def test_the_same_version_costs_nothing() -> None:
    """A record of one's own version comes back as the very object."""
    assert compile_projection(NEW, NEW)(NEWER) is NEWER


@pytest.mark.parametrize(
    ("writer", "reader", "words"),
    [
        (field("a", "int"), field("a", "long"), "cannot be read"),
        (field("a", "int"), field("b", "int"), "is not written and has no default"),
        (field("a", MORE), field("a", {**MODES, "default": None}), "no symbol DRONE, PIPE"),
        (field("a", ["null", "int"]), field("a", "int"), "Nullable cannot be read as Scalar"),
    ],
)
def test_what_cannot_be_resolved_is_no_projection(writer: Any, reader: Any, words: str) -> None:
    """Versions that the compatibility rules would have refused make an error when they are put together, not when data comes."""
    with pytest.raises(UsageError, match=words):
        compile_projection(read_schema(record("R", writer)), read_schema(record("R", reader)))


def test_a_newer_record_that_says_nothing_new_fits() -> None:
    """Defaults of the newer version are left out at every depth, renamed fields go back to the old name, nothing given is changed."""
    given: dict[str, Any] = {
        "note": "n", "last": None, "legs": ({"mode": "AIR", "at": 1, "km": None, "tags": []},), "sealed": False,
    }  # fmt: skip
    before = repr(given)
    assert fitted(NEW, OLD, given, 1) == {"legs": [{"mode": "AIR", "at": 1}], "last": None, "remark": "n"}
    assert repr(given) == before


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"sealed": True}, "sealed"),
        ({"sealed": 0}, "sealed"),
        ({"last": {"mode": "AIR", "at": None, "km": 0, "tags": []}}, "last.km"),
        ({"legs": [{"mode": "AIR", "at": None, "km": None, "tags": ["x"]}]}, "legs[0].tags"),
    ],
)
def test_what_the_older_version_cannot_say_is_refused(change: dict[str, Any], path: str) -> None:
    """A value that is not the default is never dropped: the error names the field, and the version that lacks it."""
    plain: dict[str, Any] = {"note": None, "last": None, "legs": [], "sealed": False}
    with pytest.raises(FieldError, match="version 1 of this section only") as caught:
        fitted(NEW, OLD, plain | change, 1)
    assert caught.value.path == path


def test_mistakes_are_left_for_the_codec() -> None:
    """Unknown keys, missing fields and values of a wrong type stay: the codec names them."""
    assert fitted(NEW, OLD, {"legs": "none", "lsat": 1}, 1) == {"legs": "none", "lsat": 1, "last": None, "remark": None}
    assert fitted(NEW, OLD, 7, 1) == 7
