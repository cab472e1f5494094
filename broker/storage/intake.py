"""What a node accepted over HTTP and did not sign yet, and the answers it gave by idempotency key.

The tables lie in the publisher's own file (:mod:`broker.storage.publisher_store`): a message goes from ``intake`` to ``outbox`` in one
transaction, so that whatever dies it is in exactly one of them, under the id that was told when it was accepted. ``unsent`` are those
that turned out to be refused when the rules of the exchange were known. An answer is kept with the messages that it tells of.

Writing may take place in another thread than reading: each has a connection of its own, and one writer at a time is the caller's care.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.errors import StoreError, UsageError
from broker.storage.sqlite import StoreConnection, transaction, unopened

KEPT_MS: Final = 31 * 86_400_000
"""How long the answer to an idempotency key is kept: longer than any outage that a client would sit out with retries."""
_ACCEPT: Final = "INSERT INTO intake (message_id, subject, revision, accepted, body) VALUES (?, ?, ?, ?, ?)"
_UNSENT: Final = "INSERT OR IGNORE INTO unsent SELECT message_id, subject, revision, accepted, ?, ?, ? FROM intake WHERE message_id = ?"
_WAITING: Final = "SELECT number, message_id, subject, revision, accepted, body FROM intake WHERE number > ? ORDER BY number LIMIT ?"
_DEPTH: Final = (
    "SELECT (SELECT COUNT(*) FROM intake), (SELECT COUNT(*) FROM outbox WHERE value IS NOT NULL), (SELECT MIN(accepted) FROM intake)"
)
_NEWEST: Final = (
    "SELECT message_id FROM (SELECT message_id FROM intake ORDER BY number DESC LIMIT ?) "
    "UNION SELECT message_id FROM (SELECT message_id FROM outbox ORDER BY seq DESC LIMIT ?) "
    "UNION SELECT message_id FROM (SELECT message_id FROM unsent ORDER BY message_id DESC LIMIT ?) ORDER BY message_id DESC LIMIT ?"
)
_LAST: Final = (
    "SELECT MAX(revision) FROM (SELECT revision FROM intake WHERE subject = ? UNION SELECT revision FROM outbox WHERE subject = ?)"
)


class KeyTaken(UsageError):
    """Another request under the same idempotency key was kept a moment before: nothing of this one was."""

    code = "KEY_TAKEN"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that was accepted: ``body`` is its JSON form, ``accepted`` when (Unix ms). ``number`` counts the store's messages."""

    number: int
    message_id: bytes
    subject: str
    revision: int
    accepted: int
    body: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to a client's request under an idempotency key; ``digest`` (SHA-256) is of the request."""

    client: str
    key: str
    digest: bytes
    answer: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message is: ``waiting`` (not signed), ``signed`` (stored for sending, not answered), ``answered`` (``receipt`` is the relay's
    note), or ``refused`` before it was signed, with code, path and reason."""

    state: str
    subject: str
    revision: int
    receipt: bytes | None = None
    code: str = ""
    path: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits: not signed yet, signed and not answered; ``oldest`` is when the first of those not signed was accepted (Unix ms)."""

    waiting: int
    unanswered: int
    oldest: int | None


class SqliteIntake:
    """The intake in a publisher's file, which has to be there (opening the publisher's store makes it). Raises StoreError."""

    def __init__(self, path: Path) -> None:
        try:
            self._write = _connection(path)
            self._read = _connection(path)
        except (sqlite3.Error, StoreError) as error:
            raise unopened(path, error) from error

    def accept(self, requests: Sequence[tuple[Sequence[Waiting], Answered | None]], now_ms: int) -> list[bool]:
        """Keep the messages of each request, with the answer that tells of them; durable when it returns. Numbers are given here.

        For each request whether it was kept: one whose idempotency key was used before, in this batch or earlier, is not.
        """
        kept: list[bool] = []
        with transaction(self._write):
            for messages, answer in requests:
                if answer is not None:
                    row = (answer.client, answer.key, answer.digest, answer.answer, now_ms)
                    if not self._write.execute("INSERT OR IGNORE INTO asked VALUES (?, ?, ?, ?, ?)", row).rowcount:
                        kept.append(False)
                        continue
                self._write.executemany(_ACCEPT, [(m.message_id, m.subject, m.revision, m.accepted, m.body) for m in messages])
                kept.append(True)
        return kept

    def refuse(self, message_id: bytes, code: str, path: str, reason: str) -> None:
        """A message that was accepted cannot be sent: it is let go, and why is kept."""
        with transaction(self._write):
            self._write.execute(_UNSENT, (code, path, reason, message_id))
            self._write.execute("DELETE FROM intake WHERE message_id = ?", (message_id,))

    def forget(self, before_ms: int) -> None:
        """Let go of answers that were given before then."""
        with transaction(self._write):
            self._write.execute("DELETE FROM asked WHERE at < ?", (before_ms,))

    def answered(self, client: str, key: str) -> Answered | None:
        """What was answered to this client under this key."""
        row = self._read.execute("SELECT digest, answer FROM asked WHERE client = ? AND key = ?", (client, key)).fetchone()
        return None if row is None else Answered(client, key, *row)

    def waiting(self, after: int, limit: int) -> list[Waiting]:
        """The next messages behind a number, in the order in which they were accepted."""
        return [Waiting(*row) for row in self._read.execute(_WAITING, (after, limit))]

    def standing(self, message_id: bytes) -> Standing | None:
        """Where a message is; None for one that never came here."""
        row = self._read.execute("SELECT subject, revision, receipt FROM outbox WHERE message_id = ?", (message_id,)).fetchone()
        if row is not None:
            return Standing("answered" if row[2] is not None else "signed", *row)
        row = self._read.execute("SELECT subject, revision FROM intake WHERE message_id = ?", (message_id,)).fetchone()
        if row is not None:
            return Standing("waiting", *row)
        query = "SELECT subject, revision, code, path, reason FROM unsent WHERE message_id = ?"
        row = self._read.execute(query, (message_id,)).fetchone()
        if row is not None:
            return Standing("refused", row[0], row[1], None, *row[2:])
        # Between the first look and the second it may have been signed: it is in exactly one of them, but the looks are two.
        row = self._read.execute("SELECT subject, revision, receipt FROM outbox WHERE message_id = ?", (message_id,)).fetchone()
        return None if row is None else Standing("answered" if row[2] is not None else "signed", *row)

    def recent(self, limit: int) -> list[bytes]:
        """The ids of the messages that came last, the newest first: ids begin with the time at which they were given (RFC 9562)."""
        return [message_id for (message_id,) in self._read.execute(_NEWEST, (limit, limit, limit, limit))]

    def last_revision(self, subject: str) -> int | None:
        """The highest revision of a subject that was accepted or stored for sending."""
        return self._read.execute(_LAST, (subject, subject)).fetchone()[0]

    def depth(self) -> Depth:
        """How much waits."""
        return Depth(*self._read.execute(_DEPTH).fetchone())

    def close(self) -> None:
        """Let go of the file."""
        self._write.close()
        self._read.close()


def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=StoreConnection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("SELECT 1 FROM intake LIMIT 1")
    return connection
