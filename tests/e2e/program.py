"""The program ``broker`` as a person runs it: processes of its own, files for their output, and nothing else shared."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from broker import cli
from broker.kafka import start_cache
from broker.testing.agreements import EVERYWHERE
from tests.support.forking import Forked, Forks
from tests.support.processes import runs

COMMANDS: Final = Path(cli.__file__).parent
START_S: Final = 90.0
"""How long an exchange may take to be ready, on a machine that does other things too."""
STOP_S: Final = 180.0
"""How long it may take to end, the first one of a run, which keeps what its node learned."""
_LOOK_S: Final = 0.05

Json = dict[str, Any]
Watch = Callable[[int], None]
"""Told how many lines a process has printed, now and then."""
_FORKS: Final[list[Forks]] = []


@contextmanager
def loaded_once() -> Generator[None]:
    """Calls of the program in this block are forks of one process that has it loaded."""
    forks = Forks(*(f"broker.cli.{path.stem}" for path in COMMANDS.glob("*.py")))
    _FORKS.append(forks)
    try:
        yield
    finally:
        _FORKS.remove(forks)
        forks.stop()


def clean_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process without any setting of the program, but where nodes find what earlier ones learned."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_") or name == start_cache.VARIABLE}
    return {**kept, **(changes or {})}


@dataclass(frozen=True)
class Ran:
    """A call of the program that ended. ``peak_kib`` is its resident memory at the most; seconds are from its start."""

    code: int
    out_file: Path
    err: str
    seconds: float
    peak_kib: int
    first_line_s: float
    last_line_s: float

    @property
    def out(self) -> str:
        """All of standard output."""
        return self.out_file.read_text(encoding="utf-8")

    @property
    def lines(self) -> list[Json]:
        """Standard output as JSON Lines; fails where a line is anything else."""
        with self.out_file.open(encoding="utf-8") as file:
            return [cast("Json", json.loads(line)) for line in file]

    @property
    def line(self) -> Json:
        """The one JSON line that was printed."""
        (only,) = self.lines
        return only

    def must(self, code: int = 0) -> Ran:
        """Itself, if it ended with this exit code."""
        assert self.code == code, f"exit code {self.code}, not {code}: {self.out[-2000:]}{self.err[-2000:]}"
        return self


def peak_kib(pid: int) -> int:
    """The most resident memory a process had (Linux, VmHWM), 0 where it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def children(pid: int) -> list[int]:
    """The process ids of a process's children (Linux)."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def command_line(pid: int) -> list[str]:
    """What a process was started as (Linux)."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


@dataclass
class Program:
    """Runs the program; output goes to files in ``folder``, which is its working folder too. ``alone``: each call loads the program for
    itself, also where a test run has it loaded (:func:`loaded_once`); for who measures memory."""

    folder: Path
    alone: bool = False
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(
        self,
        *arguments: str | Path,
        stdin: bytes = b"",
        timeout: float = 120.0,
        environment: Mapping[str, str] | None = None,
        watch: Watch | None = None,
    ) -> Ran:
        """One call, from start to end."""
        with self.started(*arguments, stdin=stdin, environment=environment) as running:
            return running.wait(timeout, watch)

    @contextmanager
    def started(self, *arguments: str | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Generator[Running]:
        """A call under way; killed where the block is left before it ended."""
        number = next(self.numbers)
        out, err, given = (self.folder / f"{number:03}.{end}" for end in ("out", "err", "in"))
        given.write_bytes(stdin)
        with given.open("rb") as source, out.open("wb") as out_file, err.open("wb") as err_file:
            words, known = ["broker", *map(str, arguments)], clean_environment(environment)
            if _FORKS and not self.alone:
                process = _FORKS[-1].start(words, stdin=source, stdout=out_file, stderr=err_file, cwd=self.folder, env=known)
            else:
                process = subprocess.Popen(
                    [sys.executable, "-m", *words], stdin=source, stdout=out_file, stderr=err_file, cwd=self.folder, env=known
                )  # fmt: skip
        try:
            yield Running(process, out, err)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@dataclass
class Running:
    """A call of the program that was started."""

    process: subprocess.Popen[bytes] | Forked
    out: Path
    err: Path
    begun: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def first_line(self, timeout: float) -> str:
        """Wait for its first line of output."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            text = self.out.read_text(encoding="utf-8")
            if "\n" in text:
                return text.partition("\n")[0]
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.err.read_text()[-2000:]}"
            time.sleep(_LOOK_S)
        raise AssertionError(f"no line after {timeout:g} s: {self.err.read_text()[-2000:]}")

    def line_with(self, key: str, timeout: float) -> Json:
        """Wait for the first JSON line that has this key."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            whole = self.out.read_text(encoding="utf-8").rpartition("\n")[0]
            for line in whole.splitlines():
                if key in (found := cast("Json", json.loads(line))):
                    return found
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.err.read_text()[-2000:]}"
            time.sleep(_LOOK_S)
        raise AssertionError(f"no line with `{key}` after {timeout:g} s: {self.err.read_text()[-2000:]}")

    def wait(self, timeout: float = 120.0, watch: Watch | None = None) -> Ran:
        """Follow it to its end: its memory, and when its first and its last line came."""
        deadline = time.monotonic() + timeout
        peak = lines = 0
        first = last = 0.0
        with self.out.open("rb") as file:
            while True:
                ended = self.process.poll() is not None
                peak = max(peak, peak_kib(self.pid))
                now = time.monotonic() - self.begun
                new = file.read().count(b"\n")
                if new:
                    lines, first, last = lines + new, first or now, now
                if watch is not None:
                    watch(lines)
                if ended:
                    break
                if time.monotonic() > deadline:
                    said = self.err.read_text(errors="replace")[-2000:]
                    raise AssertionError(f"still running after {timeout:g} s, {lines} lines: {self.process.args!r} {said}")
                time.sleep(_LOOK_S)
        err = self.err.read_text(encoding="utf-8", errors="replace")
        return Ran(self.process.wait(), self.out, err, time.monotonic() - self.begun, peak, first, last)


@dataclass(frozen=True)
class LocalExchange:
    """A running ``broker up``: the operator's home, Kafka's address, and the processes of relay and Kafka."""

    home: Path
    ready: Json
    ready_s: float
    running: Running

    @property
    def bootstrap(self) -> str:
        """Where Kafka listens."""
        return str(self.ready["bootstrap"])

    @property
    def relays(self) -> list[int]:
        """The relay workers' process ids."""
        return [pid for pid in children(self.running.pid) if "relay" in command_line(pid)]

    def relay_peaks_kib(self) -> list[int]:
        """Resident memory of each relay worker at the most."""
        return [peak_kib(pid) for pid in self.relays]


@contextmanager
def local_exchange(program: Program, home: Path, *options: str | Path) -> Generator[LocalExchange]:
    """``broker up`` until the end of the block; then Ctrl-C, and nothing of it may be left running. An agreement covers everything; the
    node lives for minutes."""
    entities = home.parent / f"{home.name}-entities.json"
    entities.parent.mkdir(parents=True, exist_ok=True)
    entities.write_text(EVERYWHERE, encoding="utf-8")
    with program.started(
        "up", "--home", home, "--entities", entities, "--json", *options, environment={"BROKER_BRIEF_NODE": "1"}
    ) as running:
        ready = cast("Json", json.loads(running.first_line(START_S)))
        assert ready.get("ready") is True, ready
        exchange = LocalExchange(home, ready, time.monotonic() - running.begun, running)
        left = [*exchange.relays, int(ready["kafka"])]
        yield exchange
        running.process.send_signal(signal.SIGINT)
        ended = running.wait(STOP_S)
        assert ended.code in (0, 130), f"`broker up` ended with {ended.code}: {ended.err[-2000:]}"
        assert not [pid for pid in left if runs(pid)], "relay or Kafka outlived `broker up`"


def write_jsonl(path: Path, messages: Sequence[Mapping[str, Any]]) -> Path:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(message, ensure_ascii=False) + "\n" for message in messages), encoding="utf-8")
    return path
