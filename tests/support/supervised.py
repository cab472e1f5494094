"""Processes under a supervisor: started, killed, stopped and woken, watched, and in the end all ended by their own id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.forking import Forked, Forks
from tests.support.processes import resident_kib

REPOSITORY: Final = Path(__file__).resolve().parents[2]
GRACE_S: Final = 20.0


def wall_ms() -> int:
    """Wall-clock time: what different processes agree on."""
    return time.time_ns() // 1_000_000


@dataclass
class Life:
    """One process of a role: from a start to an end. ``code`` is its exit status, None while it runs."""

    pid: int
    begun_ms: int
    code: int | None = None


@dataclass
class Role:
    """A process that is started again under the same identity. Output goes to files of the role, over all its lives. ``command``: a
    module and its arguments; ``forks``: which has the module loaded already."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    forks: Forks | None = None
    lives: list[Life] = field(default_factory=list[Life])
    curve: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Unix ms and KiB resident, each time :meth:`sample` was called."""
    peak_kib: int = 0
    asked_to_stop: bool = False
    _process: asyncio.subprocess.Process | Forked | None = None
    _lifeline: int | None = None

    @property
    def out(self) -> Path:
        """Standard output."""
        return self.folder / f"{self.name}.out"

    @property
    def err(self) -> Path:
        """Standard error."""
        return self.folder / f"{self.name}.err"

    @property
    def process(self) -> asyncio.subprocess.Process | Forked:
        """The process of the last start."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def running(self) -> bool:
        """Whether it runs now (it may be stopped by a signal)."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, beside nothing of its own name."""
        assert not self.running, f"{self.name} runs already"
        self.asked_to_stop = False
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
        environment = {**kept, **self.environment}
        self._let_go()
        # The end of its standard input tells the process that we are gone, however we went.
        given, self._lifeline = os.pipe()
        with os.fdopen(given, "rb") as stdin, self.out.open("ab") as out, self.err.open("ab") as err:
            if self.forks is not None:
                self._process = self.forks.start(self.command, stdin=stdin, stdout=out, stderr=err, cwd=REPOSITORY, env=environment)
            else:
                command = (sys.executable, "-m", *self.command)
                self._process = await asyncio.create_subprocess_exec(
                    *command, stdin=stdin, stdout=out, stderr=err, cwd=REPOSITORY, env=environment
                )  # fmt: skip
        self.lives.append(Life(self._process.pid, wall_ms()))

    def sample(self) -> None:
        """Note its memory."""
        if self.running:
            resident, peak = resident_kib(self.process.pid)
            self.curve.append((wall_ms(), resident))
            self.peak_kib = max(self.peak_kib, peak)

    def send(self, number: signal.Signals) -> int:
        """Send a signal; the time at which it was sent, in Unix ms."""
        self.sample()
        at = wall_ms()
        self.process.send_signal(number)
        return at

    async def kill(self) -> int:
        """SIGKILL, and wait until it is gone; the time of the signal."""
        at = self.send(signal.SIGKILL)
        await self.ended(GRACE_S)
        return at

    async def ended(self, timeout: float) -> int:
        """Wait until it ends by itself; its exit status. Raises TimeoutError."""
        process = self.process
        async with asyncio.timeout(timeout):
            code = await (process.ended() if isinstance(process, Forked) else process.wait())
        self.lives[-1].code = code
        self._let_go()
        return code

    async def stop(self) -> int:
        """SIGTERM, SIGKILL where that is not enough; the exit status."""
        self.asked_to_stop = True
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGCONT)
                self.send(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                return await self.ended(GRACE_S)
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        return await self.ended(GRACE_S)

    async def end(self) -> None:
        """At once, whatever state it is in. Safe to call twice."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                if self.running:
                    self.process.kill()
            await self.ended(GRACE_S)

    def _let_go(self) -> None:
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            os.close(lifeline)

    def last_words(self) -> str:
        """The end of its standard error."""
        return self.err.read_text(encoding="utf-8", errors="replace")[-2000:] if self.err.exists() else ""
