"""All bombs in a process of its own whose memory is bounded by the system: ``python -m tests.hostile.child`` prints what became of them.

The bound is set after everything is imported and built, a few megabytes above what the process has by then; who takes more, dies.
"""

from __future__ import annotations

import ctypes
import json
import resource
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Final

from tests.hostile.bombs import all_bombs

ROOM: Final = 24 << 20
"""Bytes of address space that the answers to all bombs may take beyond the bombs themselves."""


def main() -> None:
    """One JSON line for each bomb, and one for the process."""
    traced = "--traced" in sys.argv
    bombs = list(all_bombs())
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    if not traced:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, -1))
    for bomb in bombs:
        if traced:
            tracemalloc.start()
        start = time.perf_counter()
        answer = bomb.ask()
        seconds = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1] if traced else 0
        tracemalloc.stop()
        row = {"name": bomb.name, "by": bomb.by, "size": bomb.size, "answer": answer, "seconds": seconds, "peak": peak}
        print(json.dumps(row))
    try:
        print(json.dumps({"bounded": not bytearray(2 * ROOM)}))
    except MemoryError:
        print(json.dumps({"bounded": True}))


if __name__ == "__main__":
    main()
