"""The exchange's members and rules on a page, and what a proposed bundle would change, in words."""

from __future__ import annotations

import httpx
import pytest

from broker.errors import Refusal
from broker.node.console import exchange
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess
from tests.support.officers import NO_PARTIES, next_bundle, shipped_files
from tests.unit.node.console.conftest import ORIGIN, Officer, officer
from tests.unit.service.world import World


async def compare(somebody: Officer, text: str) -> httpx.Response:
    """Paste a bundle into the form."""
    hidden = await somebody.form("/console/exchange", "/console/exchange#main")
    return await somebody.client.post("/console/exchange", data={**hidden, "bundle": text}, headers=ORIGIN)


async def test_members_and_rules(sg: InProcess, world: World) -> None:
    """Every member with kind, communities, state and keys, and the rules in force: for an auditor too, without a purpose, for none of it is
    content. A suspended one is told with the reason, as text."""
    dora = officer(sg, "auditor")
    page = await dora.get("/console/exchange")
    for wanted in ("SG-CUSTOMS", "MY-CUSTOMS", "AE-CUSTOMS", "STCE-ASEAN", "customs", "active", world.key_of("SG-CUSTOMS").kid.hex()[:16]):
        assert wanted in page
    assert "nobody: it is the first" in page
    async with world.exchange.operator.registrar() as registrar:
        await registrar.suspend("AE-CUSTOMS", "<script>1</script> assurance withdrawn")

    async def told() -> bool:
        return "assurance withdrawn" in await dora.get("/console/exchange")

    await eventually(told, what="the suspension on the page")
    page = await dora.get("/console/exchange")
    assert "suspended" in page
    assert "<script>1" not in page


async def test_what_a_bundle_would_change(sg: InProcess, world: World) -> None:
    """A bundle that takes the parties from everybody: losses with the rule that stops them, no gain, the new rule's text. What is none is
    refused with its code; nothing is taken without the page's token."""
    carol = officer(sg, "supervisor")
    await carol.choose()
    file = await next_bundle(world.exchange.operator, shipped_files(zz=NO_PARTIES))
    answer = await compare(carol, file.text().decode())
    assert answer.status_code == 200, answer.text
    for wanted in ("What version 2 would change", "read parties", "rule stop-parties (new) stops it", "Nobody reads parties", "<ins>"):
        assert wanted in answer.text
    assert "It is not the next version" not in answer.text
    for text, code in (("{}", "BAD_BUNDLE"), ("<script>1</script>", "BAD_BUNDLE")):
        refused = await compare(carol, text)
        assert (refused.status_code, code in refused.text, "<script>1" in refused.text) == (422, True, False)
    forged = await carol.client.post("/console/exchange", data={"bundle": "{}"}, headers=ORIGIN)
    assert forged.status_code == 403


async def test_a_comparison_without_end(sg: InProcess, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes too long is given up between two cases, and nothing of it is told."""
    text = (await next_bundle(world.exchange.operator, shipped_files(zz=NO_PARTIES))).text().decode()
    known = exchange.knowledge_of(sg.node)
    assert known is not None
    left = iter((True, True, True, False))
    assert isinstance(exchange.compared(known.policy, text, lambda: next(left)), Refusal)
    assert next(left, None) is None
    carol = officer(sg, "supervisor")
    await carol.choose()
    monkeypatch.setattr(exchange, "COMPARE_S", 0.0)
    answer = await compare(carol, text)
    assert (answer.status_code, "broker policy diff" in answer.text, "Nobody reads" in answer.text) == (422, True, False)
