"""The folder of code lists: read, read again when it changes, and never worse off than before."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from broker.errors import UsageError
from broker.families.codelists import LIST_FILES, CodeLists, Packed, Place, place_mark, place_of
from broker.storage import codelists
from broker.storage.codelists import CodeListFolder

PLACES = "locode,name,subdivision,status,function,iata\nSGSIN,Singapore,,AI,1-345---,SIN\nNLRTM,Rotterdam,,XX,1234-6--,\n"
CURRENCIES = "code,numeric,name,minor_unit\nEUR,978,Euro,2\nSGD,702,Dollar,2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two lists, last changed on a known day."""
    write(tmp_path, "unlocode.csv", PLACES)
    write(tmp_path, "iso4217.csv", CURRENCIES)
    return tmp_path


def write(folder: Path, name: str, text: str, *, day: int = 1_728_864_000) -> Path:
    """A file with a date of change (Unix s; 2024-10-14)."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (day, day))
    return path


def codes(lists: CodeLists) -> list[str]:
    """The codes of what a run is told."""
    return [f"{finding.code} {finding.path}" for finding in lists.remarks()]


def test_lists_are_read_with_their_edition(folder: Path) -> None:
    """Codes, what the list says of them, and the date of the file as the edition."""
    lists = CodeListFolder(folder).poll()
    assert lists.place("SGSIN") == Place("AI", "1345")
    assert lists.place("NLRTM") == Place("XX", "12346")
    assert lists.place("SGXXX") is None
    assert lists.currencies == {"EUR", "SGD"}
    assert (lists.editions["unlocode.csv"].date, lists.editions["unlocode.csv"].codes) == ("2024-10-14", 2)


def test_the_sidecar_says_the_edition(folder: Path) -> None:
    """codelists.json gives the edition where the file's date is that of a copy; what is no date is passed over."""
    (folder / "codelists.json").write_text(json.dumps({"unlocode.csv": "2024-07-01", "iso4217.csv": "last week", "x": 7}))
    lists = CodeListFolder(folder).poll()
    assert (lists.editions["unlocode.csv"].date, lists.editions["iso4217.csv"].date) == ("2024-07-01", "2024-10-14")
    (folder / "codelists.json").write_text("[not an object")
    assert CodeListFolder(folder).poll().editions["unlocode.csv"].date == "2024-10-14"


def test_what_is_not_installed_is_one_info_each(folder: Path) -> None:
    """Every list that is not there is named with what it would have been good for; nothing is said of those that are."""
    remarks = list(CodeListFolder(folder).poll().remarks())
    assert {finding.path for finding in remarks} == set(LIST_FILES) - {"unlocode.csv", "iso4217.csv"}
    assert {(finding.severity, finding.code) for finding in remarks} == {("INFO", "NO_LIST")}


def test_nothing_changed_is_the_same_object(folder: Path) -> None:
    """A service compares by identity: asking often costs no new view."""
    source = CodeListFolder(folder)
    assert source.poll() is source.poll()


def test_a_changed_file_is_read_without_restart(folder: Path) -> None:
    """New content takes the place of the old as a whole; who holds the old lists keeps them."""
    source = CodeListFolder(folder)
    before = source.poll()
    write(folder, "unlocode.csv", PLACES + "DEHAM,Hamburg,,AI,12345---,HAM\n", day=1_730_000_000)
    after = source.poll()
    assert after.place("DEHAM") is not None
    assert before.place("DEHAM") is None
    assert after.editions["unlocode.csv"].date == "2024-10-27"
    assert after.currencies is before.currencies


BROKEN = {
    "a column is missing": "locode,name\nSGSIN,Singapore\n",
    "a row is short": PLACES + "DEHAM\n",
    "a code is none": PLACES + "hamburg,Hamburg,,AI,1-------,\n",
    "it has no rows": "locode,name,subdivision,status,function,iata\n",
    "it is empty": "",
    "a field never ends": PLACES + '"DEHAM,' + "x" * 200_000,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_keeps_the_last_good_list(folder: Path, text: str) -> None:
    """The list that was read stays in use and the trouble is told once; when the file is mended it is read again."""
    source = CodeListFolder(folder)
    source.poll()
    write(folder, "unlocode.csv", text)
    lists = source.poll()
    assert lists.place("SGSIN") is not None
    assert codes(lists)[-1] == "BROKEN_LIST unlocode.csv"
    (trouble,) = (finding for finding in lists.remarks() if finding.code == "BROKEN_LIST")
    assert trouble.severity == "WARN"
    assert "the list of 2024-10-14 is kept" in trouble.reason
    assert source.poll() is lists
    write(folder, "unlocode.csv", PLACES)
    assert "BROKEN_LIST unlocode.csv" not in codes(source.poll())


def test_a_file_that_was_never_good_leaves_its_codes_to_their_form(folder: Path) -> None:
    """A service starts all the same: the list counts as not installed, and its trouble is told."""
    (folder / "unece-rec20-units.csv").write_bytes(b"status,code\n\xff\xfe,KGM\n")
    lists = CodeListFolder(folder).poll()
    assert lists.units is None
    (trouble,) = (finding for finding in lists.remarks() if finding.path == "unece-rec20-units.csv")
    assert (trouble.code, "counts as not installed" in trouble.reason) == ("BROKEN_LIST", True)


def test_a_file_that_is_too_large_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong file under the right name does not fill the memory of a relay."""
    monkeypatch.setattr(codelists, "SIZE_LIMIT", 10)
    lists = CodeListFolder(folder).poll()
    assert lists.places is None
    assert set(lists.troubles) == {"unlocode.csv", "iso4217.csv"}


def test_a_removed_file_keeps_its_list(folder: Path) -> None:
    """Files are often replaced by way of removing them: in between the list stays, and is told to be gone."""
    source = CodeListFolder(folder)
    source.poll()
    (folder / "unlocode.csv").unlink()
    lists = source.poll()
    assert lists.place("SGSIN") is not None
    assert "BROKEN_LIST unlocode.csv" in codes(lists)
    write(folder, "unlocode.csv", PLACES)
    assert "BROKEN_LIST unlocode.csv" not in codes(source.poll())


def test_lists_may_lie_one_folder_below(tmp_path: Path) -> None:
    """A folder of folders, as data sets are given; what lies in the folder itself wins."""
    write(tmp_path, "codelists/iso4217.csv", CURRENCIES)
    write(tmp_path, "iso4217.csv", "code\nEUR\n")
    write(tmp_path, "strategic/common-high-priority-list.csv", "hs6,tier\n854231,1\n")
    lists = CodeListFolder(tmp_path).poll()
    assert lists.currencies == {"EUR"}
    assert lists.high_priority == {"854231": "1"}


def test_other_editions_of_hs_are_known_by_their_name(folder: Path) -> None:
    """hs2017.csv beside hs2022.csv: a code that only the older has is found there. The heading rows of chapters are left out."""
    heading = "section,hscode,description,parent,level\nTOTAL,TOTAL,all,TOTAL,5\nXVI,85,machines,TOTAL,2\n"
    write(folder, "hs2017.csv", heading + "XVI,851712,telephones,8517,6\n")
    write(folder, "hs2022.csv", heading + "XVI,851713,smartphones,8517,6\n")
    lists = CodeListFolder(folder).poll()
    assert sorted(lists.hs) == [2017, 2022]
    assert lists.older_hs("851712", 2022) == 2017
    assert lists.older_hs("851713", 2022) is None
    assert len(lists.hs[2022]) == 1


@pytest.mark.parametrize("name", ["missing", "file", "empty"])
def test_a_slip_of_the_pen_is_told_at_once(tmp_path: Path, name: str) -> None:
    """A path that is no folder, or a folder without any list, is wrong use: it must not pass as "not installed"."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError):
        CodeListFolder(tmp_path / name)


def test_an_editors_mark_at_the_beginning_is_no_part_of_the_heading(folder: Path) -> None:
    """Spreadsheets write a byte order mark before UTF-8."""
    (folder / "iso4217.csv").write_bytes(b"\xef\xbb\xbf" + CURRENCIES.encode())
    assert CodeListFolder(folder).poll().currencies == {"EUR", "SGD"}


def test_marks_of_places_come_back() -> None:
    """Status and functions of a place survive being packed; what UN/LOCODE does not know as a status counts as none."""
    assert place_of(place_mark("RL", "--3-5--B")) == Place("RL", "35B")
    assert place_of(place_mark(' Sarawak"', "AI")) == Place("", "")


def test_packed_codes_are_found_and_others_are_not() -> None:
    """Codes of another length or alphabet are not in the table, whatever their number would be."""
    table = Packed([("SGSIN", 3), ("AAAAA", 1), ("ZZ999", 65_535)], 5)
    assert [table.mark(code) for code in ("SGSIN", "AAAAA", "ZZ999")] == [3, 1, 65_535]
    assert [
        table.mark(code) for code in ("sgsi", "SGSI", "SGSIM", "SGSINX", "SGS N", "0SGSI", "", "SGSI\N{CYRILLIC CAPITAL LETTER EN}")
    ] == [None] * 8
    with pytest.raises(ValueError, match="not a code of 5"):
        Packed([("TOOLONG", 0)], 5)
