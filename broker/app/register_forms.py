"""What a register answers, as JSON values: what ``--json`` prints and what a node answers over HTTP."""

from __future__ import annotations

from typing import Any

from broker.app.register import Freshness
from broker.exchange.trace import ACK, FEEDBACK, RECALL_REPLY, Said, Sent, Trace
from broker.register.answers import LicenceAnswer, SubjectAnswer
from broker.register.licences import Balance, quantity_text
from broker.register.rows import Flag
from broker.values import iso


def freshness_json(freshness: Freshness) -> dict[str, Any]:
    """How old an answer is."""
    return {"as_of": iso(freshness.as_of), "reachable": freshness.reachable, "note": freshness.note or None}


def flag_json(flag: Flag) -> dict[str, Any]:
    """A flag as ``--json`` shows it."""
    return {
        "code": flag.code, "about": flag.about, "subjects": [flag.subject, *flag.others], "tell": list(flag.addressees), "text": flag.text,
        "instruction": flag.instruction, "since": iso(flag.since), "until": iso(flag.ends_at),
    }  # fmt: skip


def _item_json(balance: Balance) -> dict[str, Any]:
    item = balance.item
    return {
        "line": item.line, "unit": item.unit, "granted": quantity_text(item.granted), "used": quantity_text(balance.used),
        "remaining": quantity_text(balance.remaining), "control_codes": list(item.control_codes), "hs_codes": list(item.hs_codes),
        "description": item.description,
    }  # fmt: skip


def licence_json(answer: LicenceAnswer) -> dict[str, Any]:
    """A licence as ``--json`` shows it."""
    row = answer.licence
    return {
        "licence_no": row.licence_no, "authority": row.authority, "licence_type": row.licence_type, "status": answer.status,
        "in_force": answer.in_force, "decision": row.decision, "instruction": row.instruction, "effective_at": iso(row.effective_at),
        "published_at": iso(row.published_at), "expires_at": iso(row.expires_at), "destinations": list(row.destinations),
        "items": None if answer.items is None else [_item_json(each) for each in answer.items],
        "subject": answer.subject, "revision": answer.revision, "admitted_at": iso(answer.admitted_at),
        "flags": [flag_json(flag) for flag in answer.flags], "withheld": list(answer.withheld),
    }  # fmt: skip


def subject_json(answer: SubjectAnswer) -> dict[str, Any]:
    """A subject as ``--json`` shows it."""
    row = answer.row
    return {
        "subject": row.subject, "revision": row.revision, "family": row.family, "originator": row.originator, "message_id": row.message_id,
        "live": answer.live, "issued_at": iso(row.issued_at), "admitted_at": iso(row.admitted_at), "valid_until": iso(row.valid_until),
        "urgency": row.urgency, "tlp": row.tlp.replace("_", "+"), "handling": row.handling, "sections": answer.content,
        "withheld": row.withheld.split(), "flags": [flag_json(flag) for flag in answer.flags],
        "links": [{"kind": kind, "subject": subject, "code": note or None} for kind, subject, note in answer.links],
    }  # fmt: skip


def trace_json(subject: str, trace: Trace) -> dict[str, Any]:
    """One recipient of a subject."""
    return {
        "subject": subject, "agency": trace.agency, "deliveries": [_sent_json(sent) for sent in trace.sent],
        "acks": [_said_json(each) for each in trace.said if each.kind == ACK],
        "feedback": [_said_json(each) for each in trace.said if each.kind == FEEDBACK],
        "recall_answers": [_said_json(each) for each in trace.said if each.kind == RECALL_REPLY],
        "other": [_said_json(each) | {"kind": each.kind} for each in trace.said if each.kind not in (ACK, FEEDBACK, RECALL_REPLY)],
    }  # fmt: skip


def _sent_json(sent: Sent) -> dict[str, Any]:
    return {
        "revision": sent.revision, "admitted_at": iso(sent.admitted_at), "sections": list(sent.sections), "withheld": list(sent.withheld),
        "withdrawn": sent.withdrawn, "rule": sent.rule, "withheld_by": dict(zip(sent.withheld, sent.withheld_by, strict=False)),
        "policy_version": sent.policy_version, "directory_version": sent.directory_version,
    }  # fmt: skip


def _said_json(said: Said) -> dict[str, Any]:
    return {"code": said.code, "revision": said.revision, "at": iso(said.at_ms), "reason": said.reason, "subject": said.subject}
