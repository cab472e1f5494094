"""Peer: a bare SQLite primary-key read of a row as long as the register's, ``SELECT`` and ``fetchone``, nothing made of it."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing

from benchmarks.register_rows import folder_of, number_of
from benchmarks.sides.side import Result, Spec, memory_mb, run
from broker.errors import BrokerError
from broker.register.keys import comparable


async def side(spec: Spec) -> Result:
    """Numbers at random, in the form of the key already."""
    chance, latencies = random.Random(spec.run), list[float]()
    with closing(sqlite3.connect(f"file:{folder_of(spec.folder)}/bare.sqlite?mode=ro", uri=True)) as bare:
        for turn in range(spec.total):
            number = comparable(number_of(chance.randrange(spec.held)))
            began = time.perf_counter()
            row = bare.execute("SELECT body FROM licence WHERE number = ?", (number,)).fetchone()
            took = time.perf_counter() - began
            if row is None:
                raise BrokerError(f"licence {number} was not found")
            if turn >= spec.warm:
                latencies.append(took * 1000)
    return Result(spec.count, sum(latencies) / 1000, 0.0, latencies=latencies, facts={"peak_mb": memory_mb("VmHWM")})


if __name__ == "__main__":
    run(side)
