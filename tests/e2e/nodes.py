"""Nodes of agencies as processes of their own, over a real exchange, and clients with certificates in front of them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.e2e.program import START_S, Json, Program, Running

PURPOSE: Final = "STC_ENFORCEMENT"
UNIT: Final = "TUAS"


@dataclass
class Node:
    """A node that runs: where it is, and its process."""

    agency: str
    url: str
    folder: Path
    running: Running

    def tls(self, user: str | None) -> ssl.SSLContext:
        """What a client connects with: the user's certificate, where one is named."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if user is not None:
            context.load_cert_chain(self.folder / "users" / f"{user}.pem")
        return context

    def client(self, user: str | None = "targeting", *, purpose: str | None = PURPOSE) -> httpx.Client:
        """A client as this user."""
        headers = {} if purpose is None else {"Broker-Purpose": purpose}
        return httpx.Client(verify=self.tls(user), base_url=self.url, headers=headers, timeout=60)


def add_user(program: Program, home: Path, agency: str, name: str, role: str) -> Json:
    """Let somebody in, by the program."""
    arguments = ("node", "user", "add", name, "--as", agency, "--role", role, "--unit", UNIT, "--json", "--home", home)
    return program.run(*arguments).must().line


@contextmanager
def node(program: Program, home: Path, agency: str, *more: str, port: int = 0) -> Generator[Node]:
    """`broker node`, ready."""
    arguments = ("node", "--as", agency, "--port", str(port), "--json", "--home", home, *more)
    with program.started(*arguments) as running:
        ready = json.loads(running.first_line(START_S))
        yield Node(agency, ready["url"], Path(ready["ca"]).parent, running)
