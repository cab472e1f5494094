"""``broker demo --consoles``: the agencies of the scenario with their nodes and consoles, and the operator's pages, to be tried out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from broker.app.children import ChildProcess
from broker.app.scenario.script import Script
from broker.errors import BrokerError, NodeError
from broker.storage.clock import SystemClock
from broker.storage.home import AgencyHome
from broker.storage.node_folder import NodeFolder, pages_of
from broker.storage.own_copies import SqliteOwnCopies

AGENCIES: Final = ("DE-BAFA", "DE-CUSTOMS", "SG-CUSTOMS")
"""Whose nodes are started: the licensing authority, the owner of the alert, and customs where the ship calls."""
STEPS: Final = ("licence-issued", "alert")
"""What has happened already when the consoles open."""
UNIT: Final = "WATCH"
USERS: Final = (("officer", "officer"), ("supervisor", "supervisor"))
"""Name and role of those who may use each."""
OPERATOR: Final = (("operator", "operator"), ("auditor", "auditor"))
"""Who may look at the operator's pages."""
PASSWORD: Final = "exercise"  # noqa: S105 - of files that live as long as the exercise, in a folder of the user's own
STORY: Final = (
    "Open the console of DE-BAFA and choose the purpose Licensing. Compose, licence: revoke AG-2026-0004711, to SG-CUSTOMS and DE-CUSTOMS.",
    "Look at the feed of SG-CUSTOMS, purpose Strategic trade enforcement: the alert that cites the licence is flagged at once.",
    "Open it, acknowledge it, give feedback: it stands on the page of the alert at DE-CUSTOMS, to which it belongs.",
    "The operator's pages show how the exchange is, and nothing of what you sent.",
)


@dataclass(frozen=True, slots=True)
class Console:
    """One console that runs. ``agency``: whose it is, for the operator's pages the exchange's id. ``users``: name, role, and the files for
    a browser and for a system."""

    agency: str
    url: str
    ca: Path
    users: tuple[dict[str, str], ...]

    def json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        return {"agency": self.agency, "url": f"{self.url}/console/", "api": self.url, "ca": str(self.ca), "users": list(self.users)}


def beginning(script: Script) -> Script:
    """The scenario up to where people go on by themselves."""
    return replace(script, steps=tuple(step for step in script.steps if step.name in STEPS), totals={})


class Consoles:
    """The nodes of :data:`AGENCIES` and the operator's pages in one home, as processes of their own."""

    def __init__(self, home: Path, *, log_level: str = "warning") -> None:
        self._home, self._log_level = home, log_level
        self._nodes: dict[str, ChildProcess] = {}

    def remember_own(self) -> None:
        """From now on what these agencies publish comes into their own registers too. Called before they publish anything."""
        for agency in AGENCIES:
            SqliteOwnCopies(AgencyHome(self._home, agency).own_copies).close()

    async def start(self) -> tuple[list[Console], Console]:
        """Let the users in, start all side by side: the agencies' consoles and the operator's pages. Raises NodeError where one does not
        start."""
        pages = pages_of(self._home)
        users = {agency: await asyncio.to_thread(_let_in, self._folder(agency), USERS) for agency in AGENCIES}
        users[pages.agency] = await asyncio.to_thread(_let_in, pages, OPERATOR)
        starting = [self._start(agency, f"the node of {agency}", "node", "--as", agency) for agency in AGENCIES]
        started = await asyncio.gather(*starting, self._start(pages.agency, "the operator's pages", "operator"), return_exceptions=True)
        for each in started:
            if isinstance(each, BaseException):
                raise each
        opened = {
            name: Console(name, str(node.ready["url"]), Path(node.ready["ca"]), users[name]) for name, node in sorted(self._nodes.items())
        }
        operator = opened.pop(pages.agency)
        return list(opened.values()), operator

    async def _start(self, whose: str, name: str, *command: str) -> None:
        arguments = (*command, "--port", "0", "--home", str(self._home))
        self._nodes[whose] = await ChildProcess.run(name, *arguments, log_level=self._log_level)

    def _folder(self, agency: str) -> NodeFolder:
        return NodeFolder(AgencyHome(self._home, agency).node_folder, agency)

    async def failure(self) -> BrokerError:
        """Wait until one ends by itself, and tell of it."""
        waits = [asyncio.create_task(each.wait(), name=each.name) for each in self._nodes.values()]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        ended = next(iter(done))
        return NodeError(f"{ended.get_name()} ended with status {ended.result()}", advice="see its log lines above")

    async def stop(self) -> None:
        """Stop all of them."""
        nodes, self._nodes = self._nodes, {}
        await asyncio.gather(*(each.stop() for each in nodes.values()))


def _let_in(folder: NodeFolder, users: Sequence[tuple[str, str]]) -> tuple[dict[str, str], ...]:
    """Make a certificate for each name and role."""
    made: list[dict[str, str]] = []
    for name, role in users:
        _, file = folder.add(name, role, (UNIT,), SystemClock().now_ms())
        made.append({"name": name, "role": role, "file": str(file), "browser_file": str(folder.for_browser(name, PASSWORD))})
    return tuple(made)


def told(consoles: Sequence[Console], operator: Console) -> str:
    """What a person needs to open them."""
    lines = ["", "[bold]Three consoles and the operator's pages are open until Ctrl-C.[/bold]"]
    lines += [f"A browser needs a certificate, which says who you are: import the file of a user (password [bold]{PASSWORD}[/bold]),"]
    lines += ["and the authority of the node or accept its certificate."]
    for each in (*consoles, operator):
        whose = "the operator" if each is operator else each.agency
        lines += ["", f"[bold]{whose}[/bold]  {each.url}/console/", f"  authority   {each.ca}"]
        lines += [f"  {user['role']:<11} {user['browser_file']}" for user in each.users]
    lines += ["", "The licence is granted and the alert is out. Go on yourself:"]
    return "\n".join([*lines, *(f"  {number}. {text}" for number, text in enumerate(STORY, 1)), ""])
