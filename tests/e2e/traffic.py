"""Publishing and subscribing between separate homes, and what must hold of it, worked out here and not asked of the product."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from tests.e2e.enrolment import SeparateHomes
from tests.e2e.program import Json, Ran, Watch, write_jsonl
from tests.support.records import Built

IDLE_S: Final = 3
"""Everything that was promised lies in the inbox already when subscribers start: after so long without a record, that was all."""
LONG_S: Final = 3600.0

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str, int | None], Watch | None]
"""Makes a watcher for a title and a total."""


def no_progress(_title: str, _total: int | None) -> Watch | None:
    """Nothing is told."""
    return None


@dataclass(frozen=True)
class Published:
    """What one agency published, and the answers."""

    agency: str
    messages: Sequence[Built]
    ran: Ran
    outcomes: Sequence[Json]


@dataclass(frozen=True)
class Subscribed:
    """What was delivered to one agency, in order."""

    agency: str
    ran: Ran
    deliveries: Sequence[Json]


def publish(homes: SeparateHomes, agency: str, messages: Sequence[Built], progress: Progress = no_progress) -> Published:
    """``broker publish`` from the agency's home."""
    file = write_jsonl(homes.program.folder / f"{agency}.jsonl", [each.message for each in messages])
    ran = homes.program.run(
        "publish", file, "--as", agency, "--home", homes.home(agency), "--json", timeout=LONG_S,
        watch=progress(f"{agency} publishes", len(messages)),
    )  # fmt: skip
    return Published(agency, messages, ran, ran.lines)


def subscribe(
    homes: SeparateHomes, agency: str, *options: str | Path, start: str = "beginning", progress: Progress = no_progress
) -> Subscribed:
    """``broker subscribe`` from the agency's home, until nothing more comes."""
    ran = homes.program.run(
        "subscribe", "--as", agency, "--home", homes.home(agency), "--json", "--from", start, "--timeout", str(IDLE_S), *options,
        timeout=LONG_S, watch=progress(f"{agency} reads", None),
    ).must()  # fmt: skip
    return Subscribed(agency, ran, ran.lines)


def in_turn_or_at_once(work: Callable[[Item], Result], items: Iterable[Item], *, at_once: bool) -> list[Result]:
    """Each item's result; all at the same time, or one after another so that each can be measured."""
    listed = list(items)
    with ThreadPoolExecutor(len(listed) if at_once else 1) as pool:
        return list(pool.map(work, listed))


_SHIPMENT: Final = frozenset(("core", "goods", "equipment", "route", "parties", "value"))
_NAMED: Final = _SHIPMENT | {"grounds", "source"}


def entitled(message: Json) -> dict[str, frozenset[str]]:
    """Who gets which sections of a message, read off the shipped policy's words by hand (for these four agencies)."""
    carried = frozenset(cast("dict[str, Any]", message["sections"]))
    if message["family"] == "licence":
        # Customs of the issuing country and of the destination: core, items and parties; value, reason and denial never.
        there = {"GB": "GB-CUSTOMS", "SG": "SG-CUSTOMS", "KR": "KR-CUSTOMS"}
        destinations = message["sections"]["core"]["destinations"]
        readers = {"GB-CUSTOMS", *(there[country] for country in destinations if country in there)}
        return {agency: carried & {"core", "items", "parties"} for agency in readers}
    audience = message["header"]["audience"]
    named = set(audience.get("agencies", []))
    if message["header"]["tlp"] in ("RED", "AMBER+STRICT"):
        return dict.fromkeys(named, carried & _NAMED)
    assert audience["communities"], message
    customs = {agency: carried & (_NAMED if agency in named else _SHIPMENT) for agency in ("GB-CUSTOMS", "SG-CUSTOMS")}
    return {**customs, "GB-LICENSING": carried & {"core", "goods"}}


@dataclass
class Account:
    """What was compared, and everything that was not as it must be."""

    accepted: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    findings: Counter[str] = field(default_factory=Counter[str])
    promised: Counter[str] = field(default_factory=Counter[str])
    delivered: Counter[str] = field(default_factory=Counter[str])
    withheld: Counter[str] = field(default_factory=Counter[str])
    duplicates: int = 0
    lost: int = 0
    revised: int = 0
    wrong: list[str] = field(default_factory=list[str])


def account_for(published: Sequence[Published], subscribed: Sequence[Subscribed]) -> Account:
    """Hold the deliveries against the receipts, and both against :func:`entitled`."""
    account = Account()
    sent: dict[tuple[str, int], Json] = {}
    promised: dict[str, dict[tuple[str, int], tuple[str, Json]]] = defaultdict(dict)
    for each in published:
        _take_outcomes(each, account, sent, promised)
    for each in subscribed:
        _take_deliveries(each, account, sent, promised[each.agency])
    readers = {each.agency for each in subscribed}
    account.wrong += [
        f"{agency} was promised {len(m)} messages and nobody read them" for agency, m in promised.items() if agency not in readers
    ]
    return account


def _take_outcomes(each: Published, account: Account, sent: dict[tuple[str, int], Json], promised: dict[str, dict[Any, Any]]) -> None:
    if len(each.outcomes) != len(each.messages):
        account.wrong.append(f"{each.agency}: {len(each.messages)} messages and {len(each.outcomes)} answers")
    for message, outcome in zip(each.messages, each.outcomes, strict=False):
        name = (message.subject, message.revision)
        account.outcomes[outcome["outcome"]] += 1
        account.findings.update(finding["code"] for finding in outcome["findings"])
        if (outcome["subject"], outcome["revision"]) != name:
            account.wrong.append(f"the answers are not in the order of the file: {outcome['subject']} for {name}")
        if outcome["outcome"] != "accepted":
            account.wrong.append(f"{name} {outcome['outcome']}: {outcome['code']} {outcome['reason']}")
            continue
        account.accepted += 1
        account.revised += message.revision > 1
        sent[name] = message.message
        expected = entitled(message.message)
        answered = {recipient["agency"]: frozenset(recipient["sections"]) for recipient in outcome["recipients"]}
        if answered != expected:
            account.wrong.append(f"{name}: the receipt discloses to {answered}, policy says {expected}")
        for recipient in outcome["recipients"]:
            account.promised[recipient["agency"]] += 1
            promised[recipient["agency"]][name] = (outcome["message_id"], recipient)


def _take_deliveries(
    each: Subscribed, account: Account, sent: dict[tuple[str, int], Json], promised: dict[tuple[str, int], tuple[str, Json]]
) -> None:
    seen_ids: set[str] = set()
    last: dict[str, int] = {}
    missing = dict(promised)
    for delivery in each.deliveries:
        name = (delivery["subject"], delivery["revision"])
        account.delivered[each.agency] += 1
        account.withheld[each.agency] += bool(delivery["withheld"])
        if delivery["message_id"] in seen_ids or (name in promised and name not in missing):
            account.duplicates += 1
            account.wrong.append(f"{each.agency} got {name} twice")
        seen_ids.add(delivery["message_id"])
        if last.get(name[0], 0) >= name[1]:
            account.wrong.append(f"{each.agency} got revision {name[1]} of {name[0]} after revision {last[name[0]]}")
        last[name[0]] = name[1]
        found = missing.pop(name, None)
        if name not in promised:
            account.wrong.append(f"{each.agency} got {name}, which no receipt tells of")
        elif found is not None:
            account.wrong += _differences(each.agency, delivery, found, sent[name])
    account.lost += len(missing)
    account.wrong += [f"{each.agency} never got {name}" for name in missing]


def _differences(agency: str, delivery: Json, promise: tuple[str, Json], sent: Json) -> list[str]:
    message_id, recipient = promise
    name = f"{delivery['subject']} revision {delivery['revision']} at {agency}"
    policy = entitled(sent).get(agency, frozenset[str]())
    wrong: list[str] = []
    if delivery["message_id"] != message_id or delivery["verified"] is not True:
        wrong.append(f"{name}: another message id, or not verified")
    if set(delivery["sections"]) != set(recipient["sections"]) or delivery["withheld"] != sorted(recipient["withheld"]):
        wrong.append(f"{name}: got {sorted(delivery['sections'])}, promised {recipient['sections']}")
    if frozenset(delivery["sections"]) != policy:
        wrong.append(f"{name}: got {sorted(delivery['sections'])}, policy says {sorted(policy)}")
    for section, content in delivery["sections"].items():
        if not holds(content, sent["sections"].get(section)):
            wrong.append(f"{name}: {section} is not what was published")
    return wrong


def holds(found: object, sent: object) -> bool:
    """Whether everything that was sent is in what was found, value by value; what was not sent is null, false or empty."""
    if isinstance(found, dict) and isinstance(sent, dict):
        arrived, given = cast("Json", found), cast("Json", sent)
        return given.keys() <= arrived.keys() and all(
            holds(value, given[name]) if name in given else value in (None, False, []) for name, value in arrived.items()
        )
    if isinstance(found, list) and isinstance(sent, list):
        rows, wanted = cast("list[object]", found), cast("list[object]", sent)
        return len(rows) == len(wanted) and all(map(holds, rows, wanted))
    return found == sent or (isinstance(found, str) and isinstance(sent, str) and _value(found) == _value(sent))


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def _value(leaf: str) -> object:
    """Two spellings of one decimal number or time are one value."""
    return Decimal(leaf) if _NUMBER.fullmatch(leaf) else leaf.replace(".000Z", "Z")
