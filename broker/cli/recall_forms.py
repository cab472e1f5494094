"""How recalls and traces are shown: as JSON values, and as text for people."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from rich.markup import escape

from broker.cli.screen import iso, printable
from broker.exchange.recall_status import Holder, RecallStatus
from broker.exchange.trace import ACK, FEEDBACK, RECALL_REPLY, Sent, Trace


def status_json(status: RecallStatus) -> dict[str, Any]:
    """The status of a recall."""
    recall = status.recall
    return {
        "subject": status.subject, "kind": "RECALL" if recall else "NARROWED", "revision": recall.revision if recall else None,
        "reason": recall.reason if recall else None, "action": recall.action if recall else None,
        "due": iso(recall.due_ms) if recall else None, "confirmed": status.confirmed, "of": len(status.holders),
        "complete": status.complete, "holders": [_holder_json(holder) for holder in status.holders],
        "escalations": [
            {"to": step.to, "rung": step.rung, "agency": step.duty.debtor, "kind": step.duty.kind, "due": iso(step.duty.due_ms)}
            for step in status.told
        ],
        "next_escalation": {"at": iso(status.next_ms), "to": status.next_to} if status.next_ms is not None else None,
    }  # fmt: skip


def _holder_json(holder: Holder) -> dict[str, Any]:
    return {
        "agency": holder.agency, "state": holder.state, "reason": holder.reason, "answered_at": iso(holder.answered_ms),
        "due": iso(holder.due_ms), "asked": holder.asked, "reached": holder.reached, "revisions": list(holder.held),
    }  # fmt: skip


_COLOUR = {"STOPPED": "green", "DELETED": "green", "CANNOT": "yellow", "SILENT": "red", "UNREACHED": "red"}


def status_told(status: RecallStatus) -> str:
    """A status for people: the count, each holder, who has to be told."""
    recall = status.recall
    what = f"recalled for {recall.reason}, {recall.action} until {iso(recall.due_ms)}" if recall else "taken back by a narrowed audience"
    colour = "green" if status.complete else "yellow"
    count = f"{status.confirmed} of {len(status.holders)} confirmed"
    lines = [f"[bold]{escape(printable(status.subject))}[/] {what}: [{colour}]{count}[/]"]
    for holder in status.holders:
        state = f"[{_COLOUR.get(holder.state, 'dim')}]{holder.state:<10}[/]"
        since = f"answered {iso(holder.answered_ms)}" if holder.confirmed else f"due {iso(holder.due_ms)}"
        why = f" {escape(printable(holder.reason))}" if holder.reason else ""
        held = ", ".join(map(str, holder.held)) or "delivered late"
        lines.append(f"  {holder.agency:<16} {state} {since}{why} [dim]held revision {held}[/dim]")
    lines += [f"  [red]tell {escape(printable(step.to))}[/] that {step.duty.debtor} is silent" for step in status.told]
    if status.next_ms is not None:
        lines.append(f"  [dim]next: {escape(printable(str(status.next_to)))} at {iso(status.next_ms)}[/dim]")
    return "\n".join(lines)


def trace_told(trace: Trace) -> str:
    """One recipient for people: one line, its deliveries and what it said."""
    parts = [_sent_told(sent) for sent in trace.sent]
    parts += [
        f"{name} {', '.join(filter(None, codes))}"
        for name, kind in (("acknowledged", ACK), ("feedback", FEEDBACK), ("recall answered", RECALL_REPLY))
        if (codes := trace.codes(kind))
    ]
    return f"{trace.agency:<16} " + " [dim]|[/dim] ".join(parts)


def _sent_told(sent: Sent) -> str:
    rule = f" by {escape(printable(sent.rule))}" if sent.rule else f" [dim]by policy {sent.policy_version}[/dim]"
    if sent.withdrawn:
        return f"{sent.revision}: [yellow]withdrawn[/]{rule} {iso(sent.admitted_at)}"
    return f"{sent.revision}: {', '.join(sent.sections)}{rule} {iso(sent.admitted_at)}{_withheld_told(sent)}"


def _withheld_told(sent: Sent) -> str:
    """What was withheld, by rule; without one where the receipt names none."""
    by_rule: dict[str, list[str]] = {}
    for section, rule in zip_longest(sent.withheld, sent.withheld_by, fillvalue=""):
        by_rule.setdefault(rule, []).append(section)
    told = [", ".join(sections) + (f" by {escape(printable(rule))}" if rule else "") for rule, sections in by_rule.items()]
    return f" [yellow]withheld[/] {', '.join(told)}" if told else ""
