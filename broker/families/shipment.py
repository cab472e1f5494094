"""What alerts and seizure reports share: typed values of cargo, route, parties and source, and the rules about them.

Values are what the Avro codec takes: text, int, bool, ``Decimal``, ``date``, ``datetime`` (aware, UTC), ``bytes``; closed
vocabularies are literals spelt as in the schemas. Keys marked ``NotRequired`` may be left out (see :mod:`broker.families.completion`).
Meaning, unit and WCO id of every field: the ``doc`` of the same name under ``schemas/``.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, NotRequired, TypedDict

from broker.errors import Refusal
from broker.families.rules import Findings, bad, found, instant_ms

TransportMode = Literal["SEA", "RAIL", "ROAD", "AIR", "MAIL", "MULTIMODAL", "FIXED", "INLAND_WATER", "NOT_APPLICABLE"]
RiskCategory = Literal[
    "CBRN_N", "CBRN_C", "CBRN_B", "MISSILE", "CONV_ARMS", "DUAL_USE", "IED_PRECURSOR", "SALW", "SANCTIONS_DIVERSION", "OTHER"
]
RouteRole = Literal["ORIGIN", "EXPORT", "TRANSIT", "TRANSHIPMENT", "DESTINATION", "ZONE_HOST"]

TRANSPORT_MODE_CODES: Final[Mapping[str, str]] = {
    "SEA": "1", "RAIL": "2", "ROAD": "3", "AIR": "4", "MAIL": "5", "MULTIMODAL": "6", "FIXED": "7", "INLAND_WATER": "8",
    "NOT_APPLICABLE": "9",
}  # fmt: skip
"""UN Recommendation 19 code of each mode."""

CONVEYANCE_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "SEA": ("imo", "name"), "RAIL": ("wagon", "name"), "ROAD": ("plate",), "AIR": ("flight",), "INLAND_WATER": ("imo", "name"),
}  # fmt: skip
"""What identifies a conveyance by its mode: one of these must be given. Modes not named here need none."""

CONTROLLED: Final = ("CBRN_N", "CBRN_C", "CBRN_B", "MISSILE", "CONV_ARMS", "DUAL_USE", "SALW")
"""Risk categories that control lists stand behind."""


class ControlCode(TypedDict):
    """An entry of a control list in one edition."""

    scheme: str
    code: str
    edition: str


class LicenceRef(TypedDict):
    """A licence that the papers cite."""

    authority: str
    licence_no: str
    resolved: NotRequired[bool]


class TransportDocument(TypedDict):
    """A transport document."""

    type: str
    id: str


class EquipmentUnit(TypedDict):
    """A container or other unit, with its seals."""

    id: str
    observed_raw: NotRequired[str | None]
    size_type: NotRequired[str | None]
    fullness: NotRequired[str | None]
    seals: NotRequired[list[str]]


class Conveyance(TypedDict):
    """A means of transport."""

    mode: TransportMode
    imo: NotRequired[str | None]
    name: NotRequired[str | None]
    flag: NotRequired[str | None]
    voyage: NotRequired[str | None]
    flight: NotRequired[str | None]
    flight_date: NotRequired[date | None]
    wagon: NotRequired[str | None]
    plate: NotRequired[str | None]


class RouteCountry(TypedDict):
    """A country on the route."""

    country: str
    role: RouteRole


class Address(TypedDict):
    """A postal address."""

    street: NotRequired[str | None]
    city: NotRequired[str | None]
    postcode: NotRequired[str | None]
    region: NotRequired[str | None]
    country: str


class Party(TypedDict):
    """A person or company and its role. Nominal."""

    role: str
    name: str
    person_type: str
    id: NotRequired[str | None]
    id_scheme: NotRequired[str | None]
    lei: NotRequired[str | None]
    address: NotRequired[Address | None]
    contact: NotRequired[str | None]


class Parties(TypedDict):
    """The parties section. Nominal."""

    parties: list[Party]


class SourceReport(TypedDict):
    """The source section: where the information comes from."""

    source_type: str
    source_ref: NotRequired[str | None]
    obtained_from: NotRequired[str | None]
    obtained_at: NotRequired[datetime | None]
    original_scheme: NotRequired[str | None]
    original_code: NotRequired[str | None]
    narrative: NotRequired[str | None]


def check_conveyances(conveyances: list[Any], path: str) -> Refusal | None:
    """Refuse a conveyance that nothing identifies in its mode."""
    for number, conveyance in enumerate(conveyances):
        needed = CONVEYANCE_IDS.get(conveyance.get("mode"), ())
        if needed and not any(conveyance.get(name) for name in needed):
            names = " or ".join(needed)
            return bad(f"{path}[{number}].{needed[0]}", f"identify the conveyance by {names}, or leave it out")
    return None


def check_filled(section: Mapping[str, Any] | None, name: str, path: str) -> Refusal | None:
    """Refuse a section that is there and whose list is empty."""
    if section is not None and not section.get(name):
        return bad(path, "give at least one entry, or leave the section out")
    return None


def time_findings(places: list[Any], path: str) -> Findings:
    """A finding where a place is reached before the place ahead of it on the route was left, or left before it was reached."""
    findings: Findings = []
    left: int | None = None
    for number, place in enumerate(places):
        eta, etd = instant_ms(place.get("eta")), instant_ms(place.get("etd"))
        if eta is not None and left is not None and eta < left:
            findings.append(found("ETA_BEFORE_ETD", f"{path}[{number}].eta"))
        if eta is not None and etd is not None and etd < eta:
            findings.append(found("ETA_BEFORE_ETD", f"{path}[{number}].etd"))
        left = left if etd is None else etd
    return findings
