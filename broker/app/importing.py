"""Messages from a table: checked row by row as a publisher would, and published, each row exactly once, also after a kill.

A row's identity is the subject and revision that it makes. The publisher's store holds a record from before it is first sent, so a row
whose revision is there is not sent again; a row that says something else of the same revision is refused. What is under way is bounded,
whatever the table's size.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from broker import ids
from broker.app.parties import Member
from broker.bulk.building import Built, Grouping, build
from broker.bulk.mapping import ColumnMapping
from broker.bulk.rows import BadRow, Remark, Row, remark
from broker.envelope.receipt import Receipt
from broker.errors import Finding, Refusal, RefusedError, UsageError
from broker.families.catalogue import check, check_shape
from broker.families.codelists import NO_LISTS, CodeLists
from broker.families.message import Message
from broker.families.message_json import message_from_json
from broker.schema import json_form
from broker.schema.catalogue import Catalogue
from broker.service.publisher import Handle, Publisher
from broker.storage.imports import Made, SqliteImports
from broker.storage.publisher_store import PublishedReader
from broker.storage.tables import Table, open_table

AT_ONCE: Final = 512
"""Most messages on their way at a time."""
TOGETHER: Final = 64
"""Most rows whose beginning is kept in one transaction."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one or more rows: a message, unless ``remarks`` has something of severity REJECT. ``line`` is the first row's, of
    ``lines`` rows; ``digest`` is SHA-256 of the message's JSON form."""

    line: int
    lines: int
    message: Message | None
    subject: str | None
    revision: int | None
    remarks: tuple[Remark, ...]
    digest: bytes

    @property
    def rejected(self) -> bool:
        """Whether it cannot be published."""
        return any(each.severity == "REJECT" for each in self.remarks)


@dataclass(frozen=True, slots=True)
class Imported:
    """A row that was dealt with. ``outcome``: ``accepted``, ``quarantined`` (the exchange refused it), ``refused`` (before it was sent)
    or ``duplicate`` (an earlier run sent it). ``handle`` and ``receipt`` are there where it was sent now."""

    checked: Checked
    outcome: str
    handle: Handle | None = None
    receipt: Receipt | None = None


@dataclass(slots=True)
class Rows:
    """The checks of a table's rows; ``findings`` of ``codelists`` are told with the column that they are about."""

    mapping: ColumnMapping
    catalogue: Catalogue
    agency: str
    now_ms: Callable[[], int]
    codelists: CodeLists = NO_LISTS
    after: int = 0
    """Rows up to this line are passed over: an earlier run has dealt with them."""

    def checked(self, rows: Iterable[Row | BadRow]) -> Iterator[Checked]:
        """Each message of the table in order, and each row that is none as it comes: before the group that it stands in."""
        groups = Grouping(self.mapping)
        for row in rows:
            if isinstance(row, BadRow):
                if row.remark.line > self.after:
                    yield self._unread(row)
            elif group := groups.add(row):
                yield from self._made(group)
        if group := groups.rest():
            yield from self._made(group)

    def _made(self, group: list[Row]) -> Iterator[Checked]:
        if group[0].line > self.after:
            yield self._check(build(self.mapping, group, self.catalogue, self.agency))

    def _unread(self, row: BadRow) -> Checked:
        return Checked(row.remark.line, 1, None, None, None, (row.remark,), b"")

    def _check(self, built: Built) -> Checked:
        """What a publisher would refuse, and remark, without asking the exchange."""
        text = json.dumps(built.value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        subject, revision = built.value["subject"], built.value["revision"]
        done = Checked(
            built.line, built.lines, None, subject if isinstance(subject, str) else None, revision if isinstance(revision, int) else None,
            built.remarks, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(),
        )  # fmt: skip
        if built.rejected:
            return done
        message = self._message(built.value)
        found = message if isinstance(message, Refusal) else self._judged(message)
        if isinstance(found, Refusal):
            path = found.path.removeprefix("sections.")
            told = Remark("REJECT", found.code, built.line, built.column_of(path), found.path, found.reason, found.advice)
            return replace(done, remarks=(*built.remarks, told))
        said = tuple(Remark(f.severity, f.code, built.line, built.column_of(f.path), f.path, f.reason, "") for f in found)
        return replace(done, message=message, remarks=(*built.remarks, *said))

    def _message(self, value: object) -> Message | Refusal:
        def section(family: str, name: str, content: object) -> dict[str, Any] | Refusal:
            schema = self.catalogue.current(family, name)
            return {} if schema is None else json_form.from_json(schema, content)

        return message_from_json(value, section)

    def _judged(self, message: Message) -> list[Finding] | Refusal:
        try:
            owner = ids.owner_of(ids.subject_id(message.subject))
        except UsageError as error:
            return Refusal("BAD_LABELS", str(error), "subject")
        if owner != self.agency:
            return Refusal("NOT_OWNER", f"{message.subject} does not begin with {self.agency}/", "subject")
        return check_shape(message) or check(message, self.codelists, issued_ms=self.now_ms())


@contextlib.contextmanager
def open_rows(file: Path, mapping: ColumnMapping, rows: Rows) -> Generator[tuple[Table, Iterator[Checked]]]:
    """A table's checked rows, and the table for its progress. Raises UsageError, also in the midst of a broken workbook."""
    with open_table(file, mapping.file, mapping.columns) as table:
        yield table, rows.checked(table.rows)


def file_digest(file: Path, mapping_text: str) -> bytes:
    """What an import that goes on is known by: SHA-256 of the file and of the mapping. Raises UsageError."""
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
    except (OSError, ValueError) as error:
        raise UsageError(f"`{file}` cannot be read: {error}", advice="give a CSV file or a workbook (.xlsx)") from error
    digest.update(b"\0" + mapping_text.encode())
    return digest.digest()


def open_imports(member: Member) -> SqliteImports:
    """What the agency's imports have done. Raises StoreError, StoreInUse."""
    return SqliteImports(member.files.folder / "imports.sqlite", member.files.agency)


class Import:
    """One run over a file, by its ``digest``, through a publisher that is started."""

    def __init__(self, publisher: Publisher, published: PublishedReader, kept: SqliteImports, digest: bytes, *, timeout: float) -> None:
        """``published`` reads the publisher's store; ``timeout``: seconds to wait for each receipt."""
        self._publisher, self._published, self._kept = publisher, published, kept
        self._digest, self._timeout = digest, timeout
        self._under_way: deque[asyncio.Task[Imported]] = deque()
        self._subjects: dict[tuple[str, int], Made] = {}
        self._messages = kept.reached(digest)[1]

    async def run(self, rows: Iterator[Checked]) -> AsyncGenerator[Imported]:
        """Publish what is good of them; each is told in the order of the table. Raises ExchangeUnreachable where there is no answer in
        time: what was stored is sent by the next run, and its rows are not sent again."""
        answered: list[Imported] = []
        try:
            while some := list(islice(rows, TOGETHER)):
                for checked, known in self._begin(some):
                    self._under_way.append(asyncio.create_task(self._dealt_with(checked, known)))
                await asyncio.sleep(0)
                while len(self._under_way) > AT_ONCE - TOGETHER or (self._under_way and self._under_way[0].done()):
                    answered.append(await self._under_way.popleft())
                    yield answered[-1]
                self._settle(answered)
            while self._under_way:
                answered.append(await self._under_way.popleft())
                yield answered[-1]
        finally:
            self._settle(answered)
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _begin(self, some: list[Checked]) -> list[tuple[Checked, Imported | None]]:
        """Each with what is known of it before anything is sent, None where it is to be sent. That these are begun is kept."""
        begun: list[Made] = []
        found = [(checked, self._known(checked, begun)) for checked in some]
        self._kept.keep(begun)
        return found

    def _known(self, checked: Checked, begun: list[Made]) -> Imported | None:
        if checked.rejected or checked.message is None:
            return Imported(checked, "refused")
        key = checked.message.subject, checked.message.revision
        made = self._subjects.get(key) or self._kept.made(*key)
        sent = key in self._subjects or (self._published.last_revision(key[0]) or 0) >= key[1]
        if sent and made is not None and made.state != "refused" and made.digest != checked.digest:
            reason = f"line {made.line} makes {key[0]} revision {key[1]} too, and says something else of it"
            return Imported(replace(checked, remarks=(*checked.remarks, remark("SAME_SUBJECT", checked.line, reason))), "refused")
        if sent and (made is None or made.state != "refused"):
            return Imported(checked, "duplicate")
        self._subjects[key] = Made(*key, checked.digest, checked.line, "begun")
        begun.append(self._subjects[key])
        return None

    async def _dealt_with(self, checked: Checked, known: Imported | None) -> Imported:
        if known is not None or checked.message is None:
            return known or Imported(checked, "refused")
        try:
            handle = await self._publisher.publish(checked.message)
        except RefusedError as error:
            refusal = error.refusal
            told = Remark("REJECT", refusal.code, checked.line, "", refusal.path, refusal.reason, refusal.advice)
            return Imported(replace(checked, remarks=(*checked.remarks, told)), "refused")
        receipt = await handle.receipt(self._timeout)
        return Imported(checked, "accepted" if receipt.outcome == "ACCEPTED" else "quarantined", handle, receipt)

    def _settle(self, answered: list[Imported]) -> None:
        """Keep what became of these rows, and that the file is dealt with up to the last of them."""
        if not answered:
            return
        made: list[Made] = []
        for each in answered:
            message = each.checked.message
            begun = self._subjects.pop((message.subject, message.revision), None) if message is not None else None
            if begun is not None and begun.line == each.checked.line:
                made.append(begun._replace(state="accepted" if each.outcome == "accepted" else "refused"))
        self._messages += len(answered)
        # A row that is none may be told before the group around it: how far the file got goes by messages.
        last = next((each.checked.line for each in reversed(answered) if each.checked.digest), None)
        self._kept.keep(made, None if last is None else (self._digest, last, self._messages))
        answered.clear()
