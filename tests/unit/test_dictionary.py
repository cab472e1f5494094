"""The data dictionary page is complete, and what it names exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, cast

import pytest

from broker.families.catalogue import FAMILIES
from broker.families.rules import FINDINGS
from docs.dictionary import FILES, SHOWN, rulings
from tests.unit.schemas.fields import CATALOGUE, places_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dictionary.md").read_text("utf-8")
_NAMED = re.compile(r"`(test_\w+)::(test_\w+)\[([^`]+)\]`")


def table(heading: str) -> list[list[str]]:
    """The rows under a heading, cell by cell, without the two that make the head."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[2:]]


def identities(module: str, function: str) -> set[str]:
    """The parameter ids of a test, as pytest gives them."""
    test: Any = getattr(importlib.import_module(FILES[module].removesuffix(".py").replace("/", ".")), function)
    ids: set[str] = set()
    for mark in cast("list[pytest.Mark]", test.pytestmark):
        values = list(mark.args[1])
        names = mark.kwargs.get("ids") or [str(value) for value in values]
        ids |= {str(name) for name in names}
    return ids


@pytest.mark.parametrize(("heading", "width"), [("Sections", 6), ("Fields", 8)])
def test_no_cell_is_empty(heading: str, width: int) -> None:
    """Each row says everything: family, section, field, type, must, nominal, rule and test."""
    rows = table(heading)
    assert rows
    assert [row for row in rows if len(row) != width or not all(row)] == []


def test_every_section_and_field_has_its_row() -> None:
    """No family, section or field is left out, and none is invented."""
    sections = {(family.name, name) for family in FAMILIES.values() for name in family.types}
    assert {(row[0], row[1]) for row in table("Sections")} == sections
    current = [section for section in CATALOGUE if CATALOGUE.current(section.family, section.section) is section]
    fields = [(section.family, section.section, f"`{place.path}`") for section in current for place in places_of(section)]
    listed = [(row[0], row[1], row[2]) for row in table("Fields")]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(fields)


def test_nominal_is_what_the_schemas_mark() -> None:
    """The page and the marks that policy is proven by agree."""
    marked = {(row[0], row[1], row[2].strip("`")) for row in table("Fields") if row[5] == "nominal"}
    expected = {
        (place.section.family, place.section.section, place.path)
        for section in CATALOGUE
        if CATALOGUE.current(section.family, section.section) is section
        for place in places_of(section)
        if place.field.nominal
    }
    assert marked == expected


def test_every_named_test_exists() -> None:
    """Each test in the tables is a function of the file that the page gives, run with the parameters named."""
    named = {found for row in [*table("Sections"), *table("Fields")] for found in _NAMED.findall(row[-1])}
    assert all(_NAMED.search(row[-1]) for row in [*table("Sections"), *table("Fields")])
    known = {(module, function): identities(module, function) for module, function, _ in named}
    assert {one for one in named if one[2] not in known[one[0], one[1]]} == set()
    assert len(named) > 700


def test_every_rule_of_a_field_is_on_the_page() -> None:
    """What a case shows at a field is in the field's row: none is lost on the way, and each leads to a row there is."""
    fields = {(row[0], row[1], row[2].strip("`")): row[6] for row in table("Fields")}
    sections = {(row[0], row[1], ""): row[4] for row in table("Sections")}
    lost = [
        (place, ruling.code)
        for place, known in rulings().items()
        for ruling in known[:SHOWN]
        if f"`{ruling.code}`" not in (fields | sections).get(place, "")
    ]
    assert lost == []
    codes = {ruling.code for known in rulings().values() for ruling in known}
    of_the_whole = {"NO_EVALUATION", "PAST_DEADLINE", "NO_LIST", "BROKEN_LIST", "MANY_FINDINGS", "NO_EDITION"}
    assert set(FINDINGS) - codes <= of_the_whole
