"""A register of a million licences: ``python -m tests.e2e.register_show [--licences N]``.

Filled by the register's own code, then asked by number at random, against a bare SQLite primary-key read of rows as long, in the same run
and by turns; the sides are those of the benchmarks' row ``register``, each a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.rounds import FILL_S, measure
from benchmarks.sides.side import Result, Spec
from tests.e2e.report import Report

MILLION: Final = 1_000_000
ROUNDS: Final = 3
SIDES: Final = {"the register's whole answer": "ours_register", "a bare SQLite primary-key read": "sqlite_register"}
MEMORY_MB: Final = 300
TIMES: Final = 3.0
P99_MS: Final = 2.0


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


async def measured(folder: Path, licences: int, looks: int) -> tuple[dict[str, Any], dict[str, list[Result]]]:
    """Fill, then rounds of each side in turn."""
    spec = Spec(str(folder), "", "", "", "show", looks, looks // 10, held=licences)
    filled = (await measure("fill_register", spec, FILL_S)).facts or {}
    found: dict[str, list[Result]] = {name: [] for name in SIDES}
    for number in range(ROUNDS):
        for name in list(SIDES)[:: 1 if number % 2 else -1]:
            found[name].append(await measure(SIDES[name], replace(spec, run=f"show-{number}")))
    return filled, found


def show_register(report: Report, folder: Path, licences: int, looks: int) -> None:
    """The table, and what must hold of it."""
    report.title(f"A register of {licences:,} licences and {licences // 10:,} alerts")
    filled, found = asyncio.run(measured(folder, licences, looks))
    report.table(
        ("rows", "number", "build s", "us each"),
        [
            ("licences", filled["licences"], f"{filled['licences_s']:.1f}", filled["us_a_licence"]),
            ("alerts", filled["alerts"], f"{filled['alerts_s']:.1f}", filled["us_an_alert"]),
        ],
    )
    report.say(
        f"flags that stand: {filled['flags']:,}",
        f"file: {filled['register_mb']:,} MB; the bare table of the licences alone {filled['bare_mb']:,} MB",
        f"memory while it is built: {filled['resident_mb_at_a_tenth']} MB after a tenth of the licences, "
        f"{filled['resident_mb_at_the_end']} MB at the end, at most {filled['peak_mb']} MB",
        "",
    )
    rows: list[tuple[object, ...]] = []
    p50s, p99s = ({name: [percentile(r.latencies, share) for r in results] for name, results in found.items()} for share in (0.5, 0.99))
    for name, results in found.items():
        most = max(max(result.latencies) for result in results)
        peak = max((result.facts or {})["peak_mb"] for result in results)
        middle = (statistics.median(p50s[name]) * 1000, statistics.median(p99s[name]) * 1000)
        rows.append((name, len(results) * looks, *(f"{us:.1f}" for us in middle), f"{most:.2f}", f"{peak:.0f}"))
    report.table(("look-ups of a number at random", "look-ups", "p50 us", "p99 us", "max ms", "peak MB"), rows)
    ours, bare = SIDES
    ratios = [statistics.median(one / other for one, other in zip(kind[ours], kind[bare], strict=True)) for kind in (p50s, p99s)]
    report.say(f"ours / bare, median of {ROUNDS} rounds: p50 {ratios[0]:.2f}, p99 {ratios[1]:.2f}")
    if licences >= MILLION:
        report.check(f"half of the look-ups within {TIMES:g} times the bare read, 99 of 100 within {P99_MS:g} ms",
                     holds=ratios[0] <= TIMES and statistics.median(p99s[ours]) <= P99_MS)  # fmt: skip
    growth = filled["resident_mb_at_the_end"] - filled["resident_mb_at_a_tenth"]
    report.check(f"memory is flat ({growth:+.0f} MB from a tenth on) and below {MEMORY_MB} MB",
                 holds=growth < MEMORY_MB / 5 and filled["peak_mb"] < MEMORY_MB)  # fmt: skip


def run(*, licences: int, looks: int) -> Report:
    """The whole show, in a folder of its own."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="register-") as folder:
        show_register(report, Path(folder), licences, looks)
    return report


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.register_show", description="a register of a million licences")
    parser.add_argument("--licences", type=int, default=MILLION, help="how many (default: a million)")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    return run(licences=given.licences, looks=50_000).end(time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
