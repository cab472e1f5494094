"""The list of released schemas: what may be added to it, and what it notices."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import UsageError
from broker.schema.catalogue import Section
from broker.schema.release import (
    Change,
    Entry,
    check_folders,
    check_list,
    check_versions,
    list_text,
    listed,
    read_list,
)  # fmt: skip
from tests.unit.schema.samples import field, record


def section(version: int, *more: Any, name: str = "core", family: str = "notice", mass: str = "Mass in kg.") -> Section:
    avsc = record(f"One{name}", field("mass", "int", doc=mass), *more, namespace=family)
    return Section.from_text(family, name, version, json.dumps(avsc))


ADDED = field("b", ["null", "string"], default=None)
V1, V2, ITEMS = section(1), section(2, ADDED), section(1, name="items")
RELEASED = listed([V1, ITEMS], {}, release=True)


def codes(changes: list[Change]) -> list[tuple[str, str, str]]:
    return [(change.old, change.new, change.finding.code) for change in changes if change.finding.severity == "REJECT"]


def test_the_list_is_read_as_it_was_written() -> None:
    """Sorted by name, one schema a line, and the same list again."""
    text = list_text(RELEASED)
    assert read_list(text) == RELEASED
    assert [line.partition(":")[0].strip() for line in text.splitlines()[1:-1]] == ['"notice/v1/core"', '"notice/v1/items"']
    assert RELEASED["notice/v1/core"] == replace(Entry.of(V1), state="released")
    assert RELEASED["notice/v1/core"].schema_id == V1.schema_id.hex()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', '{"a": {"schema_id": "x", "units": "y", "state": "lost"}}', '{"a": {"units": "y"}}']
)
def test_a_damaged_list_is_refused(text: str) -> None:
    """Conflict markers, another shape, another state: no list, rather than an empty one."""
    with pytest.raises(UsageError):
        read_list(text)


def test_new_files_are_drafts_until_they_are_released() -> None:
    """A draft follows its file and goes with it; a released entry stays as it is, whatever its file became."""
    drafts = listed([V1, ITEMS, V2], RELEASED)
    assert drafts["notice/v2/core"].state == "draft"
    changed = section(2, ADDED, field("c", ["null", "string"], default=None))
    assert listed([V1, ITEMS, changed], drafts)["notice/v2/core"].schema_id == changed.schema_id.hex()
    assert listed([V1, ITEMS], drafts) == RELEASED
    final = listed([V1, ITEMS, V2], drafts, release=True)
    assert {entry.state for entry in final.values()} == {"released"}
    assert listed([section(1, ADDED), ITEMS], RELEASED) == RELEASED


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ([V1, ITEMS], []),
        ([section(1, ADDED), ITEMS], [("notice/v1/core", "CHANGE_RELEASED")]),
        ([V1], [("notice/v1/items", "CHANGE_RELEASED")]),
        ([section(1, mass="Mass in tonnes."), ITEMS], [("notice/v1/core", "CHANGE_UNIT")]),
        ([section(1, mass="Mass of all goods, in kg."), ITEMS], []),
        ([V1, ITEMS, V2], [("notice/v2/core", "CHANGE_UNLISTED")]),
    ],
    ids=["as it was", "altered", "gone", "another unit", "other words", "not listed"],
)
def test_released_files_never_change(sections: list[Section], expected: list[tuple[str, str]]) -> None:
    """Altered, removed, another unit in the words, a file that nobody listed: each is found by name; other words are free."""
    assert codes(check_list(sections, RELEASED)) == [("", name, code) for name, code in expected]


def test_drafts_may_change_when_they_are_listed_again() -> None:
    """A draft that no longer is what was listed is found, until the list is written again."""
    drafts = listed([V1, ITEMS, V2], RELEASED)
    for now in (section(2, field("c", ["null", "string"], default=None)), section(2, ADDED, mass="Mass in tonnes.")):
        assert codes(check_list([V1, ITEMS, now], drafts)) == [("", "notice/v2/core", "CHANGE_UNLISTED")]
        assert check_list([V1, ITEMS, now], listed([V1, ITEMS, now], drafts)) == []
    assert codes(check_list([V1, ITEMS], drafts)) == [("", "notice/v2/core", "CHANGE_UNLISTED")]


def test_every_version_is_compared_with_every_later_one() -> None:
    """A third version that the second could live with, and the first not, is found: a name comes back with another meaning."""
    second, third = section(2), section(3, field("b", ["null", "int"], default=None))
    assert codes(check_versions([section(1, ADDED), second])) == []
    assert codes(check_versions([second, third])) == []
    assert codes(check_versions([third, section(1, ADDED), second])) == [("notice/v1/core", "notice/v3/core", "CHANGE_TYPE")]


def test_the_schemas_of_two_programs() -> None:
    """Nothing of the earlier is gone or altered, and what is new can be beside it; new families are free."""
    other = section(1, family="gossip")
    assert codes(check_folders([V1, ITEMS], [V1, ITEMS, V2, other])) == []
    bad = section(2, field("d", "string"))
    assert codes(check_folders([V1, ITEMS], [section(1, ADDED), bad])) == [
        ("notice/v1/core", "notice/v1/core", "CHANGE_RELEASED"),
        ("notice/v1/core", "notice/v2/core", "CHANGE_MANDATORY"),
        ("notice/v1/items", "notice/v1/items", "CHANGE_RELEASED"),
    ]
    assert codes(check_folders([V1], [section(1, mass="Mass in pounds.")])) == [("notice/v1/core", "notice/v1/core", "CHANGE_UNIT")]
