"""EDIFACT messages: groups as shipments, heads for all of them, and what broken interchanges come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.screening.reading import read_rows
from broker.screening.segments import SEGMENT_LIMIT
from broker.screening.shipment import BadRow, Row, Shipment

CUSCAR = Path(__file__).parent / "cuscar-d95b.edi"
BAPLIE = (
    "UNH+1+BAPLIE:D:95B:UN:SMDG20'BGM++M1+9'TDT+20+017E+++HLC:172:20+++9074729:146::EVER FORWARD'LOC+5+SGSIN:139:6'"
    "LOC+147+0030586::5'LOC+9+SGSIN:139:6'LOC+11+AEJEA:139:6'RFF+BM:HLCU1'EQD+CN+CSQU3054383+22G1++2+5'DGS+IMD+2.1+1950'"
    "LOC+147+0030588::5'EQD+CN+MSKU9070323+22G1++2+5'UNT+13+1'"
)


def read(text: str | bytes, size: int = 13) -> list[Row]:
    raw = text if isinstance(text, bytes) else text.encode("latin-1")
    return list(read_rows(raw[at : at + size] for at in range(0, len(raw), size)))


def codes(rows: list[Row]) -> list[str]:
    return [row.code if isinstance(row, BadRow) else "ok" for row in rows]


def test_a_stowage_plan() -> None:
    """Each stowage place is a shipment with the voyage of the head; places and goods are of its own group."""
    rows = read(BAPLIE)
    first, second = (row for row in rows if isinstance(row, Shipment))
    assert codes(rows) == ["ok", "ok"]
    assert first.conveyances == second.conveyances == ({"mode": "SEA", "imo": "9074729", "name": "EVER FORWARD", "voyage": "017E"},)
    assert [unit["id"] for unit in (*first.units, *second.units)] == ["CSQU3054383", "MSKU9070323"]
    assert first.goods[0]["un_number"] == "1950"
    assert second.documents == ()
    assert (first.position, second.position) == ("segment 5", "segment 11")


def test_a_cargo_report() -> None:
    """The example beside this file: consignments with their bills, parties, goods and the containers of the head that they cite, with
    seals; a released sign is text."""
    rows = read(CUSCAR.read_bytes())
    first, second = (row for row in rows if isinstance(row, Shipment))
    assert codes(rows) == ["ok", "ok"]
    assert first.documents == ({"type": "N705", "id": "HLCUHAM2611004711"},)
    assert first.units == ({"id": "CSQU3054383", "size_type": "22G1", "fullness": "5", "seals": ["HL4477120", "HL4477121"]},)
    assert [(party["role"], party["name"]) for party in first.parties] == [
        ("CONSIGNOR", "EXAMPLE PRESSES GMBH"), ("CONSIGNEE", "EXAMPLE TRADING F.Z.E."), ("CARRIER", ""),
    ]  # fmt: skip
    assert first.goods == ({"hs_code": "847989", "hs_edition": 2022, "description": "HOT ISOSTATIC PRESS 'USED'"},)
    assert first.licence_refs == ({"licence_no": "2026-0815"},)
    assert second.units == ({"id": "MSKU9070323", "size_type": "45G1", "fullness": "5"},)
    assert second.goods[0]["un_number"] == "1950"
    assert first.conveyances[0]["imo"] == "9074729"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BAPLIE.replace("UNT+13", "UNT+12"), ["ok", "ok", "COUNT_MISMATCH"]),
        (BAPLIE.partition("UNT")[0], ["ok", "ok", "TRUNCATED"]),
        (BAPLIE[:-1].replace("'", "\n"), ["NO_TERMINATOR", "UNKNOWN_MESSAGE"]),
        ("UNH+1+INVOIC:D:96A:UN'BGM+1'UNT+3+1'" + BAPLIE, ["UNKNOWN_MESSAGE", "ok", "ok"]),
        (BAPLIE.replace("BGM++M1+9'", "BGM++M1+9'??'bad+1'UNS'"), ["BAD_SEGMENT", "BAD_SEGMENT", "ok", "ok", "COUNT_MISMATCH"]),
        ("UNB+UNOA:2+A+B+090304:1230+1'UNZ+0+1'", ["UNKNOWN_MESSAGE"]),
        ("UNH+1+BAPLIE'UNT+2+1'", ["NOTHING_TO_SCREEN"]),
        (BAPLIE.replace("BGM", "FTX+AAA+++" + "x" * SEGMENT_LIMIT), ["NO_TERMINATOR", "NOTHING_TO_SCREEN", "TRUNCATED"]),
        ("UNA:+.? ", ["NO_TERMINATOR", "UNKNOWN_MESSAGE"]),
        ("UNH+1+BAPLIE?", ["NO_TERMINATOR", "UNKNOWN_MESSAGE"]),
    ],
    ids=range(10),
)  # fmt: skip
def test_broken_interchanges(text: str, expected: list[str]) -> None:
    """Wrong counts, no trailer, no terminators, unknown messages, bad tags, endless segments: told, and what is whole is read."""
    assert codes(read(text)) == expected


def test_other_signs_by_una() -> None:
    """An interchange with separators of its own is read the same."""
    table = str.maketrans({"'": "~", "+": "|", ":": "^"})
    assert codes(read("UNA^|.? ~" + BAPLIE.translate(table))) == ["ok", "ok"]


def test_characters_by_syntax() -> None:
    """UNOC is Latin 1, UNOE Cyrillic."""
    body = "UNH+1+IFTSTA:D:00B:UN'BGM+23+1'CNI+1'NAD+CN+++{0}'RFF+BM:B1234'UNT+6+1'"
    for syntax, encoding, name in (("UNOC", "latin-1", "Müller"), ("UNOE", "iso8859-5", "Ромашка"), ("UNOY", "utf-8", "Ромашка")):
        (row,) = read(f"UNB+{syntax}:3+A+B+090304:1230+1'{body.format(name)}UNZ+1+1'".encode(encoding))
        assert isinstance(row, Shipment)
        assert row.parties[0]["name"] == name
