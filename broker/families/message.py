"""A message as its publisher thinks of it: labels, audience, sections; no bytes, no signature, no sequence.

``message_id``, ``originator``, ``stream``, ``seq``, ``issued_at``, the routing labels and the commitments are filled in by the
publisher service. Times are Unix milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, TypedDict, cast

from broker.values import Correlation, Evaluation, immutable

Sections = Mapping[str, Mapping[str, Any]]
"""Section name to record: what the typed dictionaries of the family modules describe, and what the Avro codec takes."""

URGENCIES: Final = ("FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE")
HANDLING: Final = ("H0", "H1", "H2", "H3")
TLP: Final = ("CLEAR", "GREEN", "AMBER", "AMBER_STRICT", "RED")
PAP: Final = ("CLEAR", "GREEN", "AMBER", "RED")
SOURCE_GRADES: Final = ("A", "B", "C", "X")
INFORMATION_GRADES: Final = ("I1", "I2", "I3", "I4")
ONWARD: Final = ("NONE", "CONSENT", "SAME_PURPOSE_NATIONAL", "FREE")
RETENTION: Final = ("R30D", "R1Y", "R3Y", "R5Y", "R10Y", "CASE")
PURPOSES: Final = (
    "STC_ENFORCEMENT", "CUSTOMS_SECURITY", "LICENSING", "PROLIF_PREVENTION", "STATISTICS", "CRIM_INVEST", "TRAINING",
)  # fmt: skip
"""Closed vocabularies of the header (domain dictionary 2.1 and 3.1), spelt as the symbols of ``schemas/header/v1/header.avsc``."""


@immutable
class Audience:
    """Whom the originator wants to reach; recipients never see it. Policy still decides who may receive."""

    agencies: tuple[str, ...] = ()
    communities: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()

    def record(self) -> dict[str, list[str]]:
        """The ``audience`` section (``schemas/audience/v1/audience.avsc``)."""
        return {"agencies": list(self.agencies), "communities": list(self.communities), "countries": list(self.countries)}


def audience_of(record: Mapping[str, object]) -> Audience:
    """The audience from its decoded section: lists of text under the three names."""
    lists = cast("Mapping[str, list[str]]", record)
    return Audience(tuple(lists["agencies"]), tuple(lists["communities"]), tuple(lists["countries"]))


@immutable
class Message:
    """The publisher's typed input. Nothing is checked here: see :func:`broker.families.catalogue.check`.

    Defaults are the cautious choice where the domain gives one: TLP AMBER, onward use only with consent, no evidential use,
    five years of retention, and as legal basis the duty that binds every state, UN Security Council resolution 1540.
    ``sections`` holds all sections but ``audience``.
    """

    family: str
    subject: str
    sections: Sections
    audience: Audience = field(default_factory=Audience)
    revision: int = 1
    urgency: str = "ROUTINE"
    handling: str = "H0"
    handling_caveat: str | None = None
    tlp: str = "AMBER"
    pap: str | None = None
    evaluation: Evaluation | None = None
    purposes: tuple[str, ...] = ("STC_ENFORCEMENT",)
    legal_basis: str = "UNSCR1540"
    onward: str = "CONSENT"
    evidential_use: bool = False
    retention: str = "R5Y"
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    embargo_until_ms: int | None = None
    language: str | None = None
    correlation: Correlation = field(default_factory=Correlation)


class LabelArguments(TypedDict, total=False):
    """Keyword arguments that every family's builder passes on to :class:`Message`; what is left out takes Message's default."""

    revision: int
    urgency: str
    handling: str
    handling_caveat: str | None
    tlp: str
    pap: str | None
    evaluation: Evaluation | None
    purposes: tuple[str, ...]
    legal_basis: str
    onward: str
    evidential_use: bool
    retention: str
    valid_from_ms: int | None
    embargo_until_ms: int | None
    language: str | None
    correlation: Correlation
