"""Rows of JSON and CSV: what is read, what is told as a bad row, and that one never costs another."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from broker.errors import UsageError
from broker.screening.json_rows import DEPTH
from broker.screening.lines import LINE_LIMIT
from broker.screening.mapping import read_mapping
from broker.screening.reading import Format, read_rows
from broker.screening.shipment import BAD_ROWS, BadRow, Row, Shipment

BOX = '{"units": [{"id": "CSQU3054383"}]}'
MAPPING = """
[translate.Mode]
10 = "SEA"
[split]
Boxes = "|"
[shipment]
reference = "{No}"
units = [{ id = "{Boxes}" }]
goods = [{ hs_code = "{HS:06}", description = "{What}" }]
parties = [{ role = "CONSIGNEE", name = "{Buyer}" }, { role = "CARRIER", id = "{Line}", id_scheme = "TAX" }]
conveyances = [{ mode = "{Mode}", imo = "{Ship}" }]
"""
HEAD = "No,Boxes,HS,What,Buyer,Line,Mode,Ship\n"


def read(data: bytes | str, *, form: Format | None = None, mapping: str | None = None, size: int = 7) -> list[Row]:
    """All rows, given in small pieces."""
    raw = data if isinstance(data, bytes) else data.encode()
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    return list(read_rows(pieces, form=form, mapping=read_mapping(mapping) if mapping else None))


def codes(rows: list[Row]) -> list[str]:
    return [row.code if isinstance(row, BadRow) else "ok" for row in rows]


def one(rows: list[Row]) -> Shipment:
    (row,) = rows
    assert isinstance(row, Shipment), row
    return row


@pytest.mark.parametrize("text", [BOX, f"[{BOX}]", json.dumps(json.loads(BOX), indent=2), f"\ufeff{BOX}", f"\n\n{BOX}\n"], ids=range(5))
def test_json_is_read_in_any_layout(text: str) -> None:
    """One object, a list, many lines, with a byte order mark, with empty lines around it."""
    assert one(read(text)).units == ({"id": "CSQU3054383"},)


def test_json_in_utf_16() -> None:
    """A file in UTF-16 with its mark is read like any other."""
    assert one(read(BOX.encode("utf-16"))).units == ({"id": "CSQU3054383"},)


def test_a_bad_line_is_told_and_the_rest_is_read() -> None:
    """Each of many mistakes gives the code of its line; the good lines between them are read."""
    bad = {
        "{": "BAD_JSON", "[1]": "NOT_AN_OBJECT", '"x"': "NOT_AN_OBJECT", '{"boxes": []}': "UNKNOWN_FIELD", '{"units": {}}': "BAD_FIELD",
        '{"units": [{"seals": ["1"]}]}': "BAD_FIELD", '{"mrn": true}': "BAD_FIELD", '{"reference": "1"}': "NOTHING_TO_SCREEN",
        '{"mrn": "1", "mrn": "2"}': "BAD_JSON", '{"mrn": NaN}': "BAD_JSON", '{"mrn": "' + "x" * 3000 + '"}': "TOO_LONG",
        "[" * 500 + "]" * 500: "TOO_DEEP", '{"goods": [{"hs_edition": "many"}]}': "BAD_FIELD",
        '{"conveyances": [{"flight_date": "soon"}]}': "BAD_FIELD", '{"mrn": ' + "1" * 5000 + "}": "BAD_JSON",
    }  # fmt: skip
    lines = [BOX, *(line for text in bad for line in (text, BOX))]
    rows = read("\n".join(lines))
    assert codes(rows) == ["ok", *(code for each in bad.values() for code in (each, "ok"))]
    assert [row.line for row in rows] == list(range(1, len(lines) + 1))
    assert {row.code for row in rows if isinstance(row, BadRow)} <= BAD_ROWS.keys()
    assert all(row.advice for row in rows if isinstance(row, BadRow))


def test_a_line_that_is_no_utf_8_is_told() -> None:
    """Bytes that are no UTF-8 spoil their line only."""
    rows = read(BOX.encode() + b'\n{"mrn": "\xff\xfe"}\n' + BOX.encode())
    assert codes(rows) == ["ok", "BAD_ENCODING", "ok"]


def big(piece: bytes, times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield piece


@pytest.mark.parametrize("form", ["json", "csv", "xml", "edifact"])
def test_a_hundred_megabytes_without_an_end_are_never_held(form: Format) -> None:
    """One line, tag or segment of 100 MB is a bad row, and a few megabytes of memory, in every format; the line after it is read."""
    begin = {"json": b'{"mrn": "', "csv": HEAD.encode(), "xml": b"<Declaration ", "edifact": b"UNH+1+BAPLIE'"}[form]
    tracemalloc.start()
    try:
        pieces = (each for part in ([begin], big(b"x" * 65536, 1600), [b"\n" + BOX.encode()]) for each in part)
        rows = list(read_rows(pieces, form=form, mapping=read_mapping(MAPPING)))
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    wanted = {"json": ["TOO_LONG", "ok"], "csv": ["TOO_LONG", "WRONG_COLUMNS"], "xml": ["TOO_LONG"]}
    assert codes(rows) == wanted.get(form, ["NO_TERMINATOR", "NOTHING_TO_SCREEN", "TRUNCATED"])


def test_a_document_over_many_lines_is_bounded() -> None:
    """A list of a million objects in one document is refused with the advice to write lines; the memory stays bounded."""
    pieces = (each for part in ([b"[\n"], big(BOX.encode() + b",\n", 600_000), [b"{}]"]) for each in part)
    (row,) = read_rows(pieces)
    assert isinstance(row, BadRow)
    assert (row.code, row.line) == ("TOO_LARGE", 1)


@pytest.mark.parametrize(
    ("text", "code"), [("", "EMPTY"), ("  \n ", "EMPTY"), ("hello", "UNKNOWN_FORMAT"), ("a,b\n1,2", "UNKNOWN_FORMAT")], ids=range(4)
)
def test_what_shows_no_format_is_told(text: str, code: str) -> None:
    """An empty file, and one that begins like nothing that is read; CSV is known by its mapping only."""
    assert codes(read(text)) == [code]
    assert codes(read("a,b\n", form="csv")) == ["NO_MAPPING"]


def test_csv_by_its_mapping() -> None:
    """Columns become fields: zeros are filled in, codes translated, cells split, empty cells and what they belong to left out."""
    row = one(read(HEAD + '7,CSQU3054383|MSKU9070323,30389,"a ""big"" one, and\nmore",Example & Co,,10,9074729\n', mapping=MAPPING))
    assert (row.reference, row.line) == ("7", 2)
    assert row.units == ({"id": "CSQU3054383"}, {"id": "MSKU9070323"})
    assert row.goods == ({"hs_code": "030389", "hs_edition": 2022, "description": 'a "big" one, and\nmore'},)
    assert row.parties == ({"role": "CONSIGNEE", "name": "Example & Co"},)
    assert row.conveyances == ({"mode": "SEA", "imo": "9074729"},)


def test_a_formula_is_a_text() -> None:
    """Cells that a spreadsheet would compute are kept letter by letter."""
    row = one(read(HEAD + "1,,,=HYPERLINK(1),@SUM(A1),+49,,\n", mapping=MAPPING))
    assert row.goods[0]["description"] == "=HYPERLINK(1)"
    assert [party["name"] or party["id"] for party in row.parties] == ["@SUM(A1)", "+49"]


def test_bad_csv_rows_cost_no_good_one() -> None:
    """Too few cells, a quote that is never closed, text after a quote, zero bytes: each is told with its line, and all others are read."""
    good = "1,CSQU3054383,,,,,,"
    lines = [good, "1,2", good, '1,"never closed,,,,,,', *[good] * 60, '1,"x"y,,,,,,', good, "1,\0,,,,,,", good]
    rows = read(HEAD + "\n".join(lines), mapping=MAPPING, size=4096)
    found = {row.line: row.code for row in rows if isinstance(row, BadRow)}
    assert found == {3: "WRONG_COLUMNS", 5: "BAD_CSV", 66: "BAD_CSV", 68: "BAD_ENCODING"}
    assert sum(isinstance(row, Shipment) for row in rows) == lines.count(good)


def test_csv_in_another_encoding() -> None:
    """The mapping names the encoding; a line that is not in it is told."""
    text = (HEAD + "1,,,,Müller,,,\n").encode("cp1252")
    assert codes(read(text, mapping=MAPPING)) == ["BAD_ENCODING"]
    assert one(read(text, mapping='encoding = "cp1252"\n' + MAPPING)).parties[0]["name"] == "Müller"


def test_a_missing_column_is_told_once() -> None:
    """A mapping of another export: which column is missing, and which there are."""
    (row,) = read("No,What\n1,2\n3,4\n", mapping=MAPPING)
    assert isinstance(row, BadRow)
    assert (row.code, "Boxes" in row.reason, "What" in row.reason) == ("NO_COLUMN", True, True)


@pytest.mark.parametrize(
    "text",
    [
        "x", "[shipment]", "[shipment]\nunits = 1", '[shipment]\nboxes = ["{A}"]', '[shipment]\nmrn = "a {A}"', "encoding = 'no'",
        "delimiter = ';;'\n[shipment]\nmrn = '{A}'", "encoding = 'utf-16'\n[shipment]\nmrn = '{A}'", "shipment = 1", "colour = 1",
        "[split]\nB = ';'\n[shipment]\nmrn = '{A}'", "encoding = 'rot13'\n[shipment]\nmrn = '{A}'", "a = " + "[" * 5000,
    ],
    ids=range(13),
)  # fmt: skip
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    """Each mistake is told to the person who gave the file, before a row is read."""
    with pytest.raises(UsageError, match="no mapping"):
        read_mapping(text)


def test_a_million_rows_in_bounded_memory() -> None:
    """CSV rows stream: the memory at the end of many is that at their beginning."""
    row = ("1,CSQU3054383,847989,a press,Example Trading,,10,9074729\n" * 100).encode()
    tracemalloc.start()
    try:
        rows = read_rows((each for part in ([HEAD.encode()], big(row, 300)) for each in part), mapping=read_mapping(MAPPING))
        assert sum(isinstance(each, Shipment) for each in rows) == 30_000
        assert tracemalloc.get_traced_memory()[1] < 2 * LINE_LIMIT
    finally:
        tracemalloc.stop()


def test_deep_json_just_at_the_bound() -> None:
    """So many brackets as are read are no question of depth."""
    rows = read('{"x": ' + "[" * (DEPTH - 1) + "]" * (DEPTH - 1) + "}")
    assert codes(rows) == ["UNKNOWN_FIELD"]
    rows = read('{"x": ' + "[" * DEPTH + "]" * DEPTH + "}")
    assert codes(rows) == ["TOO_DEEP"]
