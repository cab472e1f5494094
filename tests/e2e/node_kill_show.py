"""A node is killed at random while messages are posted to it over HTTP: ``python -m tests.e2e.node_kill_show [--posts N] [--kills K]``.

The client does what a careful client does: one Idempotency-Key for each message, and the same bytes again whenever no answer came. Then
the recipient's inbox is read, and every message has to be there once, under the id that was told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.e2e.licence_life import Scene, alert, licence_scene
from tests.e2e.nodes import Node, add_user, node
from tests.e2e.program import Json
from tests.e2e.report import Report

AT_ONCE = 16
"""Posts under way at a time."""
PATIENCE_S = 120.0


@dataclass
class Posted:
    """What became of the posts."""

    ids: dict[str, str] = field(default_factory=dict[str, str])
    tries: int = 0
    replayed: int = 0
    changed: list[str] = field(default_factory=list[str])
    refused: list[Json] = field(default_factory=list[Json])
    kills: int = 0
    seconds: float = 0.0


def free_port() -> int:
    """A port that nobody listens on, for a node that keeps it over its lives."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Client:
    """Posts messages, each until it is answered, and asks for some of them twice."""

    def __init__(self, made: Node, posts: int, posted: Posted, seed: int) -> None:
        self._node, self._posts, self._posted = made, posts, posted
        self._random = random.Random(seed)
        self.answered = asyncio.Event()

    async def run(self) -> None:
        """All of them."""
        numbers = iter(range(1, self._posts + 1))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._some(numbers))

    async def _some(self, numbers: Iterator[int]) -> None:
        async with httpx.AsyncClient(verify=self._node.tls("targeting"), base_url=self._node.url, timeout=30) as client:
            for number in numbers:
                await self._one(client, number)
                if self._random.random() < 0.05:
                    await self._one(client, number)  # the answer was lost on the way, say

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        name = f"K-{number:06}"
        body = json.dumps(alert(name=name)).encode()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._posted.tries += 1
            try:
                answer = await client.post("/messages", content=body, headers={"Idempotency-Key": name, "Content-Type": "application/json"})
                if answer.status_code == 202:
                    break
                if answer.status_code != 503:
                    self._posted.refused.append(answer.json())
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"no answer for {name}"
            await asyncio.sleep(0.1)
        self._posted.replayed += answer.headers.get("idempotency-replayed") == "true"
        told = answer.json()["message_id"]
        if self._posted.ids.setdefault(name, told) != told:
            self._posted.changed.append(name)
        self.answered.set()


async def post_and_kill(scene: Scene, posts: int, kills: int, seed: int) -> Posted:
    """Post them all; the node dies ``kills`` times meanwhile, after so many answers as chance has it."""
    chance, posted, port = random.Random(seed), Posted(), free_port()
    moments = sorted(chance.sample(range(1, posts), kills))
    home, began = scene.exchange.home, time.monotonic()
    posting: asyncio.Task[None] | None = None
    while True:
        with node(scene.program, home, "SG-CUSTOMS", "--rate", "100000", port=port) as made:
            client = Client(made, posts, posted, seed)
            posting = posting or asyncio.create_task(client.run())
            if not moments:
                await posting
                await _drained(made)
                made.running.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(made.running.wait, 60)
                break
            at = moments.pop(0)
            while len(posted.ids) < at and not posting.done():  # noqa: ASYNC110 - at a moment that chance chooses
                await asyncio.sleep(chance.random() * 0.02)
            made.running.process.send_signal(signal.SIGKILL)
            posted.kills += 1
    posted.seconds = time.monotonic() - began
    return posted


async def _drained(made: Node) -> None:
    """Wait until the relay has answered everything."""
    async with httpx.AsyncClient(verify=made.tls("targeting"), base_url=made.url, timeout=30) as client:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            waits = (await client.get("/ready")).json()["outbox"]
            if waits["waiting"] == waits["unanswered"] == 0:
                return
            await asyncio.sleep(0.2)
    raise AssertionError("messages wait for ever")


def show(report: Report, scene: Scene, posts: int, kills: int, seed: int) -> None:
    """Post, kill, read, compare."""
    report.title(f"A node killed {kills} times while {posts:,} messages are posted to it")
    add_user(scene.program, scene.exchange.home, "SG-CUSTOMS", "targeting", "integrator")
    posted = asyncio.run(post_and_kill(scene, posts, kills, seed))
    report.say(
        f"{posts:,} messages, {posted.tries:,} posts, {posted.replayed:,} answered from the store, {posted.kills} times SIGKILL, "
        f"{posted.seconds:.0f} s, {posts / posted.seconds:.0f} messages a second with the restarts"
    )
    read = scene.call("subscribe", "--as", "MY-CUSTOMS", "--from", "beginning", "--timeout", "10", "--json").lines
    delivered = Counter(line["message_id"] for line in read if line["subject"].startswith("SG-CUSTOMS/2026/K-"))
    subjects = Counter(line["subject"] for line in read if line["subject"].startswith("SG-CUSTOMS/2026/K-"))
    told = set(posted.ids.values())
    report.say(f"delivered {sum(delivered.values()):,}, different {len(delivered):,}, subjects {len(subjects):,}")
    report.check("nothing was refused", holds=posted.refused == [])
    report.check("whoever asked again was told the same id", holds=posted.changed == [] and len(told) == posts)
    report.check("nothing that was accepted is lost", holds=told <= delivered.keys())
    report.check("nothing was delivered that was not accepted", holds=delivered.keys() <= told)
    report.check("nothing was delivered twice", holds=max(delivered.values(), default=0) == 1 == max(subjects.values(), default=0))


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.node_kill_show", description="kill a node while messages are posted to it")
    parser.add_argument("--posts", type=int, default=300, help="how many messages (default 300; the long form is 20000)")
    parser.add_argument("--kills", type=int, default=4, help="how often the node is killed")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    report, began = Report(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="node-kill-"))
    try:
        with licence_scene(folder) as scene:
            show(report, scene, given.posts, given.kills, given.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.end(time.monotonic() - began)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
