"""A table is published row by row over a whole exchange in memory: each once, whatever happens in between; bad rows stop nothing."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from broker.app.importing import Checked, Import, Imported, Rows, file_digest, open_imports, open_rows
from broker.bulk.mapping import read_mapping
from broker.errors import UsageError
from broker.storage.clock import SystemClock
from broker.storage.publisher_store import PublishedReader
from broker.storage.schemas import load_catalogue
from broker.testing.local import LocalAgency, LocalExchange
from tests.support.records import country_codes, need_data

MAPPING = """
family = "licence"
subject = "{@agency}/{number}"
revision = "{rev}"
[header]
purposes = ["LICENSING"]
audience = { agencies = ["AE-CUSTOMS"] }
[sections.core]
decision_type = "{decision}"
authority = "{@agency}"
licence_no = "{number}"
licence_type = "INDIVIDUAL"
effective_at = "{from}"
published_at = "{from}"
destinations = ["{country}"]
[[sections.items.items]]
line = 1
description = "{what}"
"""
READ = read_mapping(MAPPING)
HEAD = "number,rev,decision,from,country,what\n"
ROOT = Path(__file__).parents[3]


def line(number: int, *, rev: int = 1, decision: str = "GRANT", day: str = "2026-11-24T00:00:00Z", what: str = "press") -> str:
    """A row of the table."""
    return f"{number},{rev},{decision},{day},AE,{what}\n"


def table(folder: Path, *lines: str) -> Path:
    """A CSV file of these rows."""
    path = folder / "licences.csv"
    path.write_text(HEAD + "".join(lines), encoding="utf-8")
    return path


def rows_of(agency: str = "DE-BAFA", after: int = 0) -> Rows:
    """The checks."""
    return Rows(READ, load_catalogue(), agency, SystemClock().now_ms, after=after)


def checked(path: Path, agency: str = "DE-BAFA") -> list[Checked]:
    """All rows of a file, checked."""
    with open_rows(path, READ, rows_of(agency)) as (_, found):
        return list(found)


@asynccontextmanager
async def importing(bafa: LocalAgency, path: Path, *, resume: bool = False) -> AsyncGenerator[tuple[Import, Iterator[Checked]]]:
    """A run over a file, as the command makes it."""
    member = bafa.member
    async with contextlib.AsyncExitStack() as opened:
        kept = opened.enter_context(closing(open_imports(member)))
        publisher = await opened.enter_async_context(member.publishing())
        published = opened.enter_context(closing(PublishedReader(member.files.publisher_store)))
        digest = file_digest(path, MAPPING)
        rows = rows_of(after=kept.reached(digest)[0] if resume else 0)
        _, found = opened.enter_context(open_rows(path, READ, rows))
        yield Import(publisher, published, kept, digest, timeout=20), found


async def all_of(bafa: LocalAgency, path: Path, *, resume: bool = False, stop_after: int | None = None) -> list[Imported]:
    """What a run gives; ``stop_after`` so many rows it is left standing, as a process that dies leaves it."""
    done: list[Imported] = []
    async with importing(bafa, path, resume=resume) as (run, found), contextlib.aclosing(run.run(found)) as results:
        async for each in results:
            done.append(each)
            if len(done) == stop_after:
                break
    return done


def outcomes(done: list[Imported]) -> Counter[str]:
    """How many of each."""
    return Counter(each.outcome for each in done)


def test_what_is_wrong_is_told_by_line_and_column(tmp_path: Path) -> None:
    """What a publisher would refuse, without asking anybody: field, its column, code, advice; the rows around are good."""
    path = table(
        tmp_path, line(1), line(2, decision="PERHAPS"), line(3, day="yesterday"), "4,1\n", line(5, rev=0), "../6,1,GRANT,,,\n", line(7)
    )
    found = checked(path)
    assert [(each.line, each.rejected) for each in found] == [(2, False), (3, True), (4, True), (5, True), (6, True), (7, True), (8, False)]
    told = [next((r for r in each.remarks if r.severity == "REJECT"), None) for each in found]
    assert [(r.code, r.column) for r in told if r is not None] == [
        ("BAD_FIELD", "decision"), ("BAD_FIELD", "from"), ("BAD_FIELD", "decision"), ("BAD_FIELD", "rev"), ("BAD_FIELD", "from")
    ]  # fmt: skip
    assert all(r.advice for r in told if r is not None)


def test_bad_rows_by_the_thousand_are_told_as_they_come(tmp_path: Path) -> None:
    """A file in another encoding than the mapping says: each row is told at once, none is held until a good one comes."""
    path = tmp_path / "licences.csv"
    path.write_bytes((HEAD + line(1)).encode() + "9,1,GRANT,,AE,é\n".encode("cp1252") * 30_000)
    tracemalloc.start()
    try:
        with open_rows(path, READ, rows_of()) as (_, found):
            assert Counter(each.rejected for each in found) == {False: 1, True: 30_000}
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_only_own_subjects(tmp_path: Path) -> None:
    """A subject of another owner, and one that leads out of its place, are refused."""
    path = table(tmp_path, line(1))
    (found,) = checked(path, agency="not an agency")
    assert found.rejected
    mapping = read_mapping(MAPPING.replace("{@agency}/{number}", "XX-OTHER/{number}"))
    with open_rows(path, mapping, Rows(mapping, load_catalogue(), "DE-BAFA", SystemClock().now_ms)) as (_, rows):
        assert [each.code for each in next(rows).remarks if each.severity == "REJECT"] == ["NOT_OWNER"]


async def test_each_row_is_published_once(tmp_path: Path) -> None:
    """Good rows arrive at the recipient in their order, bad ones are told, a second run sends nothing again."""
    async with LocalExchange(clock=SystemClock()) as exchange:
        bafa, emirates = await exchange.join("DE-BAFA", "licensing"), await exchange.join("AE-CUSTOMS", "customs")
        path = table(tmp_path, *(line(number) for number in range(150)), line(150, decision="?"), *(line(n) for n in range(151, 300)))
        assert outcomes(await all_of(bafa, path)) == {"accepted": 299, "refused": 1}
        subjects = [each.subject for each in await emirates.deliveries(400)]
        assert subjects == [f"DE-BAFA/{number}" for number in range(300) if number != 150]
        assert outcomes(await all_of(bafa, path)) == {"duplicate": 299, "refused": 1}
        assert outcomes(await all_of(bafa, path, resume=True)) == {}
        assert await emirates.deliveries(1) == []


@pytest.mark.parametrize("stop_after", [1, 70, 199])
async def test_a_run_that_ends_in_the_midst_goes_on(tmp_path: Path, stop_after: int) -> None:
    """Left standing after some rows, and begun again with and without --resume: no row is lost, none arrives twice."""
    async with LocalExchange(clock=SystemClock()) as exchange:
        bafa, emirates = await exchange.join("DE-BAFA", "licensing"), await exchange.join("AE-CUSTOMS", "customs")
        path = table(tmp_path, *(line(number) for number in range(200)))
        await all_of(bafa, path, stop_after=stop_after)
        again = await all_of(bafa, path, resume=True)
        assert set(outcomes(again)) <= {"accepted", "duplicate"}
        subjects = Counter(each.subject for each in await emirates.deliveries(400))
        assert subjects == {f"DE-BAFA/{number}": 1 for number in range(200)}


async def test_another_row_of_the_same_revision_is_refused(tmp_path: Path) -> None:
    """In one file, and in a later one; the next revision is taken, and a row that the exchange refused may be corrected."""
    async with LocalExchange(clock=SystemClock()) as exchange:
        bafa, _ = await exchange.join("DE-BAFA", "licensing"), await exchange.join("AE-CUSTOMS", "customs")
        done = await all_of(bafa, table(tmp_path, line(1), line(1), line(1, what="oven"), line(2)))
        assert [each.outcome for each in done] == ["accepted", "duplicate", "refused", "accepted"]
        assert [(r.code, r.line) for r in done[2].checked.remarks if r.severity == "REJECT"] == [("SAME_SUBJECT", 4)]
        done = await all_of(bafa, table(tmp_path, line(1, what="pump"), line(1, rev=2, decision="AMEND", what="pump")))
        assert [each.outcome for each in done] == ["refused", "accepted"]


def test_a_workbook_is_read_as_a_table(tmp_path: Path) -> None:
    """Real dates, numbers and a formula: the first two as they are meant without a word in the mapping, the formula as text, and told."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    day = datetime(2026, 11, 24)
    for row in (HEAD.strip().split(","), [4711, 1, "GRANT", day, "AE", "press"], [4712, 1, "GRANT", day, "AE", "=B2+1"]):
        sheet.append(row)
    book.save(tmp_path / "licences.xlsx")
    first, second = checked(tmp_path / "licences.xlsx")
    assert first.message is not None
    assert second.message is not None
    assert first.message.sections["core"]["licence_no"] == "4711"
    assert first.message.sections["core"]["effective_at"] == datetime(2026, 11, 24, tzinfo=UTC)
    assert second.message.sections["items"]["items"][0]["description"] == "=B2+1"
    assert [(r.severity, r.line, r.column) for r in second.remarks if r.code == "FORMULA"] == [("WARN", 3, "what")]


def test_a_licensing_systems_file_is_read_by_the_shipped_mapping(tmp_path: Path) -> None:
    """The lines of real licence statistics, by docs/mappings/uk-licences.toml with all countries: nearly all are messages."""
    data = need_data()
    text = (ROOT / "docs" / "mappings" / "uk-licences.toml").read_text(encoding="utf-8")
    names = "".join(f'"{name}" = "{code}"\n' for name, code in country_codes(data).items() if '"' not in name)
    before, _, after = text.partition("[translate.country]\n")
    mapping = read_mapping(before + "[translate.country]\n" + names + after[after.index("[header]") :])
    file = data / "licences" / "uk-export-licence-lines-sample.csv"
    with open_rows(file, mapping, Rows(mapping, load_catalogue(), "GB-LICENSING", SystemClock().now_ms)) as (_, rows):
        found = list(rows)
    assert sum(each.lines for each in found) == 1198
    good = [each for each in found if not each.rejected]
    assert len(good) > 0.9 * len(found)
    assert {r.code for each in found for r in each.remarks if r.severity == "REJECT"} <= {"UNKNOWN_CODE", "BAD_FIELD", "BAD_LABELS"}


def test_a_licensing_systems_denials_are_read_by_the_shipped_mapping() -> None:
    """One denial for each line, its party in the place that its kind has; a line without reference, and countries that are not in the
    translation, are told by column."""
    data = need_data()
    mapping = read_mapping((ROOT / "docs" / "mappings" / "lite-denials.toml").read_text(encoding="utf-8"))
    file = data / "licences" / "lite-denials-example.csv"
    with open_rows(file, mapping, Rows(mapping, load_catalogue(), "GB-LICENSING", SystemClock().now_ms)) as (_, rows):
        found = list(rows)
    good = [each.message for each in found if each.message is not None]
    assert len(good) == 4
    assert {next(iter(name for name, value in each.sections["parties"].items() if value)) for each in good} == {"consignee", "end_users"}
    assert {(r.code, r.column) for each in found for r in each.remarks if r.severity == "REJECT"} == {
        ("EMPTY_CELL", "reference"), ("UNKNOWN_CODE", "country"),
    }  # fmt: skip


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    """No traceback."""
    with pytest.raises(UsageError):
        file_digest(tmp_path / "none.csv", "")
