"""A sampling profiler: at every tick of processor time (1 ms asked for, 4 on most kernels) one look at the running frame.

It slows what it looks at by about 1 %, where ``cProfile`` doubles the price of small functions and so moves the shares. A look
happens after the C call that the tick fell into, on the line that made the call, and weighs as much as the processor time since
the look before: so C time is charged to its caller, however long the call. Garbage collections, which would be charged to
whoever happens to allocate, tell of themselves. Only the main thread is seen.
"""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from types import FrameType
from typing import Any, Final

from benchmarks.rooms import callers_of, function_of, room_of

INTERVAL_S: Final = 0.001
TOP: Final = 12
COLLECTION: Final = "garbage collection"


class Sampler:
    """Adds up processor time by room, function and line between :meth:`start` and :meth:`stop`."""

    def __init__(self) -> None:
        self._rooms: Counter[str] = Counter()
        self._functions: Counter[str] = Counter()
        self._lines: Counter[str] = Counter()
        self._under: Counter[str] = Counter()
        self._last = 0
        self._before = 0
        self._samples = 0

    def start(self) -> None:
        """Begin to look."""
        self._last = time.process_time_ns()
        gc.callbacks.append(self._collected)
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self) -> None:
        """Look no more."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def _since(self) -> int:
        now = time.process_time_ns()
        spent, self._last = now - self._last, now
        self._samples += 1
        return spent

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        """Both ends of a collection: what came before it is nobody's in particular and waits for the next look of its kind."""
        if phase == "start":
            self._before = time.process_time_ns()
            return
        spent = time.process_time_ns() - self._before
        self._last += spent  # not to be charged again by the next look
        self._rooms[COLLECTION] += spent
        self._functions[COLLECTION] += spent

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        if frame.f_code is Sampler._collected.__code__:
            frame = frame.f_back or frame
        spent = max(0, self._since())
        self._rooms[room_of(frame)] += spent
        name = function_of(frame)
        self._functions[name] += spent
        self._lines[f"{name}:{frame.f_lineno}"] += spent
        for caller in callers_of(frame):
            self._under[caller] += spent

    def shares(self) -> dict[str, Any]:
        """Share of processor time by room; the functions and lines with the most own time; our functions with the most time in
        them and all that they call (``inclusive``). Largest first."""
        total = max(1, self._rooms.total())
        return {
            "samples": self._samples,
            "rooms": {name: round(spent / total, 3) for name, spent in self._rooms.most_common()},
            "functions": {name: round(spent / total, 3) for name, spent in self._functions.most_common(TOP)},
            "inclusive": {name: round(spent / total, 3) for name, spent in self._under.most_common(3 * TOP)},
            "lines": {name: round(spent / total, 3) for name, spent in self._lines.most_common(TOP)},
        }
