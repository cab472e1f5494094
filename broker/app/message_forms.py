"""Messages, outcomes and deliveries as JSON values: what ``--json`` prints and what a node answers over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker.envelope.header import Header
from broker.envelope.receipt import Receipt
from broker.errors import Finding, Refusal
from broker.exchange.use import Withheld
from broker.families.message import Message
from broker.families.message_json import message_from_json
from broker.policy.model import Distribution, Verdict
from broker.schema import json_form
from broker.schema.catalogue import Catalogue
from broker.service.publisher import Handle
from broker.service.subscriber import Delivery
from broker.values import iso


def message_of(value: object, catalogue: Catalogue) -> Message | Refusal:
    """A message from its JSON form, its sections as records of the current schemas."""

    def section(family: str, name: str, content: object) -> dict[str, Any] | Refusal:
        schema = catalogue.current(family, name)
        return {} if schema is None else json_form.from_json(schema, content)

    return message_from_json(value, section)


def findings_json(*sources: Sequence[Finding]) -> list[dict[str, str]]:
    """Findings of publisher and relay, each code and path once: the two may have other code lists, and mostly say the same."""
    told: dict[tuple[str, str], Finding] = {}
    for finding in (finding for source in sources for finding in source):
        told.setdefault((finding.code, finding.path), finding)
    return [{"severity": each.severity, "code": each.code, "path": each.path, "reason": each.reason} for each in told.values()]


def refused_json(message: Message | None, refusal: Refusal) -> dict[str, Any]:
    """The outcome of a message that was refused before it was sent."""
    return {
        "message_id": None, "subject": message.subject if message else None, "revision": message.revision if message else None,
        "outcome": "refused", "code": refusal.code, "step": refusal.step, "path": refusal.path, "reason": refusal.reason,
        "advice": refusal.advice, "findings": [], "recipients": [],
    }  # fmt: skip


def answered_json(handle: Handle, receipt: Receipt) -> dict[str, Any]:
    """The outcome of a message that the relay answered."""
    return receipt_json(handle.message_id, receipt, handle.findings)


def receipt_json(message_id: str, receipt: Receipt, remarks: Sequence[Finding] = ()) -> dict[str, Any]:
    """The relay's answer to a message; ``remarks`` are the publisher's own findings."""
    accepted = receipt.outcome == "ACCEPTED"
    return {
        "message_id": message_id, "subject": receipt.subject, "revision": receipt.revision,
        "outcome": "accepted" if accepted else "quarantined", "code": receipt.code or None, "step": receipt.step or None,
        "path": receipt.path, "reason": receipt.reason, "advice": receipt.advice, "admitted_at": iso(receipt.admitted_at),
        "findings": findings_json(remarks, receipt.findings),
        "recipients": [
            {"agency": r.agency, "rule": r.rule, "sections": list(r.sections), "withheld": list(r.withheld), "withdrawn": r.withdrawn}
            for r in receipt.recipients
        ],
    }  # fmt: skip


def previewed_json(message: Message, verdict: Verdict, distribution: Distribution, findings: Sequence[Finding]) -> dict[str, Any]:
    """What a dry run has to say."""
    recipients = [
        {
            "agency": release.agency, "rule": release.rule, "sections": [name for name, _ in release.given],
            "withheld": [name for name, _ in release.withheld], "withdrawn": not release.given,
            "rules": dict((*release.given, *release.withheld)),
        }
        for release in distribution.releases
    ]  # fmt: skip
    return {
        "message_id": None, "subject": message.subject, "revision": message.revision,
        "outcome": "would be accepted" if verdict.allowed else "refused", "code": None if verdict.allowed else "MAY_NOT_PUBLISH",
        "step": None if verdict.allowed else 9, "reason": "" if verdict.allowed else verdict.reason, "advice": "",
        "rule": verdict.rules[0] if verdict.rules else None, "findings": findings_json(findings),
        "recipients": recipients if verdict.allowed else [],
        "denied": [{"agency": d.agency, "rule": d.rule, "reason": d.reason} for d in distribution.denials] if verdict.allowed else [],
    }  # fmt: skip


def header_json(header: Header) -> dict[str, Any]:
    """The labels of a delivered message as ``--json`` shows them."""
    routing, grades = header.routing, header.evaluation
    return {
        "urgency": header.urgency, "tlp": header.tlp.replace("_", "+"), "handling": header.handling,
        "handling_caveat": header.handling_caveat, "pap": header.pap,
        "evaluation": {"source": grades.source, "information": grades.information} if grades else None,
        "purposes": list(header.purposes), "legal_basis": header.legal_basis, "onward": header.onward,
        "evidential_use": header.evidential_use, "retention": header.retention, "valid_from": iso(header.valid_from),
        "valid_until": iso(header.valid_until), "embargo_until": iso(header.embargo_until), "language": header.language,
        "routing": {
            "countries": [{"country": country, "role": role} for country, role in routing.countries],
            "hs_chapters": list(routing.hs_chapters), "category": routing.category, "free_zone": routing.free_zone,
        },
        "stream": header.stream.hex(), "seq": header.seq,
    }  # fmt: skip


def delivery_json(delivery: Delivery, catalogue: Catalogue) -> dict[str, Any]:
    """A delivery as ``--json`` shows it."""
    sections: dict[str, Any] = {}
    for name, record in delivery.sections.items():
        schema = catalogue.current(delivery.family, name)
        if schema is not None:
            sections[name] = json_form.to_json(schema, record)
    return {
        "message_id": delivery.message_id, "family": delivery.family, "originator": delivery.originator, "subject": delivery.subject,
        "revision": delivery.revision, "issued_at": iso(delivery.issued_at_ms), "header": header_json(delivery.header),
        "sections": sections, "withheld": sorted(delivery.withheld), "withheld_by": delivery.withheld, "rule": delivery.slip.rule,
        "admitted_at": iso(delivery.slip.admitted_at), "redelivered": delivery.redelivered, "taken_back": delivery.taken_back,
        "verified": True,
    }  # fmt: skip


def withheld_json(withheld: Withheld, purpose: str | None) -> dict[str, Any]:
    """A message that is not shown for this purpose, as ``--json`` tells it."""
    return {
        "message_id": withheld.message_id, "family": withheld.family, "originator": withheld.originator, "subject": withheld.subject,
        "issued_at": iso(withheld.issued_at), "admitted_at": iso(withheld.admitted_at), "valid_until": iso(withheld.valid_until),
        "withheld_here": withheld.rule, "purpose": purpose, "reason": withheld.reason,
    }  # fmt: skip
