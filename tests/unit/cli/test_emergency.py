"""``broker emergency``: two officers open a FLASH message to an agency for a day, the owner is told, and nothing else gives way."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from broker import ids
from broker.cli import emergency, members
from broker.cli.screen import Common
from broker.envelope.receipt import Receipt
from broker.errors import RefusedError, UsageError
from broker.exchange.receive import is_receipt, read_receipt
from broker.exchange.topology import MEMBERSHIPS
from broker.service.subscriber import Delivery
from broker.storage.clock import SystemClock
from broker.testing.local import LocalExchange
from broker.testing.samples import sample_alert
from tests.support.eventually import eventually
from tests.unit.cli.reached import reached_by

OWNER, NAMED, OFFICER, OPENED = "SG-CUSTOMS", "MY-CUSTOMS", "DE-BAFA", "KR-LICENSING"
SUBJECT = f"{OWNER}/2026/000001"


@pytest_asyncio.fixture
async def exchange(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[LocalExchange]:
    """An exchange in memory that commands of its home reach, with a FLASH alert for one of its agencies."""
    async with LocalExchange(shards=1, clock=SystemClock()) as made:
        for agency, kind in ((OWNER, "customs"), (NAMED, "customs"), (OFFICER, "licensing"), (OPENED, "licensing")):
            await made.join(agency, kind)
        reached_by(made, monkeypatch, emergency, members)
        receipt = await made.agencies[OWNER].publish(alert())
        assert [each.agency for each in receipt.recipients] == [NAMED]
        yield made


def alert(number: int = 1, urgency: str = "FLASH") -> Any:
    return sample_alert(
        f"{OWNER}/2026/{number:06}", now_ms=SystemClock().now_ms(), agencies=[NAMED], urgency=urgency, tlp="AMBER",
        purposes=("STC_ENFORCEMENT",), legal_basis="UNSCR1540",
    )  # fmt: skip


def common(exchange: LocalExchange) -> Common:
    return Common(home=exchange.home, bootstrap="memory:0", json=True)


def proposed(exchange: LocalExchange, folder: Path, **more: Any) -> Path:
    """An unsigned file."""
    path = folder / "opening.json"
    arguments: dict[str, Any] = {"agency": OPENED, "reason": "stolen source at sea", "section": ["goods"], "out": path} | more
    assert emergency.propose(SUBJECT, common=common(exchange), **arguments) == 0
    return path


async def signed(exchange: LocalExchange, path: Path, *officers: str) -> Path:
    for officer in officers:
        assert await emergency.approve(path, as_=officer, common=common(exchange)) == 0
    return path


async def taken(exchange: LocalExchange) -> Delivery:
    """The delivery to the agency to which it was opened."""
    found: list[Delivery] = []

    async def come() -> bool:
        found.extend(await exchange.agencies[OPENED].deliveries(1))
        return bool(found)

    for _ in range(20):
        if await come():
            return found[0]
    raise AssertionError("nothing was delivered")


async def receipts(exchange: LocalExchange) -> list[Receipt]:
    """Every receipt in the owner's inbox."""
    knowledge = (await exchange.agencies[OWNER].publisher()).knowledge
    entries = [entry for entry in exchange.memory.log((ids.inbox(OWNER), 0)).entries if entry is not None and is_receipt(entry.key)]
    found = [read_receipt(entry.value or b"", knowledge.rules) for entry in entries]
    return [each for each in found if isinstance(each, Receipt)]


async def test_two_officers_open_it(exchange: LocalExchange, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proposed, signed by officers of two agencies, carried: the agency gets the owner's message with what was opened and no person; the
    owner's receipt names it, the officers and the reason; the list shows it; carried again it changes nothing."""
    path = await signed(exchange, proposed(exchange, tmp_path), OFFICER, NAMED)
    assert await emergency.carry(path, common=common(exchange)) == 0
    delivery = await taken(exchange)
    assert (delivery.subject, delivery.originator, delivery.slip.rule) == (SUBJECT, OWNER, "receive-emergency")
    assert sorted(delivery.sections) == ["core", "goods"]
    assert delivery.withheld["parties"] == "stop-beyond-consent"
    (told,) = [each for each in await receipts(exchange) if [one.agency for one in each.recipients] == [OPENED]]
    (remark,) = [each for each in told.findings if each.code == "EMERGENCY_OPENING"]
    assert remark.reason == "opened to KR-LICENSING in an emergency by officers of DE-BAFA and MY-CUSTOMS: stolen source at sea"
    assert await emergency.carry(path, common=common(exchange)) == 0
    capsys.readouterr()
    assert await emergency.list_(common=common(exchange)) == 0
    (listed,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (listed["agency"], listed["officers"], listed["in_force"]) == (OPENED, [OFFICER, NAMED], True)
    assert await exchange.agencies[OPENED].deliveries(1) == []


@pytest.mark.parametrize(
    ("officers", "code"),
    [((), "TOO_FEW_OFFICERS"), ((OFFICER,), "TOO_FEW_OFFICERS"), ((OFFICER, OPENED), "TOO_FEW_OFFICERS")],
    ids=["nobody", "one", "one and who is to get it"],
)
async def test_too_few_officers(exchange: LocalExchange, tmp_path: Path, officers: tuple[str, ...], code: str) -> None:
    """One signature, or that of the agency that is to get it, opens nothing: refused when signed or carried, and nothing is written."""
    path = proposed(exchange, tmp_path)
    with pytest.raises(RefusedError) as caught:
        await emergency.carry(await signed(exchange, path, *officers), common=common(exchange))
    assert caught.value.refusal.code == code
    assert not any(exchange.memory.log((MEMBERSHIPS, 0)).entries)


async def test_what_was_altered_after_signing(exchange: LocalExchange, tmp_path: Path) -> None:
    """Another agency or a later end under the same signatures is refused, and a file that is none."""
    path = await signed(exchange, proposed(exchange, tmp_path), OFFICER, NAMED)
    text = path.read_text()
    changes = ((OPENED, "KR-CUSTOMS", "BAD_SIGNATURE"), ('"goods"', '"route"', "BAD_SIGNATURE"), ("{", "[", "BAD_OPENING"))
    for before, after, code in changes:
        path.write_text(text.replace(before, after))
        with pytest.raises((RefusedError, UsageError)) as caught:
            await emergency.carry(path, common=common(exchange))
        assert isinstance(caught.value, UsageError) or caught.value.refusal.code == code


async def test_what_cannot_be_proposed(exchange: LocalExchange, tmp_path: Path) -> None:
    """More than a day, sections that name persons, the owner itself: said at once, with what to give instead."""
    for more in ({"hours": 25.0}, {"hours": 0.0}, {"section": ["parties"]}, {"agency": OWNER}, {"reason": " "}):
        with pytest.raises(UsageError):
            proposed(exchange, tmp_path, **more)


async def test_a_message_that_is_not_flash_stays_closed(exchange: LocalExchange, tmp_path: Path) -> None:
    """The rules open FLASH messages alone, whatever officers signed."""
    assert (await exchange.agencies[OWNER].publish(alert(2, urgency="IMMEDIATE"))).outcome == "ACCEPTED"
    path = tmp_path / "second.json"
    emergency.propose(f"{OWNER}/2026/000002", agency=OPENED, reason="no emergency", out=path, common=common(exchange))
    await emergency.carry(await signed(exchange, path, OFFICER, NAMED), common=common(exchange))
    relay = exchange.relay
    assert relay is not None
    await eventually(lambda: len(relay._knowledge.openings.known) == 1)  # pyright: ignore[reportPrivateUsage]
    assert await exchange.agencies[OPENED].deliveries(1) == []
