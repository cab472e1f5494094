"""Messages for the register's tests, and the schemas they pass through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

from broker.families.message import Message
from broker.register.rows import Delivered
from broker.schema.catalogue import Catalogue
from broker.storage.schemas import load_catalogue
from broker.testing.sample_answers import sample_ack, sample_licence_usage, sample_recall
from broker.testing.sample_reports import moment, sample_licence, sample_seizure
from broker.testing.samples import START_MS, sample_alert
from tests.support.deliveries import delivered

NOW = START_MS
DAY = 86_400_000
NUMBER = "2026-0815"


@cache
def schemas() -> Catalogue:
    """The shipped schemas, compiled once."""
    return load_catalogue()


def put(message: Message, *, at: int = NOW, **how: Any) -> Delivered:
    """The message as it is delivered."""
    return delivered(message, at=at, catalogue=schemas(), **how)


def changed(message: Message, section: str, **fields: Any) -> Message:
    """The message with other fields in one section."""
    return replace(message, sections={**message.sections, section: {**message.sections[section], **fields}})


def decision(decision_type: str, revision: int, *, subject: str = "DE-BAFA/2026/L-0815", number: str = NUMBER, **core: Any) -> Message:
    """A decision on the sample licence."""
    more: dict[str, Any] = {"decision_type": decision_type, "licence_no": number, "authority": subject.partition("/")[0]}
    if decision_type in ("SUSPEND", "REVOKE", "ANNUL"):
        more["shipments_in_transit_instruction"] = "HOLD"
    return changed(replace(sample_licence(subject), revision=revision), "core", **more, **core)


def citing(
    number: int = 1,
    *,
    owner: str = "SG-CUSTOMS",
    revision: int = 1,
    licence: str = NUMBER,
    authority: str = "DE-BAFA",
    container: str = "CSQU3054383",
) -> Message:
    """An alert that cites a licence and names a container."""
    message = sample_alert(f"{owner}/2026/{number:06}", revision=revision)
    message = changed(message, "core", licence_refs=[{"authority": authority, "licence_no": licence, "resolved": False}])
    return with_container(message, container)


def with_container(message: Message, container: str) -> Message:
    """The alert with another container."""
    units = [{**unit, "id": container} for unit in message.sections["equipment"]["units"]]
    return changed(message, "equipment", units=units)


def used(number: int, quantity: int, *, line: int = 1, unit: str = "H87", revision: int = 1, cancelled: bool = False) -> Message:
    """A write-off of the sample licence."""
    message = replace(sample_licence_usage(f"DE-CUSTOMS/2026/U-{number}"), revision=revision)
    (row,) = message.sections["core"]["lines"]
    lines = [{**row, "line": line, "quantity": Decimal(quantity), "unit": unit, "cancelled": cancelled}]
    return changed(message, "core", lines=lines)


def zone_event(
    number: int, direction: str, *, day: int, container: str = "MSKU9070323", zone: str = "AEJEA-01", mode: str = "SEA"
) -> Message:
    """A report of a container at a free zone's gate, ``day`` days from now."""
    message = changed(
        sample_seizure(f"AE-CUSTOMS/2026/S-{number}"), "core", direction=direction, free_zone_code=zone, occurred_at=moment(NOW, days=day)
    )
    units: list[dict[str, Any]] = [{"id": container, "observed_raw": None, "size_type": None, "fullness": None, "seals": []}]
    conveyances = [
        {
            "mode": mode,
            "imo": None,
            "name": "X",
            "flag": None,
            "voyage": None,
            "flight": None,
            "flight_date": None,
            "wagon": None,
            "plate": None,
        }
    ]
    return changed(message, "equipment", units=units, conveyances=conveyances)


def recalled(subject: str, revision: int) -> Message:
    """A recall of a subject."""
    return replace(sample_recall(subject), revision=revision)


def acknowledged(target: str, revision: int = 1, *, subject: str = "AE-CUSTOMS/2026/A-1") -> Message:
    """This agency's acknowledgement."""
    return sample_ack(subject, target=target, target_revision=revision)


def codes(flags: Sequence[Any]) -> list[str]:
    """The codes of flags."""
    return [flag.code for flag in flags]
