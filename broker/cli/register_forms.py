"""How the register's answers look: as ``--json`` shows them, and for people."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from broker.app.register import Freshness
from broker.cli.screen import iso, printable
from broker.families.clocks.duty import Duty, Escalation
from broker.register.answers import LicenceAnswer, SubjectAnswer
from broker.register.licences import CURRENT, Balance, quantity_text
from broker.register.rows import Flag


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


def moment(ms: int | None) -> str:
    """A time for people: to the second where it is a whole one; a dash where there is none."""
    return (iso(ms) or "-").replace(".000Z", "Z")


def licence_told(answer: LicenceAnswer, *, items_hidden: bool = False) -> str:
    """A licence for people; ``items_hidden``: its items are here, but not for the purpose that was given."""
    row = answer.licence
    colour = "green" if answer.status in CURRENT else "red"
    lines = [f"[bold]licence {escape(printable(row.licence_no))}[/] of {row.authority} [{colour}]{answer.status}[/]"]
    coming = "" if answer.in_force else " [yellow]to come[/]"
    place = f"[dim]{answer.subject} revision {answer.revision}[/dim]"
    lines.append(f"  {row.decision} of {moment(row.published_at)}, effective {moment(row.effective_at)}{coming}  {place}")
    if row.instruction:
        lines.append(f"  shipments in transit: [bold]{row.instruction}[/]")
    ends = f", until {moment(row.expires_at)}" if row.expires_at else ""
    lines.append(f"  to {escape(printable(', '.join(row.destinations)))}{ends}")
    for each in answer.items or ():
        what = ", ".join(part for part in (each.item.description or "", *each.item.control_codes, *each.item.hs_codes) if part)
        shown = f"  [dim]{escape(printable(what))}[/dim]" if what else ""
        lines.append(f"  line {each.item.line}: {escape(printable(_left(each)))}{shown}")
    if items_hidden:
        lines.append("  [yellow]items are not shown[/]: what was written off is not for this purpose")
    elif answer.items is None:
        lines.append("  [yellow]items are not disclosed to this agency[/]")
    return "\n".join([*lines, *(f"  {flag_told(flag)}" for flag in answer.flags)])


def _left(balance: Balance) -> str:
    left, granted, used = (quantity_text(value) for value in (balance.remaining, balance.item.granted, balance.used))
    written_off = f", {used} written off" if balance.used else ""
    return f"not limited{written_off}" if left is None else f"{left} of {granted or '?'} {balance.item.unit or ''} left{written_off}"


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


def subject_told(answer: SubjectAnswer) -> str:
    """A subject for people: what it is, what it can be found by, what is flagged."""
    row = answer.row
    core = answer.content.get("core", {})
    actions = ", ".join(core.get("requested_actions", ()))
    head = f"[bold]{escape(printable(row.subject))}[/] revision {row.revision} {row.urgency} TLP:{row.tlp.replace('_', '+')}"
    ended = "" if answer.live else " [yellow]ended[/]"
    lines = [f"{head}{ended}  [dim]admitted {moment(row.admitted_at)}, valid until {moment(row.valid_until)}[/dim]"]
    lines.append(f"  {core.get('risk_category', '')} {escape(printable(actions))}".rstrip())
    shown = [key for key in answer.keys if key.kind not in ("LATIN", "BARE")]
    lines += [f"  [dim]{key.kind:<10}[/dim] {escape(printable(f'{key.value} {key.detail}'.rstrip()))}" for key in shown]
    lines += [f"  {flag_told(flag)}" for flag in answer.flags]
    lines += [f"  [dim]{kind:<10}[/dim] {escape(printable(subject))} {note}".rstrip() for kind, subject, note in answer.links]
    return "\n".join(lines)


def flag_told(flag: Flag) -> str:
    """A flag in one line."""
    tell = f" [dim]tell {', '.join(flag.addressees)}[/dim]" if flag.addressees else ""
    return f"[red]{flag.code}[/] {escape(printable(flag.subject))}: {escape(printable(flag.text))}{tell}"


def duty_fields(duty: Duty) -> dict[str, Any]:
    """A duty itself as ``--json`` shows it."""
    return {
        "kind": duty.kind, "subject": duty.subject, "revision": duty.revision, "about": duty.about or None, "debtor": duty.debtor,
        "creditor": duty.creditor, "due": iso(duty.due_ms),
    }  # fmt: skip


def escalation_json(step: Escalation) -> dict[str, Any]:
    """Somebody to be told, as ``broker register follow --json`` shows it."""
    return {"event": "escalation", **duty_fields(step.duty), "rung": step.rung, "to": step.to}


def escalation_told(step: Escalation) -> str:
    """Somebody to be told, for people."""
    duty = step.duty
    what = f"{duty.debtor} owes {duty.creditor} {duty.kind} for {duty.subject} revision {duty.revision} since {iso(duty.due_ms)}"
    return f"[red]silence[/] {escape(printable(what))}: tell [bold]{escape(printable(step.to))}[/]"
