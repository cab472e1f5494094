"""What every side has in common: its spec, its meter, its TLS, and the one line it prints."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.sampler import Sampler
from broker import logs
from broker.errors import BrokerError
from broker.kafka.tls import TlsFiles
from broker.storage.home import AgencyHome


@dataclass(frozen=True)
class Spec:
    """What a side is to do. ``topic`` is what a peer reads or writes, ``copies`` where its copy loop writes to.

    ``count`` messages are measured after ``warm`` others; ``run`` makes subjects, stores and groups of this run its own. ``held``
    licences lie in the register.
    """

    home: str
    bootstrap: str
    agency: str
    peer: str
    run: str
    count: int
    warm: int = 0
    recipients: tuple[str, ...] = ()
    topic: str = ""
    copies: tuple[str, ...] = ()
    rate: float = 0.0
    urgency: str = "ROUTINE"
    held: int = 0
    profile: bool = False

    @property
    def total(self) -> int:
        """Messages with those of the warm-up."""
        return self.count + self.warm

    @property
    def folder(self) -> Path:
        """The home of all parties."""
        return Path(self.home)

    def text(self) -> str:
        """As the argument of a side."""
        return json.dumps(asdict(self))

    def peer_tls(self) -> TlsFiles:
        """The peer's certificate: an agency's like any other, so that Kafka does the same work for both sides."""
        return TlsFiles(*AgencyHome(self.folder, self.peer).tls())


@dataclass
class Result:
    """What a side measured: messages, seconds, seconds of processor time; latencies in ms where it takes any; facts to tell."""

    messages: int
    seconds: float
    cpu: float
    latencies: list[float] = field(default_factory=list[float])
    profile: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None


def memory_mb(name: str) -> float:
    """Memory of this process as /proc has it (Linux): ``VmRSS`` now, ``VmHWM`` at the most since the program was started. What
    ``getrusage`` calls the most counts the process that forked this one too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6, 1)


class Meter:
    """Clock and processor time between :meth:`start` and :meth:`stop`; samples where our time goes if asked to."""

    def __init__(self, spec: Spec) -> None:
        self._sampler = Sampler() if spec.profile else None
        self._began = self._ended = (0.0, 0.0)
        self.running = False

    def start(self) -> None:
        """The warm-up is over."""
        self.running = True
        if self._sampler:
            self._sampler.start()
        self._began = _now()

    def stop(self) -> None:
        """The last message is dealt with."""
        self._ended = _now()
        self.abandon()

    def abandon(self) -> None:
        """Look no more, however it ended."""
        if self._sampler:
            self._sampler.stop()

    def result(self, messages: int) -> Result:
        """What was measured. Raises BrokerError where nothing was."""
        if messages <= 0:
            raise BrokerError("all messages went by in the warm-up", advice="measure more of them")
        seconds, cpu = (end - begin for begin, end in zip(self._began, self._ended, strict=True))
        return Result(messages, seconds, cpu, profile=self._sampler.shares() if self._sampler else None)


def _now() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def spec_given() -> Spec:
    """The spec on the command line."""
    fields: dict[str, Any] = json.loads(sys.argv[1])
    fields.update(recipients=tuple(fields["recipients"]), copies=tuple(fields["copies"]))
    return Spec(**fields)


def run(side: Callable[[Spec], Coroutine[Any, Any, Result]]) -> None:
    """A side's program: spec from the command line, result as a line on standard output."""
    logs.configure(os.environ.get("BROKER_LOG_LEVEL", "warning"), as_json=True)
    spec = spec_given()
    try:
        result = asyncio.run(side(spec))
    except BrokerError as error:
        print(f"{error} {error.advice or ''}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print(json.dumps(asdict(result)), flush=True)
