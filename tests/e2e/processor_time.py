"""Who uses the processor while a show runs: by process, and what the rest of the machine takes besides (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_IDLE: Final = (3, 4)
"""Idle, and waiting for disks, among the numbers of /proc/stat."""
REST: Final = "the rest of the machine"


def spent_by(pid: int) -> float:
    """Seconds of processor time of a process so far, all its threads; 0 where it has ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) * _TICK_S


def spent_by_all() -> float:
    """Seconds of processor time of the whole machine so far."""
    numbers = [int(each) for each in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    return (sum(numbers) - sum(numbers[each] for each in _IDLE)) * _TICK_S


class Meter:
    """From its making until :meth:`shares` is asked: cores used by each of these processes (name and id)."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._begin = time.monotonic()
        self._before = {name: spent_by(pid) for name, pid in processes.items()}
        self._all_before = spent_by_all()

    def shares(self) -> dict[str, float]:
        """Cores, by name, the largest first; last :data:`REST`. A process that has ended meanwhile is not told."""
        seconds, everything = time.monotonic() - self._begin, spent_by_all() - self._all_before
        used = {name: spent_by(pid) - self._before[name] for name, pid in self._processes.items()}
        ours = {name: each / seconds for name, each in sorted(used.items(), key=lambda item: -item[1]) if each >= 0}
        return {**ours, REST: max(0.0, everything / seconds - sum(ours.values()))}


def in_words(shares: Mapping[str, float]) -> str:
    """One line: each name with hundredths of a core."""
    return ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
