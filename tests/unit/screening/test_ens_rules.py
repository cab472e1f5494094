"""Business rules of entry summary declarations: by cases of our own, and by those that import control publishes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.screening.reading import read_rows
from broker.screening.shipment import Shipment
from tests.support.records import need_data

SOUND = """<ie:CC315A xmlns:ie="urn:ie"><MesSenMES3>GB1234/12</MesSenMES3><HEAHEA><TraModAtBorHEA76>1</TraModAtBorHEA76>
<IdeOfMeaOfTraCroHEA85>9074729</IdeOfMeaOfTraCroHEA85><TotNumOfIteHEA305>1</TotNumOfIteHEA305><TotNumOfPacHEA306>1</TotNumOfPacHEA306>
<TotGroMasHEA307>10.5</TotGroMasHEA307><ComRefNumHEA>U-2</ComRefNumHEA><PlaLoaGOOITE334>SGSIN</PlaLoaGOOITE334>
<PlaUnlGOOITE334>GBFXT</PlaUnlGOOITE334></HEAHEA><TRACONCE1><TINCE159>GB1</TINCE159></TRACONCE1>
<GOOITEGDS><IteNumGDS7>1</IteNumGDS7><PACGS2><KinOfPacGS23>CT</KinOfPacGS23><NumOfPacGS24>1</NumOfPacGS24></PACGS2></GOOITEGDS>
<PERLODSUMDEC><TINPLD1>GB1</TINPLD1></PERLODSUMDEC></ie:CC315A>"""
ROOT = "/ie:CC315A[1]"
NOTHING: set[tuple[str, str]] = set()


def found(xml: str) -> set[tuple[str, str]]:
    """Number and place of each finding."""
    (row,) = read_rows([xml.encode()])
    assert isinstance(row, Shipment), row
    return {(finding.code.removeprefix("ENS_"), finding.path) for finding in row.remarks}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", NOTHING),
        ("9074729", "no ship", {("8114", f"{ROOT}/HEAHEA[1]")}),
        ("<TINCE159>GB1</TINCE159>", "<TINCE159>GB1</TINCE159><NamCE17>X</NamCE17>", {("8631", f"{ROOT}/TRACONCE1[1]/NamCE17[1]")}),
        ("<TINCE159>GB1</TINCE159>", "", {(str(8125 + part), f"{ROOT}/TRACONCE1[1]") for part in range(5)}),
        ("<TRACONCE1><TINCE159>GB1</TINCE159></TRACONCE1>", "", {("8623", f"{ROOT}/GOOITEGDS[1]")}),
        ("10.5", "1e999999999", NOTHING), ("10.5", "NaN", NOTHING), ("10.5", "9" * 99, {("8675", f"{ROOT}/HEAHEA[1]/TotGroMasHEA307[1]")}),
        ("CT", "VQ", {("8149", f"{ROOT}/GOOITEGDS[1]/PACGS2[1]")}),
    ],
    ids=range(9),
)  # fmt: skip
def test_each_finding_points_at_its_place(old: str, new: str, expected: set[tuple[str, str]]) -> None:
    """A sound declaration has no finding; one change gives the findings of that change; numbers that are none break nothing."""
    assert found(SOUND.replace(old, new) if old else SOUND) == expected


def test_findings_are_bounded() -> None:
    """A declaration with ten thousand mistakes is told of a hundred."""
    item = "<GOOITEGDS><PACGS2><KinOfPacGS23>VQ</KinOfPacGS23><NumOfPacGS24>1</NumOfPacGS24></PACGS2></GOOITEGDS>"
    assert len(found(SOUND.replace("<GOOITEGDS>", item * 10_000 + "<GOOITEGDS>"))) == 100


def test_the_published_cases() -> None:
    """Of every case with errors at least one finding is where an error is expected; those without errors have none."""
    text = (need_data() / "shipments/ens/ens-rule-cases.jsonl").read_text(encoding="utf-8")
    cases: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert len(cases) == 142
    for case in cases:
        expected = {(each["number"], each["location"]) for each in case["expected_errors"]}
        got = found(case["xml"])
        assert bool(got) == bool(expected), case["case"]
        assert not expected or {place for _, place in got} & {place for _, place in expected}, case["case"]
