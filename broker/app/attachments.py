"""Attached files at an agency: the chunks that come in are kept while a message that is here cites their file, and files are read.

The keeper has its own position in the inbox, as the register has, so that nothing is missing here that another reader passed over. The
section that cites a file comes before its chunks, but for an inbox that was compacted after a revision, where the chunks wait for it; a
chunk of a file that a message which has come does not cite is not kept. A recall of the citing message, a
delivery without the section, a revision that cites the file no more: each takes the chunks at once. The keys are where the section is.

Reading a file decrypts it twice: once to see that it is whole and the one that was cited, and then for whoever asked.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import structlog

from broker import ids
from broker.app.begun_anew import begun_anew
from broker.app.parties import Member
from broker.envelope.chunks import open_chunk
from broker.errors import BrokerError
from broker.families.attachment import CHUNK, FAMILY, SECTION, place_of
from broker.ports import Transport
from broker.register.answers import SubjectAnswer
from broker.service.subscriber import DONE, Counts, Delivery, Outcome
from broker.storage import media
from broker.storage.chunk_files import ChunkFolder
from broker.storage.home import AgencyHome
from broker.storage.received_chunks import ReceivedChunks
from broker.storage.staged_files import Staged

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_log = structlog.get_logger("attachments")


class NotWhole(BrokerError):
    """Not all chunks of a file are here yet."""

    code: ClassVar[str] = "ATTACHMENT_INCOMPLETE"


class NotTheFile(BrokerError):
    """What came is not the file that was cited: a chunk does not open, or the digest is another."""

    code: ClassVar[str] = "ATTACHMENT_DAMAGED"


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file that a message cites, and how many of its chunks are ``here``. ``digest`` is SHA-256 of its bytes, hexadecimal."""

    file: bytes
    digest: str
    size: int
    chunks: int
    media_type: str
    name: str
    description: str | None
    key: bytes
    here: int

    @property
    def whole(self) -> bool:
        """Whether all of it is here."""
        return self.here == self.chunks

    @property
    def picture(self) -> bool:
        """Whether it is said to be a picture."""
        return self.media_type in media.PICTURES

    def told(self) -> dict[str, Any]:
        """As JSON values: everything but the key."""
        return {
            "digest": self.digest, "size": self.size, "media_type": self.media_type, "name": self.name, "description": self.description,
            "chunks": self.chunks, "chunks_here": self.here, "whole": self.whole,
        }  # fmt: skip


class AttachedFiles:
    """The files of an agency's home, received ones and its own."""

    def __init__(self, files: AgencyHome) -> None:
        self._agency, self._unpacking = files.agency, threading.Lock()
        self.received, self.own = ChunkFolder(files.attachments_folder / "received"), ChunkFolder(files.attachments_folder / "own")

    def _folder(self, originator: str) -> ChunkFolder:
        return self.own if originator == self._agency else self.received.below(originator)

    def of(self, answer: SubjectAnswer) -> list[AttachedFile]:
        """The files of a subject as a register shows it; none where the section is not shown."""
        section = cast("Mapping[str, Any]", answer.content.get(SECTION) or {})
        folder = self._folder(answer.row.originator)
        found: list[AttachedFile] = []
        for each in section.get("files", ()):
            file, chunks = bytes.fromhex(each["file"].replace("-", "")), each["chunks"]
            found.append(
                AttachedFile(
                    file, each["digest"], each["size"], chunks, each["media_type"], each["name"], each.get("description"),
                    bytes.fromhex(each["key"]), folder.count(file, chunks),
                )
            )  # fmt: skip
        return found

    def find(self, answer: SubjectAnswer, digest: str) -> AttachedFile | None:
        """The file of this digest, if the subject cites it."""
        if not _DIGEST.fullmatch(digest):
            return None
        return next((each for each in self.of(answer) if each.digest == digest), None)

    def own_file(self, staged: Staged) -> AttachedFile:
        """A file of the agency's own that is on its way out, or waits for that."""
        return AttachedFile(
            staged.file, staged.digest.hex(), staged.size, staged.chunks, staged.media_type, staged.name, staged.description, staged.key,
            self.own.count(staged.file, staged.chunks),
        )  # fmt: skip

    def pieces(self, originator: str, found: AttachedFile) -> Iterator[bytes]:
        """The bytes of a file, half a MiB at a time; it was seen before the first that all of them are here, and the right ones.
        Raises NotWhole, NotTheFile, StoreError."""
        digest, size = hashlib.sha256(), 0
        for piece in self._opened(originator, found):
            digest.update(piece)
            size += len(piece)
        if digest.hexdigest() != found.digest or size != found.size:
            raise NotTheFile(f"{found.name} is not the file that was cited: its digest is another", advice="tell its owner")
        return self._opened(originator, found)

    def _opened(self, originator: str, found: AttachedFile) -> Iterator[bytes]:
        if not found.whole:
            raise NotWhole(f"{found.here} of {found.chunks} chunks of {found.name} are here", advice="wait: the others are on their way")
        for index, data in enumerate(self._folder(originator).pieces(found.file, found.chunks)):
            if data is None:
                raise NotWhole(f"{index} of {found.chunks} chunks of {found.name} are here", advice="it was taken back meanwhile")
            piece = open_chunk(found.key, found.file, index, data, last=index == found.chunks - 1)
            if piece is None:
                raise NotTheFile(f"chunk {index + 1} of {found.name} does not open under its key", advice="tell its owner")
            yield piece

    def thumbnail(self, originator: str, found: AttachedFile) -> bytes | None:
        """A small PNG of a picture, made anew, one at a time; None for what is none. Raises as :meth:`pieces` does."""
        with self._unpacking:
            return self._thumbnail(originator, found)

    def _thumbnail(self, originator: str, found: AttachedFile) -> bytes | None:
        return media.thumbnail(b"".join(self.pieces(originator, found)), found.media_type) if found.picture else None


class ChunkKeeper:
    """Keeps the chunks that come into an agency's inbox. Run :meth:`run` in a task; one process at a time."""

    def __init__(self, member: Member, transport: Callable[[], Transport]) -> None:
        self._member, self._transport = member, transport
        self._path = member.files.attachments_folder / "received.sqlite"
        self._folder = AttachedFiles(member.files).received
        self._stopped = False
        self._running: Any = None
        self.uncited = 0
        """Chunks that were not kept, for nothing here cites their file."""

    async def run(self) -> None:
        """Keep what comes while the exchange can be reached, until :meth:`stop`."""
        await begun_anew(
            self._follow_while_it_works,
            lambda error: _log.warning("chunks are not kept", code=error.code, reason=str(error)),
            until=lambda: self._stopped,
        )

    def stop(self) -> None:
        """End :meth:`run` after the batch under way is committed."""
        self._stopped = True
        if self._running is not None:
            self._running.stop()

    async def _follow_while_it_works(self) -> None:
        transport = self._transport()
        try:
            await self.follow(transport)
        finally:
            await transport.close()

    async def follow(self, transport: Transport, *, until_end: bool = False) -> Counts:
        """Keep what comes through this connection. Raises StoreInUse where another process does, and as a subscriber does."""
        store = ReceivedChunks(self._path, self._member.files.agency, self._folder)
        try:
            self._running = self._member.subscriber(transport, store=store)

            async def keep(delivery: Delivery) -> Outcome:
                self._take(store, delivery)
                return DONE

            return await self._running.run(keep, until_end=until_end)
        finally:
            self._running = None
            store.close()

    def _take(self, store: ReceivedChunks, delivery: Delivery) -> None:
        if delivery.family != FAMILY:
            files = delivery.sections.get(SECTION, {}).get("files", [])
            if delivery.taken_back:
                store.forget_files(delivery.subject)
            else:
                store.cite(delivery.subject, delivery.revision, files)
            return
        file, index = place_of(delivery.subject)
        if CHUNK not in delivery.sections:
            store.drop_chunk(delivery.originator, file, index)
            return
        core, target = delivery.sections["core"], delivery.header.correlation.target or ""
        cited = ids.owner_of(target) == delivery.originator and store.wants(file, target, core["chunks"])
        if cited and (core["file"], core["index"]) == (file, index):
            store.take_chunk(delivery.originator, file, index, delivery.sections[CHUNK]["data"])
        else:
            self.uncited += 1
