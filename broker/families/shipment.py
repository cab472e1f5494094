"""What the families share: typed values of cargo, route, parties and source, and the rules about them.

Values are what the Avro codec takes: text, int, bool, ``Decimal``, ``date``, ``datetime`` (aware, UTC), ``bytes``; closed
vocabularies are literals spelt as in the schemas. Keys marked ``NotRequired`` may be left out (see :mod:`broker.families.completion`).
Meaning, unit and WCO id of every field: the ``doc`` of the same name under ``schemas/``.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, NotRequired, TypedDict

from broker.errors import Refusal
from broker.families.rules import Findings, bad, check_filled, check_free_zone, check_row_countries, first, found, instant_ms, rows

TransportMode = Literal["SEA", "RAIL", "ROAD", "AIR", "MAIL", "MULTIMODAL", "FIXED", "INLAND_WATER", "NOT_APPLICABLE"]
RiskCategory = Literal[
    "CBRN_N", "CBRN_C", "CBRN_B", "MISSILE", "CONV_ARMS", "DUAL_USE", "IED_PRECURSOR", "SALW", "SANCTIONS_DIVERSION", "OTHER"
]
RouteRole = Literal["ORIGIN", "EXPORT", "TRANSIT", "TRANSHIPMENT", "DESTINATION", "ZONE_HOST"]

Confidence = Literal["LOW", "MED", "HIGH"]

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


class Equipment(TypedDict):
    """The equipment section: containers and seals."""

    units: list[EquipmentUnit]


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


class RoutePlace(TypedDict):
    """A place on the route."""

    role: Literal["LOADING", "TRANSHIPMENT", "DISCHARGE", "FREE_ZONE", "OTHER"]
    country: str
    locode: NotRequired[str | None]
    name: NotRequired[str | None]
    eta: NotRequired[datetime | None]
    etd: NotRequired[datetime | None]


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


class Listing(TypedDict):
    """A hit on a sanctions or entity list."""

    list: str
    reference: str


class Image(TypedDict):
    """A picture kept outside the message."""

    digest: bytes
    size: int
    media_type: str
    reference: str


class Images(TypedDict):
    """The images section. Nominal: whoever holds a picture may be a person."""

    images: list[Image]


class Detail(TypedDict):
    """The detail section: what the core's codes do not say, in words. Nominal."""

    narrative: str
    officer: NotRequired[str | None]
    contact: NotRequired[str | None]


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


def check_route(route: Mapping[str, Any] | None, *, speaks_of_zone: bool = False) -> Refusal | None:
    """The rules of a route section: a place at least, sound countries, identified conveyances, the code of a zone that is passed.

    ``speaks_of_zone``: other fields of the section tell of a free zone, so that it needs its code.
    """
    if route is None:
        return None
    countries, places = rows(route, "countries"), rows(route, "places")
    zone = any(row.get("role") == "ZONE_HOST" for row in countries) or any(row.get("role") == "FREE_ZONE" for row in places)
    return first(
        check_filled(route, "places", "route.places"),
        check_row_countries(countries, "route.countries"),
        check_row_countries(places, "route.places"),
        check_conveyances(rows(route, "conveyances"), "route.conveyances"),
        check_free_zone(route.get("free_zone_code"), zone or speaks_of_zone, "route.free_zone_code"),
    )


def route_countries(route: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Countries with their roles for the routing labels: those listed, and those of places that add one."""
    countries = [(row["country"], row["role"]) for row in rows(route, "countries")]
    named = {country for country, _ in countries}
    for place in rows(route, "places"):
        if place["role"] == "FREE_ZONE":
            countries.append((place["country"], "ZONE_HOST"))
        elif place["role"] == "TRANSHIPMENT":
            countries.append((place["country"], "TRANSHIPMENT"))
        elif place["country"] not in named:
            countries.append((place["country"], "PLACE"))
    return countries
