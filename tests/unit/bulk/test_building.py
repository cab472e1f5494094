"""Rows become messages by a mapping: fields, lists, groups, translations, dates, numbers; and what is wrong is told of its cell."""

from __future__ import annotations

from typing import Any

import pytest

from broker.bulk.building import GROUP_LIMIT, Built, Grouping, build
from broker.bulk.mapping import read_mapping
from broker.bulk.rows import ADVICE, Row
from broker.errors import UsageError
from broker.storage.schemas import load_catalogue

CATALOGUE = load_catalogue()
MAPPING = """
family = "licence"
subject = "{@agency}/{day:%Y}/{number:06}"
revision = "{rev}"
group = "number"
required = ["number"]
[dates]
day = ["%d.%m.%Y", "%Y-%m-%d"]
[numbers]
total = ","
[split]
codes = ";"
[translate.decision]
yes = "GRANT"
"n*" = "DENY"
[header]
valid_until = "{day}"
evidential_use = "{court}"
[sections.core]
decision_type = "{granted|decision}"
authority = "{@agency}"
licence_no = "{number}"
effective_at = "{day}"
destinations = ["{country}"]
[sections.value]
currency = "EUR"
total = "{total}"
[[sections.items.items]]
line = "{@row}"
description = "{what}"
hs_codes = ["{codes}"]
[sections.reason]
"@when" = { granted = ["no"] }
reason_code = "OTHER"
"""
CELLS = {"number": "17", "day": "31.12.2026", "rev": "2", "granted": "yes", "country": "AE", "total": "1.234,50", "court": "true",
         "what": "press", "codes": "847989; 848079;"}  # fmt: skip


def built(*rows: dict[str, str], text: str = MAPPING, **more: Any) -> Built:
    """The message of rows with these cells in place of the usual ones."""
    mapping = read_mapping(text)
    return build(mapping, [Row(number, CELLS | cells, **more) for number, cells in enumerate(rows, 2)], CATALOGUE, "DE-BAFA")


def test_every_kind_of_field_comes_from_its_cell() -> None:
    """Text, zero-filled number, date of header and section, whole number, flag, decimal with grouping, split list, translation."""
    found = built({})
    assert found.remarks == ()
    assert found.value == {
        "family": "licence", "subject": "DE-BAFA/2026/000017", "revision": 2,
        "header": {"valid_until": "2026-12-31T00:00:00.000Z", "evidential_use": True},
        "sections": {
            "core": {
                "decision_type": "GRANT", "authority": "DE-BAFA", "licence_no": "17", "effective_at": "2026-12-31T00:00:00.000Z",
                "destinations": ["AE"],
            },
            "value": {"currency": "EUR", "total": "1234.50"},
            "items": {"items": [{"line": 1, "description": "press", "hs_codes": ["847989", "848079"]}]},
        },
    }  # fmt: skip


def test_a_date_can_be_later_than_its_cell() -> None:
    """Days and years after it, also from a 29 February."""
    text = MAPPING.replace('valid_until = "{day}"', 'valid_until = "{day:+3y}"').replace('at = "{day}"', 'at = "{day:+90d}"')
    value = built({"day": "29.02.2028"}, text=text).value
    assert value["header"]["valid_until"] == "2031-02-28T00:00:00.000Z"
    assert value["sections"]["core"]["effective_at"] == "2028-05-29T00:00:00.000Z"


def test_rows_of_a_group_are_one_message() -> None:
    """Lists take an entry from every row, equal ones once; rows are numbered."""
    sections = built({}, {"what": "oven", "codes": "", "country": "SG"}, {"what": "pump", "country": "AE"}).value["sections"]
    assert sections["core"]["destinations"] == ["AE", "SG"]
    assert [(item["line"], item["description"]) for item in sections["items"]["items"]] == [(1, "press"), (2, "oven"), (3, "pump")]


def test_what_would_be_lost_of_a_group_is_told() -> None:
    """A field that takes one value, and rows that give two."""
    (remark,) = [each for each in built({}, {"total": "9"}).remarks if each.code == "DIFFERENT_IN_GROUP"]
    assert (remark.severity, remark.line, remark.column, remark.path) == ("REJECT", 3, "total", "value.total")


def test_empty_cells_leave_out_fields_and_sections() -> None:
    """No empty text goes out; a section of constants alone goes with its condition only."""
    found = built({"total": "", "what": "", "codes": "", "court": ""})
    assert set(found.value["sections"]) == {"core", "items"}
    assert found.value["header"] == {"valid_until": "2026-12-31T00:00:00.000Z"}
    assert "reason" in built({"granted": "no"}).value["sections"]


@pytest.mark.parametrize(
    ("cells", "code", "column", "path"),
    [
        ({"number": ""}, "EMPTY_CELL", "number", ""),
        ({"granted": "maybe"}, "UNKNOWN_CODE", "granted", "core.decision_type"),
        ({"day": "2026-02-30"}, "BAD_DATE", "day", "core.effective_at"),
        ({"total": "1,234.50"}, "BAD_NUMBER", "total", "value.total"),
        ({"total": "twelve"}, "BAD_NUMBER", "total", "value.total"),
    ],
)
def test_a_bad_cell_is_told_by_column_and_path(cells: dict[str, str], code: str, column: str, path: str) -> None:
    """With the line, a reason that shows the cell, and advice; it keeps the row from being published."""
    found = built(cells)
    remark = next(each for each in found.remarks if each.code == code and (each.path == path or not path))
    assert (remark.line, remark.column, remark.advice) == (2, column, ADVICE[code])
    assert found.rejected


def test_formulas_are_text_and_told() -> None:
    """Nothing is calculated; of columns that the mapping does not name nothing is said."""
    found = built({"what": "=1+1", "other": "=2"}, formulas=frozenset({"what", "other"}))
    assert found.value["sections"]["items"]["items"][0]["description"] == "=1+1"
    assert [(each.severity, each.code, each.column) for each in found.remarks] == [("WARN", "FORMULA", "what")]


def test_a_column_is_found_for_any_path() -> None:
    """The field's own, its list's, or a neighbour's."""
    found = built({})
    assert found.column_of("core.destinations[0]") == "country"
    assert found.column_of("core.destinations") == "country"
    assert found.column_of("items.items[0].hs_codes[1]") == "codes"
    assert found.column_of("header.valid_until") == "day"
    assert found.column_of("nothing") == ""


def test_a_group_without_end_is_refused_in_bounded_memory() -> None:
    """All rows with one number: only a thousand and one are held, and the message is refused."""
    mapping = read_mapping(MAPPING)
    groups = Grouping(mapping)
    assert [groups.add(Row(line, CELLS)) for line in range(2, 3 * GROUP_LIMIT)] == [[]] * (3 * GROUP_LIMIT - 2)
    group = groups.add(Row(9999, CELLS | {"number": "18"}))
    assert len(group) == GROUP_LIMIT + 1
    assert "GROUP_TOO_LARGE" in {each.code for each in build(mapping, group, CATALOGUE, "DE-BAFA").remarks}
    assert [row.line for row in groups.rest()] == [9999]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("family = 3", "family is a text"),
        ('family = "licences"', "there is no family `licences`"),
        ('family = "licence"\nsubject = "DE-BAFA/1"\nsections = {}', "otherwise all rows would have the same one"),
        ('family = "licence"\nsubject = "{a"\nsections = {}', "a column is named in braces"),
        ('family = "licence"\nsubject = "{a|t}"\nsections = {}', "there is no translation `t`"),
        ('family = "licence"\nsubject = "{a:x}"\nsections = {}', "`x` is no form"),
        ('family = "licence"\nsubject = "{@you}"\nsections = {}', "there is no `@you`"),
        ('family = "licence"\nsubject = "{a}"\n[sections.cargo]\nx = 1', "there is no `cargo`"),
        ('family = "licence"\nsubject = "{a}"\n[sections.core]\nx = 1.5', "write dates and decimals in quotes"),
        ('family = "licence"\nsubject = "{a}"\nfile = { encoding = "base64" }\nsections = {}', "there is no encoding `base64`"),
        ('family = "licence"\nsubject = "{a}"\nfile = { delimiter = ";;" }\nsections = {}', "is one character"),
        ('family = "licence"\nsubject = "{a}"\nfile = { include = "/etc/passwd" }\nsections = {}', "there is no `include`"),
        ('family = "licence"\nsubject = "{a}"\nsections = {}\n[dates]\na = "%Q"', "`%Q` is no form of a date"),
        ('family = "licence"\nsubject = "{a}"\nsections = {}\n[dates]\na = "%"', "is no form of a date"),
        ("family = ", "this is no mapping"),
        ('family = "licence"\nsubject = "{a}"\n[sections.core]\nx = ' + "[" * 40 + "]" * 40, "nested too deep"),
    ],
)
def test_a_mapping_that_is_none_is_told_where(text: str, told: str) -> None:
    """Wrong use, with the place and the rule; never anything else."""
    with pytest.raises(UsageError) as error:
        read_mapping(text)
    assert told in str(error.value)
