"""Real records: licence lines of the United Kingdom and Korean declarations as shipments, screened against each other in a register.

No record joins the two: which declaration cites which licence, and which licences were stopped later, is built here with a seed and
counted apart.
"""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.errors import Refusal
from broker.families.message import Message
from broker.families.message_json import message_from_json
from broker.register.crossing import FLAGS
from broker.schema import json_form
from broker.storage import register_reader as look
from tests.support.alert_records import AlertBuilder
from tests.support.deliveries import Kept
from tests.support.licence_records import OWNER, LicenceBuilder
from tests.support.records import DECLARATIONS, LICENCE_LINES, Account, Built, need_data, read_rows, seeded
from tests.unit.register.scene import NOW, codes, put, schemas

DECLARED = 400
STOPPED = {3: ("SUSPEND", "SUSPENDED"), 5: ("REVOKE", "REVOKED"), 7: ("ANNUL", "ANNULLED")}


def message_of(record: dict[str, Any]) -> Message:
    """A message from its JSON form."""

    def section(family: str, name: str, content: object) -> dict[str, Any] | Refusal:
        schema = schemas().current(family, name)
        assert schema is not None
        return json_form.from_json(schema, content)

    message = message_from_json(record, section)
    assert isinstance(message, Message), message
    return message


def stopped(record: dict[str, Any], decision: str) -> dict[str, Any]:
    """The next revision of a grant: it is stopped."""
    core = record["sections"]["core"] | {
        "decision_type": decision,
        "retroactive": decision == "ANNUL",
        "shipments_in_transit_instruction": "HOLD",
    }
    return record | {"revision": 2, "sections": record["sections"] | {"core": core}}


def citing(record: dict[str, Any], number: str) -> dict[str, Any]:
    """A declaration whose papers cite a licence."""
    ref = {"authority": OWNER, "licence_no": number, "resolved": False}
    return record | {"sections": record["sections"] | {"core": record["sections"]["core"] | {"licence_refs": [ref]}}}


def test_declarations_screened_against_licences(capsys: pytest.CaptureFixture[str]) -> None:
    """Every licence is found by its number and every declaration by its goods and parties; every shipment that cites a licence which
    was refused or later stopped is flagged with that status, and no other; in whatever order all of it came."""
    folder = need_data()
    decisions = list(LicenceBuilder(folder).decisions(read_rows(folder, LICENCE_LINES)))
    builder = AlertBuilder(folder, datetime.fromtimestamp(NOW / 1000, UTC))
    declarations = [builder(row) for row in itertools.islice(read_rows(folder, DECLARATIONS), DECLARED)]
    assert len(decisions) > 100
    expected, messages = _mixed(decisions, declarations)
    order = list(range(len(messages)))
    seeded("order").shuffle(order)
    kept = Kept()
    kept.store.begin()
    for number in order:
        kept.store.register.take(put(messages[number], at=NOW))
    kept.store.commit()

    for each in decisions:
        (answer,) = kept.reader.licence(each.message["sections"]["core"]["licence_no"].lower(), NOW)
        assert answer.subject == each.subject
    for each in declarations:
        parties = each.message["sections"]["parties"]["parties"]
        conditions = [look.hs_is(each.message["sections"]["goods"]["items"][0]["hs_code"]), look.party_is(parties[0]["id"])]
        assert each.subject in [found.row.subject for found in kept.reader.find(conditions, NOW)]
    flags = [flag for flag in kept.reader.flags(NOW, 10_000) if flag.code.startswith("LICENCE_")]
    assert {flag.subject: flag.code for flag in flags} == expected
    assert set(codes(flags)) <= set(FLAGS)
    kept.close()
    with capsys.disabled():
        print(f"\nlicences: {Account.of(decisions).told()}\ndeclarations: {Account.of(declarations).told()}")
        print(f"cited by the test: {len(declarations)}; flags by code: {dict(Counter(codes(flags)))}")
        for flag in sorted(flags, key=lambda flag: flag.text)[:3]:
            print(f"  {flag.subject}: {flag.text}")


def _mixed(decisions: list[Built], declarations: list[Built]) -> tuple[dict[str, str], list[Message]]:
    """All messages, and the flag that each shipment must carry."""
    state: dict[str, str] = {}
    messages: list[Message] = []
    for number, each in enumerate(decisions):
        core = each.message["sections"]["core"]
        messages.append(message_of(each.message))
        state[core["licence_no"]] = "DENIED" if core["decision_type"] == "DENY" else "VALID"
        if core["decision_type"] == "GRANT" and number % 10 in STOPPED:
            kind, status = STOPPED[number % 10]
            messages.append(message_of(stopped(each.message, kind)))
            state[core["licence_no"]] = status
    chance, numbers, expected = seeded("cited"), sorted(state), dict[str, str]()
    for each in declarations:
        cited = chance.choice(numbers)
        messages.append(message_of(citing(each.message, cited)))
        if state[cited] != "VALID":
            expected[each.subject] = f"LICENCE_{state[cited]}"
    return expected, messages
