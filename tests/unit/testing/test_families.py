"""A message of every family goes through a whole exchange in memory; what is bad is refused where its sender can mend it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from broker.errors import Refusal, RefusedError
from broker.families.catalogue import FAMILIES
from broker.families.message import Audience, Message
from broker.families.message_json import message_from_json, message_to_json
from broker.ids import owner_of
from broker.schema.json_form import from_json, read_json, to_json
from broker.schema.limits import ITEM_LIMIT
from broker.storage.schemas import load_catalogue
from broker.testing.local import LocalExchange
from broker.testing.sample_answers import SAMPLES, sample_feedback, sample_licence_usage
from broker.testing.sample_reports import sample_licence
from broker.testing.samples import sample_alert
from tests.unit.families.samples import changed

KINDS = {"SG-CUSTOMS": "customs", "AE-CUSTOMS": "customs", "DE-CUSTOMS": "customs", "DE-BAFA": "licensing", "FR-SBDU": "licensing"}
ADDRESSED = {"licence": "DE-CUSTOMS", "seizure": "SG-CUSTOMS"}
"""Whom the samples go to that name nobody."""
CATALOGUE = load_catalogue()


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[LocalExchange]:
    async with LocalExchange() as running:
        for agency, kind in KINDS.items():
            await running.join(agency, kind)
        yield running


def sample(family: str) -> Message:
    message = SAMPLES[family]()
    return replace(message, audience=Audience((ADDRESSED[family],))) if family in ADDRESSED else message


def read_section(family: str, name: str, value: object) -> Any:
    schema = CATALOGUE.current(family, name)
    assert schema is not None
    return from_json(schema, value)


def file_of(message: Message) -> str:
    """The message as a file for ``broker publish``."""

    def written(family: str, name: str, record: Any) -> object:
        schema = CATALOGUE.current(family, name)
        assert schema is not None
        return to_json(schema, record)

    return json.dumps(message_to_json(message, written))


# A recall is a move in the life of a subject of another family, a chunk goes with the message that cites it: both are tested with those.
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("recall", "attachment")])
async def test_every_family_reaches_the_agency_that_it_names(exchange: LocalExchange, family: str) -> None:
    """From a JSON file through the relay to the addressee: accepted without a refusal, every section that policy gives intact."""
    message = message_from_json(read_json(file_of(sample(family))), read_section)
    assert isinstance(message, Message)
    assert message == sample(family)
    (addressee,) = message.audience.agencies
    receipt = await exchange.agencies[owner_of(message.subject)].publish(message)
    remarks = ["NOTHING_CONSENTED"] if family == "consent_reply" else []  # the subject of the sample was never published here
    assert (receipt.outcome, [finding.code for finding in receipt.findings]) == ("ACCEPTED", remarks)
    (delivery,) = await exchange.agencies[addressee].deliveries(1)
    assert (delivery.family, delivery.subject) == (family, message.subject)
    assert delivery.header.correlation.target == message.correlation.target
    assert set(delivery.sections) | set(delivery.withheld) == set(message.sections)
    for name, record in delivery.sections.items():
        assert record == message.sections[name]
    if family not in ("licence", "alert", "fz_warning"):
        assert not delivery.withheld
    bystanders = [agency for agency in KINDS if agency not in (addressee, owner_of(message.subject))]
    if FAMILIES[family].about != "OWN":
        assert [await exchange.agencies[agency].deliveries(1) for agency in bystanders] == [[]] * len(bystanders)


async def test_ten_thousand_items_of_goods(exchange: LocalExchange) -> None:
    """A consolidated shipment at the limit goes through whole; one item more is refused with the list's path."""
    alert = sample_alert("SG-CUSTOMS/2026/000200", agencies=["AE-CUSTOMS"])
    item = alert.sections["goods"]["items"][0]
    items = [{**item, "gross_mass_kg": Decimal(number)} for number in range(ITEM_LIMIT)]
    receipt = await exchange.agencies["SG-CUSTOMS"].publish(changed(alert, {"goods.items": items}))
    assert receipt.outcome == "ACCEPTED"
    (delivery,) = await exchange.agencies["AE-CUSTOMS"].deliveries(1)
    assert len(delivery.sections["goods"]["items"]) == ITEM_LIMIT
    with pytest.raises(RefusedError) as refused:
        await exchange.agencies["SG-CUSTOMS"].publish(changed(alert, {"goods.items": [*items, item]}))
    assert (refused.value.refusal.code, refused.value.refusal.path) == ("BAD_FIELD", "goods.items")


async def test_a_revision_that_skips_is_let_in_and_told(exchange: LocalExchange) -> None:
    """Each revision is complete, so a missing one loses nothing; the sender learns of the gap."""
    author = exchange.agencies["AE-CUSTOMS"]
    assert (await author.publish(sample_feedback())).findings == ()
    receipt = await author.publish(sample_feedback(revision=3))
    assert (receipt.outcome, [finding.code for finding in receipt.findings]) == ("ACCEPTED", ["REVISION_GAP"])


async def test_a_decision_on_somebody_elses_licence(exchange: LocalExchange) -> None:
    """Neither under the other's subject nor under one's own can an authority decide for another."""
    author = exchange.agencies["FR-SBDU"]
    for message, code, path in (
        (sample_licence(), "NOT_OWNER", "subject"),
        (sample_licence("FR-SBDU/2026/L-0815"), "BAD_FIELD", "core.authority"),
    ):
        with pytest.raises(RefusedError) as refused:
            await author.publish(message)
        assert (refused.value.refusal.code, refused.value.refusal.path) == (code, path)


async def test_who_may_not_publish_a_family_is_told(exchange: LocalExchange) -> None:
    """A licensing authority writes nothing off a licence, whosever it is."""
    with pytest.raises(RefusedError) as refused:
        await exchange.agencies["FR-SBDU"].publish(sample_licence_usage("FR-SBDU/2026/U-1"))
    assert refused.value.refusal.code == "MAY_NOT_PUBLISH"


@pytest.mark.parametrize(
    ("family", "path", "value", "at"),
    [
        ("feedback", "core.result", "FOUND", "core.result"),
        ("ack", "core.reached_at", "2026-02-30T00:00:00Z", "core.reached_at"),
        ("rfi", "core.due", None, "core.due"),
        ("entity_watch", "identity.names", [{"name": "Gulf \u202egnidarT", "name_kind": "PRIMARY"}], "identity.names[0].name"),
        ("entity_watch", "identity.names", [{"name": "Example\x07", "name_kind": "PRIMARY"}], "identity.names[0].name"),
        ("fz_warning", "core.period_from", "2026-13-01", "core.period_from"),
        ("licence_usage", "core.lines", [{"line": 1, "quantity": 1.5, "unit": "KGM"}], "core.lines[0].quantity"),
        ("licit_movement", "goods.items", [{"name": "acetone", "quantity": "1", "unit": "LTR"}], "goods.items[0].cas"),
        ("correction", "changes.changes", [{"path": "core.mrn", "old_digest": "00"}], "changes.changes[0].old_digest"),
        ("recall", "core.reason", "BECAUSE", "core.reason"),
    ],
)
def test_bad_files_are_refused_at_the_field(family: str, path: str, value: object, at: str) -> None:
    """What a person types wrong into a file is refused with the path of the field, before anything is signed."""
    content: Any = json.loads(file_of(SAMPLES[family]()))
    section, _, field = path.partition(".")
    content["sections"][section][field] = value
    refusal = message_from_json(content, read_section)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.path) == ("BAD_FIELD", at)
