"""How the register's answers look: as ``--json`` shows them, and for people."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from broker.cli.screen import iso, printable
from broker.families.clocks.duty import Duty, Escalation
from broker.register.answers import LicenceAnswer, SubjectAnswer
from broker.register.licences import CURRENT, Balance, quantity_text
from broker.register.rows import Flag


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
