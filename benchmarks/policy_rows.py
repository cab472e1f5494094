"""What the row ``policy`` is measured with: bundles of six and of six hundred rules that decide alike, members, and alerts.

The six are shipped ones; the six hundred are all that ship and generated ones, valid and of the usual shape, that name communities and
agencies which none of the messages concerns.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Final

from benchmarks.sides.side import Meter, Result, Spec
from broker.families.message import Message
from broker.ids import KINDS
from broker.policy.bundle import Bundle
from broker.policy.model import Labels, Member
from broker.policy.source import split
from broker.storage.policies import read_policies
from broker.testing.local import LocalExchange
from broker.testing.samples import START_MS, sample_alert

OWNER: Final = "SG-CUSTOMS"
RECIPIENTS: Final = ("AE-CUSTOMS", "MY-CUSTOMS", "TH-CUSTOMS")
SIX: Final = ("publish-customs", "receive-named", "read-core", "read-shipment", "read-parties-customs", "stop-suspended")
MANY: Final = 600
CHUNK: Final = 250
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def shipped() -> Bundle:
    """All that ships."""
    texts = read_policies()
    return Bundle.from_texts(1, texts.schema, texts.policies)


def six() -> Bundle:
    """What an alert to named customs needs."""
    texts = read_policies()
    rules = [each.text for name, text in texts.policies.items() for each in split(name, text) if each.rule in SIX]
    return Bundle.from_texts(1, texts.schema, {"six.cedar": "\n".join(rules)})


def six_hundred() -> Bundle:
    """All that ships, and as many more as make :data:`MANY`: reading by communities, and prohibitions for single agencies."""
    texts = read_policies()
    have = sum(len(re.findall(r"^@id\(", text, re.MULTILINE)) for text in texts.policies.values())
    return Bundle.from_texts(
        1, texts.schema, {**texts.policies, "more.cedar": "\n".join(_generated(number) for number in range(MANY - have))}
    )


def _generated(number: int) -> str:
    head = f'@id("made-{number}") @title("Made rule {number}") @basis("benchmark")\n'
    if number % 4 == 3:
        return head + (
            f'forbid (principal == Agency::"XX-MADE{number}", action in Action::"disclose", resource)\n'
            'when { resource.family == Family::"alert" && [Tlp::"AMBER", Tlp::"RED"].contains(resource.tlp) };'
        )
    return head + (
        f'permit (principal in Community::"MADE-{number}", action in [Action::"read:value", Action::"read:parties"], resource)\n'
        'when { [Kind::"customs", Kind::"licensing"].contains(principal.kind) && '
        '[Family::"alert", Family::"licence"].contains(resource.family)'
        f' && resource.audienceCommunities.contains(Community::"MADE-{number}") }};'
    )


def everybody(count: int) -> dict[str, Member]:
    """So many members of 186 countries and nine kinds, a quarter of them in one community; those that take part come first."""
    found = {agency: Member(agency, agency[:2], "customs", (), False) for agency in (OWNER, *RECIPIENTS)}
    countries = [first + second for first, second in product(_LETTERS, _LETTERS)][:186]
    for number in range(count - len(found)):
        kind, country = KINDS[number % len(KINDS)], countries[number % len(countries)]
        agency = f"{country}-B{number}"
        found[agency] = Member(agency, country, kind, ("STCE-ASEAN",) if number % 4 == 0 else (), False)
    return found


def labels(count: int) -> Iterator[Labels]:
    """Labels of alerts, no two alike: a route through four countries, named agencies and a community."""
    countries = [first + second for first, second in product(_LETTERS, _LETTERS)][:186]
    for number in range(count):
        route = tuple((countries[(number * 7 + step * 31) % 186], role) for step, role in enumerate(("ORIGIN", "TRANSIT", "DESTINATION")))
        yield Labels(
            family="alert", originator=OWNER, tlp=("GREEN", "AMBER")[number % 2], handling="H0", pap=None, urgency="ROUTINE",
            onward="CONSENT", purposes=("STC_ENFORCEMENT",), legal_basis="UNSCR1540", countries=route, hs_chapters=("84",),
            category="DUAL_USE", free_zone=None, sections=("core", "goods", "equipment", "route", "parties", "grounds", "source", "value"),
            audience_agencies=(RECIPIENTS[number % 3],), audience_communities=("STCE-ASEAN",) if number % 5 else (),
            audience_countries=(countries[number % 186],), valid_until_ms=None, embargo_until_ms=None,
        )  # fmt: skip


def alerts(count: int) -> Iterator[Message]:
    """Alerts in 54 kinds as policy sees them, the usual case of traffic: most decisions are remembered."""
    kinds = list(product(("CLEAR", "GREEN", "AMBER"), (None, "GREEN", "AMBER"), RECIPIENTS, ("ROUTINE", "PRIORITY")))
    for number in range(count):
        tlp, pap, agency, urgency = kinds[number % len(kinds)]
        alert = sample_alert(f"{OWNER}/2026/{number:06d}", now_ms=START_MS, agencies=(agency,))
        yield replace(alert, tlp=tlp, pap=pap, urgency=urgency)


async def relayed(spec: Spec, bundle: Bundle) -> Result:
    """One relay worker over an exchange in memory, from a full outbox: everything that it does but Kafka."""
    async with LocalExchange(bundle=bundle) as exchange:
        for agency in (OWNER, *RECIPIENTS):
            await exchange.join(agency, "customs")
        await exchange.stop_relay()
        publisher = await exchange.agencies[OWNER].publisher()
        waiting = list(alerts(spec.total))
        for at in range(0, spec.total, CHUNK):
            await asyncio.gather(*(publisher.publish(each) for each in waiting[at : at + CHUNK]))
        meter, begun = Meter(spec), 0
        await exchange.start_relay()
        relay = exchange.relay
        while relay is not None and (done := relay.totals.get("accepted", 0)) < spec.total:
            if not meter.running and done >= spec.warm:
                begun = done
                meter.start()
            await asyncio.sleep(0.001)
        meter.stop()
        return meter.result(spec.total - begun)
