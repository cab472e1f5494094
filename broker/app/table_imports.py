"""Imports at a node: a table that was sent once, checked, looked at, and then published through the outbox, each row once.

Every batch of rows is kept in the outbox together with an answer under a key that is the import's and the batch's own, in one transaction:
a run that is ended at any moment and begun again passes over what is kept, and keeps the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from broker.app.agency_node import AgencyNode
from broker.app.import_forms import WhoSees, row_json
from broker.app.importing import Checked, Rows, open_rows
from broker.app.outbox import Accepted
from broker.app.statements import json_of
from broker.bulk.mapping import read_mapping
from broker.errors import BrokerError, Refusal, UsageError
from broker.storage import atomic
from broker.storage.intake import Answered

LIMIT: Final = 256 << 20
"""Longest table, in bytes."""
MOST: Final = 50
"""Most imports that are kept."""
KEPT_MS: Final = 7 * 86_400_000
"""How long an import is kept after it was sent, in milliseconds."""
TOLD: Final = 500
"""Most rows with something to say that are kept of a check, and of a run."""
TOGETHER: Final = 64
"""Most messages of one batch."""
WAITING: Final = 4096
"""From so many messages in the outbox a run waits."""
LOOK_S: Final = 0.05

_log = structlog.get_logger("imports")


class KeyReused(UsageError):
    """Another table under a key that was used before."""

    code = "KEY_REUSED"


class TableTooLong(UsageError):
    """More than is taken."""

    code = "TOO_LONG"


class TableImport(msgspec.Struct):
    """An import as it is known: ``phase`` is ``checking``, ``checked``, ``running``, ``done`` or ``failed``; counts are those of the
    phase; ``reached`` of ``size`` bytes; times in Unix ms. ``who`` is None where the rules of the exchange are not known."""

    id: str
    user: str
    mapping: str
    digest: str
    size: int
    made_at: int
    phase: str = "checking"
    error: str = ""
    reached: int = 0
    rows: int = 0
    outcomes: dict[str, int] = {}
    findings: dict[str, int] = {}
    told: list[dict[str, Any]] = []
    who: dict[str, Any] | None = None


class TableImports:
    """The imports of one node, in a folder of their own."""

    def __init__(self, node: AgencyNode) -> None:
        self._node = node
        self._folder = node.member.files.node_folder / "imports"
        self._known: dict[str, TableImport] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for file in sorted(self._folder.glob("*/about.json")):
            found = msgspec.json.decode(file.read_bytes(), type=TableImport)
            if found.phase in ("checking", "running"):
                found.phase, found.error = "failed", "the node was stopped: begin it again"
            self._known[found.id] = found

    def get(self, import_id: str, user: str) -> TableImport | None:
        """An import of a user's; None where there is none."""
        found = self._known.get(import_id)
        return found if found is not None and found.user == user else None

    def of(self, user: str) -> list[TableImport]:
        """The imports of a user, the newest first."""
        return sorted((each for each in self._known.values() if each.user == user), key=lambda each: -each.made_at)

    async def take(self, user: str, key: str, mapping_name: str, mapping_text: str, body: AsyncIterator[bytes]) -> TableImport:
        """Take a table in and begin to check it. Under the same key the same table is the same import. Raises KeyReused for
        another table under a key, TableTooLong, and UsageError."""
        read_mapping(mapping_text)
        import_id = hashlib.sha256(f"{user}\0{key}".encode()).hexdigest()[:32]
        place = atomic.private_folder(self._folder / import_id)
        part = place / f"part-{id(body)}"
        try:
            digest, size = await _written(part, body, mapping_text)
            before = self._known.get(import_id)
            if before is not None:
                if before.digest != digest:
                    raise KeyReused("another table came under this Idempotency-Key", advice="use a new key for another table")
                return before
            self._make_room(import_id)
            part.replace(place / "table")
        finally:
            part.unlink(missing_ok=True)
        (place / "mapping.toml").write_text(mapping_text, encoding="utf-8")
        made = TableImport(import_id, user, mapping_name, digest, size, self._node.now_ms())
        self._known[import_id] = made
        self._start(made, "checking")
        return made

    def run(self, found: TableImport) -> None:
        """Begin to publish, or go on; what was kept already is not kept again. Raises UsageError while it is checked."""
        if found.phase == "checking":
            raise UsageError("the table is being checked", advice="wait until it is checked, look at it, and run it then")
        if found.phase not in ("running", "done"):
            self._start(found, "running")

    def forget(self, found: TableImport) -> None:
        """Remove an import with its table; what it published stays."""
        task = self._tasks.pop(found.id, None)
        if task is not None:
            task.cancel()
        self._known.pop(found.id, None)
        shutil.rmtree(self._folder / found.id, ignore_errors=True)

    def _make_room(self, import_id: str) -> None:
        now_ms = self._node.now_ms()
        for each in [each for each in self._known.values() if each.made_at < now_ms - KEPT_MS]:
            self.forget(each)
        if len(self._known) >= MOST:
            shutil.rmtree(self._folder / import_id, ignore_errors=True)
            raise UsageError(f"{MOST} imports are kept", advice="remove one: DELETE /imports/{id}")

    def _start(self, found: TableImport, phase: str) -> None:
        found.phase, found.error, found.reached, found.rows = phase, "", 0, 0
        found.outcomes, found.findings, found.told = {}, {}, []
        task = self._tasks[found.id] = asyncio.create_task(self._worked(found))
        task.add_done_callback(lambda ended: self._ended(found, ended))

    def _ended(self, found: TableImport, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("an import failed", id=found.id, exc_info=error)
            found.phase, found.error = "failed", "this is a bug: see the log"

    async def _worked(self, found: TableImport) -> None:
        self._save(found)
        try:
            await (self._check(found) if found.phase == "checking" else self._publish(found))
            found.phase = "checked" if found.phase == "checking" else "done"
        except BrokerError as error:
            found.phase, found.error = "failed", str(error)
        if found.id in self._known:
            self._save(found)

    def _save(self, found: TableImport) -> None:
        atomic.replace(self._folder / found.id / "about.json", msgspec.json.encode(found), atomic.OWNER_ONLY)

    async def _batches(self, found: TableImport) -> AsyncGenerator[list[Checked]]:
        """The table's messages, some at a time, read and checked in a thread."""
        place, loop = self._folder / found.id, asyncio.get_running_loop()
        mapping = read_mapping((place / "mapping.toml").read_text(encoding="utf-8"))
        rows = Rows(mapping, self._node.outbox.catalogue, self._node.agency, self._node.now_ms, self._node.member.lists())
        made = _read(place / "table", rows)
        thread = ThreadPoolExecutor(1, "import")
        try:
            while (some := await loop.run_in_executor(thread, next, made, None)) is not None:
                found.reached = some[1]
                yield some[0]
        finally:
            thread.submit(made.close)
            thread.shutdown(wait=False)

    async def _check(self, found: TableImport) -> None:
        publisher = self._node.outbox.publisher
        who = None if publisher is None else WhoSees(publisher)
        async for some in self._batches(found):
            for checked in some:
                code = "" if who is None or checked.rejected else who.take(checked)
                self._count(found, checked, "refused" if checked.rejected or code else "would be accepted", code)
            found.who = None if who is None else who.json()

    async def _publish(self, found: TableImport) -> None:
        outbox = self._node.outbox
        async for some in self._batches(found):
            key = f"import {found.id} {some[0].line}"
            before = outbox.answered(found.user, key)
            if before is not None:
                outcomes = msgspec.json.decode(before.answer, type=dict[str, Any])
                _add(found, outcomes["outcomes"], outcomes["rows"])
                continue
            while outbox.depth().waiting > WAITING:  # noqa: ASYNC110 - the outbox has no event for it
                await asyncio.sleep(LOOK_S)
            accepted: list[Accepted] = []
            outcomes, rows = Counter[str](), found.rows
            seen: set[tuple[str, int]] = set()
            for checked in some:
                outcome, code, one = self._judged(checked, seen)
                accepted += [one] if one is not None else []
                outcomes[outcome] += 1
                self._count(found, checked, outcome, code)
            told = msgspec.json.encode({"outcomes": dict(outcomes), "rows": found.rows - rows}).decode()
            digest = hashlib.sha256(b"".join(each.digest for each in some)).digest()
            await outbox.keep(accepted, Answered(found.user, key, digest, told))

    def _judged(self, checked: Checked, seen: set[tuple[str, int]]) -> tuple[str, str, Accepted | None]:
        if checked.rejected or checked.message is None:
            return "refused", "", None
        message, outbox = checked.message, self._node.outbox
        name = message.subject, message.revision
        if name in seen or (outbox.last_revision(message.subject) or 0) >= message.revision:
            return "duplicate", "", None
        seen.add(name)
        read = outbox.read(json_of(message, outbox.catalogue))
        return ("refused", read.code, None) if isinstance(read, Refusal) else ("kept", "", read)

    def _count(self, found: TableImport, checked: Checked, outcome: str, code: str) -> None:
        _add(found, {outcome: 1}, checked.lines)
        for each in checked.remarks:
            found.findings[each.code] = found.findings.get(each.code, 0) + 1
        if code:
            found.findings[code] = found.findings.get(code, 0) + 1
        if (checked.remarks or code) and len(found.told) < TOLD:
            told = row_json(checked, outcome)
            found.told.append(told | ({"code": code} if code else {}))


def _add(found: TableImport, outcomes: dict[str, int], rows: int) -> None:
    found.rows += rows
    for outcome, count in outcomes.items():
        found.outcomes[outcome] = found.outcomes.get(outcome, 0) + count


def _read(file: Path, rows: Rows) -> Generator[tuple[list[Checked], int]]:
    """Batches of messages, each with how many bytes of the table are read by then."""
    with open_rows(file, rows.mapping, rows) as (table, checked):
        while some := list(islice(checked, TOGETHER)):
            yield some, table.position()


async def _written(part: Path, body: AsyncIterator[bytes], mapping_text: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(mapping_text.encode() + b"\0"), 0
    with open(part, "xb", opener=_private) as file:  # noqa: ASYNC230 - pieces are small, and the disk's cache takes them at once
        async for piece in body:
            size += len(piece)
            if size > LIMIT:
                raise TableTooLong(f"a table has at most {LIMIT >> 20} MiB", advice="send it in parts")
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest(), size


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
