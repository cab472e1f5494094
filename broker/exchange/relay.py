"""The relay's work on a batch of outbox records, as values in and values out: admit, decide, deliver.

One :class:`Batch` becomes one Kafka transaction: deliveries with slips, receipts, quarantined bytes, ``exchange.current``,
journal leaves, and the shard's state with its input positions. Signing is outside (keys may live in a token), so a batch is
taken in, then asked :meth:`Batch.to_be_signed`, then :meth:`Batch.sealed`.

Admission steps (design, section 5): 1 to 3 and 7 to 9 are :mod:`broker.exchange.admit`'s, 4 to 6 and the revision rule of 9
are here. Every authentic message in its own outbox consumes its sequence number, also when it is refused.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from broker import ids
from broker.envelope import cbor, cose, receipt, slip
from broker.envelope.batch import Tree
from broker.envelope.cose import statement_bytes
from broker.envelope.header import Header
from broker.envelope.note import note_of
from broker.envelope.parcel import SLIP, parcel_bytes
from broker.envelope.tree import SIZE_LIMIT
from broker.errors import Finding, Refusal
from broker.exchange import sequence
from broker.exchange.admit import AUDIENCE, Authentic, authenticate, examine, open_section
from broker.exchange.content import check_content
from broker.exchange.decide import labels_of
from broker.exchange.quarantine import place_of, quarantine_value
from broker.exchange.records import Outgoing, Record
from broker.exchange.rules import Rules
from broker.exchange.shard import Answer, ShardState, SubjectState
from broker.exchange.topology import CURRENT, DAY_MS, JOURNAL, QUARANTINE
from broker.exchange.verify import root_to_be_signed
from broker.policy.decide import Decider
from broker.policy.model import Release

AHEAD_MS: Final = 5 * 60_000
"""How far ``issued_at`` may be ahead of the outbox's LogAppendTime."""

UNREADABLE: Final = b"r/-"
"""Inbox key of receipts for records whose subject could not be read."""

TEXT_LIMIT: Final = 500
"""Longest reason and path of a refusal in characters: both may quote what a hostile sender wrote."""

FINDINGS_LIMIT: Final = 100
"""Most findings of one receipt: who got so many looks at the message again."""


@dataclass(slots=True)
class _Delivery:
    """A parcel for one recipient, waiting for the relay's signature on its slip."""

    authentic: Authentic
    release: Release
    protected: bytes
    payload: bytes

    @property
    def blind(self) -> bytes:
        """The leaf beside the slip's in the tree of its transaction.

        A proof shows a recipient the hashes of its neighbours, and a slip can be guessed: another recipient, a counter, the same
        leaf and time. So no slip's hash is shown but together with this one, which takes the salt of the audience section to
        make: only the relay and the originator have that, and they know the recipients anyway.
        """
        return hmac.digest(self.authentic.parcel.sections[AUDIENCE], self.payload, "sha256")

    def outgoing(self, signed_slip: bytes) -> Outgoing:
        parcel = self.authentic.parcel
        given = {name: parcel.sections[name] for name, _rule in self.release.given}
        value = parcel_bytes(parcel.statement, given, {SLIP: signed_slip})
        return Outgoing(ids.inbox(self.release.agency), b"s/" + self.authentic.header.subject.encode(), value)


@dataclass(slots=True)
class Tally:
    """What a batch did, for logs and metrics."""

    accepted: int = 0
    delivered: int = 0
    duplicates: int = 0
    parked: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])

    def refuse(self, code: str) -> None:
        """Count a refusal."""
        self.refused[code] = self.refused.get(code, 0) + 1


class Batch:
    """Outbox records taken in under one view of the rules; changes the shard's state as it goes.

    If the transaction fails, the state is void with it: the caller discards both and reads ``exchange.state`` again.
    ``alg`` and ``kid`` are the relay's key.
    """

    def __init__(self, shard: ShardState, rules: Rules, decider: Decider, *, alg: int, kid: bytes) -> None:
        self.shard, self.rules, self.decider = shard, rules, decider
        self.tally = Tally()
        self._alg, self._kid = alg, kid
        self._trees: list[Tree] = []
        self._slip_protected = cose.protected_header(alg, kid, slip.CONTENT_TYPE)
        self._receipt_protected = cose.protected_header(alg, kid, receipt.CONTENT_TYPE)
        self._deliveries: list[_Delivery] = []
        self._unsigned: list[Answer] = []
        self._answers: list[Answer] = []
        self._plain: list[Outgoing] = []
        self._leaves: list[bytes] = []

    def take(self, record: Record, *, now_ms: int) -> None:
        """Deal with the next record of an outbox. ``now_ms`` is the admission time."""
        self.shard.move(record, now_ms)
        self._admit(record, now_ms)

    def expire(self, *, now_ms: int) -> None:
        """Refuse what has waited too long for an earlier message of its stream. The numbers stay free for a re-send."""
        for (originator, stream), line in self.shard.streams.items():
            for parked in list(line.overdue(now_ms)):
                self.shard.unpark(originator, bytes.fromhex(stream), parked.seq)
                result = authenticate(parked.record.value, self.rules, at_ms=now_ms)
                authentic = result if isinstance(result, Authentic) else None
                reason = f"waited a minute for number {line.last_seq + 1} of the stream"
                self._refuse(parked.record, Refusal("SEQUENCE_GAP", reason), authentic, now_ms)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.shard.pending

    def _admit(self, record: Record, now_ms: int) -> None:
        """Steps 1 to 6; the sequence decides whether the rest follows."""
        owner = record.topic.partition(".")[2]
        if record.value is None:
            self._refuse(record, Refusal("NOT_A_PARCEL", "the record has no value"), None, now_ms)
            return
        result = authenticate(record.value, self.rules, at_ms=now_ms)
        if isinstance(result, Refusal):
            self._refuse(record, result, None, now_ms)
            return
        if result.parcel.extras:
            self._refuse(record, Refusal("BAD_PARCEL", "the third item is the exchange's, and empty in an outbox"), None, now_ms)
            return
        header = result.header
        if header.originator != owner:
            # Step 4. The stream is another agency's, perhaps of another shard: nothing here may touch it.
            reason = f"{header.originator}'s message lay in the outbox of {owner}"
            self._refuse(record, Refusal("WRONG_OUTBOX", reason), result, now_ms)
            return
        line = self.shard.stream(header.originator, header.stream)
        match line.turn(header.seq, result.leaf, header.prev):
            case sequence.Next():
                self._judge(record, result, self._barred(record, result), now_ms)
                self._release(result, now_ms)
            case sequence.BrokenChain():
                refusal = Refusal("BROKEN_CHAIN", f"prev of number {header.seq} is not the leaf of number {header.seq - 1}")
                self._judge(record, result, refusal, now_ms)
                self._release(result, now_ms)
            case sequence.Duplicate(answer):
                self.tally.duplicates += 1
                if answer is not None:
                    self._answers.append(answer)
            case sequence.Early(expected, full):
                self._wait(record, result, expected, now_ms, full=full)
            case sequence.Equivocation(first):
                reason = f"number {header.seq} was used for {first.hex()[:16]}… before"
                self._refuse(record, Refusal("EQUIVOCATION", reason), result, now_ms)
            case sequence.Stale():
                reason = f"the stream is at number {line.last_seq}"
                self._refuse(record, Refusal("STALE_SEQUENCE", reason), result, now_ms)

    def _barred(self, record: Record, authentic: Authentic) -> Refusal | None:
        """Step 2, standing of the agency, and 5, the claimed time against the broker's clock.

        The number is consumed all the same: a publisher that was suspended for a while goes on with the next one.
        """
        header = authentic.header
        agency = self.rules.directory.agency(header.originator)
        if agency is None or agency.status != "active":
            return Refusal("AGENCY_SUSPENDED", f"{header.originator} is not an active member")
        ahead = header.issued_at - record.timestamp_ms
        if ahead > AHEAD_MS:
            return Refusal("FROM_THE_FUTURE", f"issued_at is {ahead // 1000} s ahead of the exchange's clock", "header.issued_at")
        return None

    def _wait(self, record: Record, authentic: Authentic, expected: int, now_ms: int, *, full: bool) -> None:
        header = authentic.header
        if full:
            reason = f"number {expected} of the stream is awaited"
            self._refuse(record, Refusal("TOO_MANY_PARKED", reason), authentic, now_ms)
            return
        parked = sequence.Parked(header.seq, authentic.leaf, record, now_ms)
        self.shard.park(header.originator, header.stream, parked)
        self.tally.parked += 1

    def _release(self, authentic: Authentic, now_ms: int) -> None:
        """Messages that waited for this one have their turn, in order."""
        header = authentic.header
        line = self.shard.stream(header.originator, header.stream)
        while (parked := self.shard.unpark(header.originator, header.stream, line.last_seq + 1)) is not None:
            before = line.last_seq
            result = authenticate(parked.record.value, self.rules, at_ms=now_ms)
            if isinstance(result, Refusal):
                self._refuse(parked.record, result, None, now_ms)
            elif result.header.prev != line.last_leaf:
                refusal = Refusal("BROKEN_CHAIN", f"prev of number {parked.seq} is not the leaf of number {parked.seq - 1}")
                self._judge(parked.record, result, refusal, now_ms)
            else:
                self._judge(parked.record, result, self._barred(parked.record, result), now_ms)
            if line.last_seq == before:
                return

    def _judge(self, record: Record, authentic: Authentic, refusal: Refusal | None, now_ms: int) -> None:
        """Steps 7 to 9 and the decision; whatever comes out, the sequence number is consumed."""
        refusal = refusal or examine(authentic, self.rules, complete=True) or self._revision(authentic)
        header = authentic.header
        remarks: list[Finding] = []
        if refusal is None:
            content = check_content(authentic, self.rules)
            refusal, remarks = (content, []) if isinstance(content, Refusal) else (None, content)
        answer = self._decide(record, authentic, remarks, now_ms) if refusal is None else self._refuse(record, refusal, authentic, now_ms)
        self.shard.consume(header.originator, header.stream, header.seq, authentic.leaf, answer)

    def _revision(self, authentic: Authentic) -> Refusal | None:
        """Step 9: revisions of a subject only go up, within one family."""
        header = authentic.header
        known = self.shard.subjects.get(header.subject)
        if known is None:
            return None
        if known.family != header.family:
            return Refusal("WRONG_FAMILY", f"{header.subject} is a subject of family {known.family}", "header.family")
        if header.revision <= known.revision:
            reason = f"revision {known.revision} of {header.subject} was accepted already"
            return Refusal("STALE_REVISION", reason, "header.revision")
        return None

    def _decide(self, record: Record, authentic: Authentic, remarks: list[Finding], now_ms: int) -> Answer:
        """Ask policy: may it be published, and who gets which sections."""
        header = authentic.header
        labels = labels_of(header, open_section(authentic, AUDIENCE, self.rules, logical=False))
        verdict = self.decider.may_publish(labels, now_ms)
        if not verdict.allowed:
            refusal = Refusal("MAY_NOT_PUBLISH", verdict.reason, "header.family")
            return self._refuse(record, refusal, authentic, now_ms)
        releases = self.decider.distribute(labels, now_ms).releases
        for release in releases:
            self._deliver(authentic, release, now_ms)
        findings = (*self._findings(record, authentic), *remarks)
        recipients = tuple(release.agency for release in releases)
        self.shard.accept(header.subject, SubjectState(header.family, header.revision, authentic.leaf, recipients))
        self._plain.append(Outgoing(CURRENT, header.subject.encode(), record.value))
        self._leaves.append(authentic.leaf)
        self.tally.accepted += 1
        return self._answer(record, authentic, None, now_ms, releases, findings)

    def _findings(self, record: Record, authentic: Authentic) -> tuple[Finding, ...]:
        """Remarks that never refuse: late, past its validity, a revision left out."""
        header = authentic.header
        known = self.shard.subjects.get(header.subject)
        findings: list[Finding] = []
        if record.timestamp_ms - header.issued_at > DAY_MS:
            findings.append(Finding("INFO", "LATE", "header.issued_at", "issued more than 24 hours before it reached the exchange"))
        if header.valid_until is not None and header.valid_until < record.timestamp_ms:
            findings.append(Finding("INFO", "EXPIRED", "header.valid_until", "its validity was over when it reached the exchange: history"))
        expected = known.revision + 1 if known else 1
        if header.revision != expected:
            findings.append(Finding("WARN", "REVISION_GAP", "header.revision", f"revision {expected} was expected"))
        return tuple(findings)

    def _deliver(self, authentic: Authentic, release: Release, now_ms: int) -> None:
        counter, prev = self.shard.deliver(release.agency, authentic.leaf)
        note = slip.Slip(
            exchange_id=self.rules.exchange_id,
            environment=self.rules.environment,
            recipient=release.agency,
            shard=self.shard.number,
            counter=counter,
            prev=prev,
            leaf=authentic.leaf,
            admitted_at=now_ms,
            rule=release.rule,
            given=release.given,
            withheld=release.withheld,
            policy_version=self.rules.policy_version,
            directory_version=self.rules.directory.version,
            redelivery=False,
        )
        payload = self.rules.schema("slip").codec.encode(slip.slip_record(note))
        self._deliveries.append(_Delivery(authentic, release, self._slip_protected, payload))
        self.tally.delivered += 1

    def _refuse(self, record: Record, refusal: Refusal, authentic: Authentic | None, now_ms: int) -> Answer:
        """Quarantine the bytes as they came, and tell the owner of the outbox."""
        self.tally.refuse(refusal.code)
        refusal = Refusal(refusal.code, _shown(refusal.reason), _shown(refusal.path))
        header = authentic.header if authentic else None
        evidence = quarantine_value(
            record,
            refusal,
            at_ms=now_ms,
            originator=header.originator if header else None,
            subject=_subject(header),
            leaf=authentic.leaf if authentic else None,
        )
        self._plain.append(Outgoing(QUARANTINE, place_of(record).encode(), evidence))
        return self._answer(record, authentic, refusal, now_ms, (), ())

    def _answer(
        self,
        record: Record,
        authentic: Authentic | None,
        refusal: Refusal | None,
        now_ms: int,
        releases: Sequence[Release],
        findings: tuple[Finding, ...],
    ) -> Answer:
        owner = record.topic.partition(".")[2]
        header = authentic.header if authentic else None
        subject = _subject(header)
        note = receipt.Receipt(
            exchange_id=self.rules.exchange_id,
            environment=self.rules.environment,
            originator=owner,
            outcome="REFUSED" if refusal else "ACCEPTED",
            code=refusal.code if refusal else "",
            step=refusal.step if refusal else 0,
            reason=refusal.reason if refusal else "",
            advice=refusal.advice if refusal else "",
            path=refusal.path if refusal else "",
            message_id=header.message_id if header else None,
            stream=header.stream if header else None,
            seq=header.seq if header else None,
            subject=subject,
            revision=header.revision if header else None,
            leaf=authentic.leaf if authentic else None,
            digest=hashlib.sha256(record.value or b"").digest(),
            source_partition=record.partition,
            source_offset=record.offset,
            admitted_at=now_ms,
            policy_version=self.rules.policy_version,
            directory_version=self.rules.directory.version,
            recipients=tuple(
                receipt.Disclosure(r.agency, tuple(name for name, _ in r.given), tuple(name for name, _ in r.withheld)) for r in releases
            ),
            findings=findings[:FINDINGS_LIMIT],
        )
        payload = self.rules.schema("receipt").codec.encode(receipt.receipt_record(note))
        key = b"r/" + subject.encode() if subject else UNREADABLE
        answer = Answer(owner, key, unsigned=payload)
        self._unsigned.append(answer)
        self._answers.append(answer)
        return answer

    def to_be_signed(self) -> list[bytes]:
        """What the relay's key has to sign: the root over every slip and new receipt of this transaction; a single receipt itself.

        Very many slips need more than one tree. Slips come first, each with its blind, so what is left alone is a receipt.
        """
        leaves: list[bytes] = []
        for delivery in self._deliveries:
            signed = cose.to_be_signed(delivery.protected, self.rules.aad, delivery.payload)
            leaves += cose.leaf_hash(signed), delivery.blind
        alone = b""
        for answer in self._unsigned:
            alone = cose.to_be_signed(self._receipt_protected, self.rules.aad, answer.unsigned)
            leaves.append(cose.leaf_hash(alone))
        self._trees = [Tree(leaves[at : at + SIZE_LIMIT]) for at in range(0, len(leaves), SIZE_LIMIT)]
        names = {"exchange_id": self.rules.exchange_id, "environment": self.rules.environment}
        return [
            root_to_be_signed(self._alg, self._kid, tree.root, tree.size, **names) if tree.size > 1 else alone for tree in self._trees
        ]  # fmt: skip

    def sealed(self, signatures: Sequence[bytes]) -> list[Outgoing]:
        """All records of the transaction, given the signatures that :meth:`to_be_signed` asked for."""
        records: list[Outgoing] = []
        for place, delivery in enumerate(self._deliveries):
            records.append(delivery.outgoing(statement_bytes(self._statement(delivery.protected, delivery.payload, 2 * place, signatures))))
        for place, answer in enumerate(self._unsigned, 2 * len(self._deliveries)):
            answer.note = note_of(self._statement(self._receipt_protected, answer.unsigned, place, signatures))
            answer.unsigned = None
        records += [Outgoing(ids.inbox(answer.agency), answer.key, answer.note) for answer in self._answers]
        records += self._plain
        if self._leaves:
            records.append(Outgoing(JOURNAL, None, cbor.encode([self.shard.number, list(self._leaves)])))
        records += self.shard.drain()
        return records

    def _statement(self, protected: bytes, payload: bytes, place: int, signatures: Sequence[bytes]) -> cose.Sign1:
        """The statement at this place among the leaves of the transaction, with its proof or its own signature."""
        number, index = divmod(place, SIZE_LIMIT)
        tree = self._trees[number]
        if tree.size == 1:
            return cose.Sign1(protected, payload, signatures[number], self._alg, self._kid, "")
        return cose.Sign1(protected, payload, b"", self._alg, self._kid, "", tree.proof(index, signatures[number]))


def _shown(text: str) -> str:
    """A text that every receipt can hold: no control or direction-changing characters, and not too long."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text[:TEXT_LIMIT])


def _subject(header: Header | None) -> str | None:
    """The subject that a header names, if it is one."""
    try:
        return ids.subject_id(header.subject) if header else None
    except ids.InvalidId:
        return None
