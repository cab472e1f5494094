"""Deliveries as a register takes them, from messages, without signatures: for tests of what comes after verification."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from broker import ids
from broker.families.message import Message
from broker.register.rows import Delivered
from broker.schema.catalogue import Catalogue
from broker.storage.register import RegisterStore
from broker.storage.register_reader import RegisterReader
from broker.storage.register_schema import NAMES

ME = "AE-CUSTOMS"


def delivered(
    message: Message,
    *,
    at: int,
    catalogue: Catalogue,
    counter: int = 1,
    withheld: Sequence[str] = (),
    only: Sequence[str] | None = None,
    recipients: tuple[str, ...] = (),
) -> Delivered:
    """A message as delivered at ``at``: its sections pass through their schemas; ``withheld`` ones, or all but ``only``, are left out."""
    out = set(withheld) if only is None else set(message.sections) - set(only)
    sections: dict[str, dict[str, Any]] = {}
    for name, record in message.sections.items():
        schema = catalogue.current(message.family, name)
        assert schema is not None
        if name not in out:
            sections[name] = schema.codec.decode(schema.codec.encode(dict(record)))
    key = f"{message.subject} {message.revision} {message.family} {sorted(message.sections)} {message.sections!r}"
    return Delivered(
        family=message.family,
        originator=ids.owner_of(message.subject),
        subject=message.subject,
        revision=message.revision,
        counter=counter,
        leaf=hashlib.sha256(key.encode()).digest(),
        message_id=ids.uuid_text(hashlib.sha256(key.encode()).digest()[:16]),
        issued_at=at,
        admitted_at=at,
        valid_until=message.valid_until_ms,
        urgency=message.urgency,
        tlp=message.tlp,
        handling=message.handling,
        retention=message.retention,
        target=message.correlation.target,
        target_revision=message.correlation.target_revision,
        sections=sections,
        withheld=tuple(sorted(out & set(message.sections))),
        recipients=recipients,
    )


class Kept:
    """A register of its own, in memory or in a file, fed directly."""

    def __init__(self, path: Path | None = None, agency: str = ME) -> None:
        self.store = RegisterStore(path, agency)
        self.reader = RegisterReader(self.store.transaction)

    def take(self, *deliveries: Delivered) -> None:
        """Each in a transaction of its own."""
        for each in deliveries:
            self.store.begin()
            self.store.register.take(each)
            self.store.commit()

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the register's tables, in an order that does not depend on how it came."""
        return all_rows(self.store.transaction)

    def close(self) -> None:
        self.store.close()


def all_rows(connection: sqlite3.Connection, tables: Iterable[str] = NAMES) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of tables, sorted."""
    return {name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in tables}


def bytes_of(path: Path) -> bytes:
    """A store as it lies on the disk, its write-ahead log with it."""
    return b"".join(part.read_bytes() for part in (path, path.with_name(path.name + "-wal")) if part.exists())
