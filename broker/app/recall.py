"""Recalls, from both sides: an owner takes a subject back and counts the answers; a holder answers, by hand or by itself.

An owner's view is computed from its own files: the receipts in the publisher's store and the answers in its register. Nothing is asked
of the exchange for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from broker import ids
from broker.envelope.cose import Sign1
from broker.envelope.note import read_note
from broker.envelope.receipt import Receipt, receipt_of, version_of
from broker.errors import BrokerError, Refusal, RefusedError, UsageError
from broker.exchange.recall_status import RecallStatus, Terms, recall_status
from broker.exchange.receive import DELIVERY_LIMIT
from broker.exchange.trace import Said, Trace, traces
from broker.families.clocks.duty import Chain
from broker.families.message import Message
from broker.families.recall import RecallAction, RecallReason, recall
from broker.families.recall_reply import RecallAnswer, recall_reply, reply_subject
from broker.ports import Clock
from broker.register.answers import Answer
from broker.schema.catalogue import Catalogue
from broker.schema.codec import AvroRecord
from broker.service.publisher import Handle, Publisher
from broker.storage.home import AgencyHome
from broker.storage.own_copies import SqliteOwnCopies
from broker.storage.publisher_store import PublishedReader
from broker.storage.register_reader import RegisterReader

TERM: Final = timedelta(days=1)
"""Until when holders answer, where the owner says nothing else."""
_ASKED: Final = ("ANSWER_RECALL", "ANSWER_WITHDRAWAL")
RECEIPT_S: Final = 60.0
"""How long an automatic answer waits for its receipt before it says in the log that there is none."""

_log = structlog.get_logger("recall")


class Recalls:
    """Recalls of one agency, over the files of its home. ``catalogue`` reads the receipts that it stored."""

    def __init__(self, files: AgencyHome, clock: Clock, catalogue: Catalogue) -> None:
        self._files, self._clock, self._catalogue = files, clock, catalogue

    def remember_own(self) -> None:
        """From now on the agency's own messages come into its register, also where it kept none: what was recalled is read there."""
        SqliteOwnCopies(self._files.own_copies).close()

    def recall(
        self,
        subject: str,
        reason: RecallReason,
        *,
        action: RecallAction = "STOP_USE",
        due: datetime | None = None,
        replaced_by: str | None = None,
        revision: int | None = None,
    ) -> Message:
        """A recall of an own subject, to be published. Without ``revision`` it follows the last one that was published from this home;
        ``due`` is by default in a day. Raises UsageError where nothing was."""
        if revision is None:
            last = self._last_published(ids.subject_id(subject))
            if last is None:
                raise UsageError(f"{subject} was not published from this home", advice="name the revision above its last: --revision N")
            revision = last + 1
        at = due or self._now() + TERM
        return recall(subject=subject, revision=revision, core={"reason": reason, "action": action, "due": at, "replaced_by": replaced_by})

    def answer(
        self, reader: RegisterReader, subject: str, answer: RecallAnswer, reason: str | None = None, passed_on: Sequence[str] = ()
    ) -> Message:  # fmt: skip
        """This agency's answer to the recall of another's subject, to be published; a further one is the next revision of the first.
        ``reason``: why it CANNOT. Raises UsageError where this register holds no recall of it."""
        found = reader.subject(ids.subject_id(subject), self._clock.now_ms())
        if found is None or found.row.state != "ERASED":
            raise UsageError(f"no recall of {subject} has come", advice="look at what came: `broker subscribe --from beginning`")
        own = reply_subject(self._files.agency, subject, found.row.revision)
        row = reader.subject(own, self._clock.now_ms())
        before = max(self._last_published(own) or 0, row.row.revision if row else 0)
        core: Any = {"answer": answer, "reason_code": reason, "passed_on_to": list(passed_on)}
        core["done_at"] = None if answer == "CANNOT" else self._now()
        return recall_reply(subject=own, revision=before + 1, target=subject, target_revision=found.row.revision, core=core)

    def unanswered(self, reader: RegisterReader) -> list[str]:
        """Subjects that were taken back from this agency, and on which no answer was ever stored for sending."""
        own, now_ms = self._files.agency, self._clock.now_ms()
        duties = [each.duty for each in reader.duties(now_ms) if each.duty.debtor == own and each.duty.kind in _ASKED]
        rows = {
            subject: found.row
            for subject in sorted({duty.subject for duty in duties})
            if (found := reader.subject(subject, now_ms)) is not None
        }
        return [
            subject
            for subject, row in rows.items()
            if row.state == "ERASED" and self._last_published(reply_subject(own, subject, row.revision)) is None
        ]

    def status(self, reader: RegisterReader, subject: str, chain: Chain = ()) -> RecallStatus | None:
        """How far the recall of an own subject has come; None where it was never taken back from anybody."""
        said, terms = self._said(reader, subject), self._terms(reader, subject)
        return recall_status(subject, self._receipts(subject), said, terms, now_ms=self._clock.now_ms(), chain=chain)

    def trace(self, reader: RegisterReader, subject: str) -> list[Trace]:
        """Who received an own subject, and what came back."""
        terms = self._terms(reader, subject)
        return traces(self._receipts(subject), self._said(reader, subject), terms.revision if terms else None)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)

    def _last_published(self, subject: str) -> int | None:
        revisions = (reader.last_revision(subject) for reader in self._stores())
        return max((each for each in revisions if each is not None), default=None)

    def _stores(self) -> Iterable[PublishedReader]:
        """The agency's publisher stores that are there."""
        for path in (self._files.publisher_store, self._files.answers_store):
            if path.exists():
                with contextlib.closing(PublishedReader(path)) as reader:
                    yield reader

    def _receipts(self, subject: str) -> list[Receipt]:
        notes = [note for reader in self._stores() for note in reader.receipts(ids.subject_id(subject))]
        return [receipt for note in notes if (receipt := stored_receipt(note, self._catalogue)) is not None]

    @staticmethod
    def _said(reader: RegisterReader, subject: str) -> list[Said]:
        return [_said(answer) for answer in reader.answers(subject)]

    def _terms(self, reader: RegisterReader, subject: str) -> Terms | None:
        """The recall as this agency's own register has it."""
        found = reader.subject(subject, self._clock.now_ms())
        if found is None or found.row.family != "recall":
            return None
        core = found.content.get("core", {})
        due = core.get("due")
        due_ms = int(datetime.fromisoformat(due).timestamp() * 1000) if due else None
        return Terms(found.row.revision, found.row.reason or "", core.get("action", ""), due_ms)


def stored_receipt(note: bytes, catalogue: Catalogue) -> Receipt | None:
    """A receipt of any version from a publisher's store. It was verified before it was stored, so it is only read here."""
    signed = read_note(note, DELIVERY_LIMIT)
    record = signed if isinstance(signed, Refusal) else _stored_record(signed, catalogue)
    if isinstance(record, Refusal):
        _log.error("a stored receipt cannot be read", code=record.code, reason=record.reason)
        return None
    return receipt_of(record)


def _stored_record(signed: Sign1, catalogue: Catalogue) -> AvroRecord | Refusal:
    schema = catalogue.named("receipt", "receipt", version_of(signed.content_type) or 0)
    if schema is None:
        return Refusal("BAD_STATEMENT", f"content type `{signed.content_type[:60]}` is no known receipt's")
    return schema.read(signed.payload, logical=False)


def _said(answer: Answer) -> Said:
    return Said(
        kind=answer.kind,
        agency=answer.agency,
        subject=answer.subject,
        revision=answer.target_revision,
        code=answer.code,
        reason=answer.core.get("reason_code"),
        at_ms=answer.admitted_at,
    )


class Answering:
    """Answers recalls by itself: DELETED, once the register holds no byte of the subject any more.

    For agencies whose register is the only place where they keep what they receive. Each recall is answered once: its answer has a
    subject that follows from the recall's, is stored before it is sent, and is not made again where it was stored.
    """

    def __init__(self, recalls: Recalls, publisher: Publisher) -> None:
        self._recalls, self._publisher = recalls, publisher
        self._tried: set[str] = set()
        self._waiting: set[asyncio.Task[None]] = set()

    async def look(self, reader: RegisterReader) -> None:
        """Answer what is open. To be called when the register's files are clean of what was erased."""
        made = [(subject, self._recalls.answer(reader, subject, "DELETED")) for subject in self._recalls.unanswered(reader)]
        for subject, message in made:  # all were read before the first wait: meanwhile the next batch may be half written
            if message.subject in self._tried:
                continue
            self._tried.add(message.subject)
            try:
                handle = await self._publisher.publish(message)
            except RefusedError as error:
                _log.error("a recall is not answered", recalled=subject, code=error.refusal.code, reason=error.refusal.reason)
                continue
            task = asyncio.create_task(_heard(subject, handle))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """Wait for nothing more: what was stored is sent at the next start."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)


async def _heard(subject: str, handle: Handle) -> None:
    try:
        receipt = await handle.receipt(RECEIPT_S)
    except BrokerError as error:
        _log.warning("the answer to a recall has no receipt yet", recalled=subject, reason=str(error))
        return
    if receipt.outcome != "ACCEPTED":
        _log.error("the answer to a recall was refused", recalled=subject, code=receipt.code, reason=receipt.reason)


@asynccontextmanager
async def answering(recalls: Recalls, publisher: Publisher) -> AsyncGenerator[Answering]:
    """Automatic answers through a publisher that is opened and closed here."""
    async with publisher:
        answers = Answering(recalls, publisher)
        try:
            yield answers
        finally:
            await answers.close()
