"""Sending files: staged and encrypted first, cited by a message, and sent in chunks once the exchange has accepted that message.

::

    stage ──► the entry for the message's ``attachments`` section ──► message kept ──► accepted ──► chunks, WINDOW under way at a time

Where a process dies the next one goes on: what is staged, cited, and how many chunks were handed to the publisher is on the disk, and a
chunk that the publisher has stored already is not published again. A chunk waits for the receipts of those before it: an urgent message of
the agency never stands behind more than :data:`WINDOW` of them, and another agency's behind none, for the relay takes turns.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import structlog

from broker.envelope.receipt import Receipt
from broker.errors import BrokerError, RefusedError, StoreError, UsageError
from broker.families.attachment import CHUNK_BYTES, SECTION, attachment, chunk_subject
from broker.families.message import Message
from broker.families.message_json import message_to_json
from broker.service.publisher import Publisher
from broker.storage.chunk_files import ChunkFolder
from broker.storage.home import AgencyHome
from broker.storage.staged_files import KEPT_MS, Staged, StagedFiles

WINDOW: Final = 4
"""Most chunks of an agency that have no receipt yet: 2 MiB."""
RECEIPT_S: Final = 60.0
"""How long a receipt is waited for before the sending is left for later."""

_log = structlog.get_logger("attachments")


def staged_files(files: AgencyHome) -> StagedFiles:
    """The files of an agency's home that are on their way out. Raises StoreInUse where another process has them."""
    folder = files.attachments_folder
    return StagedFiles(folder / "sending.sqlite", files.agency, ChunkFolder(folder / "own"))


def parts_of(path: Path) -> Iterable[bytes]:
    """A file on the disk, part by part. Raises UsageError."""
    try:
        with path.open("rb") as opened:
            while part := opened.read(CHUNK_BYTES):
                yield part
    except OSError as error:
        raise UsageError(f"`{path.name}` cannot be read: {error.strerror}", advice="give a file that is there") from error


def with_files(message: Message, staged: Iterable[Staged]) -> Message:
    """The message with these files cited, besides those that it cites already."""
    section = cast("Mapping[str, Any]", message.sections.get(SECTION) or {"files": []})
    files = [*section["files"], *(each.entry() for each in staged)]
    return replace(message, sections={**message.sections, SECTION: {"files": files}}) if files else message


def cited_in(message: Message) -> list[Mapping[str, Any]]:
    """The entries of the files that a message cites."""
    section = cast("Mapping[str, Any]", message.sections.get(SECTION) or {})
    return list(section.get("files", ()))


class Sender:
    """Sends the chunks of staged files through a publisher."""

    def __init__(self, staged: StagedFiles, agency: str) -> None:
        self._staged, self._agency = staged, agency

    async def send(self, publisher: Publisher, citing: Message, file: Staged, told: Callable[[int], None] = lambda _: None) -> bool:
        """Send what is left of a file that ``citing``, which was accepted, cites; whether all of it is accepted. ``told``: called with the
        number of chunks that were answered. Raises ExchangeUnreachable, StoreError: to be called again then."""
        self._staged.move(file.file, "SENDING", file.sent)
        under_way: list[asyncio.Task[Receipt | None]] = []
        try:
            for index in range(file.sent, file.chunks):
                if len(under_way) == WINDOW and not await self._answered(under_way.pop(0), file, index - WINDOW, told):
                    return False
                under_way.append(asyncio.create_task(self._one(publisher, citing, file, index)))
            for index, task in enumerate(list(under_way), file.chunks - len(under_way)):
                if not await self._answered(task, file, index, told):
                    return False
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        self._staged.move(file.file, "SENT", file.chunks)
        return True

    async def _one(self, publisher: Publisher, citing: Message, file: Staged, index: int) -> Receipt | None:
        """Publish a chunk and wait for its receipt; None where the publisher has it from before, and sends it by itself."""
        if publisher.stored(chunk_subject(self._agency, file.file, index)):
            return None
        data = self._staged.chunk(file.file, index)
        if data is None:
            raise StoreError(f"a chunk of {file.name} is not here any more", advice="attach the file again")
        handle = await publisher.publish(attachment(citing, file.file, index, file.chunks, data))
        return await handle.receipt(RECEIPT_S)

    async def _answered(self, task: asyncio.Task[Receipt | None], file: Staged, index: int, told: Callable[[int], None]) -> bool:
        try:
            receipt = await task
        except RefusedError as error:
            return self._left(file, error.refusal.code)
        if receipt is not None and receipt.outcome != "ACCEPTED" and receipt.code != "STALE_REVISION":
            return self._left(file, receipt.code)
        self._staged.move(file.file, "SENDING", index + 1)
        told(index + 1)
        return True

    def _left(self, file: Staged, code: str) -> bool:
        """The exchange takes no more of it: the message was recalled meanwhile, say."""
        _log.error("a file is not sent", file=file.file.hex(), code=code)
        self._staged.move(file.file, "LEFT", file.sent)
        return False


class AttachmentOutbox:
    """The node's side: what comes over HTTP is staged, and sent in the background. ``accepted`` gives the message that cites a file,
    without sections, where the exchange accepted it; False where it will not, None where that is not known yet. ``erased``: whether a
    subject of the agency's own has no content any more in its register; its files go then."""

    def __init__(
        self,
        files: AgencyHome,
        accepted: Callable[[Staged], Message | bool | None],
        erased: Callable[[str], bool],
        now_ms: Callable[[], int],
    ) -> None:
        """Raises StoreInUse, StoreError."""
        self._erased = erased
        self.staged = staged_files(files)
        self._accepted, self._now_ms = accepted, now_ms
        self._sender = Sender(self.staged, files.agency)
        self._news = asyncio.Event()

    def cite(self, message: Message, message_id: str) -> None:
        """A message is about to be kept under this id."""
        files = cited_in(message)
        if files:
            self.staged.cite(message.subject, message_id, json.dumps(message_to_json(replace(message, sections={}))), files)
            self._news.set()

    async def run(self, publisher: Callable[[], Publisher | None]) -> None:
        """Send what is cited by messages that were accepted, again and again."""
        while True:
            self._news.clear()
            for file in self.staged.waiting():
                await self._one(publisher(), file)
            self.staged.drop_uncited(self._now_ms() - KEPT_MS)
            for subject, sent in self.staged.subjects().items():
                if self._erased(subject):
                    self.staged.drop(sent)
            try:
                async with asyncio.timeout(1.0):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _one(self, publisher: Publisher | None, file: Staged) -> None:
        standing = self._accepted(file)
        if standing is False:
            self.staged.move(file.file, "LEFT", file.sent)
        if publisher is None or not isinstance(standing, Message):
            return
        try:
            await self._sender.send(publisher, standing, file)
        except BrokerError as error:
            _log.warning("a file is sent later", file=file.file.hex(), code=error.code, reason=str(error))

    def close(self) -> None:
        """Let go of the file. Call it when :meth:`run` has ended."""
        self.staged.close()
