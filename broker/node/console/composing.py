"""From the fields of a form to a message's JSON form: alerts, and decisions that stop or restore a licence.

What is left empty is left out; what is wrong is told by the rules that judge every message, with the field's path.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from broker.app.agency_node import AgencyNode
from broker.errors import Refusal, StoreError
from broker.node.console.file_fields import entries
from broker.node.console.repeated import filled_rows
from broker.node.console.session import one
from broker.node.console.subject import time_of
from broker.register.answers import LicenceAnswer

Fields = Mapping[str, list[str]]
Json = dict[str, Any]
_BORDER: Final[tuple[str, ...]] = ("LICENSING", "STC_ENFORCEMENT")
"""Purposes of a licence decision: those who look for it, and the border, where it flags what cites it."""
DECISIONS: Final = ("REVOKE", "SUSPEND", "ANNUL", "REINSTATE")


def fresh(node: AgencyNode, kind: str, purpose: str) -> dict[str, list[str]]:
    """What a form begins with."""
    now = f"{node.now_ms() // 60_000 * 60_000}"
    begun: dict[str, list[str]] = {
        "subject": [f"{node.agency}/{_minute(node.now_ms())[:4]}/{secrets.token_hex(5)}"],
        "purposes": [purpose],
        "urgency": ["ROUTINE"],
        "tlp": ["AMBER"],
    }
    if kind == "licence":
        return begun | {"urgency": ["IMMEDIATE"], "decision_type": ["REVOKE"], "begun": [now], "purposes": [*_BORDER]}
    return begun | {"transport_mode": ["SEA"], "requested_actions": ["HOLD"], "deadline_anchor": ["ARRIVAL"]}


def listed(text: str) -> list[str]:
    """The words of a field in which several may stand."""
    return text.replace(",", " ").replace(";", " ").upper().split()


def _filled(**values: object) -> Json:
    return {name: value for name, value in values.items() if value not in ("", None, [], {})}


def _header(fields: Fields) -> Json | Refusal:
    audience = _filled(
        agencies=listed(one(fields, "agencies")), communities=listed(one(fields, "communities")),
        countries=listed(one(fields, "to_countries")),
    )  # fmt: skip
    until = one(fields, "valid_until")
    header = _filled(
        urgency=one(fields, "urgency"), tlp=one(fields, "tlp"), purposes=list(dict.fromkeys(fields.get("purposes", []))),
        valid_until=time_of(until) if until else "",
    )  # fmt: skip
    if until and "valid_until" not in header:
        return Refusal("BAD_LABELS", "give date and time, UTC", "header.valid_until")
    return header | {"audience": audience}


ALERT_ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "indicators": ("indicator", "indicator_text"),
    "documents": ("document_type", "document"),
    "licences": ("licence_no", "authority"),
    "goods": ("hs_code", "description", "control_scheme", "control_code", "control_edition", "quantity", "unit", "gross_mass_kg"),
    "equipment": ("containers", "seals"),
    "places": ("place_role", "place_country", "locode", "place_name", "eta", "etd"),
    "conveyances": ("conveyance_mode", "imo", "conveyance_name", "voyage"),
    "parties": ("party_role", "party", "party_country", "party_id", "party_id_scheme"),
}
"""What an alert may have several of: the fields of a row, by the name of the rows."""


def alert(node: AgencyNode, fields: Fields) -> Json | Refusal:
    """An alert."""
    header = _header(fields)
    if isinstance(header, Refusal):
        return header
    deadline = one(fields, "decision_deadline")
    route = _route(fields)
    if isinstance(route, Refusal):
        return route
    core = _filled(
        alert_type=one(fields, "alert_type"), risk_category=one(fields, "risk_category"),
        requested_actions=fields.get("requested_actions", []),
        decision_deadline=time_of(deadline) if deadline else "", deadline_anchor=one(fields, "deadline_anchor") if deadline else "",
        transport_mode=one(fields, "transport_mode"),
        documents=[_filled(type=row["document_type"] or "705", id=row["document"]) for row in _rows(fields, "documents")],
        licence_refs=[
            _filled(authority=row["authority"], licence_no=row["licence_no"]) | {"resolved": False}
            for row in _rows(fields, "licences")
        ],
    )  # fmt: skip
    core["indicators"] = [_filled(code=row["indicator"], text=row["indicator_text"]) for row in _rows(fields, "indicators")]
    core.setdefault("requested_actions", [])
    files = entries(node, fields)
    if isinstance(files, Refusal):
        return files
    sections = _filled(
        core=core, attachments=_filled(files=files), equipment=_filled(units=_units(fields)), route=route,
        goods=_filled(items=[_item(row) for row in _rows(fields, "goods")]),
        parties=_filled(parties=[_party(row) for row in _rows(fields, "parties", but="party_role")]),
        grounds=_filled(narrative=one(fields, "narrative")),
    )  # fmt: skip
    subject = one(fields, "subject")
    return {"family": "alert", "subject": subject, "revision": _next(node, subject), "header": header, "sections": sections}


def _rows(fields: Fields, group: str, *, but: str = "") -> list[dict[str, str]]:
    """The rows of an alert in which anything was typed; ``but`` in a field that begins with a choice. What a row lacks is for the rules to
    tell: nothing that was typed is left out in silence."""
    return filled_rows(fields, ALERT_ROWS[group], by=[name for name in ALERT_ROWS[group] if name != but])


def _units(fields: Fields) -> list[Json]:
    """Containers with their seals; several numbers may stand in one field, and then the seals are of the last."""
    units: list[Json] = []
    for row in _rows(fields, "equipment"):
        units += [_filled(id=each) for each in listed(row["containers"]) or [""]]
        if row["seals"]:
            units[-1]["seals"] = listed(row["seals"])
    return units


def _item(row: Mapping[str, str]) -> Json:
    control = _filled(scheme=row["control_scheme"], code=row["control_code"], edition=row["control_edition"])
    return _filled(
        hs_code=row["hs_code"], hs_edition=2022, description=row["description"], quantity=row["quantity"], unit=row["unit"].upper(),
        gross_mass_kg=row["gross_mass_kg"], control_codes=[control] if row["control_code"] else [],
    )  # fmt: skip


def _party(row: Mapping[str, str]) -> Json:
    country = row["party_country"].upper()
    return _filled(
        role=row["party_role"], name=row["party"], person_type="2", id=row["party_id"], id_scheme=row["party_id_scheme"].upper(),
        address={"country": country} if country else {},
    )  # fmt: skip


def _route(fields: Fields) -> Json | Refusal:
    """Places in order, with times; the countries of the route follow from them: the first where it begins, the last where it ends."""
    places: list[Json] = []
    for number, row in enumerate(_rows(fields, "places", but="place_role")):
        locode, times = row["locode"].upper().replace(" ", ""), {name: row[name] for name in ("eta", "etd") if row[name]}
        told = {name: time_of(text) for name, text in times.items()}
        wrong = next((name for name, at in told.items() if at is None), None)
        if wrong is not None:
            return Refusal("BAD_FIELD", "give date and time, UTC", f"route.places[{number}].{wrong}")
        country = row["place_country"].upper() or locode[:2]
        places.append(_filled(role=row["place_role"] or "OTHER", country=country, locode=locode, name=row["place_name"], **told))
    named = list(dict.fromkeys(str(place["country"]) for place in places if "country" in place))
    countries = [{"country": each, "role": _role_of(number, len(named))} for number, each in enumerate(named)]
    conveyances = [
        _filled(
            mode=row["conveyance_mode"] or one(fields, "transport_mode"), imo=row["imo"], name=row["conveyance_name"], voyage=row["voyage"]
        )
        for row in _rows(fields, "conveyances", but="conveyance_mode")
    ]
    if not places and not conveyances:
        return {}
    return {"countries": countries, "places": places} | _filled(conveyances=conveyances, free_zone_code=one(fields, "free_zone").upper())


def _role_of(number: int, count: int) -> str:
    return "EXPORT" if number == 0 else "DESTINATION" if number == count - 1 else "TRANSIT"


def licence(node: AgencyNode, fields: Fields) -> Json | Refusal:
    """A decision about a licence of this agency's. Where its number is known here, it is the next revision of the same subject."""
    header, at = _header(fields), one(fields, "effective_at")
    if isinstance(header, Refusal):
        return header
    told = one(fields, "begun")
    begun = int(told) if told.isascii() and told.isdigit() and len(told) < 16 else node.now_ms()
    published = time_of(_minute(begun)) or ""
    known = _known(node, one(fields, "licence_no"))
    subject = known.subject if known else one(fields, "subject")
    core = _filled(
        decision_type=one(fields, "decision_type"), authority=node.agency,
        licence_no=known.licence.licence_no if known else one(fields, "licence_no"),
        licence_type=known.licence.licence_type if known else one(fields, "licence_type"), effective_at=time_of(at) if at else published,
        published_at=published, shipments_in_transit_instruction=one(fields, "instruction"),
    )  # fmt: skip
    if core.get("decision_type") == "ANNUL":
        core["retroactive"] = True  # an annulment holds from the beginning
    if one(fields, "final_assessment"):
        core["final_assessment"] = one(fields, "final_assessment")
    core["destinations"] = listed(one(fields, "destinations")) or (list(known.licence.destinations) if known else [])
    reason = _filled(reason_code=one(fields, "reason_code"), reason_text=one(fields, "reason_text"))
    sections = _filled(core=core, reason=reason if one(fields, "reason_code") else {})
    return {"family": "licence", "subject": subject, "revision": _next(node, subject), "header": header, "sections": sections}


def _minute(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(min(at_ms, 2**42) / 1000, UTC):%Y-%m-%dT%H:%M}"


def _known(node: AgencyNode, number: str) -> LicenceAnswer | None:
    """This agency's own licence of a number, where its register has it."""
    try:
        found = node.reader().licence(number, node.now_ms()) if number else []
    except StoreError:
        return None
    return next((each for each in found if each.licence.authority == node.agency), None)


def _next(node: AgencyNode, subject: str) -> int:
    return (node.outbox.last_revision(subject) or 0) + 1


KINDS: Final[Mapping[str, Callable[[AgencyNode, Fields], Json | Refusal]]] = {"alert": alert, "licence": licence}
"""What can be written in the console."""
