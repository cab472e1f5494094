"""``broker licence show``, ``broker alert find``, ``broker register``: what an agency's register says is true now.

Each look-up first reads what is new in the inbox, for a bounded time; where the exchange cannot be reached it answers from what is
stored, and says how old that is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape

from broker.app import Member
from broker.app.connect import connect
from broker.app.look_up import conditions_of
from broker.app.purpose import Purposed
from broker.app.register import WAIT_S, Freshness, Register
from broker.app.register_forms import flag_json, freshness_json, licence_json, subject_json
from broker.cli.register_forms import escalation_json, escalation_told, flag_told, licence_told, subject_told
from broker.cli.screen import COMMON, Common, Screen, iso, printable
from broker.cli.stopping import stop_signal
from broker.cli.withholding import Purpose, checked_purpose, note_withheld, show_withheld
from broker.errors import UsageError
from broker.families.identifiers.kinds import KINDS
from broker.register.keys import comparable
from broker.storage import register_reader as look
from broker.storage.clock import SystemClock

licence = App(name="licence", help="Licences as this agency's register knows them.")
alert = App(name="alert", help="Live alerts in this agency's register.")
app = App(name="register", help="This agency's register: what is true now, from its inbox.")

As = Annotated[str, Parameter(name="--as")]


@asynccontextmanager
async def opened_register(common: Common, agency: str) -> AsyncGenerator[Register]:
    """The register of an agency of this home, with a connection that lasts as long as the block."""
    member = Member(common.home, agency, connect, bootstrap=common.bootstrap)
    transport = member.transport()
    try:
        yield member.register(transport)
    finally:
        await transport.close()


@dataclass(frozen=True, slots=True)
class LookUp:
    """A register that is caught up, for one look-up at ``now_ms``; ``use``: what may be shown for the purpose that was given."""

    reader: look.RegisterReader
    freshness: Freshness
    now_ms: int
    purpose: str | None
    use: Purposed

    def finish(self, screen: Screen) -> None:
        """Tell what is not shown for the purpose, and how old the answer is."""
        show_withheld(screen, self.use.withheld.values(), self.purpose, freshness_json(self.freshness))
        note_withheld(screen, len(self.use.withheld), self.use.looked_at, self.purpose)
        note_age(screen, self.freshness)


@asynccontextmanager
async def looked_up(common: Common, agency: str, wait: float, purpose: str | None) -> AsyncGenerator[LookUp]:
    """A look-up in the register of an agency of this home."""
    seconds, purpose = checked_wait(wait), checked_purpose(purpose)
    async with opened_register(common, agency) as register:
        freshness = await register.catch_up(seconds)
        now_ms = SystemClock().now_ms()
        with contextlib.closing(register.reader()) as reader:
            decider = None if purpose is None else await register.decider(seconds)
            yield LookUp(reader, freshness, now_ms, purpose, Purposed(reader, agency, decider, purpose, now_ms))


@licence.command
async def show(number: str, *, as_: As, purpose: Purpose = None, wait: float = WAIT_S, common: Common = COMMON) -> int:
    """Show a licence: status, in-transit instruction, what is left of it, and what cites it in vain.

    Example: broker licence show 2026-0815 --as AE-CUSTOMS

    Example: broker licence show 2026-0815 --as AE-CUSTOMS --purpose STC_ENFORCEMENT

    Parameters
    ----------
    number
        The licence's number; signs, spaces and case do not matter.
    as_
        The agency of this home whose register answers.
    purpose
        What the search is for, such as STC_ENFORCEMENT: of what the rules do not open for it, only that it is there is told.
    wait
        Seconds to wait for the exchange; then the answer is from what is stored.
    """
    if not comparable(number):
        raise UsageError("nothing to look for was given", advice="give the licence's number, such as 2026-0815")
    screen = Screen(as_json=common.json)
    async with looked_up(common, as_, wait, purpose) as looked:
        found = looked.reader.licence(number, looked.now_ms)
        age = freshness_json(looked.freshness)
        for answer in found:
            shown = looked.use.licence(answer)
            if shown is not None:
                hidden = shown.items is None and answer.items is not None
                screen.result(licence_json(shown) | age, licence_told(shown, items_hidden=hidden))
        if not found:
            unknown = {"licence_no": number, "status": None}
            screen.result(unknown | age, f"no licence {escape(printable(number))} in this register")
        looked.finish(screen)
    return 0 if found else 1


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Keys:
    """What an alert is found by. Each that is given has to fit."""

    container: str | None = None
    """Container number, as declared or as found."""
    document: str | None = None
    """Number of a transport document, MRN or UCR."""
    conveyance: str | None = None
    """Ship by IMO number (9074729, 9074729/017E) or name, flight (SQ12, SQ12/2026-10-01), wagon, plate."""
    party: str | None = None
    """Name in any script, with or without Ltd or GmbH, or a number of the party."""
    licence: str | None = None
    """Number of a licence that the papers cite."""
    hs: str | None = None
    """HS code, or how it begins."""
    control: str | None = None
    """Entry of a control list, or how it begins."""

    def conditions(self) -> list[look.Condition]:
        """As the register takes them. Raises UsageError where there are none, or where one has no letter and no digit."""
        return conditions_of(asdict(self), advice="give --container, --document, --party, --licence or another key")


NO_KEYS = Keys()


@alert.command
async def find(
    *,
    as_: As,
    keys: Keys = NO_KEYS,
    ended: Annotated[bool, Parameter(negative="")] = False,
    purpose: Purpose = None,
    wait: float = WAIT_S,
    common: Common = COMMON,
) -> int:
    """Find the live alerts that fit everything that is given.

    Example: broker alert find --container CSQU3054383 --as AE-CUSTOMS

    Example: broker alert find --party "Example Trading" --as AE-CUSTOMS --purpose STC_ENFORCEMENT

    Parameters
    ----------
    as_
        The agency of this home whose register answers.
    ended
        Take in alerts past their time.
    purpose
        What the search is for, such as STC_ENFORCEMENT: of what the rules do not open for it, only that it is there is told.
    wait
        Seconds to wait for the exchange; then the answer is from what is stored.
    """
    conditions = keys.conditions()
    screen = Screen(as_json=common.json)
    async with looked_up(common, as_, wait, purpose) as looked:
        found = looked.reader.find(conditions, looked.now_ms, ended=ended)
        for answer in found:
            shown = looked.use.subject(answer, found_by={kind for condition in conditions for kind, _ in condition})
            if shown is not None:
                screen.result(subject_json(shown) | freshness_json(looked.freshness), subject_told(shown))
        if not found:
            screen.remark("no live alert fits")
            _doubt(screen, keys.container)
        elif len(found) == look.LIMIT:
            screen.note(f"[yellow]only the first {look.LIMIT} are shown[/]: say more about what you look for")
        looked.finish(screen)
    return 0


@app.command
async def follow(*, as_: As, answer_recalls: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON) -> int:
    """Keep the register up to date until Ctrl-C, and say who is to be told when a duty is not met. Other commands of the same home read
    the register meanwhile. Who is told is in contacts.json of the agency's folder; each is told once.

    Example: broker register follow --as AE-CUSTOMS

    Parameters
    ----------
    as_
        The agency of this home whose register it is.
    answer_recalls
        Answer DELETED to each recall by itself, once no byte of its subject is in the register. Only where the agency keeps what it
        receives nowhere else.
    """
    screen = Screen(as_json=common.json)
    stop = stop_signal()
    async with contextlib.AsyncExitStack() as opened:
        member = Member(common.home, as_, connect, bootstrap=common.bootstrap, codelists=common.codelists)
        transport = member.transport()
        opened.push_async_callback(transport.close)
        register = member.register(transport)
        look = (await opened.enter_async_context(member.answering(transport))).look if answer_recalls else None
        watching = asyncio.create_task(stop.wait())
        watching.add_done_callback(lambda _: register.stop())
        opened.callback(watching.cancel)
        screen.note("keeping the register up to date; Ctrl-C ends it")
        counts = await register.follow(tell=lambda step: screen.result(escalation_json(step), escalation_told(step)), look=look)
    screen.note(f"[dim]{counts.delivered:,} deliveries taken in[/]")
    if counts.refused or counts.gaps:
        screen.note(
            f"[red]{counts.refused} deliveries refused, {counts.gaps} gaps: see the log lines, and keep this home for an auditor[/]"
        )
        return 1
    return 130 if stop.is_set() else 0


@app.command
async def flags(*, as_: As, purpose: Purpose = None, wait: float = WAIT_S, common: Common = COMMON) -> int:
    """Show what follows from several messages together: stopped licences that are cited, quantities overdrawn, one container in two alerts.
    What is meant for certain agencies only (the licence's authority, the owners of the alerts) is shown to these. Nobody is told by itself.

    Example: broker register flags --as AE-CUSTOMS

    Example: broker register flags --as AE-CUSTOMS --purpose LICENSING

    Parameters
    ----------
    as_
        The agency of this home whose register answers.
    purpose
        What the search is for, such as STC_ENFORCEMENT: of what the rules do not open for it, only that it is there is told.
    wait
        Seconds to wait for the exchange; then the answer is from what is stored.
    """
    screen = Screen(as_json=common.json)
    async with looked_up(common, as_, wait, purpose) as looked:
        found = looked.reader.flags(looked.now_ms, agency=as_)
        for flag in looked.use.flags(found):
            screen.result(flag_json(flag) | freshness_json(looked.freshness), flag_told(flag))
        if not found:
            screen.remark("no flag stands")
        looked.finish(screen)
    return 0


def _doubt(screen: Screen, container: str | None) -> None:
    """A container number that was mistyped is found nowhere: say so, with the number that it may have been."""
    verdict = KINDS["container"].judge(comparable(container or ""))
    if container and verdict.fault == "CHECK":
        screen.note(f"[yellow]{escape(printable(verdict.reason))}[/]")


def checked_wait(wait: float) -> float:
    """The seconds of ``--wait``. Raises UsageError."""
    if not 0 < wait <= 600:
        raise UsageError(f"--wait {wait:g} is out of range", advice="give seconds, up to 600")
    return wait


def note_age(screen: Screen, freshness: Freshness) -> None:
    """How old the answer is, beside it."""
    age = f"as of {iso(freshness.as_of)}" if freshness.as_of is not None else "this register has seen nothing yet"
    screen.note(f"[dim]{age}[/]" + (f" [yellow]{escape(printable(freshness.note))}[/]" if freshness.note else ""))
