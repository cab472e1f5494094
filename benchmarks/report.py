"""From measurements to lines: ratios, the table, profiles, ``results.json``."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.rounds import Found
from benchmarks.sides.side import Result
from broker.kafka.jars import KAFKA_VERSION

COLUMNS: Final = ("row", "peer", "ours", "theirs", "ratio", "unit", "rounds", "spread", "cpu_us_ours", "cpu_us_theirs")
RESULTS: Final = Path(__file__).with_name("results.json")


def _value(found: Found, result: Result) -> float:
    """What a contest compares: messages per second, or the 99th percentile of latency in ms."""
    if not found.contest.p99:
        return result.messages / result.seconds
    ordered = sorted(result.latencies)
    return ordered[max(0, math.ceil(len(ordered) * 0.99) - 1)]


def _cpu(found: Found, name: str) -> float | None:
    """Microseconds of processor time per message; none where a side has helpers whose time is not counted."""
    results = found.results.get(name)
    if not results or found.contest.p99:
        return None
    return _rounded(statistics.median(result.cpu / result.messages * 1e6 for result in results))


def _rounded(value: float) -> float:
    if abs(value) < 1:
        return round(value, 4)
    return round(value, 1) if abs(value) < 1000 else round(value)


def _latencies(found: Found) -> dict[str, float]:
    """Median and 99th percentile of every side, in ms, over all rounds."""
    told: dict[str, float] = {}
    for name, results in found.results.items():
        ordered = sorted(latency for result in results for latency in result.latencies)
        if ordered:
            told[f"{name}_p50_ms"] = round(ordered[len(ordered) // 2], 4)
            told[f"{name}_p99_ms"] = round(ordered[max(0, math.ceil(len(ordered) * 0.99) - 1)], 4)
    return told


def lines(found: Found) -> list[dict[str, Any]]:
    """One line for each row and peer. ``ratio`` is the median of the rounds' ratios, ``spread`` their range over that median.

    A row that is compared with nobody has the peer ``self``, neither ``theirs`` nor ``ratio``, and the spread of its own values.
    """
    made: list[dict[str, Any]] = []
    ours = [_value(found, result) for result in found.results["ours"]]
    for row in found.rows:
        for peer in row.peers or ("self",):
            theirs = [_value(found, result) for result in found.results.get(peer, ())]
            ratios = [mine / other for mine, other in zip(ours, theirs, strict=False)]
            middle = statistics.median(ratios or ours)
            made.append({
                "row": row.name,
                "peer": peer,
                "ours": _rounded(statistics.median(ours)),
                "theirs": _rounded(statistics.median(theirs)) if theirs else None,
                "ratio": round(middle, 3) if ratios else None,
                "unit": found.contest.unit,
                "rounds": len(ours),
                "spread": round((max(ratios or ours) - min(ratios or ours)) / middle, 3),
            })  # fmt: skip
    return made


def details(found: Found) -> list[dict[str, Any]]:
    """The same lines with processor time per message, for table and file."""
    return [{**line, "cpu_us_ours": _cpu(found, "ours"), "cpu_us_theirs": _cpu(found, line["peer"])} for line in lines(found)]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    models = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 30)
    packages = ("aiokafka", "fastavro", "cryptography", "cbor2", "confluent-kafka")
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "load_before": round(os.getloadavg()[0], 2),
        **{name: version(name) for name in packages},
    }


def keep(path: Path, facts: dict[str, Any], found: Sequence[Found]) -> None:
    """Write the results; rows that were not run keep what the file said of them."""
    rows = [line for each in found for line in details(each)]
    profiles = {each.contest.name: each.profile for each in found if each.profile}
    told = {each.contest.name: {**each.facts, **_latencies(each)} for each in found if each.facts}
    before: dict[str, Any] = {"rows": [], "profiles": {}, "facts": {}}
    if path.exists():
        before.update(json.loads(path.read_text(encoding="utf-8")))
    ran = {line["row"] for line in rows}
    kept = [line for line in before["rows"] if line["row"] not in ran]
    content = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": facts,
        "rows": sorted(kept + rows, key=lambda line: (line["row"], line["peer"])),
        "profiles": {**before["profiles"], **profiles},
        "facts": {**before["facts"], **told},
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def show(console: Console, found: Sequence[Found]) -> None:
    """The table, then where our time goes. Plain lines where nobody looks."""
    table = Table(*(name.replace("_", " ") for name in COLUMNS), box=box.SIMPLE_HEAD if console.is_terminal else box.ASCII2)
    for each in found:
        for line in details(each):
            table.add_row(*(_cell(line[name]) for name in COLUMNS))
    console.print(table)
    for each in found:
        if each.facts:
            facts = {**each.facts, **_latencies(each)}
            console.print(f"{each.contest.name}: " + ", ".join(f"{name} {value:,}" for name, value in facts.items()), highlight=False)
        if each.profile:
            console.print(
                f"where our time goes: {each.contest.name} ({each.profile['samples']} samples of processor time)", highlight=False
            )
            console.print("  " + ", ".join(f"{name} {share:.0%}" for name, share in each.profile["rooms"].items()), highlight=False)
            for name, share in each.profile["functions"].items():
                console.print(f"  {share:6.1%}  {name}", highlight=False, markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,}"
