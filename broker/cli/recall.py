"""``broker recall`` and ``broker trace``: an owner takes back what is its own, and sees who has it; a holder answers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, cast

from cyclopts import App, Parameter
from rich.markup import escape

from broker import ids
from broker.app import Member
from broker.app.connect import connect
from broker.app.message_forms import answered_json, previewed_json, refused_json
from broker.app.recall import Recalls
from broker.app.register import WAIT_S, Freshness
from broker.app.register_forms import trace_json
from broker.cli.messages import outcome_told, publisher_of
from broker.cli.recall_forms import status_json, status_told, trace_told
from broker.cli.register import checked_wait, looked_up, note_age
from broker.cli.screen import COMMON, Common, Screen, printable
from broker.cli.withholding import Purpose
from broker.errors import RefusedError, UsageError
from broker.families.clocks.dates import HOUR_MS
from broker.families.clocks.duty import Chain, Contact
from broker.families.message import Message
from broker.families.recall import RecallAction, RecallReason
from broker.families.recall_reply import RecallAnswer
from broker.storage.contacts import read_contacts
from broker.storage.register_reader import RegisterReader

app = App(name="recall", help="Take back a subject of your own, count the answers, answer the recalls of others.")

As = Annotated[str, Parameter(name="--as")]


@app.default
async def recall(
    subject: str,
    *,
    as_: As,
    reason: RecallReason,
    action: RecallAction = "STOP_USE",
    due: datetime | None = None,
    replaced_by: str | None = None,
    revision: int | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    timeout: float = 60.0,
    common: Common = COMMON,
) -> int:
    """Recall a subject: everyone who was given any revision of it is told, whatever its audience says now.

    Example: broker recall SG-CUSTOMS/2026/000123 --as SG-CUSTOMS --reason ERROR --action DELETE

    Parameters
    ----------
    subject
        The subject, which is this agency's own.
    as_
        The agency of this home that recalls.
    reason
        ERROR, WITHDRAWN, COMPROMISED, LAW or EXPIRED.
    action
        What holders have to do: STOP_USE, DELETE or RETURN.
    due
        Until when they answer, in UTC; by default in a day.
    replaced_by
        Another subject of this agency that takes its place.
    revision
        The recall's revision; by default the one after the last that was published from this home.
    dry_run
        Send nothing: say whom it would reach.
    timeout
        Seconds to wait for the receipt.
    """
    screen, member = Screen(as_json=common.json), _member(common, as_)
    recalls = member.recalls()
    at = None if due is None else _utc(due)
    message = recalls.recall(subject, reason, action=action, due=at, replaced_by=replaced_by, revision=revision)
    if not dry_run:
        recalls.remember_own()
    return await _publish(screen, common, as_, message, timeout=timeout, dry_run=dry_run)


@app.command
async def status(
    subject: str,
    *,
    as_: As,
    contact: Annotated[list[str] | None, Parameter(negative="")] = None,
    wait: float = WAIT_S,
    common: Common = COMMON,
) -> int:
    """Show how far a recall has come: each holder's answer, or its silence, and who has to be told of it. Exit code 1 until it is complete.

    A narrowed audience is shown in the same way: those who dropped out have to confirm.

    Example: broker recall status SG-CUSTOMS/2026/000123 --as SG-CUSTOMS --contact DUTY-DESK --contact DIRECTOR=24

    Parameters
    ----------
    subject
        The recalled subject.
    as_
        The agency of this home that recalled it.
    contact
        Who is told of silence: NAME, or NAME=HOURS for so many hours later. By default those of contacts.json in
        the agency's folder.
    wait
        Seconds to wait for the exchange; then the answer is from what is stored.
    """
    screen, member = Screen(as_json=common.json), _member(common, as_)
    chain = chain_of(contact) if contact is not None else read_contacts(member.files.contacts_file)
    subject = _owned(subject, as_)
    recalls, freshness, reader = await _register(member, wait)
    with contextlib.closing(reader):
        found = recalls.status(reader, subject, chain)
    if found is None:
        screen.result({"subject": subject, "kind": None, "complete": None}, f"{escape(printable(subject))} was never taken back")
    else:
        screen.result(status_json(found), status_told(found))
    note_age(screen, freshness)
    return 0 if found is not None and found.complete else 1


@app.command
async def answer(
    subject: str,
    *,
    as_: As,
    answer: RecallAnswer,
    reason: str | None = None,
    passed_on: Annotated[list[str] | None, Parameter(negative="")] = None,
    wait: float = WAIT_S,
    timeout: float = 60.0,
    common: Common = COMMON,
) -> int:
    """Answer the recall of another agency's subject. A later answer takes the place of an earlier one.

    Example: broker recall answer SG-CUSTOMS/2026/000123 --as MY-CUSTOMS --answer CANNOT --reason COURT_ORDER

    Parameters
    ----------
    subject
        The recalled subject.
    as_
        The agency of this home that answers.
    answer
        STOPPED: it is not used any more. DELETED: nothing is kept. CANNOT: with --reason.
    reason
        Why it cannot: COURT_ORDER, EVIDENCE, LEGAL_HOLD, PASSED_ON, TECHNICAL or another code.
    passed_on
        An agency that it was passed on to, with the owner's consent; may be given several times.
    wait
        Seconds to read what is new in the inbox.
    timeout
        Seconds to wait for the receipt.
    """
    screen, member = Screen(as_json=common.json), _member(common, as_)
    recalls, _, reader = await _register(member, wait)
    with contextlib.closing(reader):
        message = recalls.answer(reader, subject, answer, reason, passed_on or ())
    recalls.remember_own()
    return await _publish(screen, common, as_, message, timeout=timeout)


async def trace(subject: str, *, as_: As, purpose: Purpose = None, wait: float = WAIT_S, common: Common = COMMON) -> int:
    """Show who received a subject of your own: revisions, sections, when, under which rule, and what each answered.

    Example: broker trace SG-CUSTOMS/2026/000123 --as SG-CUSTOMS

    Example: broker trace SG-CUSTOMS/2026/000123 --as SG-CUSTOMS --purpose STC_ENFORCEMENT

    Parameters
    ----------
    subject
        The subject, which is this agency's own.
    as_
        The agency of this home that published it.
    purpose
        What the search is for, such as STC_ENFORCEMENT: of answers that the rules do not open for it, only that they are there is told.
    wait
        Seconds to wait for the exchange; then the answers are those that are stored.
    """
    screen, recalls = Screen(as_json=common.json), _member(common, as_).recalls()
    subject = _owned(subject, as_)
    async with looked_up(common, as_, wait, purpose) as looked:
        found = recalls.trace(looked.reader, subject)
        for each in found:
            shown = looked.use.trace(each)
            screen.result(trace_json(subject, shown), trace_told(shown))
        if not found:
            screen.remark(f"no receipt in this home names a recipient of {escape(printable(subject))}")
        looked.finish(screen)
    return 0 if found else 1


def chain_of(contacts: Sequence[str]) -> Chain:
    """Duty contacts from ``NAME`` or ``NAME=HOURS``. Raises UsageError."""
    found: list[Contact] = []
    for each in contacts:
        name, _, hours = each.partition("=")
        if not name.strip() or (hours and not hours.strip().isdigit()):
            raise UsageError(f"`{printable(each)}` is no contact", advice="write NAME, or NAME=HOURS for so many hours later")
        found.append(Contact(name.strip(), int(hours or 0) * HOUR_MS))
    return tuple(found)


def _member(common: Common, agency: str) -> Member:
    return Member(common.home, agency, connect, bootstrap=common.bootstrap, codelists=common.codelists)


def _owned(subject: str, agency: str) -> str:
    if ids.owner_of(ids.subject_id(subject)) != agency:
        raise UsageError(f"{subject} is not {agency}'s", advice="only the owner of a subject sees who received it")
    return subject


def _utc(at: datetime) -> datetime:
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


async def _register(member: Member, wait: float) -> tuple[Recalls, Freshness, RegisterReader]:
    """The agency's register after a catch-up."""
    transport = member.transport()
    try:
        register = member.register(transport)
        freshness = await register.catch_up(checked_wait(wait))
        return member.recalls(), freshness, register.reader()
    finally:
        await transport.close()


async def _publish(screen: Screen, common: Common, agency: str, message: Message, *, timeout: float, dry_run: bool = False) -> int:
    async with publisher_of(common, agency) as publisher:
        try:
            if dry_run:
                record = previewed_json(message, *publisher.preview(message), publisher.findings(message))
            else:
                handle = await publisher.publish(message)
                record = answered_json(handle, await handle.receipt(timeout))
        except RefusedError as error:
            record = refused_json(message, error.refusal)
    screen.result(record, outcome_told(record))
    return 0 if cast("str", record["outcome"]) in ("accepted", "would be accepted") else 1
