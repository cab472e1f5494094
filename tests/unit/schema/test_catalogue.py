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


def test_a_text_is_compiled_once_under_each_name() -> None:
    """Whoever asks again for a text is given what was made for the first; another text, version or name is another section."""
    small, wide = text(one("int") | {"namespace": "notice"}), text(one("long") | {"namespace": "notice"})
    first = Section.from_text("notice", "core", 1, small)
    assert Section.from_text("notice", "core", 1, small) is first
    others = [Section.from_text("notice", "core", 1, wide), Section.from_text("notice", "core", 2, small)]
    assert [(each.version, each.text) for each in others] == [(1, wide), (2, small)]
    assert others[0].schema_id != first.schema_id == others[1].schema_id


def test_one_schema_has_one_place() -> None:
    """The same schema under two names is refused: a content id leads to one section."""
    with pytest.raises(UsageError, match="alert/v1/core and notice/v1/core"):
        Catalogue.from_texts({("notice", "core", 1): text(one("int")), ("alert", "core", 1): text(one("int"))})


# ── several versions at once ────────────────────────────────────────────────────────────────────────────────────────────


def version(number: int, *more: JsonValue, family: str = "notice", namespace: str = "") -> Section:
    """A version of a section: a field that never changes, and these."""
    return Section.from_text(family, "core", number, text(record("One", field("a", "int"), *more, namespace=namespace or family)))


OTHER = version(1, family="other")


B = field("b", ["null", "string"], default=None)
C = field("c", {"type": "array", "items": "string"}, default=[])
V1, V2, V3 = version(1), version(2, B), version(3, B, C)


def knowing(own: Catalogue, *sections: Section) -> Catalogue:
    """A catalogue after these were announced."""
    for section in sections:
        after = own.announced(section)
        assert isinstance(after, Catalogue), after
        own = after
    return own


def seen(catalogue: Catalogue, section: Section, body: bytes) -> dict[str, object]:
    """A good body, read."""
    record = catalogue.read(section, body)
    assert not isinstance(record, Refusal), record
    return record


def test_what_is_announced_is_read_as_ones_own() -> None:
    """A program of yesterday reads versions that it does not have, and sees its own; it goes on writing its own."""
    old = knowing(Catalogue([V1]), V1, V2, V3)
    body = V3.codec.encode({"a": 7, "b": "new", "c": ["x"]})
    assert old.by_id(V3.schema_id) is V3
    assert seen(old, V3, body) == {"a": 7}
    assert old.current("notice", "core") is V1
    assert old.written("notice", "core") is V1
    assert old.versions("notice", "core") == (V1, V2, V3)


def test_bytes_are_judged_by_the_version_they_were_written_with() -> None:
    """Hostile bytes are refused with a path of the writer's version, one that the reader does not even have: nothing is projected
    that was not read strictly; and bytes of one version are no bytes of another."""
    old = knowing(Catalogue([V1]), V1, V3)
    body = V3.codec.encode({"a": 7, "b": "new", "c": ["x"]})
    for bad, path in ((body + b"\x00", "core"), (body[:-1], "core.c"), (body[:1] + b"\x04" + body[2:], "core.b")):
        refused = old.read(V3, bad)
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.path) == ("BAD_STRUCTURE", path)
    assert isinstance(old.read(V1, body), Refusal)
    assert isinstance(old.read(V3, V1.codec.encode({"a": 7})), Refusal)


def test_older_records_are_seen_as_the_newest() -> None:
    """A program of today sees records of every older version with the defaults of what they lack, and no two share a list."""
    new = Catalogue([V1, V2, V3])
    body = V1.codec.encode({"a": 7})
    first, second = seen(new, V1, body), seen(new, V1, body)
    assert first == second == {"a": 7, "b": None, "c": []}
    assert first["c"] is not second["c"]
    assert seen(new, V3, V3.codec.encode({"a": 1, "b": "x", "c": ["y"]})) == {"a": 1, "b": "x", "c": ["y"]}


def test_a_publisher_writes_what_the_exchange_knows() -> None:
    """The newest of its own that was announced; with nothing announced its newest; a version of its own that it chose."""
    own = Catalogue([V1, V2, V3])
    assert own.written("notice", "core") is V3
    assert knowing(own, V1).written("notice", "core") is V1
    assert knowing(own, V1, V2).written("notice", "core") is V2
    assert knowing(own, V1, V2, V3).written("notice", "core") is V3
    assert knowing(own, OTHER).written("notice", "core") is V3
    chosen = own.writing({("notice", "core"): 2})
    assert knowing(chosen, V1, V2, V3).written("notice", "core") is V2
    assert chosen.current("notice", "core") is V3
    with pytest.raises(UsageError, match="no version 3 of notice/core"):
        knowing(Catalogue([V1]), V3).writing({("notice", "core"): 3})


def test_a_section_of_which_a_program_has_nothing_is_read_as_written() -> None:
    """Announced only: everything is seen as the newest announced, whatever the order of the announcements."""
    for sections in ((V1, V2), (V2, V1)):
        stranger = knowing(Catalogue([OTHER]), *sections)
        assert stranger.current("notice", "core") is V2
        assert seen(stranger, V1, V1.codec.encode({"a": 7})) == {"a": 7, "b": None}
        assert seen(stranger, V2, V2.codec.encode({"a": 7, "b": "x"})) == {"a": 7, "b": "x"}


@pytest.mark.parametrize(
    ("section", "reason", "path"),
    [
        (version(1, B), "another schema already", ""),
        (version(5), "notice/v1/core under another name", ""),
        (version(1, family="other", namespace="notice"), "notice/v1/core under another name", ""),
        (version(2, field("d", "string")), "CHANGE_MANDATORY", "core.d"),
        (Section.from_text("notice", "core", 2, text(one("long") | {"namespace": "notice"})), "CHANGE_TYPE", "core.a"),
        (version(9, field("b", ["null", "int"], default=None)), "CHANGE_TYPE", "core.b"),
    ],
    ids=["version taken", "same again", "same elsewhere", "mandatory", "type", "name of a later version"],
)
def test_what_cannot_be_beside_the_others_is_refused(section: Section, reason: str, path: str) -> None:
    """INCOMPATIBLE_SCHEMA, with the change and its path, against every version that is known, and nothing changes."""
    catalogue = Catalogue([V1, V3])
    refused = catalogue.announced(section)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.step, refused.path) == ("INCOMPATIBLE_SCHEMA", 8, path)
    assert reason in refused.reason
    assert "schema check" in refused.advice
    assert len(catalogue) == 2


def test_announced_twice_is_announced_once() -> None:
    """The same again changes nothing, so that nobody rebuilds a view for it."""
    once = knowing(Catalogue([V1]), V1, V2)
    assert once.announced(V2) is once
    assert once.announced(V1) is once


def test_own_versions_that_do_not_agree_make_no_catalogue() -> None:
    """A program whose own versions cannot be read as one another does not start."""
    with pytest.raises(UsageError, match="notice/v1/core and notice/v2/core cannot be in use together: CHANGE_MANDATORY"):
        Catalogue([V1, version(2, field("d", "string"))])
