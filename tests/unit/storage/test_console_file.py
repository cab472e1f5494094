"""The file of what people keep in a console, where it cannot be written."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from broker.errors import StoreError
from broker.storage.desk import Desk
from broker.storage.drafts import Draft, Drafts
from broker.storage.kept_screenings import KeptScreenings, Screening
from broker.storage.mails import MailEvent, MailQueue
from broker.storage.saved_filters import SavedFilter, SavedFilters
from tests.support.deliveries import bytes_of

LONG: Final = "x" * 9_000
"""More than what is left of the pages."""
Writing = tuple[sqlite3.Connection, Callable[[], object]]


def assignment(path: Path) -> Writing:
    desk = Desk(path)
    return desk._sql, partial(desk.assign, "SG-CUSTOMS/2026/1", LONG, "alice", 1)


def note(path: Path) -> Writing:
    desk = Desk(path)
    return desk._sql, partial(desk.note, "SG-CUSTOMS/2026/1", LONG, "alice", 1, "key")


def draft(path: Path) -> Writing:
    drafts = Drafts(path)
    return drafts._sql, partial(drafts.keep, Draft("1", "alert", "SG-CUSTOMS/2026/1", LONG, "alice", 1))


def saved_filter(path: Path) -> Writing:
    filters = SavedFilters(path)
    return filters._sql, partial(filters.keep, "alice", SavedFilter("mine", LONG, first=True))


def mail(path: Path) -> Writing:
    queue = MailQueue(path)
    return queue._sql, partial(queue.take, [MailEvent("1", "NEW", LONG, "alert", "FLASH", "SG-CUSTOMS", "", None, 1)], "1")


def screening(path: Path) -> Writing:
    kept = KeptScreenings(path)
    return kept._sql, partial(kept.keep, Screening("1", "LICENSING", LONG, "alice", 1, {}, more=False), [])


@pytest.mark.parametrize("made", [assignment, note, draft, saved_filter, mail, screening])
def test_a_full_file_is_told_as_a_store_that_cannot_be_written(tmp_path: Path, made: Callable[[Path], Writing]) -> None:
    """SQLite's own "disk is full", of a file that may not grow: an error of the store, which the node answers with 503, and nothing of it
    is kept; when there is room again, it is."""
    connection, write = made(tmp_path / "console.sqlite")
    with closing(connection):
        connection.execute("PRAGMA max_page_count = 1")  # what the file has already
        with pytest.raises(StoreError, match="full"):
            write()
        assert not connection.in_transaction
        connection.execute("PRAGMA max_page_count = 1000")
        write()


def drop_draft(path: Path) -> sqlite3.Connection:
    connection, write = draft(path)
    write()
    drafts = Drafts(path)
    drafts.drop("1", "alice", 2)
    drafts.close()
    return connection


def erase_note(path: Path) -> sqlite3.Connection:
    desk = Desk(path)
    desk.note("SG-CUSTOMS/2026/1", LONG, "alice", 1, "key")
    desk.erase("SG-CUSTOMS/2026/1", 2)
    return desk._sql


def forget_hits(path: Path) -> sqlite3.Connection:
    kept = KeptScreenings(path)
    kept.keep(Screening("1", "LICENSING", "manifest", "alice", 1, {}, more=False), [{"subject": "SG-CUSTOMS/2026/1", "name": LONG}])
    kept.forget(["SG-CUSTOMS/2026/1"], 2)
    return kept._sql


@pytest.mark.parametrize("erased", [drop_draft, erase_note, forget_hits])
def test_what_is_erased_is_gone_from_the_log_too(tmp_path: Path, erased: Callable[[Path], sqlite3.Connection]) -> None:
    """Neither the file nor the log beside it has it, while the node has both open: a console is open for months."""
    with closing(erased(tmp_path / "console.sqlite")):
        assert LONG[:100].encode() not in bytes_of(tmp_path / "console.sqlite")
