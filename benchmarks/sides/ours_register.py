"""Ours: a licence by its number from the register, the whole answer: status now, items with what is left, flags, age of the register."""

from __future__ import annotations

import random
import time
from contextlib import closing

from benchmarks.register_rows import START_MS, folder_of, number_of
from benchmarks.sides.side import Result, Spec, memory_mb, run
from broker.errors import BrokerError
from broker.storage.register_reader import RegisterReader


async def side(spec: Spec) -> Result:
    """Numbers at random, each looked up once."""
    chance, latencies, now_ms = random.Random(spec.run), list[float](), START_MS + 3_600_000
    with closing(RegisterReader.open(folder_of(spec.folder) / "register.sqlite")) as reader:
        for turn in range(spec.total):
            number = number_of(chance.randrange(spec.held))
            began = time.perf_counter()
            found = reader.licence(number, now_ms)
            took = time.perf_counter() - began
            if len(found) != 1 or found[0].licence.licence_no != number:
                raise BrokerError(f"licence {number} was not found")
            if turn >= spec.warm:
                latencies.append(took * 1000)
    return Result(spec.count, sum(latencies) / 1000, 0.0, latencies=latencies, facts={"peak_mb": memory_mb("VmHWM")})


if __name__ == "__main__":
    run(side)
