"""Preparation: a register of ``held`` licences and a tenth as many alerts, and the peer's bare table of the same licences.

The register is filled by its own code, 1,000 messages a transaction; what verifying and reading them from Kafka costs is other rows'.
The memory of this process is told after a tenth of the licences, at the end, and at the most: it may not grow with what lies in the file.
The peer's table has the number as its primary key and a text as long as the register's own row.
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.register_rows import AGENCY, alerts, folder_of, licences
from benchmarks.sides.side import Result, Spec, memory_mb, run
from broker.register.keys import comparable
from broker.register.rows import Delivered
from broker.storage.register import RegisterStore

BATCH = 1000


class Filled(NamedTuple):
    """Seconds to take them all, and megabytes resident after a tenth."""

    seconds: float
    early_mb: float


def _filled(store: RegisterStore, deliveries: Iterator[Delivered], count: int) -> Filled:
    began, taken, early = time.perf_counter(), 0, 0.0
    while batch := list(itertools.islice(deliveries, BATCH)):
        store.begin()
        for each in batch:
            store.register.take(each)
        store.commit()
        taken += len(batch)
        early = early or (memory_mb("VmRSS") if taken * 10 >= count else 0.0)
    return Filled(time.perf_counter() - began, early)


def _bare(path: Path, source: Path) -> None:
    """The peer's table: each row of the register's licences as one text under its number."""
    with closing(sqlite3.connect(path)) as bare, closing(sqlite3.connect(source)) as register:
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("CREATE TABLE licence (number TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID")
        rows: Iterator[Any] = register.execute("SELECT * FROM licence")
        bare.executemany("INSERT INTO licence VALUES (?, ?)", ((comparable(row[0]), "|".join(map(str, row[1:]))) for row in rows))
        bare.commit()
        bare.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def side(spec: Spec) -> Result:
    """Fill both anew; what it took and how large it is goes into the facts."""
    folder, count = folder_of(spec.folder), spec.held
    shutil.rmtree(folder, ignore_errors=True)
    path = folder / "register.sqlite"
    with closing(RegisterStore(path, AGENCY)) as store:
        store.transaction.execute("PRAGMA synchronous = NORMAL")
        licence_s, early_mb = _filled(store, licences(count), count)
        alert_s, _ = _filled(store, alerts(count // 10, count), count // 10)
        late_mb, peak_mb = memory_mb("VmRSS"), memory_mb("VmHWM")
        flags = store.transaction.execute("SELECT COUNT(*) FROM flag").fetchone()[0]
        store.transaction.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _bare(folder / "bare.sqlite", path)
    facts = {
        "licences": count, "alerts": count // 10, "flags": flags, "licences_s": round(licence_s, 1), "alerts_s": round(alert_s, 1),
        "us_a_licence": round(licence_s / count * 1e6), "us_an_alert": round(alert_s / max(1, count // 10) * 1e6),
        "register_mb": round(path.stat().st_size / 1e6, 1), "bare_mb": round((folder / "bare.sqlite").stat().st_size / 1e6, 1),
        "resident_mb_at_a_tenth": early_mb, "resident_mb_at_the_end": late_mb, "peak_mb": peak_mb,
    }  # fmt: skip
    return Result(count, licence_s + alert_s, 0.0, facts=facts)


if __name__ == "__main__":
    run(side)
