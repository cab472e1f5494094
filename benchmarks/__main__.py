"""``python -m benchmarks``: rows from ``ROWS`` (default: all), ``ROUNDS`` (default 5, at least 1), profiles unless ``PROFILE=0``.

Progress goes to standard error; standard output has the table, the profiles, and at its end one JSON line for each row and peer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.ground import ground
from benchmarks.rounds import Found, Rounds
from benchmarks.rows import chosen
from broker import logs
from broker.errors import BrokerError, UsageError


def _number(name: str, default: str) -> float:
    text = os.environ.get(name) or default
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{name}={text} is not a number", advice=f"for example {name}={default}") from None
    if not 0 < value <= 100:
        raise UsageError(f"{name}={text} is out of range", advice=f"for example {name}={default}")
    return value


async def _run(progress: Console) -> list[Found]:
    contests = chosen(os.environ.get("ROWS", ""))
    rounds, scale = int(_number("ROUNDS", "5")), _number("SCALE", "1")
    with_profile = os.environ.get("PROFILE", "1") != "0"
    found: list[Found] = []

    with tempfile.TemporaryDirectory(prefix="broker-bench-") as folder, progress.status("starting Kafka") as status:

        def tell(text: str) -> None:
            status.update(text)
            if not progress.is_terminal:
                print(text, file=sys.stderr, flush=True)

        async with ground(Path(folder), lambda _done, _total, name: tell(f"fetching {name}")) as made:
            runner = Rounds(made, tell, scale=scale)
            for contest, rows in contests:
                found.append(await runner.contest(contest, rows, rounds, profile=with_profile))
    return found


def main() -> int:
    """Measure, show, keep; returns the exit code."""
    logs.configure("warning")
    progress = Console(stderr=True)
    facts = report.machine()
    try:
        found = asyncio.run(_run(progress))
    except BrokerError as error:
        print(f"{error}\n{error.advice or ''}".rstrip(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    console = Console() if sys.stdout.isatty() else Console(width=140)
    report.show(console, found)
    results = Path(os.environ.get("RESULTS") or report.RESULTS)
    report.keep(results, facts, found)
    for each in found:
        for line in report.lines(each):
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
