"""The catalogue: schemas by content and by name, and what it will not take."""

from __future__ import annotations

import json
from typing import cast

import pytest

from broker.errors import Refusal, UsageError
from broker.schema.avsc import JsonValue
from broker.schema.canonical import schema_id
from broker.schema.catalogue import Catalogue, Section
from broker.schema.limits import BODY_LIMIT
from tests.unit.schema.samples import EVERYTHING, field, notice, one, record


def text(avsc: JsonValue) -> str:
    return json.dumps(avsc)


PARTIES = record(
    "Parties",
    field(
        "parties",
        {
            "type": "array",
            "items": record(
                "Party",
                field("role", "string"),
                field("name", ["null", "string"], nominal=True),
                field("aliases", {"type": "array", "items": "string"}, nominal=True),
            ),
        },
    ),
)


NEWER = one("int") | {"fields": [*cast("list[JsonValue]", one("int")["fields"]), field("b", ["null", "string"], default=None)]}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Two families, one of them with two versions of a section, given out of order."""
    return Catalogue.from_texts(
        {
            ("notice", "core", 10): text(NEWER),
            ("notice", "core", 9): text(one("int")),
            ("notice", "parties", 1): text(PARTIES),
            ("header", "header", 1): text(EVERYTHING | {"fields": EVERYTHING["fields"][:5]}),
        }
    )


def test_sections_are_found_by_content_and_by_name(catalogue: Catalogue) -> None:
    """The current version is the highest by number; older ones stay readable by their id."""
    old, new = catalogue.by_id(schema_id(one("int"))), catalogue.current("notice", "core")
    assert old is not None
    assert new is not None
    assert (old.version, new.version) == (9, 10)
    assert catalogue.by_id(new.schema_id) is new
    assert catalogue.by_id(bytes(32)) is None
    assert catalogue.current("notice", "nothing") is None
    assert catalogue.families() == ("header", "notice")
    assert catalogue.sections("notice") == ("core", "parties")
    assert [(one.section, one.version) for one in catalogue] == [("header", 1), ("core", 9), ("core", 10), ("parties", 1)]
    assert len(catalogue) == 4


def test_nominal_fields_are_listed_by_path(catalogue: Catalogue) -> None:
    """Policy and erasure see which fields of a section are personal, also inside arrays."""
    parties, core = catalogue.current("notice", "parties"), catalogue.current("notice", "core")
    assert parties is not None
    assert core is not None
    assert parties.nominal == ("parties[].name", "parties[].aliases[]")
    assert core.nominal == ()


def test_check_refuses_as_a_value_with_the_section_in_the_path() -> None:
    """Bytes that are not the schema's give BAD_STRUCTURE at `<section>.<field>`; good bytes give nothing."""
    section = Section.from_text("notice", "extra", 1, text(EVERYTHING))
    body = section.codec.encode(notice())
    assert section.check(body) is None
    refused = section.check(b"\x07" + body[1:])
    assert refused is not None
    assert refused == Refusal("BAD_STRUCTURE", "a boolean is 00 or 01", "extra.flag")
    assert refused.step == 8
    trailing = section.check(body + b"\x00")
    assert trailing is not None
    assert trailing.path == "extra"
    assert section.check(bytes(BODY_LIMIT + 1)) is not None


@pytest.mark.parametrize(
    ("name", "avsc", "words"),
    [
        (("notice", "core", 1), record("R", field("a", "string", nominal=True)), "SCHEMA_NOMINAL at a"),
        (("notice", "core", 1), one("double"), "SCHEMA_TYPE at a"),
        (("notice", "core", 1), record("R", field("a", "double"), field("b", "double")), "and 1 more"),
        (("notice", "core", 0), one("int"), "no name of a schema"),
        (("Notice", "core", 1), one("int"), "no name of a schema"),
        (("notice", "../core", 1), one("int"), "no name of a schema"),
    ],
)
def test_bad_schemas_never_enter(name: tuple[str, str, int], avsc: JsonValue, words: str) -> None:
    """A schema that the lint rejects, or a name that is none, stops the catalogue from being made."""
    with pytest.raises(UsageError, match=words):
        Catalogue.from_texts({name: text(avsc)})


def test_one_schema_has_one_place() -> None:
    """The same schema under two names is refused: a content id leads to one section."""
    with pytest.raises(UsageError, match="alert/v1/core and notice/v1/core"):
        Catalogue.from_texts({("notice", "core", 1): text(one("int")), ("alert", "core", 1): text(one("int"))})
