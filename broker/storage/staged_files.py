"""Files on their way out: encrypted while they come in, kept until the message that cites them was accepted, then sent chunk by chunk.

::

    staged ──► cited by a message that is kept ──► that one is accepted ──► chunks sent, each once ──► done: kept for its owner to look at
      └──► held for a draft ──┘

The keys are in this file until a file goes; deleted rows are overwritten. Chunks are in the folder beside.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.envelope.chunks import KEY_BYTES, seal_chunk
from broker.errors import UsageError
from broker.families.attachment import CHUNK_BYTES, FILE_LIMIT, MEDIA_TYPES, Attachment, name_fault
from broker.storage import media
from broker.storage.chunk_files import ChunkFolder
from broker.storage.sqlite import SqliteFile

STAGED_BYTES: Final = 1 << 30
"""Most bytes of files that no message cites yet, those of drafts among them."""
KEPT_MS: Final = 86_400_000
"""How long such a file is kept where no draft holds it."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS staged (
    file BLOB PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL, chunks INTEGER NOT NULL, media_type TEXT NOT NULL,
    name TEXT NOT NULL, description TEXT, key BLOB NOT NULL, at INTEGER NOT NULL, subject TEXT, message_id TEXT, citing TEXT,
    sent INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
"""
_COLUMNS: Final = "file, digest, size, chunks, media_type, name, description, key, subject, message_id, citing, sent, state"


class BadFile(UsageError):
    """A file that may not be attached."""

    code = "BAD_FILE"


class FileTooLarge(BadFile):
    """A file, or all files together, beyond the limit."""

    code = "TOO_LONG"


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is here to be sent: ``sent`` chunks were handed to the publisher; ``state`` is STAGED, HELD, CITED, SENDING, SENT or
    LEFT."""

    file: bytes
    digest: bytes
    size: int
    chunks: int
    media_type: str
    name: str
    description: str | None
    key: bytes
    subject: str | None
    message_id: str | None
    citing: str | None
    sent: int
    state: str

    @property
    def free(self) -> bool:
        """Whether a message may cite it: none does yet."""
        return self.state in ("STAGED", "HELD", "LEFT")

    def entry(self) -> Attachment:
        """As the ``attachments`` section has it."""
        return {
            "file": self.file, "digest": self.digest, "size": self.size, "chunk_size": CHUNK_BYTES, "chunks": self.chunks,
            "media_type": self.media_type, "name": self.name, "description": self.description, "key": self.key,
        }  # fmt: skip


class Staging:
    """A file coming in, in parts of any length; nothing of it is on the disk in clear."""

    def __init__(self, folder: ChunkFolder, name: str, description: str | None) -> None:
        """Raises BadFile for what is no file name."""
        fault = name_fault(name)
        if fault:
            raise BadFile(fault, advice="give a plain name, such as scan-1.png")
        self._folder, self._name, self._description = folder, name, description
        self.file, self._key = secrets.token_bytes(16), secrets.token_bytes(KEY_BYTES)
        self._hash, self._held = hashlib.sha256(), bytearray()
        self._size = self._chunks = 0
        self._media_type = ""

    def take(self, data: bytes) -> None:
        """The next bytes. Raises BadFile, FileTooLarge, StoreError."""
        self._size += len(data)
        if self._size > FILE_LIMIT:
            raise FileTooLarge(f"a file has {FILE_LIMIT >> 20} MiB at the most", advice="send it in parts, or make it smaller")
        self._hash.update(data)
        self._held += data
        while len(self._held) > CHUNK_BYTES:  # the last chunk is known when nothing follows it
            self._put(bytes(self._held[:CHUNK_BYTES]), last=False)
            del self._held[:CHUNK_BYTES]

    def _put(self, piece: bytes, *, last: bool) -> None:
        if not self._chunks:
            self._judge(piece)
        self._folder.put(self.file, self._chunks, seal_chunk(self._key, self.file, self._chunks, piece, last=last))
        self._chunks += 1

    def _judge(self, piece: bytes) -> None:
        """By the first chunk, before anything of it is kept."""
        found = media.media_type_of(piece)
        if found is None:
            raise BadFile("this is none of the kinds of file that may be attached", advice=f"attach one of {', '.join(MEDIA_TYPES)}")
        if not media.name_fits(self._name, found):
            raise BadFile(f"the name says something else than the content, which is {found}", advice="give the name that fits the content")
        if media.is_too_large(piece, found):
            raise BadFile(f"this is no picture of at most {media.PIXELS_LIMIT:,} pixels", advice="attach a smaller one, or mend it")
        self._media_type = found

    def end(self) -> Staged:
        """The file is whole. Raises as :meth:`take` does, and BadFile for an empty one."""
        if not self._size:
            raise BadFile("the file is empty", advice="attach a file with content")
        self._put(bytes(self._held), last=True)
        self._held.clear()
        return Staged(
            self.file, self._hash.digest(), self._size, self._chunks, self._media_type, self._name, self._description, self._key,
            None, None, None, 0, "STAGED",
        )  # fmt: skip

    def leave(self) -> None:
        """It does not come to its end."""
        self._folder.drop_file(self.file)


class StagedFiles:
    """The files of one agency; one process at a time. ``folder`` holds the chunks."""

    def __init__(self, path: Path, agency: str, folder: ChunkFolder) -> None:
        """Raises StoreInUse, StoreError."""
        self._file, self._folder = SqliteFile(path, _SCHEMA, owner=agency), folder
        self._sql = self._file.connection
        self._sql.execute("PRAGMA secure_delete = ON")
        folder.keep_only(lambda file: self._row(file) is not None)

    def begin(self, name: str, description: str | None = None) -> Staging:
        """A file is to come in. Raises BadFile, FileTooLarge where too much waits for a message."""
        (waiting,) = self._sql.execute("SELECT coalesce(sum(size), 0) FROM staged WHERE state IN ('STAGED', 'HELD')").fetchone()
        if waiting + FILE_LIMIT > STAGED_BYTES:
            raise FileTooLarge("too many files wait for a message that cites them", advice="publish the messages, or wait a day")
        return Staging(self._folder, name, description)

    def keep(self, staged: Staged, now_ms: int) -> None:
        """The file is whole: durable when it returns."""
        row = (
            staged.file, staged.digest, staged.size, staged.chunks, staged.media_type, staged.name, staged.description, staged.key, now_ms,
            None, None, None, 0, "STAGED",
        )  # fmt: skip
        with self._file.transaction():
            self._sql.execute(f"INSERT INTO staged VALUES ({', '.join('?' * 14)})", row)  # noqa: S608

    def stage(self, name: str, parts: Iterable[bytes], now_ms: int, description: str | None = None) -> Staged:
        """A file from its parts. Raises BadFile, StoreError."""
        staging = self.begin(name, description)
        try:
            for part in parts:
                staging.take(part)
            staged = staging.end()
            self.keep(staged, now_ms)
        except BaseException:
            staging.leave()
            raise
        return staged

    def cite(self, subject: str, message_id: str, citing: str, files: Sequence[Mapping[str, Any]]) -> None:
        """A message that cites files is about to be kept under this id; ``citing`` is its JSON form without sections. Files that are not
        here are no matter of this store's."""
        with self._file.transaction():
            query = (
                "UPDATE staged SET subject = ?, message_id = ?, citing = ?, state = 'CITED' "
                "WHERE file = ? AND state IN ('STAGED', 'HELD', 'LEFT')"
            )
            self._sql.executemany(query, [(subject, message_id, citing, each["file"]) for each in files])

    def free_unkept(self, kept: Callable[[str], bool], now_ms: int) -> None:
        """A process begins: files that are bound to a message which was not ``kept``, for the process before was killed just then, may be
        cited again, for a day from now. What the command line cites has no id, and is left to it."""
        query = "SELECT file, message_id FROM staged WHERE state = 'CITED' AND message_id != ''"
        rows = [(now_ms, file) for file, message_id in self._sql.execute(query) if not kept(message_id)]
        with self._file.transaction():
            query = "UPDATE staged SET subject = NULL, message_id = NULL, citing = NULL, state = 'STAGED', at = ? WHERE file = ?"
            self._sql.executemany(query, rows)

    def hold(self, files: Iterable[bytes]) -> None:
        """A draft cites these: they stay until it is sent, or they are dropped."""
        with self._file.transaction():
            query = "UPDATE staged SET state = 'HELD' WHERE file = ? AND state IN ('STAGED', 'LEFT')"
            self._sql.executemany(query, [(file,) for file in files])

    def held(self) -> list[bytes]:
        """The files that are held for drafts."""
        return [file for (file,) in self._sql.execute("SELECT file FROM staged WHERE state = 'HELD'")]

    def waiting(self) -> list[Staged]:
        """Files that a message cites and that are not sent in full, the earliest first."""
        query = f"SELECT {_COLUMNS} FROM staged WHERE state IN ('CITED', 'SENDING') ORDER BY at"  # noqa: S608
        return [Staged(*row) for row in self._sql.execute(query)]

    def move(self, file: bytes, state: str, sent: int) -> None:
        """How far its sending is. Durable when it returns."""
        with self._file.transaction():
            self._sql.execute("UPDATE staged SET state = ?, sent = ? WHERE file = ?", (state, sent, file))

    def chunk(self, file: bytes, index: int) -> bytes | None:
        """A chunk as it is sent."""
        return self._folder.get(file, index)

    def find(self, file: bytes) -> Staged | None:
        """A file by its number."""
        row = self._row(file)
        return Staged(*row) if row else None

    def drop(self, files: Iterable[bytes]) -> None:
        """These files go, with their keys."""
        gone = list(files)
        with self._file.transaction():
            self._sql.executemany("DELETE FROM staged WHERE file = ?", [(file,) for file in gone])
        self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for file in gone:
            self._folder.drop_file(file)

    def drop_uncited(self, before_ms: int) -> None:
        """Files go that came before then and that no message cites."""
        rows = self._sql.execute("SELECT file FROM staged WHERE state IN ('STAGED', 'LEFT') AND at < ?", (before_ms,)).fetchall()
        if rows:
            self.drop([file for (file,) in rows])

    def subjects(self) -> dict[str, list[bytes]]:
        """The own subjects that cite files which were sent, with those."""
        found: dict[str, list[bytes]] = {}
        for file, subject in self._sql.execute("SELECT file, subject FROM staged WHERE state = 'SENT'"):
            found.setdefault(subject, []).append(file)
        return found

    def _row(self, file: bytes) -> Any:
        try:
            return self._sql.execute(f"SELECT {_COLUMNS} FROM staged WHERE file = ?", (file,)).fetchone()  # noqa: S608
        except sqlite3.Error:
            return (file,)  # nothing goes on suspicion

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
