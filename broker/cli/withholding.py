"""``--purpose``: what a command that reads content is asked for, and how it tells what is not shown for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from broker.app.message_forms import withheld_json
from broker.cli.screen import Screen, iso, printable
from broker.errors import UsageError
from broker.exchange.use import Withheld, closed, labels_held, usable
from broker.families.message import PURPOSES
from broker.policy.decide import Decider
from broker.service.subscriber import Delivery

Purpose = Annotated[str | None, Parameter(name="--purpose")]


def checked_purpose(purpose: str | None) -> str | None:
    """The purpose of ``--purpose``. Raises UsageError for one that there is not: it would withhold everything."""
    if purpose is not None and purpose not in PURPOSES:
        raise UsageError(f"there is no purpose `{printable(purpose)}`", advice=f"use one of {', '.join(PURPOSES)}")
    return purpose


def withheld_told(withheld: Withheld, purpose: str | None) -> str:
    """A message that is not shown for this purpose, for people."""
    until = f", valid until {iso(withheld.valid_until)}" if withheld.valid_until is not None else ""
    dates = f"[dim]{withheld.message_id} {iso(withheld.issued_at)}{until}[/dim]"
    head = f"[bold]{withheld.family}[/] {escape(printable(withheld.subject))} from {withheld.originator} {dates}"
    reason = escape(printable(withheld.reason))
    return f"{head}\n  [yellow]not shown[/]{f' for {purpose}' if purpose else ''}, by {escape(withheld.rule)}: {reason}"


def show_withheld(screen: Screen, found: Iterable[Withheld], purpose: str | None, beside: dict[str, Any]) -> None:
    """Tell each; ``beside`` goes into every line of ``--json``."""
    for each in found:
        screen.result(withheld_json(each, purpose) | beside, withheld_told(each, purpose))


def note_withheld(screen: Screen, count: int, looked_at: int, purpose: str | None) -> None:
    """How many of the messages that were looked at are not shown."""
    if looked_at and (purpose is not None or count):
        told = f"for the purpose {purpose}" if purpose else "without a purpose: the owner's consent is for some alone"
        screen.note(f"[dim]{count:,} of {looked_at:,} messages are not shown {told}[/]")


class Screening:
    """Deliveries read for a purpose (None: all are shown but what consent binds to some): which are not shown, and how many. ``now_ms`` is
    the clock (Unix ms)."""

    def __init__(self, screen: Screen, agency: str, purpose: str | None, now_ms: Callable[[], int]) -> None:
        self._screen, self._agency, self._purpose, self._now_ms = screen, agency, purpose, now_ms
        self._withheld = self._looked_at = 0

    def withholds(self, delivery: Delivery, decider: Decider) -> bool:
        """Whether a delivery may not be read for the purpose; it is told then. That its owner took it back is told in any case."""
        self._looked_at += 1
        if self._purpose is None and not delivery.slip.bound:
            return False
        labels = labels_held(delivery.header, self._agency)
        verdict = usable(decider, self._agency, "replay", labels, self._now_ms(), self._purpose, dict(delivery.slip.bound))
        if verdict.allowed:
            return False
        self._withheld += 1
        withheld = Withheld.of_header(delivery.header, delivery.slip.admitted_at, verdict)
        told = withheld_told(withheld, self._purpose)
        if delivery.taken_back:
            told += "\n  [red]taken back[/] by its owner: what is kept of this subject has to go"
        self._screen.result(withheld_json(withheld, self._purpose) | {"taken_back": delivery.taken_back}, told)
        return True

    def closes(self, delivery: Delivery, decider: Decider | None) -> dict[str, str]:
        """The sections of a delivery that are not shown for the purpose, or that the rules in force withhold by now, with the rule."""
        if self._purpose is None and not delivery.slip.bound:
            return {}
        labels, bound = labels_held(delivery.header, self._agency), dict(delivery.slip.bound)
        return closed(decider, self._agency, labels, delivery.sections, self._now_ms(), self._purpose, bound)

    def finish(self) -> None:
        """Say how many were not shown."""
        note_withheld(self._screen, self._withheld, self._looked_at, self._purpose)
