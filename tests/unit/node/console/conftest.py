"""Two consoles over an exchange in memory, and officers in front of them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from html import unescape
from typing import Final

import httpx
import pytest_asyncio

from broker.node.console.router import beside
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess, in_process
from tests.unit.service.conftest import _no_pauses as _no_pauses  # pyright: ignore[reportPrivateUsage]
from tests.unit.service.conftest import world as world
from tests.unit.service.world import World

ORIGIN: Final = {"origin": "https://node", "sec-fetch-site": "same-origin"}

PLACES: Final = "locode,name,lat,lon\nDEHAM,Hamburg,53.55,9.99\nSGSIN,Singapore,1.28,103.85\nAEJEA,Jebel Ali,24.99,55.03\n"
"""Where the places of the sample alert are."""


class Officer:
    """Somebody with a browser: follows links, fills in forms, keeps cookies."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, status: int = 200) -> str:
        """A page."""
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text[:2000]
        return answer.text

    async def form(self, path: str, action: str) -> dict[str, str]:
        """The hidden fields of the form of a page that posts to an action."""
        page = await self.get(path)
        form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
        assert form is not None, page
        return {name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[1])}

    async def post(self, path: str, fields: dict[str, str]) -> httpx.Response:
        """Send a form, as a browser does."""
        return await self.client.post(path, data=fields, headers=ORIGIN)

    async def choose(self, purpose: str = "STC_ENFORCEMENT", language: str = "en", unit: str = "TUAS") -> httpx.Response:
        """Choose purpose and language."""
        fields = await self.form("/console/session", "/console/session")
        return await self.post("/console/session", {**fields, "purpose": purpose, "language": language, "unit": unit, "keys": "on"})


def officer(node: InProcess, user: str = "officer") -> Officer:
    """Somebody in front of a console."""
    return Officer(node.client(user, purpose=None))


@pytest_asyncio.fixture
async def sg(world: World) -> AsyncGenerator[InProcess]:
    """The node of SG-CUSTOMS, with its console."""
    agency = world.agency("SG-CUSTOMS")
    kept = beside(agency.member.files.folder, ("alert", "licence"))
    async with in_process(agency, console=True, beside=kept) as made:
        yield made


@pytest_asyncio.fixture
async def my(world: World) -> AsyncGenerator[InProcess]:
    """The node of MY-CUSTOMS, with its console, and a list that says where places are."""
    agency = world.agency("MY-CUSTOMS")
    lists = agency.member.files.folder / "lists"
    lists.mkdir(exist_ok=True)
    (lists / "places.csv").write_text(PLACES, encoding="utf-8")
    async with in_process(agency, console=True, beside=beside(agency.member.files.folder, ("alert",), codelists=lists)) as made:
        yield made


@pytest_asyncio.fixture
async def bafa(world: World) -> AsyncGenerator[InProcess]:
    """The node of a licensing authority, with its console."""
    agency = await world.exchange.join("DE-BAFA", "licensing")
    async with in_process(agency, console=True, beside=beside(agency.member.files.folder)) as made:
        yield made


async def held(node: InProcess, subject: str) -> None:
    """Wait until register and inbox of a node have a subject."""
    await eventually(lambda: node.node.member.files.register_store.exists() and node.node.reader().row(subject), what=subject)
    await eventually(lambda: node.node.inbox.about(subject), what=f"{subject} in the inbox")
