"""What one message changes: the rows of its subject, nothing of any other.

A message without its ``core`` is the owner's word that this agency may no longer hold the subject: it has expired, or its audience
was narrowed. So is a ``recall``, which is the next revision of the subject that it recalls. Both leave the subject's own row without any
of its content, and the duty to confirm; a recall leaves what it says itself: reason, action, term.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from broker.families.rules import instant_ms, rows
from broker.register import keys
from broker.register.duties import answers_of, expired_answers
from broker.register.licences import licence_of, usages_of
from broker.register.rows import Change, Delivered, Direction, Key, LinkRow, MovementRow, SubjectRow

CORE: Final = "core"
CITING: Final = ("alert", "licit_movement")
"""Families of live shipments: what they cite is checked against the licences."""
RECALL: Final = "recall"
HIT: Final = "HIT"

_CODES: Final = ("level", "refusal_code", "result", "status", "answer", "decision")
"""Where answers have their code."""


def change_of(delivered: Delivered) -> Change:
    """The rows of a message."""
    row = _subject_row(delivered)
    core = delivered.sections.get(CORE)
    if core is None:
        ended = delivered.valid_until is not None and delivered.valid_until <= delivered.admitted_at
        return Change(_erased(row, "EXPIRED"), answers=expired_answers(delivered)) if ended else Change(_erased(row, "WITHDRAWN"))
    if delivered.family == RECALL:
        return Change(_erased(row, str(core["reason"])), content={CORE: core})
    return Change(
        subject=row,
        content=delivered.sections,
        keys=tuple(dict.fromkeys(_keys(delivered))),
        licence=licence_of(delivered),
        usages=usages_of(delivered),
        movements=tuple(dict.fromkeys(_movements(delivered))),
        links=tuple(dict.fromkeys(_links(delivered))),
        answers=answers_of(delivered),
    )


def _subject_row(delivered: Delivered) -> SubjectRow:
    return SubjectRow(
        subject=delivered.subject,
        family=delivered.family,
        originator=delivered.originator,
        revision=delivered.revision,
        counter=delivered.counter,
        leaf=delivered.leaf,
        message_id=delivered.message_id,
        issued_at=delivered.issued_at,
        admitted_at=delivered.admitted_at,
        valid_until=delivered.valid_until,
        urgency=delivered.urgency,
        tlp=delivered.tlp,
        handling=delivered.handling,
        withheld=" ".join(sorted(delivered.withheld)),
        labels=delivered.labels,
    )


def _erased(row: SubjectRow, reason: str) -> SubjectRow:
    return replace(row, state="ERASED", reason=reason, erased_at=row.admitted_at, labels="")


def plain(value: Any) -> str:
    """What JSON has no form for, as text: times and days in ISO 8601, decimals without loss, bytes in hexadecimal. Raises TypeError."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} is no value of a section")


def _keys(delivered: Delivered) -> Iterator[Key]:
    """Sections of different families name the same things alike: each is looked for in the sections that are here."""
    if delivered.family == "licence":
        return  # found by its number, in rows of its own
    sections = delivered.sections
    core, equipment = sections[CORE], sections.get("equipment")
    movements = [side for pair in rows(sections.get("movements"), "pairs") for side in (pair["inbound"], pair["outbound"]) if side]
    for holder in (equipment, *movements):
        yield from keys.equipment_keys(rows(holder, "units"))
    for holder in (core, equipment, *movements):
        if holder is not None:
            yield from keys.document_keys(rows(holder, "documents"), holder.get("mrn"), holder.get("ucr"))
    for holder in (sections.get("route"), equipment):
        for conveyance in rows(holder, "conveyances"):
            yield from keys.conveyance_keys(conveyance)
    yield from keys.party_keys(rows(sections.get("parties"), "parties"))
    yield from keys.goods_keys(rows(sections.get("goods"), "items"))
    yield from keys.licence_keys(rows(core, "licence_refs"))
    yield from keys.watch_keys(sections.get("identity"))


def _movements(delivered: Delivered) -> Iterator[MovementRow]:
    core = delivered.sections[CORE]
    if delivered.family == "seizure" and core["direction"] in ("FZ_IN", "FZ_OUT") and core.get("free_zone_code"):
        equipment = delivered.sections.get("equipment")
        modes = {conveyance.get("mode") for conveyance in rows(equipment, "conveyances")}
        direction: Direction = "IN" if core["direction"] == "FZ_IN" else "OUT"
        yield from _passages(core["free_zone_code"], equipment, direction, core["occurred_at"], modes)
    for pair in rows(delivered.sections.get("movements"), "pairs"):
        yield from _pair(core, pair["inbound"], pair["outbound"])


def _pair(core: Mapping[str, Any], inbound: Mapping[str, Any], outbound: Mapping[str, Any] | None) -> Iterator[MovementRow]:
    """Goods are followed by the container that they came in; they may leave in another one."""
    zone, modes = core["free_zone_code"], {core.get("transport_mode")}
    yield from _passages(zone, inbound, "IN", inbound["moved_at"], modes)
    if outbound is not None:
        other = sorted({key.value for key in keys.equipment_keys(rows(outbound, "units"))})
        for passage in _passages(zone, inbound, "OUT", outbound["moved_at"], modes):
            yield replace(passage, left_in="" if other in ([], [passage.container]) else " ".join(other))


def _passages(zone: str, holder: Mapping[str, Any] | None, direction: Direction, at: Any, modes: Set[Any]) -> Iterator[MovementRow]:
    """A row for each container; goods without one go by their papers."""
    mode: Literal["WATER", "AIR"] = "AIR" if modes == {"AIR"} else "WATER"
    found = [*keys.equipment_keys(rows(holder, "units"))] or [*keys.document_keys(rows(holder, "documents"))]
    for key in found:
        yield MovementRow(zone, key.value, direction, instant_ms(at) or 0, mode)


def _links(delivered: Delivered) -> Iterator[LinkRow]:
    core, method = delivered.sections[CORE], delivered.sections.get("method")
    if delivered.family == "seizure" and method is not None and method.get("alert_id"):
        yield LinkRow(HIT, method["alert_id"])
    for link in rows(core, "alert_links"):
        yield LinkRow("RELATED", link["subject"])
    if delivered.target is not None:
        code = next((core[name] for name in _CODES if core.get(name)), "")
        yield LinkRow(delivered.family.upper(), delivered.target, delivered.target_revision, str(code))
