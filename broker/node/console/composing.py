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


def alert(node: AgencyNode, fields: Fields) -> Json | Refusal:
    """An alert."""
    header = _header(fields)
    if isinstance(header, Refusal):
        return header
    deadline = one(fields, "decision_deadline")
    core = _filled(
        alert_type=one(fields, "alert_type"), risk_category=one(fields, "risk_category"),
        requested_actions=fields.get("requested_actions", []),
        indicators=[_filled(code=one(fields, "indicator"), text=one(fields, "indicator_text"))] if one(fields, "indicator") else [],
        decision_deadline=time_of(deadline) if deadline else "", deadline_anchor=one(fields, "deadline_anchor") if deadline else "",
        transport_mode=one(fields, "transport_mode"),
        documents=[_filled(type=one(fields, "document_type") or "705", id=one(fields, "document"))] if one(fields, "document") else [],
        licence_refs=[_filled(authority=one(fields, "authority"), licence_no=one(fields, "licence_no"), resolved=False)]
        if one(fields, "licence_no")
        else [],
    )  # fmt: skip
    core.setdefault("indicators", [])
    core.setdefault("requested_actions", [])
    goods = _filled(hs_code=one(fields, "hs_code"), description=one(fields, "description"))
    party = _filled(role=one(fields, "party_role"), name=one(fields, "party"), person_type="2")
    sections = _filled(
        core=core, equipment={"units": [{"id": each} for each in listed(one(fields, "containers"))]} if one(fields, "containers") else {},
        goods={"items": [goods | {"hs_edition": 2022}]} if goods else {}, parties={"parties": [party]} if one(fields, "party") else {},
        grounds=_filled(narrative=one(fields, "narrative")),
    )  # fmt: skip
    subject = one(fields, "subject")
    return {"family": "alert", "subject": subject, "revision": _next(node, subject), "header": header, "sections": sections}


def licence(node: AgencyNode, fields: Fields) -> Json | Refusal:
    """A decision about a licence of this agency's. Where its number is known here, it is the next revision of the same subject."""
    header, at = _header(fields), one(fields, "effective_at")
    if isinstance(header, Refusal):
        return header
    begun = int(one(fields, "begun")) if one(fields, "begun").isascii() and one(fields, "begun").isdigit() else node.now_ms()
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
