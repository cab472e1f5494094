"""``broker import``: messages from a table, by a saved mapping."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from broker.app import Member, process
from broker.app.connect import connect
from broker.app.import_forms import WhoSees, row_json
from broker.app.importing import Import, Rows, file_digest, open_imports, open_rows
from broker.bulk.mapping import ColumnMapping, read_mapping
from broker.cli.messages import publisher_of
from broker.cli.named_files import unreadable
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.cli.trustfile import keep_trust
from broker.errors import UsageError
from broker.families.codelists import NO_LISTS
from broker.storage.codelists import CodeListFolder
from broker.storage.publisher_store import PublishedReader
from broker.storage.schemas import load_catalogue
from broker.storage.tables import Table

TOLD_EVERY = 100_000
"""After how many messages progress is told where there is no bar."""


def row_told(record: dict[str, Any]) -> str:
    """What became of a row, for people."""
    good = record["outcome"] in ("accepted", "would be accepted", "duplicate")
    head = f"line {record['line']}: [{'green' if good else 'red'}]{record['outcome']}[/] {escape(printable(str(record['subject'] or '')))}"
    lines = [head + (f" {record['code']}: {escape(printable(record['reason']))}" if record["reason"] else "")]
    for each in record["findings"]:
        column = f" column {each['column']}" if each["column"] else ""
        where = "" if each["line"] == record["line"] else f" line {each['line']}"
        told = f"{each['code']}{where}{column}: {each['reason']}" + (f": {each['advice']}" if each["advice"] else "")
        lines.append(f"  [dim]{each['severity']}[/dim] {escape(printable(told))}")
    return "\n".join(lines)


class _Tally:
    """Counts rows, tells those that have something to say (or ``every`` one), and shows how far it got."""

    def __init__(self, screen: Screen, table: Table, bar: Any, *, every: bool) -> None:
        self._screen, self._table, self._bar, self._every = screen, table, bar, every
        self._began = time.monotonic()
        self.outcomes: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.rows = 0

    def add(self, record: dict[str, Any]) -> None:
        """One more."""
        self.outcomes[record["outcome"]] += 1
        self.rows += record["rows"]
        self.codes.update(each["code"] for each in record["findings"])
        if self._every or record["findings"] or record["outcome"] in ("refused", "quarantined"):
            self._screen.result(record, row_told(record))
        messages = self.outcomes.total()
        if messages % 64 == 0:
            self._bar.update(self._bar.task_ids[0], completed=self._table.position(), total=self._table.size)
        if messages % TOLD_EVERY == 0:
            self._screen.note(f"[dim]{messages:,} messages, {self.rows:,} rows, {time.monotonic() - self._began:.0f} s[/]")

    def finish(self, resumed_after: int, who: dict[str, Any] | None = None) -> int:
        """The last line, and the exit code; ``who`` would be given what, where that was asked."""
        seconds = time.monotonic() - self._began
        record = {
            "messages": self.outcomes.total(), "rows": self.rows, "outcomes": dict(self.outcomes), "findings": dict(self.codes),
            "resumed_after": resumed_after or None, "seconds": round(seconds, 1),
        } | ({} if who is None else {"who": who})  # fmt: skip
        for agency, counts in (who or {"recipients": {}})["recipients"].items():
            screen_counts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            self._screen.remark(f"would see it: [bold]{escape(agency)}[/] {escape(screen_counts)}")
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.most_common()) or "nothing to import"
        said = "; findings: " + ", ".join(f"{count:,} {code}" for code, count in self.codes.most_common(12)) if self.codes else ""
        again = f", rows up to line {resumed_after:,} were dealt with before" if resumed_after else ""
        self._screen.result(record, f"[bold]{self.rows:,} rows[/], {told}{again} in {seconds:.1f} s{said}")
        return 1 if self.outcomes["refused"] or self.outcomes["quarantined"] else 0


async def import_table(
    file: Path,
    *,
    as_: Annotated[str, Parameter(name="--as")],
    mapping: Path,
    family: str | None = None,
    preview: Annotated[bool, Parameter(negative="")] = False,
    who: Annotated[bool, Parameter(negative="")] = False,
    resume: Annotated[bool, Parameter(negative="")] = False,
    every: Annotated[bool, Parameter(negative="")] = False,
    timeout: float = 60.0,
    common: Common = COMMON,
) -> int:
    """Publish the rows of a CSV file or workbook (.xlsx), by a saved mapping of its columns. Each row is published once, also where an
    import is killed and begun again. Rows that are not right are told by line and column, and stop nothing.

    Example: broker import licences.csv --as DE-BAFA --family licence --mapping licences.toml --preview

    Example: broker import licences.xlsx --as DE-BAFA --mapping licences.toml --resume

    Parameters
    ----------
    file
        The table: CSV, or a workbook.
    as_
        The agency of this home that publishes.
    mapping
        Which columns become which fields, in TOML (docs/bulk.md).
    family
        The family of the messages; the mapping says it too, and they have to agree.
    preview
        Send nothing and ask nobody: say what is wrong with each row.
    who
        With --preview: ask the rules of the exchange who would be given which sections, in counts.
    resume
        Go on where an import of the same file with the same mapping was ended.
    every
        Tell every row, not only those with something to say.
    timeout
        Seconds to wait for each receipt.
    """
    screen = Screen(as_json=common.json)
    text, read = _mapping(mapping, family)
    digest = file_digest(file, text)
    member = Member(common.home, as_, connect, bootstrap=common.bootstrap, codelists=common.codelists)
    lists = CodeListFolder(common.codelists).poll() if common.codelists else NO_LISTS
    rows = Rows(read, load_catalogue(), as_, member.clock.now_ms, lists)
    if preview:
        async with contextlib.AsyncExitStack() as opened:
            asked = WhoSees(await opened.enter_async_context(publisher_of(common, as_))) if who else None
            table, checked = opened.enter_context(open_rows(file, read, rows))
            tally = _Tally(screen, table, opened.enter_context(screen.counting("checking", table.size)), every=every)
            for each in checked:
                code = "" if asked is None or each.rejected else asked.take(each)
                told = row_json(each, "refused" if each.rejected or code else "would be accepted")
                tally.add(told | ({"code": code} if code else {}))
            return tally.finish(0, None if asked is None else asked.json())
    return await _published(screen, member, file, rows, digest, resume=resume, every=every, timeout=timeout, common=common)


async def _published(
    screen: Screen, member: Member, file: Path, rows: Rows, digest: bytes, *, resume: bool, every: bool, timeout: float, common: Common
) -> int:
    """Publish what is good of the table; the exit code."""
    process.settle()
    async with contextlib.AsyncExitStack() as opened:
        kept = opened.enter_context(closing(open_imports(member)))
        rows.after = kept.reached(digest)[0] if resume else 0
        publisher = await opened.enter_async_context(publisher_of(common, rows.agency))
        keep_trust(common.home, rows.agency, publisher.knowledge)
        published = opened.enter_context(closing(PublishedReader(member.files.publisher_store)))
        table, checked = opened.enter_context(open_rows(file, rows.mapping, rows))
        bar = opened.enter_context(screen.counting("importing", table.size))
        tally = _Tally(screen, table, bar, every=every)
        run = Import(publisher, published, kept, digest, timeout=timeout)
        async with contextlib.aclosing(run.run(checked)) as done:
            async for each in done:
                tally.add(row_json(each.checked, each.outcome, each))
        return tally.finish(rows.after)


def _mapping(path: Path, family: str | None) -> tuple[str, ColumnMapping]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(str(path), error) from error
    read = read_mapping(text)
    if family is not None and family != read.family:
        raise UsageError(f"the mapping makes messages of the family {read.family}", advice=f"say --family {read.family}, or leave it out")
    return text, read
