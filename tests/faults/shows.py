"""The long forms as plain tables: ``python -m tests.faults.shows storm|stop|workers|flood [--messages N]``.

Results go to standard output, a line of progress to standard error. The exit code is 0 only if everything held.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from broker import ids, logs
from broker.exchange.topology import Quota
from tests.faults.flood import Flood, flood
from tests.faults.plan import FLOODER, PUBLISHERS, SHARDS, busy_shards
from tests.faults.stop import stops
from tests.faults.storm import Storm, storm
from tests.faults.traffic import Outcome, longest_gap_ms
from tests.faults.workers import changes

KILLS: Final = 10
PACE_MS: Final = 10.0
"""Each of the two publishers publishes a message so often while workers stand still, join or leave."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as they need; numbers to the right."""
    cells = [list(head), *([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    for row in cells:
        padded = (
            cell.rjust(width) if cell.replace(",", "").replace(".", "").isdigit() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )  # fmt: skip
        print("  ".join(padded).rstrip())


def show_outcome(outcome: Outcome) -> bool:
    """Counts, memory and the verdict."""
    verdict = outcome.verdict
    recipients = sorted(set(verdict.promised) | set(verdict.delivered))
    print()
    table(
        ("recipient", "promised by receipts", "delivered"),
        [(a, verdict.promised.get(a, 0), verdict.delivered.get(a, 0)) for a in recipients],
    )
    print(f"\nmessages planned {verdict.planned:,}, accepted {verdict.accepted:,}, leaves in the journal {verdict.journal:,}, "
          f"in quarantine {verdict.quarantined:,}")  # fmt: skip
    print(f"receipts given again {verdict.receipts_again:,}, deliveries handled again after a crash {verdict.redelivered:,}")
    print(f"{outcome.seconds:.1f} s, {outcome.per_second:.0f} messages/s, {len(outcome.effects) / outcome.seconds:.0f} deliveries/s, "
          f"longest time without any delivery {longest_gap_ms(outcome.effects):,} ms\n")  # fmt: skip
    table(("process", "starts", "peak MB"), [(n, outcome.lives[n], outcome.peaks_kib[n] // 1024) for n in outcome.lives])
    for line in verdict.wrong:
        print(f"WRONG {line}")
    print(
        "ok    one receipt each, each delivery once, nowhere else, sections as given, streams in order, chains whole, journal complete"
        if verdict.holds
        else "FAIL"
    )
    return verdict.holds


def shown(milliseconds: int | None) -> str:
    """A time, or that there was none."""
    return "-" if milliseconds is None else f"{milliseconds:,}"


def show_storm(folder: Path, messages: int) -> bool:
    """Kills at random moments."""
    found: Storm = asyncio.run(storm(folder, messages=messages, kills=KILLS, seed=2026, progress=progress))
    effects = found.outcome.effects
    print(f"storm: {messages:,} messages, {len(found.kills)} kills (SIGKILL, started again at once)\n")
    rows = [
        (
            clock(kill.at_ms), kill.role, ", ".join(map(str, kill.shards)) or "-",
            kill.deliveries, shown(kill.resumed_ms(effects)), shown(kill.own_resumed_ms(effects)),
        )
        for kill in found.kills
    ]  # fmt: skip
    table(("at", "killed", "shards", "deliveries before", "next of any, ms", "next of its own, ms"), rows)
    return show_outcome(found.outcome)


def show_stop(folder: Path, messages: int) -> bool:
    """A worker stands still for twenty seconds, then the other."""
    found = asyncio.run(stops(folder, messages=messages, every_ms=PACE_MS, victims=("relay-1", "relay-2"), still_s=20.0, progress=progress))
    print(f"stop: {messages:,} messages, each relay worker stands still for 20 s (SIGSTOP) and wakes (SIGCONT)\n")
    rows = [
        (
            clock(stop.at_ms), stop.role, ", ".join(map(str, stop.shards)), shown(stop.resumed_ms(found.outcome)),
            stop.woken_ms - stop.at_ms, stop.fenced, stop.back_ms - stop.woken_ms,
        )
        for stop in found.stops
    ]  # fmt: skip
    head = ("at", "stopped", "shards", "next out of them, ms", "woken after, ms", "shards it found lost", "holds them again after, ms")
    table(head, rows)
    return show_outcome(found.outcome)


def show_workers(folder: Path, messages: int) -> bool:
    """Workers join and leave."""
    found = asyncio.run(changes(folder, messages=messages, every_ms=PACE_MS, progress=progress))
    print(f"workers: {messages:,} messages while relay workers join and leave in order, 1 -> 2 -> 4 -> 1\n")
    shards = busy_shards(range(SHARDS))
    rows = [
        (
            clock(each.at_ms), each.workers, each.settled_ms - each.at_ms, each.gap_ms(found.outcome),
            *(each.gap_ms(found.outcome, shard) for shard in shards),
        )
        for each in found.changes
    ]  # fmt: skip
    head = ("at", "workers", "settled after, ms", "longest without a delivery, ms", *(f"out of shard {shard}, ms" for shard in shards))
    table(head, rows)
    return show_outcome(found.outcome)


def show_flood(folder: Path, records: int) -> bool:
    """Garbage from one agency, under its quota and without one."""
    held = True
    for lifted in (False, True):
        found = asyncio.run(flood(folder / str(lifted), records=records, before_s=10.0, lifted=lifted, progress=progress))
        quota = "without a quota" if lifted else f"under the usual quota ({Quota().produce_bytes // 10**6} MB/s)"
        print(f"flood: {records:,} records of garbage into {FLOODER}'s outbox {quota}, one relay worker\n")
        print(f"written in {(found.written_ms - found.begun_ms) / 1000:.1f} s, all in quarantine after {found.seconds:.1f} s "
              f"({records / found.seconds:.0f}/s)")  # fmt: skip
        print(f"records {found.written:,}, quarantined {found.quarantined:,}, negative receipts {found.refusals:,}: "
              + ", ".join(f"{code} {count:,}" for code, count in sorted(found.codes.items())))  # fmt: skip
        before, most = found.relay_kib
        print(f"relay worker: {before // 1024} MB when it began, at most {most // 1024} MB, "
              f"slope over its second half {found.relay_slope * 60 / 1024:+.1f} MB/min\n")  # fmt: skip
        rows = [_probe_row(found, agency, during=during) for agency in PUBLISHERS for during in (False, True)]
        table(("probes of", "shard", "when", "probes", "p50 ms", "p99 ms", "max ms"), rows)
        held = show_outcome(found.outcome) and held
        print()
    return held


def _probe_row(found: Flood, agency: str, *, during: bool) -> tuple[object, ...]:
    delays, number = found.delays(agency, during=during), ids.shard_of(agency, SHARDS)
    shard = f"{number} (the flooder's)" if number == ids.shard_of(FLOODER, SHARDS) else str(number)
    return agency, shard, "during" if during else "before", delays.count, delays.p50, delays.p99, delays.most


def clock(at_ms: int) -> str:
    """Time of day, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")


_begun = time.monotonic()


def progress(line: str) -> None:
    """One line that changes at a terminal, else lines."""
    at_terminal = sys.stderr.isatty()
    print(f"{time.monotonic() - _begun:6.0f} s  {line:<60}", end="\r" if at_terminal else "\n", file=sys.stderr, flush=True)


SHOWS: Final[Mapping[str, tuple[Callable[[Path, int], bool], int]]] = {
    "storm": (show_storm, 50_000),
    "stop": (show_stop, 16_000),
    "workers": (show_workers, 10_000),
    "flood": (show_flood, 100_000),
}


def main() -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("show", choices=sorted(SHOWS))
    parser.add_argument("--messages", type=int, help="how many (of garbage, for the flood)")
    arguments = parser.parse_args()
    logs.configure("warning")
    with tempfile.TemporaryDirectory(prefix="broker-faults-") as folder:
        show, usual = SHOWS[arguments.show]
        return 0 if show(Path(folder), arguments.messages or usual) else 1


if __name__ == "__main__":
    sys.exit(main())
