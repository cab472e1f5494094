"""An exit office's check: does the licence that a declaration cites cover these goods, by what this office itself received?

The office asks nobody. It keeps the newest decision on each licence that was delivered to it, and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from broker.service.subscriber import Delivery

_IN_FORCE: Final = ("GRANT", "AMEND", "REINSTATE")
_STOPPED: Final = {"SUSPEND": "suspended", "REVOKE": "revoked", "ANNUL": "annulled", "EXPIRE": "expired", "EXHAUST": "used up"}
_INSTRUCTIONS: Final = {
    "RELEASE": "let a shipment that is already moving go on", "HOLD": "hold a shipment that is already moving",
    "RETURN": "send a shipment that is already moving back", "CONTACT": "ask the authority about a shipment that is already moving",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an exporter declares, as far as a licence goes. ``mrn`` is the declaration's number."""

    mrn: str
    authority: str
    licence_no: str
    hs_code: str
    destination: str
    exporter: str
    consignee: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer: ``verdict`` valid, stop or unknown; ``instruction`` of the authority; ``reasons`` in words."""

    verdict: str
    instruction: str
    reasons: tuple[str, ...]
    source: Delivery | None


class ExitOffice:
    """Keeps what was delivered about licences, as a subscriber's handler gives it, and checks declarations against it."""

    def __init__(self) -> None:
        self._licences: dict[tuple[str, str], Delivery] = {}

    def take(self, delivery: Delivery) -> None:
        """Keep a licence decision if it is newer than the one held."""
        if delivery.family != "licence":
            return
        number = (delivery.originator, str(delivery.sections["core"]["licence_no"]))
        held = self._licences.get(number)
        if held is None or held.revision < delivery.revision:
            self._licences[number] = delivery

    def check(self, declaration: Declaration, now_ms: int) -> Standing:
        """Whether the goods may leave. ``now_ms``: Unix milliseconds."""
        held = self._licences.get((declaration.authority, declaration.licence_no))
        if held is None:
            return Standing("unknown", "CONTACT", ("no decision on this licence was delivered to this office",), None)
        core = held.sections["core"]
        decision = str(core["decision_type"])
        if decision not in _IN_FORCE:
            instruction = str(core["shipments_in_transit_instruction"] or "CONTACT")
            state = _STOPPED.get(decision, decision.lower())
            return Standing("stop", instruction, (f"the licence is {state}", _INSTRUCTIONS[instruction]), held)
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        against = [*_outside(core, declaration, now), *_not_covered(held.sections, declaration)]
        if against:
            return Standing("stop", "HOLD", tuple(against), held)
        until = core["expires_at"]
        in_time = "in force without end" if until is None else f"in force until {until:%d %B %Y}"
        return Standing("valid", "", (in_time, "goods, destination, exporter and consignee are those declared"), held)


def _outside(core: dict[str, Any], declaration: Declaration, now: datetime) -> list[str]:
    found: list[str] = []
    if now < core["effective_at"]:
        found.append("the licence is not in force yet")
    if core["expires_at"] is not None and core["expires_at"] <= now:
        found.append("the licence has expired")
    if declaration.destination not in core["destinations"]:
        found.append(f"the licence is not for {declaration.destination}")
    return found


def _not_covered(sections: dict[str, dict[str, Any]], declaration: Declaration) -> list[str]:
    """Goods and parties; a section that was not disclosed cannot be compared, and that is against it."""
    items, parties = sections.get("items"), sections.get("parties")
    found: list[str] = []
    if items is None or parties is None:
        return ["goods or parties of the licence were not disclosed to this office"]
    if not any(declaration.hs_code in item["hs_codes"] for item in items["items"]):
        found.append(f"the licence does not cover goods of HS {declaration.hs_code}")
    for role in ("exporter", "consignee"):
        named = parties[role]
        if named is None or named["name"] != getattr(declaration, role):
            found.append(f"the {role} is not the one on the licence")
    return found
