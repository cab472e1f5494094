"""A file goes from one agency's node to another's over a real exchange: ``python -m tests.e2e.attachments_show [--mib N]``.

Four agencies: SG-CUSTOMS attaches a picture to an alert for MY-CUSTOMS, which may read it, and DE-BAFA, which gets the alert without it.
Meanwhile TH-CUSTOMS sends urgent alerts to MY-CUSTOMS, whose inbox is full of chunks. Then SG-CUSTOMS recalls the alert, and nothing of
key and chunks may be left in any file of MY-CUSTOMS's home.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from tests.e2e.licence_life import alert
from tests.e2e.nodes import Node, add_user, node
from tests.e2e.program import Json, LocalExchange, Program, local_exchange, peak_kib
from tests.e2e.report import Report

KINDS: Final = {"SG-CUSTOMS": "customs", "MY-CUSTOMS": "customs", "TH-CUSTOMS": "customs", "DE-BAFA": "licensing"}
PATIENCE_S: Final = 300.0
LATE_S: Final = 2.0
"""Longest that an urgent alert may take beside a file: the four processes and Kafka share two cores here."""
PNG: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A picture of one pixel; what follows it is no part of what is shown."""


def file_of(size: int) -> bytes:
    """A picture of so many bytes, each part of which is found again where it lies in clear."""
    return PNG + os.urandom(size - len(PNG))


@dataclass
class Ground:
    """A running exchange with the nodes of its agencies."""

    exchange: LocalExchange
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])

    def client(self, agency: str) -> httpx.Client:
        """A client of this agency's node."""
        return self.nodes[agency].client()

    def home(self, agency: str) -> Path:
        """The folder of an agency."""
        return self.exchange.home / "agencies" / agency


@contextmanager
def ground(folder: Path) -> Generator[Ground]:
    """`broker up` with the four, and their nodes."""
    program = Program(folder)
    agencies = folder / "agencies.json"
    agencies.write_text(json.dumps([{"id": agency, "kind": kind} for agency, kind in KINDS.items()]))
    with local_exchange(program, folder / "home", "--agencies", agencies) as exchange, ExitStack() as opened:
        made = Ground(exchange)
        for agency in KINDS:
            add_user(program, exchange.home, agency, "targeting", "integrator")
            made.nodes[agency] = opened.enter_context(node(program, exchange.home, agency))
        yield made


def wait_for(look: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """What ``look`` gives once it is true; fails after a while."""
    deadline = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come within {patience_s:g} s"
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Sent:
    """A file that was attached: its entry, the alert's subject, and how long each step took."""

    entry: Json
    subject: str
    staged_s: float
    arrived_s: float
    bytes_there: bytes

    def path(self, digest: str = "") -> str:
        """Where its message's files are at a node."""
        return f"/subjects/{quote(self.subject, safe='')}/attachments" + (f"/{digest}" if digest else "")


def send(made: Ground, data: bytes, name: str = "F-1") -> Sent:
    """Attach a file at SG-CUSTOMS's node, publish, and read it at MY-CUSTOMS's."""
    with made.client("SG-CUSTOMS") as here, made.client("MY-CUSTOMS") as there:
        began = time.monotonic()
        staged = here.put("/attachments", params={"name": "scan.png"}, content=data)
        assert staged.status_code == 201, staged.text
        entry, staged_s = staged.json(), time.monotonic() - began
        message = alert(name=name)
        message["header"]["audience"]["agencies"].append("DE-BAFA")
        message["sections"]["attachments"] = {"files": [entry]}
        began = time.monotonic()
        kept = here.post("/messages", json=message)
        assert kept.status_code == 202, kept.text
        sent = Sent(entry, message["subject"], staged_s, 0.0, b"")

        def whole() -> bool:
            listed = there.get(sent.path())
            return listed.status_code == 200 and all(each["whole"] for each in listed.json()["files"])

        wait_for(whole, "the file")
        arrived_s = time.monotonic() - began
        got = there.get(sent.path(entry["digest"]))
        assert got.status_code == 200, got.text
    return Sent(entry, sent.subject, staged_s, arrived_s, got.content)


def urgent(made: Ground, stop: threading.Event, latencies: list[float]) -> None:
    """Urgent alerts of TH-CUSTOMS to MY-CUSTOMS, one after the other: seconds from the post to the event in the recipient's stream."""
    prefix = f"U{time.monotonic_ns()}"
    with made.client("TH-CUSTOMS") as here, made.client("MY-CUSTOMS") as there, following(there) as subjects:
        number = 0
        while not stop.is_set():
            number += 1
            message = json.loads(json.dumps(alert(name=f"{prefix}-{number}")).replace("SG-CUSTOMS/", "TH-CUSTOMS/"))
            message["header"]["urgency"] = "IMMEDIATE"
            began = time.monotonic()
            assert here.post("/messages", json=message).status_code == 202
            assert message["subject"] in subjects
            latencies.append(time.monotonic() - began)


@contextmanager
def following(client: httpx.Client) -> Generator[Iterator[str]]:
    """The subjects of what comes into an inbox from now on, as they come."""
    with client.stream("GET", "/inbox/events", params={"after": "now"}, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith(":")), "the stream says that it is open"
        yield (json.loads(line.partition(":")[2])["subject"] for line in lines if line.startswith("data:") and "{" in line)


def measured(made: Ground, work: Callable[[], Any]) -> tuple[Any, list[float]]:
    """What ``work`` gives, and the latencies of urgent alerts beside it."""
    stop, latencies = threading.Event(), list[float]()
    beside = threading.Thread(target=urgent, args=(made, stop, latencies))
    beside.start()
    try:
        return work(), latencies
    finally:
        stop.set()
        beside.join()


def holds(folder: Path, *parts: bytes) -> list[str]:
    """The files below a folder that hold any of these bytes."""
    found: list[str] = []
    for place, _, names in os.walk(folder):  # which passes over folders that are gone meanwhile
        for each in (Path(place) / name for name in names):
            try:
                content = each.read_bytes() if each.is_file() else b""
            except OSError:
                continue
            if any(part in content for part in parts):
                found.append(str(each.relative_to(folder)))
    return found


def secrets_of(made: Ground, sent: Sent) -> tuple[bytes, ...]:
    """What may be nowhere after a recall: the key in both forms, and a piece of each chunk."""
    folder = made.home("SG-CUSTOMS") / "attachments" / "own" / sent.entry["file"]
    chunks = [(folder / str(index)).read_bytes()[1000:1064] for index in range(sent.entry["chunks"])]
    return (sent.entry["key"].encode(), bytes.fromhex(sent.entry["key"]), *chunks)


def recall(made: Ground, sent: Sent) -> float:
    """SG-CUSTOMS recalls the alert; the seconds until nothing of key and chunks is in MY-CUSTOMS's home."""
    secret = secrets_of(made, sent)
    assert holds(made.home("MY-CUSTOMS"), *secret), "the holder has it before"
    with made.client("SG-CUSTOMS") as here:
        began = time.monotonic()
        answer = here.post("/recalls", json={"subject": sent.subject, "reason": "ERROR"})
        assert answer.status_code == 202, answer.text
    wait_for(lambda: not holds(made.home("MY-CUSTOMS"), *secret), "a holder without key and chunks")
    return time.monotonic() - began


def kafka_log(made: Ground, agency: str) -> bytes:
    """All bytes of an inbox topic on Kafka's disk."""
    parts = [each.read_bytes() for folder in made.exchange.home.rglob(f"in.{agency}-0") for each in sorted(folder.glob("*.log"))]
    assert parts, "the topic is somewhere on the disk"
    return b"".join(parts)


def told(latencies: list[float]) -> str:
    """Median and worst in milliseconds."""
    return f"{statistics.median(latencies) * 1000:.0f} ms median, {max(latencies) * 1000:.0f} ms worst of {len(latencies)}"


def show(mib: int) -> int:
    """The whole story, with figures."""
    report, began = Report(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="broker-attachments-") as folder, ground(Path(folder)) as made:
        report.title(f"a picture of {mib} MiB from SG-CUSTOMS to MY-CUSTOMS, and DE-BAFA that may not read it")
        _, quiet = measured(made, lambda: time.sleep(5))
        report.say(f"urgent alerts TH-CUSTOMS -> MY-CUSTOMS beside nothing: {told(quiet)}")
        before = max(made.exchange.relay_peaks_kib())
        data = file_of(mib << 20)
        sent, beside = measured(made, lambda: send(made, data))
        report.say(f"taken in, judged and encrypted: {sent.staged_s:.2f} s")
        report.say(f"published, {sent.entry['chunks']} chunks sent, verified and whole there: {sent.arrived_s:.1f} s")
        report.say(f"that is {mib / sent.arrived_s:.1f} MiB/s")
        report.say(f"urgent alerts beside it: {told(beside)}")
        report.say(f"relay worker: {before / 1024:.0f} MB before, {max(made.exchange.relay_peaks_kib()) / 1024:.0f} MB at the most (VmHWM)")
        report.say(f"nodes: {', '.join(f'{a} {peak_kib(n.running.process.pid) / 1024:.0f} MB' for a, n in made.nodes.items())} (VmHWM)")
        report.check(
            "the bytes at MY-CUSTOMS are those that were attached",
            holds=sent.bytes_there == data,
        )
        secret = secrets_of(made, sent)
        topic = kafka_log(made, "DE-BAFA")
        report.check("no chunk and no key in DE-BAFA's inbox topic", holds=not any(part in topic for part in secret))
        report.check("nor in any file of its home", holds=not holds(made.home("DE-BAFA"), *secret))
        report.check(f"no urgent alert of another agency took more than {LATE_S:g} s", holds=max(beside) <= LATE_S)
        report.check("the relay worker had 300 MB at the most", holds=max(made.exchange.relay_peaks_kib()) <= 300 * 1024)
        gone_s = recall(made, sent)
        report.say(f"recalled: {gone_s:.1f} s until no file of MY-CUSTOMS's home holds the key or a piece of a chunk")
    return report.end(time.monotonic() - began)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=50, help="size of the file")
    sys.exit(show(parser.parse_args().mib))


if __name__ == "__main__":
    main()
