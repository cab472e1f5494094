"""``broker duties``: what is open between an agency and others, and who was told that it is late."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.markup import escape

from broker.app.register import WAIT_S
from broker.app.register_forms import freshness_json
from broker.cli.register import As, checked_wait, note_age, opened_register
from broker.cli.register_forms import duty_fields, escalation_told
from broker.cli.screen import COMMON, Common, Screen, iso, printable
from broker.families.clocks.duty import KINDS, Duty
from broker.register.answers import OpenDuty
from broker.storage import register_reader as look
from broker.storage.clock import SystemClock

_ANSWER_FAMILY: Final = {
    "FEEDBACK": "feedback",
    "ANSWER_RFI": "rfi_reply",
    "ANSWER_CONSENT": "consent_reply",
    "ANSWER_REACHBACK": "reachback_reply",
    "ANSWER_RECALL": "recall_reply",
}
"""Kinds of duty that a message about the subject meets, and its family."""


async def duties(
    *,
    as_: As,
    overdue: Annotated[bool, Parameter(negative="")] = False,
    dates: Annotated[bool, Parameter(negative="")] = False,
    wait: float = WAIT_S,
    common: Common = COMMON,
) -> int:
    """Show what this agency owes others and what they owe it: by when, what meets it, who was told that it is late.

    Example: broker duties --as AE-CUSTOMS --overdue

    Parameters
    ----------
    as_
        The agency of this home whose register answers.
    overdue
        Only what is past its time.
    dates
        Also the days on which something ends by itself: a licence, a consent, how long a message may be kept.
    wait
        Seconds to wait for the exchange; then the answer is from what is stored.
    """
    screen = Screen(as_json=common.json)
    async with opened_register(common, as_) as register:
        freshness = await register.catch_up(checked_wait(wait), tell=lambda step: screen.note(escalation_told(step)))
        with contextlib.closing(register.reader()) as reader:
            found = reader.duties(SystemClock().now_ms(), overdue=overdue, dates=dates)
    for each in found:
        screen.result(duty_json(each, as_) | freshness_json(freshness), duty_told(each, as_))
    if not found:
        screen.remark("nothing is overdue" if overdue else "nothing is open")
    elif len(found) == look.LIMIT:
        screen.note(f"[yellow]only the first {look.LIMIT} are shown[/]: give --overdue, or meet some")
    note_age(screen, freshness)
    return 0


def met_by(duty: Duty, agency: str) -> str:
    """What meets a duty: a command of the debtor's where there is one, else a sentence."""
    if duty.escalate_ms is None and duty.kind != "WARN_OF_DWELL":
        return "nothing: it is a date"
    if duty.debtor != agency:
        return f"{duty.debtor}: {KINDS[duty.kind]}"
    if duty.kind == "ACKNOWLEDGE":
        return f"broker subscribe --as {agency} --from beginning --timeout 5 --ack L3"
    family = _ANSWER_FAMILY.get(duty.kind)
    if family is not None:
        return f"broker publish FILE --as {agency}, with a {family} whose target is {duty.subject} revision {duty.revision}"
    return f"broker publish FILE --as {agency}, with the next revision of {duty.subject}"


def duty_json(each: OpenDuty, agency: str) -> dict[str, Any]:
    """A duty as ``--json`` shows it."""
    duty = each.duty
    return duty_fields(duty) | {
        "family": each.family, "urgency": each.urgency, "overdue": each.late_ms is not None,
        "overdue_s": None if each.late_ms is None else each.late_ms // 1000, "owed_by_us": duty.debtor == agency,
        "discharge": met_by(duty, agency), "told": [{"rung": told.rung, "to": told.to, "at": iso(told.at)} for told in each.told],
    }  # fmt: skip


def _span(ms: int) -> str:
    minutes = ms // 60_000
    days, hours = minutes // 1440, minutes % 1440 // 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def duty_told(each: OpenDuty, agency: str) -> str:
    """A duty for people."""
    duty = each.duty
    late = "" if each.late_ms is None else f" [red]overdue by {_span(each.late_ms)}[/]"
    about = f" ({escape(printable(duty.about))})" if duty.about else ""
    head = f"[bold]{duty.kind}[/] {escape(printable(duty.subject))} revision {duty.revision}{about} [dim]{each.family} {each.urgency}[/dim]"
    lines = [head, f"  {duty.debtor} to {duty.creditor}, due {iso(duty.due_ms)}{late}", f"  [dim]{escape(met_by(duty, agency))}[/dim]"]
    lines += [f"  told {escape(printable(told.to))} [dim]{iso(told.at)}[/dim]" for told in each.told]
    return "\n".join(lines)
