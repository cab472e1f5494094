"""Looking at processes from outside."""

from __future__ import annotations

from pathlib import Path


def runs(pid: int) -> bool:
    """A process with this id is there, and is no corpse that nobody has collected (Linux)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def resident_kib(pid: int) -> tuple[int, int]:
    """The memory a process has now and the most it ever had (VmRSS, VmHWM), in KiB; 0 where it is gone (Linux)."""
    found = {"VmRSS": 0, "VmHWM": 0}
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found["VmRSS"], found["VmHWM"]
