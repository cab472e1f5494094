"""Eight situations of access policy on a real Kafka, with agreements that end while it runs: ``python -m tests.e2e.policy_show``.

Each agency has a subscriber of its own, running from the beginning. For each line: what has to be so, what the agency's own subscriber
took out of its inbox, and the rule on the slip. Exit code 0 only if every line held.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from broker import logs
from broker.app.scenario.world import World
from broker.exchange.use import for_another_purpose
from broker.families.consent_reply import ConsentReplyCore, consent_reply
from broker.families.licence import licence
from broker.families.message import PURPOSES, Audience, Message
from broker.testing.sample_reports import moment, sample_licence, sample_seizure
from broker.testing.samples import sample_alert
from tests.e2e.report import Report
from tests.support.whole_exchange import whole_exchange

AGENCIES: Final = {
    "TH-CUSTOMS": "customs", "SG-CUSTOMS": "customs", "SG-POLICE": "police", "AE-CUSTOMS": "customs", "JP-CUSTOMS": "customs",
    "DE-BAFA": "licensing", "DE-CUSTOMS": "customs", "FR-SBDU": "licensing", "KR-LICENSING": "licensing",
}  # fmt: skip
SPAN_S: Final = 40.0
"""How long after the exchange is made the dated facts turn."""
PATIENCE_S: Final = 30.0
_MARKS: Final = {"tlp": "AMBER", "purposes": ("STC_ENFORCEMENT",), "legal_basis": "CMAA:TH"}


def facts(turn: datetime) -> str:
    """Agreements, a regime and operations; some end, and one member joins, at ``turn``."""
    since, at = "2020-01-01T00:00:00Z", turn.isoformat().replace("+00:00", "Z")
    base: dict[str, Any] = {"title": "made up", "basis": "made up for this show"}
    span = base | {"from": since}
    team = {"TH-CUSTOMS": {}, "SG-CUSTOMS": {}, "SG-POLICE": {"until": at}, "AE-CUSTOMS": {"from": at}}
    return json.dumps({
        "agreements": [
            span | {"id": "CMAA:TH-JP", "countries": ["JP", "TH"], "kinds": ["customs"], "personal": True, "until": at},
            span | {"id": "CMAA:TH-SG", "countries": ["SG", "TH"], "personal": True},
            span | {"id": "EU-2021-821", "countries": ["DE", "FR"], "kinds": ["licensing"], "personal": True},
        ],
        "operations": [
            span | {"id": "OP-LOTUS", "members": team}
        ],
        "regimes": [span | {"id": "EU-LICENSING", "members": {"DE-BAFA": {}, "FR-SBDU": {}, "KR-LICENSING": {"from": at}}}],
    })  # fmt: skip


def to(message: Message, *agencies: str, communities: Sequence[str] = (), **marks: Any) -> Message:
    """A message with another audience and other marks."""
    return replace(message, audience=Audience(agencies, tuple(communities)), **{**_MARKS, **marks})


def denial(number: int, now_ms: int) -> Message:
    """A licence that is refused, with the denial for the regime."""
    refused = licence(
        subject=f"DE-BAFA/2026/D-{number}",
core={
            "decision_type": "DENY", "authority": "DE-BAFA", "licence_no": f"2026-D-{number}", "licence_type": "INDIVIDUAL",
            "effective_at": moment(now_ms), "published_at": moment(now_ms), "destinations": ["AE"],
        },
        items={"items": sample_licence(now_ms=now_ms).sections["items"]["items"]},
        denial={
            "regime": "EU", "denial_no": f"DE-{number}", "essentially_identical_key": "2B004", "valid_until": moment(now_ms, days=1000),
            "review_due": moment(now_ms, days=365), "consultation_contact": "denials@example.org",
        },
        valid_until_ms=now_ms + 365 * 86_400_000,
    )  # fmt: skip
    return to(refused, communities=["EU-LICENSING"], purposes=("LICENSING",))


class Stage:
    """The agencies at work, and what is expected of them."""

    def __init__(self, world: World, report: Report) -> None:
        self.world, self.report = world, report

    @property
    def now_ms(self) -> int:
        """The exchange's time."""
        return self.world.clock.now_ms()

    async def publish(self, agency: str, message: Message) -> str:
        """Publish, wait for the receipt and for everybody whom it names; the message's id."""
        handle = await (await self.world.participants[agency].publisher()).publish(message)
        receipt = await handle.receipt(PATIENCE_S)
        assert receipt.outcome == "ACCEPTED", receipt
        await self.world.settle(receipt)
        return handle.message_id

    def line(self, situation: str, agency: str, message_id: str, expected: str, rule: str) -> None:
        """One line: the sections that an agency got of a message last, or nothing."""
        taken = [each.delivery for each in self.world.participants[agency].arrivals if each.delivery.message_id == message_id]
        last = taken[-1] if taken else None
        got = "nothing" if last is None else ", ".join(sorted(last.sections)) or "told to erase"
        by = last.slip.rule if last is not None else "-"
        self.report.check(f"{situation:<4} {agency:<13} expected {expected:<39} got {got:<39} by {by}", holds=(got, by) == (expected, rule))

    def bound(self, situation: str, agency: str, message_id: str, expected: Mapping[str, tuple[str, ...]]) -> None:
        """One line: what the slip of a message binds to purposes, and that its holder shows it for these alone."""
        last = [each.delivery for each in self.world.participants[agency].arrivals if each.delivery.message_id == message_id][-1]
        got = dict(last.slip.bound)
        purposes = sorted({name for names in got.values() for name in names})
        shown = [each for each in PURPOSES if not for_another_purpose(last.header, last.sections, each, got)]
        what, to = ", ".join(sorted(got)) or "nothing", ", ".join(purposes)
        says = f"{situation:<4} {agency:<13} {what} bound to {to}, shown for {', '.join(shown)}"
        self.report.check(says, holds=got == expected and shown == purposes)

    async def until(self, agency: str, message_id: str, count: int) -> None:
        """Wait until an agency was sent a message so often."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if sum(each.delivery.message_id == message_id for each in self.world.participants[agency].arrivals) >= count:
                return
            await asyncio.sleep(0.02)


async def before(stage: Stage) -> Mapping[str, str]:
    """While every fact holds. The ids of messages that go on."""
    now = stage.now_ms
    plain = sample_alert("TH-CUSTOMS/2026/000001", now_ms=now)
    del plain.sections["parties"]  # pyright: ignore[reportIndexIssue]
    first = await stage.publish("TH-CUSTOMS", to(plain, communities=["OP-LOTUS"]))
    stage.report.title("P1. An alert without persons: to a community, and to customs on its route DE-SG-AE")
    stage.line("P1", "SG-CUSTOMS", first, "core, equipment, goods, route", "receive-community")
    stage.line("P1", "AE-CUSTOMS", first, "core, equipment, goods, route", "receive-route-customs")
    stage.line("P1", "JP-CUSTOMS", first, "nothing", "-")
    stage.report.title("P2. It names a consignee: Japan has an agreement that is about to end, the Emirates have none")
    named = await stage.publish("TH-CUSTOMS", to(sample_alert("TH-CUSTOMS/2026/000002", now_ms=now), "JP-CUSTOMS", "AE-CUSTOMS"))
    stage.line("P2", "JP-CUSTOMS", named, "core, equipment, goods, parties, route", "receive-named")
    stage.line("P2", "AE-CUSTOMS", named, "core, equipment, goods, route", "receive-named")
    stage.report.title("P3. A licence for the Emirates by way of Singapore: no agreement, no exporter")
    granted = await stage.publish("DE-BAFA", to(sample_licence(now_ms=now), communities=["EU-LICENSING"], purposes=("LICENSING",)))
    stage.line("P3", "DE-CUSTOMS", granted, "core, items, parties", "receive-route-customs")
    stage.line("P3", "AE-CUSTOMS", granted, "core, items", "receive-route-customs")
    stage.line("P3", "FR-SBDU", granted, "core, items, parties, value", "receive-community")
    stage.report.title("P4. A denial stays in its regime; Korea accedes soon")
    denied = await stage.publish("DE-BAFA", denial(1, now))
    stage.line("P4", "FR-SBDU", denied, "core, denial, items", "receive-community")
    stage.line("P4", "KR-LICENSING", denied, "nothing", "-")
    stage.report.title("P9. A seizure under embargo: the joint team alone")
    seized = sample_seizure("TH-CUSTOMS/2026/S-1", now_ms=now)
    held = to(seized, "DE-CUSTOMS", communities=["OP-LOTUS"], embargo_until_ms=now + 8000)
    embargoed = await stage.publish("TH-CUSTOMS", held)
    stage.line("P9", "SG-CUSTOMS", embargoed, "core, equipment, goods, method", "receive-community")
    stage.line("P9", "DE-CUSTOMS", embargoed, "nothing", "-")
    await stage.until("DE-CUSTOMS", embargoed, 1)
    stage.report.say("     the embargo is over")
    stage.line("P9", "DE-CUSTOMS", embargoed, "core, equipment, goods, method", "receive-named")
    return {"denied": denied, "first": first, "named": named}


async def consent(stage: Stage) -> None:
    """P5."""
    stage.report.title("P5. A seizure marked H2: the police get it by the owner's consent, until it is withdrawn")
    subject = "TH-CUSTOMS/2026/S-2"
    marks = {"handling": "H2", "onward": "CONSENT"}
    seized = await stage.publish("TH-CUSTOMS", to(sample_seizure(subject, now_ms=stage.now_ms), "SG-CUSTOMS", **marks))
    stage.line("P5", "SG-POLICE", seized, "nothing", "-")
    core: ConsentReplyCore = {
        "decision": "GRANT", "consented_subject": subject, "recipients": ["SG-POLICE"], "section_names": ["core", "goods"],
        "purposes": ["CRIM_INVEST"], "period_until": datetime.now(UTC) + timedelta(days=30),
    }  # fmt: skip
    await stage.publish("TH-CUSTOMS", to(reply(1, core), "SG-CUSTOMS"))
    await stage.until("SG-POLICE", seized, 1)
    stage.line("P5", "SG-POLICE", seized, "core, goods", "receive-consented")
    stage.bound("P5", "SG-POLICE", seized, {"core": ("CRIM_INVEST",), "goods": ("CRIM_INVEST",)})
    stage.line("P5", "AE-CUSTOMS", seized, "nothing", "-")
    await stage.publish("TH-CUSTOMS", to(reply(2, {"decision": "WITHDRAW", "consented_subject": subject}), "SG-CUSTOMS"))
    await stage.until("SG-POLICE", seized, 2)
    stage.line("P5", "SG-POLICE", seized, "told to erase", "no-longer-disclosed")
    stage.line("P5", "SG-CUSTOMS", seized, "core, equipment, goods, method", "receive-named")


def reply(number: int, core: ConsentReplyCore) -> Message:
    """The owner's answer to a request."""
    return consent_reply(subject=f"TH-CUSTOMS/2026/K-{number}", target="SG-CUSTOMS/2026/K-1", core=core)


async def after(stage: Stage, going: Mapping[str, str]) -> None:
    """When the facts have turned, without a restart and without a new bundle."""
    stage.report.title("The agreement with Japan has ended, a member has left the operation and one has joined, Korea has acceded")
    named = await stage.publish("TH-CUSTOMS", to(sample_alert("TH-CUSTOMS/2026/000003", now_ms=stage.now_ms), "JP-CUSTOMS"))
    stage.line("P2", "JP-CUSTOMS", named, "core, equipment, goods, route", "receive-named")
    await stage.until("JP-CUSTOMS", going["named"], 2)
    stage.report.say("     the persons of the first are taken back from Japan, and the first alert from who has left")
    stage.line("P2", "JP-CUSTOMS", going["named"], "core, equipment, goods, route", "receive-named")
    await stage.until("SG-POLICE", going["first"], 2)
    stage.line("P13", "SG-POLICE", going["first"], "told to erase", "no-longer-disclosed")
    await stage.until("KR-LICENSING", going["denied"], 1)
    stage.line("P4", "KR-LICENSING", going["denied"], "core, denial, items", "receive-community")
    other = to(sample_seizure("TH-CUSTOMS/2026/S-3", now_ms=stage.now_ms), communities=["OP-LOTUS"])
    joint = await stage.publish("TH-CUSTOMS", other)
    stage.line("P13", "SG-CUSTOMS", joint, "core, equipment, goods, method", "receive-community")
    stage.line("P13", "AE-CUSTOMS", joint, "core, equipment, goods, method", "receive-community")
    stage.line("P13", "SG-POLICE", joint, "nothing", "-")
    stage.report.title("P15. CLEAR and H3: the strictest mark wins")
    marked = to(sample_alert("TH-CUSTOMS/2026/000004", now_ms=stage.now_ms), "AE-CUSTOMS", communities=["OP-LOTUS"])
    contradictory = replace(marked, tlp="CLEAR", handling="H3", handling_caveat="ask before contacting the trader")
    clear = await stage.publish("TH-CUSTOMS", contradictory)
    stage.line("P15", "SG-CUSTOMS", clear, "core, equipment, goods, route", "receive-community")


@asynccontextmanager
async def stage_of(home: Path, report: Report, entities: str) -> AsyncGenerator[Stage]:
    """Kafka, the relay, and a subscriber for each agency."""
    async with whole_exchange(home, AGENCIES, shards=2, quotas={}, entities=entities) as exchange, exchange.relaying():
        world = World(exchange.operator, {agency: exchange.member(agency) for agency in AGENCIES})
        await world.watch.start()
        try:
            yield Stage(world, report)
        finally:
            await world.close()


async def story(folder: Path, report: Report) -> None:
    """All of it. ``report`` holds what did not hold."""
    turn = datetime.now(UTC) + timedelta(seconds=SPAN_S)
    async with stage_of(folder / "home", report, facts(turn)) as stage:
        report.say(f"facts turn at {turn.isoformat(timespec='seconds')}")
        going = await before(stage)
        report.check("the facts had not turned before the first part was over", holds=datetime.now(UTC) < turn)
        await asyncio.sleep(max(0.0, (turn - datetime.now(UTC)).total_seconds()))
        await after(stage, going)
        await consent(stage)


def main() -> int:
    """The show."""
    logs.configure("error")
    began, report = time.monotonic(), Report()
    with tempfile.TemporaryDirectory(prefix="policy-show-") as folder:
        asyncio.run(story(Path(folder), report))
    return report.end(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
