"""Real lists and real records under the checks: what is right passes, what is odd is found, and nothing is in the way."""

from __future__ import annotations

import re
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from broker.families.coded import check_codes
from broker.families.codelists import CodeLists
from broker.families.identifiers.control import GRAMMARS
from broker.families.identifiers.kinds import KINDS
from broker.storage.codelists import CodeListFolder
from tests.support.records import need_data, read_rows

Row = Mapping[str, object]


@pytest.fixture(scope="module")
def data() -> Path:
    """The folder with the records."""
    return need_data()


@pytest.fixture(scope="module")
def lists(data: Path) -> CodeLists:
    """All lists of it."""
    return CodeListFolder(data).poll()


def found(records: Iterable[Row], lists: CodeLists) -> Counter[str]:
    """Findings by code over records of coded fields."""
    return Counter(finding.code for record in records for finding in check_codes("test", {"core": record}, lists))


def test_every_list_of_the_folder_is_read(lists: CodeLists) -> None:
    """All eleven lists, none in trouble, nothing left to remark."""
    assert list(lists.remarks()) == []
    assert {file: edition.codes for file, edition in lists.editions.items()} | {"regime-entries.csv": 0} == {
        "unlocode.csv": 115_880, "hs2022.csv": 5_613, "iso3166.csv": 249, "iso4217.csv": 178, "unece-rec20-units.csv": 2_136,
        "unece-rec21-packages.csv": 406, "un-dangerous-goods.csv": 2_437, "free-zones-sample.csv": 27,
        "common-high-priority-list.csv": 50, "cwc-schedules.csv": 55, "regime-entries.csv": 0,
    }  # fmt: skip


def test_the_places_of_the_world_are_small(data: Path, lists: CodeLists) -> None:
    """115,880 UN/LOCODEs in under a megabyte, all lists in under three, read in seconds on a slow machine."""
    assert lists.places is not None
    assert lists.places.size < 1_000_000
    begun = time.perf_counter()
    tracemalloc.start()
    fresh = CodeListFolder(data).poll()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.perf_counter() - begun < 30
    assert fresh.places is not None
    assert kept < 3_000_000
    print(f"UN/LOCODE {lists.places.size / 1e6:.2f} MB, all lists {kept / 1e6:.2f} MB", file=sys.stderr)


def test_every_place_of_the_list_is_known(data: Path, lists: CodeLists) -> None:
    """No place of UN/LOCODE is unknown to itself; the thirty that are about to be removed are told."""
    places = ({"locode": row["locode"]} for row in read_rows(data, "codelists/unlocode.csv"))
    assert found(places, lists) == {"OBSOLETE_CODE": 30}


def test_obsolete_seaports_are_flagged(data: Path, lists: CodeLists) -> None:
    """The 54 seaports whose codes are gone from UN/LOCODE are found, and one more that is about to go; all others pass."""
    ports = read_rows(data, "codelists/seaports.csv")
    assert found(({"locode": row["locode"]} for row in ports), lists) == {"UNKNOWN_LOCODE": 54, "OBSOLETE_CODE": 1}
    (curacao,) = check_codes("test", {"core": {"locode": "ANCUR"}}, lists)
    assert "the country AN was withdrawn in 2010" in curacao.reason


def test_every_listed_code_passes_its_own_check(data: Path, lists: CodeLists) -> None:
    """Countries, currencies, packages, units, dangerous goods, HS codes: none is unknown; the deleted and deprecated are told."""

    def codes(file: str, column: str, field: str) -> list[Row]:
        return [{field: row[column], "hs_edition": 2022} for row in read_rows(data, f"codelists/{file}")]

    assert found(codes("iso3166.csv", "alpha2", "country"), lists) == {}
    assert found(codes("iso4217.csv", "code", "currency"), lists) == {}
    assert found(codes("un-dangerous-goods.csv", "un_number", "un_number"), lists) == {}
    assert found(codes("unece-rec21-packages.csv", "Code", "package_type"), lists) == {"OBSOLETE_CODE": 1}
    assert found(codes("unece-rec20-units.csv", "code", "unit"), lists) == {"OBSOLETE_CODE": 380}
    six = [row for row in codes("hs2022.csv", "hscode", "hs_code") if re.fullmatch("[0-9]{6}", str(row["hs_code"]))]
    assert set(found(six, lists)) <= {"NATIONAL_HS"}
    assert len(six) == 5_613


def test_strategic_lists_agree_with_the_others(data: Path, lists: CodeLists) -> None:
    """CAS check digits, HS codes and UN numbers of the precursors and of the CWC schedules; the high priority list in HS 2022."""
    shield = [
        {"cas": row["cas"], "hs_codes": row["hs6"].split(), "hs_edition": 2022, "un_numbers": row["un_numbers"].split()}
        for row in read_rows(data, "strategic/global-shield-precursors.csv")
    ]  # fmt: skip
    assert len(shield) == 14
    assert found(shield, lists) == {}
    chemicals = [
        {"cas": row["cas"], "control_codes": [{"scheme": "CWC", "code": "1A01", "edition": "2020"}]}
        for row in read_rows(data, "strategic/cwc-schedules.csv")
        if row["cas"]
    ]
    wrong = found(chemicals, lists)
    assert set(wrong) == {"WRONG_SCHEDULE"}
    assert 0 < wrong["WRONG_SCHEDULE"] < len(chemicals)
    tiers = [{"control_codes": [{"scheme": "CHPL", "code": row["hs6"], "edition": "2024-02"}], "hs_code": row["hs6"], "hs_edition": 2022}
             for row in read_rows(data, "strategic/common-high-priority-list.csv")]  # fmt: skip
    assert found(tiers, lists) == {}


def _printed(entry: str) -> str:
    """An entry of MTCR or NSG as the lists print it, from a table that leaves the full stops out."""
    parts = ".".join(re.findall(r"[0-9]+|[A-Za-z]", entry[1:]))
    return f"T:{parts.replace('A.', 'A')}" if entry.startswith("T") else parts


def test_entries_of_regimes_follow_the_grammars(data: Path, lists: CodeLists) -> None:
    """Every active entry of MTCR and NSG that names an item is well-formed, and found again in the installed list."""
    rows = [
        row for row in read_rows(data, "strategic/regime-entries.csv") if row["regime"] in ("MTCR", "NSG") and row["status"] == "ACTIVE"
    ]
    items = [(row["regime"], _printed(row["entry"])) for row in rows if len(row["entry"]) > 3 or row["regime"] == "MTCR"]
    assert len(items) > 500
    assert [item for item in items if not GRAMMARS[item[0]].judge(item[1]).valid] == []
    coded = [{"control_codes": [{"scheme": scheme, "code": code, "edition": "2024"}]} for scheme, code in items]
    assert found(coded, lists) == {}


def test_ratings_of_real_licences_follow_the_grammars(data: Path) -> None:
    """Of the dual-use and military ratings in UK licences, all but a handful of national codes are entries of the two EU lists."""
    rows = [row for row in read_rows(data, "strategic/uk-control-ratings.csv") if row["kind"] != "other"]
    neither = [row["rating"] for row in rows if not any(KINDS[name].judge(row["rating"]).valid for name in ("EU_ANNEX_I", "CML"))]
    assert len(rows) > 250
    assert all(rating.startswith("PL") for rating in neither)
    assert len(neither) < 10


def test_korean_declarations_name_an_older_edition(data: Path, lists: CodeLists) -> None:
    """About 4 % of the declarations of early 2021 carry codes that HS 2022 has no more; a few name no country (ZZ)."""
    rows = read_rows(data, "shipments/kr-import-declarations-valid.csv")
    records = [
        {"hs_code": row["HS6 Code"], "hs_edition": 2022, "country": row["Country of Origin"],
         "departure_country": row["Country of Departure"]}
        for row in rows
    ]  # fmt: skip
    counts = found(records, lists)
    assert set(counts) == {"HS_NOT_IN_EDITION", "UNKNOWN_COUNTRY"}
    assert 0.03 < counts["HS_NOT_IN_EDITION"] / len(rows) < 0.06
    assert counts["UNKNOWN_COUNTRY"] < 30


def test_a_code_that_lost_its_zero_is_named_with_it(data: Path, lists: CodeLists) -> None:
    """Declarations whose HS code a spreadsheet took for a number: each is told with the padded form."""
    short = [
        row["HS6 Code"].lstrip("0") for row in read_rows(data, "shipments/kr-import-declarations-valid.csv") if row["HS6 Code"][0] == "0"
    ]
    assert len(short) > 10
    for code in set(short):
        findings = check_codes("test", {"core": {"hs_code": code, "hs_edition": 2022}}, lists)
        assert findings[0].code == "BAD_HS"
        assert f"0{code}" in findings[0].reason


def test_identifiers_in_sample_messages(data: Path) -> None:
    """Containers and movement numbers in real sample messages: about half are right, the others are samples with made-up digits."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in (data / "shipments").rglob("*")
             if path.suffix in (".xml", ".json", ".jsonl", ".edi", ".txt")]  # fmt: skip
    assert len(texts) > 50
    for kind, pattern, least in (("container", r"\b[A-Z]{3}[UJZ][0-9]{7}\b", 4), ("movement", r"\b[0-9]{2}[A-Z]{2}[A-Z0-9]{13}[0-9]\b", 8)):
        values = {value for text in texts for value in re.findall(pattern, text)}
        verdicts = [KINDS[kind].judge(value) for value in values]
        assert sum(verdict.valid for verdict in verdicts) >= least, kind
        assert {verdict.fault for verdict in verdicts} <= {None, "CHECK"}
        assert all(KINDS[kind].judge(verdict.right).valid for verdict in verdicts if verdict.right)


def test_ships_of_the_screening_list(data: Path) -> None:
    """The IMO numbers of listed vessels hold their check digits: over three hundred of them."""
    numbers = {row["imo"] for row in read_rows(data, "parties/us-csl-2022-04.csv") if row["imo"]}
    assert len(numbers) > 250
    assert sum(KINDS["ship"].judge(number).valid for number in numbers) / len(numbers) > 0.95


def test_free_zones_lie_at_known_places(data: Path, lists: CodeLists) -> None:
    """Each zone of the sample is near a place that UN/LOCODE has, in the country that it says."""
    for row in read_rows(data, "codelists/free-zones-sample.csv"):
        assert check_codes("test", {"core": {"free_zone_code": f"{row['nearest_locode']}-1", "country": row["country"]}}, lists) == []
        assert row["nearest_locode"][:2] == row["country"]
