"""``broker screen feedback``: what came of a hit, told to the owner of what was hit."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, cast

from cyclopts import Parameter

from broker import ids
from broker.app.message_forms import answered_json, message_of, previewed_json, refused_json
from broker.app.register import WAIT_S
from broker.app.statements import feedback_on
from broker.cli.messages import outcome_told, publisher_of
from broker.cli.register import As, checked_wait, opened_register
from broker.cli.screen import COMMON, STDIN, Common, Screen, printable
from broker.errors import Refusal, RefusedError, UsageError
from broker.families.feedback import FeedbackResult
from broker.service.publisher import Publisher
from broker.storage.schemas import load_catalogue

LINE: Final = 1 << 20
"""Longest line of hits, in bytes."""
MOST: Final = 1000
"""Most subjects of one call."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Found:
    """What was found beside the result."""

    exam_type: str | None = None
    """How the goods were examined, such as SCAN or FULL; needed with EXAMINED_NEGATIVE and EXAMINED_POSITIVE."""
    examined_at: datetime | None = None
    """When, in UTC; needed with these two."""
    departed_to: str | None = None
    """The country that the goods went on to; needed with DEPARTED."""
    linked_seizure: str | None = None
    """The subject of the report of a seizure that came of it."""
    false_positive_reason: str | None = None
    """Why the hit was none."""
    usefulness: int | None = None
    """1 (not at all) to 5 (decisive)."""
    remark: str | None = None
    """What the codes do not say, for the owner alone."""

    def core(self) -> dict[str, Any]:
        """The fields of the section that were given."""
        given = {
            "exam_type": self.exam_type, "examined_at": None if self.examined_at is None else _utc(self.examined_at),
            "departed_to": None if self.departed_to is None else {"country": self.departed_to.upper()},
            "linked_seizure": self.linked_seizure, "false_positive_reason": self.false_positive_reason, "usefulness": self.usefulness,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}

    def detail(self) -> dict[str, str] | None:
        """The section with the remark."""
        return {"narrative": self.remark} if self.remark else None


NOTHING_MORE: Final = Found()


async def feedback(
    hit: str,
    *,
    as_: As,
    outcome: FeedbackResult,
    revision: int | None = None,
    found: Found = NOTHING_MORE,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    wait: float = WAIT_S,
    timeout: float = 60.0,
    common: Common = COMMON,
) -> int:
    """Tell the owner of what was hit what came of it. The exit code is 1 where the feedback is not accepted.

    Example: broker screen feedback SG-CUSTOMS/2026/000123 --as AE-CUSTOMS --outcome NO_MATCH

    Example: broker screen manifest.edi --as AE-CUSTOMS --json | broker screen feedback - --as AE-CUSTOMS --outcome NOT_LOCATED --json

    Parameters
    ----------
    hit
        The subject that a hit names; - is standard input: lines as `broker screen --json` prints them. Of these every hit counts, and
        each subject is told of once.
    as_
        The agency of this home that screened.
    outcome
        NO_MATCH, MATCH_NOT_ACTIONED, NOT_LOCATED, DEPARTED, EXAMINED_NEGATIVE, EXAMINED_POSITIVE, INCONCLUSIVE, LICENCE_OK, OBJECTION or
        NO_OBJECTION.
    revision
        The revision that was hit; by default the one that the hit's line names, or the one that the register holds.
    dry_run
        Send nothing: say whom it would reach.
    wait
        Seconds to read what is new in the inbox, where the revision is looked up.
    timeout
        Seconds to wait for each receipt.
    """
    screen = Screen(as_json=common.json)
    core = {"result": outcome} | found.core()
    hits: dict[str, int | None] = {**_hits()} if hit == STDIN else {_subject(hit): None}
    targets = [(subject, revision or told) for subject, told in hits.items()]
    if any(told is None for _, told in targets):
        targets = await _held(common, as_, targets, wait)
    if not targets:
        screen.remark("there is no hit to tell of")
        return 0
    good = 0
    async with publisher_of(common, as_) as publisher:
        for subject, told in targets:
            value = feedback_on(as_, subject, cast("int", told), core, found.detail())
            record = await _said(publisher, value, dry_run=dry_run, timeout=timeout) | {"target": subject, "target_revision": told}
            screen.result(record, outcome_told(record))
            good += record["outcome"] in ("accepted", "would be accepted")
    return 0 if good == len(targets) else 1


async def _said(publisher: Publisher, value: object, *, dry_run: bool, timeout: float) -> dict[str, Any]:
    """What became of one feedback."""
    message = message_of(value, load_catalogue())
    if isinstance(message, Refusal):
        return refused_json(None, message)
    try:
        if dry_run:
            return previewed_json(message, *publisher.preview(message), publisher.findings(message))
        handle = await publisher.publish(message)
        return answered_json(handle, await handle.receipt(timeout))
    except RefusedError as error:
        return refused_json(message, error.refusal)


def _hits() -> dict[str, int]:
    """The subjects of the hits on standard input, in their order, with the highest revision that was hit. Raises UsageError."""
    found: dict[str, int] = {}
    number = 0
    while line := sys.stdin.buffer.readline(LINE + 1):
        number += 1
        told = _told(line, number)
        if told is not None:
            found[told[0]] = max(told[1], found.get(told[0], 1))
        if len(found) > MOST:
            raise UsageError(f"the lines hit over {MOST:,} subjects", advice="choose the hits that were looked at")
    return found


def _told(line: bytes, number: int) -> tuple[str, int] | None:
    """What a line hits; None where it is no hit."""
    wrong = UsageError(f"line {number} is none of `broker screen --json`", advice="give its lines as they are")
    if len(line) > LINE:
        raise wrong
    if not line.strip():
        return None
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        raise wrong from None
    record: dict[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if record.get("type") != "hit":
        if "type" in record or "withheld_here" in record:
            return None
        raise wrong
    subject, revision = record.get("subject"), record.get("revision")
    if not isinstance(subject, str) or isinstance(revision, bool) or not isinstance(revision, int) or not 1 <= revision < 1 << 31:
        raise wrong
    return _subject(subject), revision


def _subject(text: str) -> str:
    try:
        return ids.subject_id(text)
    except ids.InvalidId:
        raise UsageError(
            f"`{printable(text[:80])}` is no subject", advice="give the subject that the hit names, or - for its lines"
        ) from None


async def _held(common: Common, agency: str, targets: list[tuple[str, int | None]], wait: float) -> list[tuple[str, int | None]]:
    """The targets with the revision that the register holds, where none is told. Raises UsageError."""
    async with opened_register(common, agency) as register:
        await register.catch_up(checked_wait(wait))
        with contextlib.closing(register.reader()) as reader:
            found = [(subject, told or (row.revision if (row := reader.row(subject)) is not None else None)) for subject, told in targets]
    for subject, told in found:
        if told is None:
            raise UsageError(f"{subject} is not in this register", advice="give the hit's --revision, or look at the subject's spelling")
    return found


def _utc(at: datetime) -> str:
    try:
        aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise UsageError("--examined-at is no time in UTC that can be written", advice="give it as 2026-11-29T08:30:00Z") from None
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
