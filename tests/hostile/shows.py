"""Altered parcels and bombs as tables: ``python -m tests.hostile.shows [--step N]``.

Every alteration that tests/hostile/alterations.py knows, and every N-th byte of every parcel changed (default: every seventh), before
the relay's and the recipient's admission; then every bomb before the part that meets it first. The exit code is 0 only if all were refused.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from broker.errors import REFUSALS
from tests.hostile.alterations import Altered, altered
from tests.hostile.child import ROOM
from tests.hostile.scene import Scene, scene


class Tally(NamedTuple):
    """What became of the alterations of one kind."""

    codes: Counter[str]
    seconds: list[float]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as they need, numbers to the right."""
    cells = [list(head), *([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    right = [cell.replace(",", "").replace(".", "").isdigit() for cell in cells[-1]]
    for row in cells:
        shown = [cell.rjust(width) if to else cell.ljust(width) for cell, width, to in zip(row, widths, right, strict=True)]
        print("  ".join(shown).rstrip(), flush=True)


def judged(made: Scene, alterations: Iterable[Altered]) -> dict[str, Tally]:
    """Each alteration before its judge. An exception is counted as one, and told."""
    found: dict[str, Tally] = {}
    for kind, original, value, reader in alterations:
        tally = found.setdefault(kind, Tally(Counter(), []))
        start = time.perf_counter()
        try:
            code = made.code(value, original, reader=reader) or "accepted"
        except Exception as error:  # noqa: BLE001  what may not happen is what is counted here
            code = "exception"
            print(f"{kind}: {original.form}: {error!r}", file=sys.stderr)
        tally.seconds.append(time.perf_counter() - start)
        tally.codes[code] += 1
    return found


def show_parcels(step: int) -> bool:
    """The table of altered parcels; whether all were refused."""
    made, begun = scene(), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    forms = len({original.form for original in made.originals})
    sizes = [len(original.value) for original in made.originals]
    print(f"== altered parcels: from {len(made.outbox)} parcels in outboxes and {len(made.inbox)} deliveries of {forms} forms, ", end="")
    print(f"{min(sizes):,} to {max(sizes):,} bytes; byte changed: every {step}th of each")
    found = judged(made, altered(made, step=step, thin=1))
    rows: list[tuple[object, ...]] = []
    whole = Tally(Counter(), [])
    for kind, tally in [*found.items(), ("all", whole)]:
        if tally is not whole:
            whole.codes.update(tally.codes)
            whole.seconds.extend(tally.seconds)
        refused = sum(count for code, count in tally.codes.items() if code in REFUSALS)
        named = ", ".join(f"{code} {count:,}" for code, count in tally.codes.most_common() if code in REFUSALS)
        mean, worst = 1e6 * sum(tally.seconds) / len(tally.seconds), 1e3 * max(tally.seconds)
        rows.append((kind, tally.codes.total(), refused, tally.codes["accepted"], tally.codes["exception"],
                     f"{mean:.0f}", f"{worst:.1f}", named if tally is not whole else ""))  # fmt: skip
    table(("kind", "tried", "refused", "accepted", "exceptions", "mean us", "worst ms", "codes"), rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{time.monotonic() - begun:.0f} s, peak memory {peak >> 10} MiB, of which {(peak - before) >> 10} MiB since the parcels were made"
    )
    return whole.codes.total() == sum(count for code, count in whole.codes.items() if code in REFUSALS)


def _child(*arguments: str) -> list[dict[str, Any]]:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-m", "tests.hostile.child", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


def show_bombs() -> bool:
    """The table of bombs; whether all were refused, and the process with bounded memory lived."""
    print(f"\n== bombs, each before the part that meets it first; in a process that may take {ROOM >> 20} MiB more; peak by tracemalloc")
    timed, traced = _child(), _child("--traced")
    if not timed or not traced:
        print("NOT all refused: the process died")
        return False
    memory = {row["name"]: row["peak"] for row in traced[:-1]}
    rows = [
        (row["name"], row["by"], row["size"], f"{1e3 * row['seconds']:.2f}", f"{memory[row['name']] / 1024:.0f}", row["answer"][:110])
        for row in timed[:-1]
    ]
    table(("bomb", "met by", "bytes", "ms", "peak KiB", "answer"), rows)
    return timed[-1] == {"bounded": True} and all(row["answer"] for row in timed[:-1])


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile.shows", description="altered parcels and bombs, and what is said to them"
    )
    parser.add_argument("--step", type=int, default=7, help="change every N-th byte of each parcel (default: 7)")
    held = [show_parcels(parser.parse_args(arguments).step), show_bombs()]
    print("everything was refused" if all(held) else "NOT everything was refused")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
