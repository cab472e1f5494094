"""Business rules of entry summary declarations: by cases of our own, and by those that import control publishes."""

from __future__ import annotations

import copy
import json
import time
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.screening.reading import read_rows
from broker.screening.shipment import Shipment
from tests.support.entry_summaries import RuleCase, as_json, json_cases, xml_cases
from tests.support.records import need_data

SOUND = """<ie:CC315A xmlns:ie="urn:ie"><MesSenMES3>GB1234/12</MesSenMES3><HEAHEA><TraModAtBorHEA76>1</TraModAtBorHEA76>
<IdeOfMeaOfTraCroHEA85>9074729</IdeOfMeaOfTraCroHEA85><TotNumOfIteHEA305>1</TotNumOfIteHEA305><TotNumOfPacHEA306>1</TotNumOfPacHEA306>
<TotGroMasHEA307>10.5</TotGroMasHEA307><ComRefNumHEA>U-2</ComRefNumHEA><PlaLoaGOOITE334>SGSIN</PlaLoaGOOITE334>
<PlaUnlGOOITE334>GBFXT</PlaUnlGOOITE334></HEAHEA><TRACONCE1><TINCE159>GB1</TINCE159></TRACONCE1>
<GOOITEGDS><IteNumGDS7>1</IteNumGDS7><PACGS2><KinOfPacGS23>CT</KinOfPacGS23><NumOfPacGS24>1</NumOfPacGS24></PACGS2></GOOITEGDS>
<PERLODSUMDEC><TINPLD1>GB1</TINPLD1></PERLODSUMDEC></ie:CC315A>"""
ROOT = "/ie:CC315A[1]"
NOTHING: set[tuple[str, str]] = set()


def found(declaration: str | bytes) -> set[tuple[str, str]]:
    """Number and place of each finding."""
    (row,) = read_rows([declaration.encode() if isinstance(declaration, str) else declaration])
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


def test_packages_inside_of_other_items_packages_are_found_at_once() -> None:
    """Four thousand items that lie in the packages of the last one: each is not looked for in all others, which took half a minute."""
    inside, around = (
        f"<GOOITEGDS><PACGS2><KinOfPacGS23>CT</KinOfPacGS23><NumOfPacGS24>{count}</NumOfPacGS24>"
        "<MarNumOfPacGSL21>M</MarNumOfPacGSL21></PACGS2></GOOITEGDS>"
        for count in (0, 1)
    )
    began = time.process_time()
    assert found(SOUND.replace("<GOOITEGDS>", inside * 4_000 + around + "<GOOITEGDS>")) == {("8206", f"{ROOT}/HEAHEA[1]")}
    assert time.process_time() - began < 5
    assert ("8153", f"{ROOT}/GOOITEGDS[1]/PACGS2[1]") in found(SOUND.replace("<GOOITEGDS>", inside + "<GOOITEGDS>"))


def test_the_published_cases() -> None:
    """Of every case with errors at least one finding is where an error is expected; those without errors have none."""
    _hold(list(xml_cases(need_data())))


def test_the_published_cases_in_json() -> None:
    """The same declarations in JSON have the same findings, each at the pointer of the value that the XML location names."""
    _hold(list(json_cases(need_data())))


def _hold(cases: list[RuleCase]) -> None:
    assert len(cases) == 142
    for case in cases:
        got = found(case.declaration)
        assert bool(got) == bool(case.errors), case.name
        assert not case.errors or case.located(got), case.name


def test_the_cases_in_json_are_the_published_form() -> None:
    """Written as the cases are, the published XML sample is the published JSON sample, but for what no case is about."""
    folder = need_data() / "shipments/ens"
    made = as_json(ElementTree.parse(folder / "CC315A_full.xml").getroot(), {})
    published = json.loads((folder / "CC315A_all_optional.json").read_text(encoding="utf-8"))
    del published["itinerary"]["officeOfFirstEntry"], published["itinerary"]["officesOfSubsequentEntry"]
    for part in ("parties", "goods", "itinerary", "specificCircumstancesIndicator"):
        assert made[part] == published[part]


JSON: dict[str, Any] = {
    "metadata": {"messageType": "IE315", "senderEORI": "GB1234", "senderBranch": "12"},
    "parties": {"consignee": {"eori": "GB1"}, "declarant": {"eori": "GB1"}},
    "goods": {
        "numberOfItems": 1, "numberOfPackages": 1, "grossMass": "10.5",
        "goodsItems": [{"itemNumber": "1", "packages": [{"kindOfPackages": "CT", "numberOfPackages": "1"}]}],
    },
    "itinerary": {
        "modeOfTransportAtBorder": "1", "identityOfMeansOfCrossingBorder": {"identity": "9074729"}, "commercialReferenceNumber": "U-2",
        "loading": {"placeOfLoading": "SGSIN", "placeOfUnloading": "GBFXT"},
    },
}  # fmt: skip
"""The sound declaration in JSON."""
ITEM = "/goods/goodsItems/0"
SHIP = "/itinerary/identityOfMeansOfCrossingBorder/identity"
PLACES = (
    "/metadata", "/parties", "/parties/consignee", "/goods", "/goods/goodsItems", ITEM, f"{ITEM}/packages", "/goods/grossMass",
    "/itinerary", "/itinerary/loading",
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "address", "packages"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("pointer", "value", "expected"),
    [
        ("/goods/numberOfItems", 1, NOTHING),
        ("/goods/numberOfItems", 2, {("8206", "/goods/numberOfItems")}),
        ("/itinerary/identityOfMeansOfCrossingBorder", None, {("8107", "/itinerary")}),
        (SHIP, "no ship", {("8114", SHIP)}),
        ("/metadata/senderBranch", "a b", {("4065", "/metadata/senderEORI")}),
        ("/parties/consignee/name", "X", {("8631", "/parties/consignee/name")}),
        ("/parties/consignee/address", {"city": "X"}, {("8634", "/parties/consignee/address/city")}),
        ("/parties/consignee", {}, {(str(8125 + part), "/parties/consignee") for part in range(5)}),
        ("/parties/consignee", None, {("8623", ITEM)}),
        (f"{ITEM}/packages/0/kindOfPackages", "VQ", {("8149", f"{ITEM}/packages/0")}),
        (f"{ITEM}/packages", ["no package", {"kindOfPackages": "VQ", "numberOfPackages": 1}], {("8149", f"{ITEM}/packages/1")}),
        (f"{ITEM}/specialMentions", ["10600"], {("8204", "/parties/consignee"), ("8622", ITEM)}),
        ("/goods/goodsItems", "no list", {("8206", "/goods/numberOfItems"), ("8688", "/goods/numberOfPackages")}),
        ("/metadata/messageType", "IE351", NOTHING),
    ],
    ids=range(14),
)  # fmt: skip
def test_each_finding_points_into_the_json(pointer: str, value: object, expected: set[tuple[str, str]]) -> None:
    """One change of a sound declaration gives the findings of that change, at the value or at the object that misses it."""
    assert found(json.dumps(_changed(pointer, value)).encode()) == expected


def test_the_pointer_counts_from_the_document() -> None:
    """In a list of declarations the pointer begins with the place in the list."""
    value = _changed("/goods/numberOfItems", 2)
    rows = list(read_rows([json.dumps([JSON, value]).encode()]))
    assert [[each.path for each in row.remarks] for row in rows if isinstance(row, Shipment)] == [[], ["/1/goods/numberOfItems"]]


def test_findings_in_json_are_bounded() -> None:
    """A declaration with ten thousand mistakes is told of a hundred, in JSON as in XML."""
    item = {"packages": [{"kindOfPackages": "VQ", "numberOfPackages": "1"}]}
    assert len(found(json.dumps(_changed("/goods/goodsItems", [item] * 10_000)).encode())) == 100


@given(st.sampled_from(PLACES), ANYTHING)
def test_anything_in_any_place_is_answered(pointer: str, value: object) -> None:
    """Whatever lies where the form has something else: a row, and findings with pointers; never an exception."""
    for row in read_rows([json.dumps(_changed(pointer, value)).encode()]):
        assert not isinstance(row, Shipment) or all(each.path.startswith("/") for each in row.remarks)


def _changed(pointer: str, value: object) -> dict[str, Any]:
    made = copy.deepcopy(JSON)
    *way, last = pointer.split("/")[1:]
    inner: Any = made
    for name in way:
        inner = inner[int(name) if isinstance(inner, list) else name]
    at: Any = int(last) if isinstance(inner, list) else last
    if value is None:
        del inner[at]
    else:
        inner[at] = value
    return made
