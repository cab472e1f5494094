"""What screening says of a shipment: hits, each with its reason, its score and the evidence that it follows from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from broker.errors import Finding
from broker.register.rows import Key
from broker.screening.name_parts import Part
from broker.screening.shipment import Shipment
from broker.values import immutable

THRESHOLD: Final = 75
"""The score from which a hit is told, where nobody says otherwise."""

SCREENING_FINDINGS: Final[dict[str, tuple[str, str]]] = {
    "LICENCE_UNKNOWN": ("INFO", "this register has no licence of this number: ask the authority, or look at its spelling"),
    "MISSING": ("WARN", "such papers always say this: ask the declarant for it"),
}
"""Code of a finding on a shipment beside those on identifiers and codes: severity, and what to do."""


def screening_finding(code: str, path: str, reason: str = "") -> Finding:
    """The finding of this code at this place of the shipment."""
    severity, meaning = SCREENING_FINDINGS[code]
    return Finding(severity, code, path, reason or meaning)


class Subject(NamedTuple):
    """What matching has to know of a subject in the register. ``sections`` are its contents as JSON values, without what may not be used;
    ``actions`` is what its owner asks for."""

    subject: str
    revision: int
    family: str
    originator: str
    urgency: str
    sections: Mapping[str, Any]
    keys: frozenset[Key]

    @property
    def kind(self) -> str:
        """The type of an alert, else the family in capitals."""
        return str(self.sections.get("core", {}).get("alert_type") or self.family.upper())

    @property
    def actions(self) -> tuple[str, ...]:
        """What its owner asks for; to look at it where nothing is asked."""
        core = self.sections.get("core", {})
        return tuple(core.get("requested_actions") or core.get("recommended_checks") or ("ASSESS_ONLY",))


@immutable
class Evidence:
    """One thing that agrees: its kind (of the register's keys, or ROUTE, PLACE, ZONE, STATUS), how much it counts alone (0 to 100), where
    in the shipment it stands, what stands there, and what the register has. ``parts`` explain a name."""

    kind: str
    weight: int
    where: str
    given: str
    listed: str
    parts: tuple[Part, ...] = ()


@immutable
class Hit:
    """A shipment and a subject of the register that it agrees with. ``score``: 0 to 100, all evidence together."""

    subject: str
    revision: int
    family: str
    originator: str
    urgency: str
    score: int
    reason: str
    actions: tuple[str, ...]
    evidence: tuple[Evidence, ...]


@immutable
class Screened:
    """A shipment with its hits, the most certain first, and what is wrong with its papers."""

    shipment: Shipment
    hits: tuple[Hit, ...]
    findings: tuple[Finding, ...]
