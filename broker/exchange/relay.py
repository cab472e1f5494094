"""The relay's work on a batch of outbox records, as values in and values out: admit, decide, deliver.

One :class:`Batch` becomes one Kafka transaction: deliveries with slips, receipts, quarantined bytes, ``exchange.current``,
journal leaves, and the shard's state with its input positions. Signing and reading are outside (keys may live in a token), so a
batch is resumed, records are taken in until it is full, then it is asked :meth:`Batch.wanted`, :meth:`Batch.to_be_signed`, and
:meth:`Batch.sealed`.

Admission steps (design, section 5): 1 to 3 and 7 to 9 are :mod:`broker.exchange.admit`'s, what 9 asks of a subject's past is
:mod:`broker.exchange.lifecycle`'s, 4 to 6 are here. Every authentic message in its own outbox consumes its sequence number, also
when it is refused.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from broker import ids
from broker.envelope import cbor, cose, receipt, slip
from broker.envelope.header import Header
from broker.envelope.parcel import read_parcel
from broker.errors import Finding, Refusal
from broker.exchange import attachments, catch_up, sequence
from broker.exchange.admit import AUDIENCE, Authentic, authenticate, examine, knows_schemas, open_section
from broker.exchange.consent import adopted, bind, take_consent
from broker.exchange.content import check_content, timely
from broker.exchange.decide import labels_of
from broker.exchange.lifecycle import next_state, successor
from broker.exchange.post import Post
from broker.exchange.quarantine import First, place_of, quarantine_value
from broker.exchange.recall import reach
from broker.exchange.records import Outgoing, Record
from broker.exchange.rules import Rules
from broker.exchange.sequence import Consumed, Parked, Stream
from broker.exchange.shard import STREAMS_LIMIT, Answer, ShardState
from broker.exchange.tally import Tally
from broker.exchange.topology import CURRENT, JOURNAL, MESSAGE_LIMIT, QUARANTINE
from broker.families.code_findings import bounded
from broker.policy.decide import Decider
from broker.policy.model import Release

BUDGET: Final = 16 << 20
"""About how many bytes one transaction writes: the next record is left to the next batch. A message with many recipients, or one
large one, may go over it by itself."""

RECEIPT_BYTES: Final = 1024
"""What a receipt or a slip with its proof adds to a batch, about."""

PROOFS: Final = 16
"""Most equivocations of one batch that are kept with both messages: who signs a hundred thousand has proved enough by then."""

YOUNG: Final = frozenset({"UNKNOWN_KEY", "KEY_NOT_VALID"})
"""Refusals that a newer directory may take back."""

AHEAD_MS: Final = 5 * 60_000
"""How far ``issued_at`` may be ahead of the outbox's LogAppendTime."""

UNREADABLE: Final = b"r/-"
"""Inbox key of receipts for records whose subject could not be read."""

TEXT_LIMIT: Final = 500
"""Longest reason and path of a refusal in characters: both may quote what a hostile sender wrote."""

FINDING_BYTES: Final = 256
"""What a finding adds to a receipt, about."""


@dataclass(slots=True)
class _Proof:
    """An equivocation in quarantine, whose first message is to be read from the outbox: where it stands among what is written, and
    what it is made of."""

    at: int
    record: Record
    refusal: Refusal
    authentic: Authentic
    first: First
    now_ms: int


class Batch:
    """Outbox records taken in under one view of the rules; changes the shard's state as it goes.

    If the transaction fails, the state is void with it: the caller discards both and reads ``exchange.state`` again.
    ``alg`` and ``kid`` are the relay's key. ``patient``: a record whose key is not known or not valid, or a schema of which is not
    known, is not taken; the caller reads the public topics to their ends and offers it to a batch that is not patient.
    """

    def __init__(
        self, shard: ShardState, rules: Rules, decider: Decider, *, alg: int, kid: bytes, patient: bool = False
    ) -> None:  # fmt: skip
        self.shard, self.rules, self.decider = shard, rules, decider
        self.tally = Tally()
        self._post = Post(rules, alg=alg, kid=kid)
        self._plain: list[Outgoing] = []
        self._leaves: list[bytes] = []
        self._proofs: list[_Proof] = []
        self._proven = 0
        self._patient = patient
        self._weight = 0

    @property
    def full(self) -> bool:
        """Whether it writes enough: what comes next belongs into the next batch, which is to be resumed first."""
        return self._weight >= BUDGET

    def resume(self, *, now_ms: int) -> None:
        """Go on with the waiting messages whose turn had come when the last batch was full; to be called before :meth:`take`.

        One of each agency after the other, and half the budget at most: who let fifty thousand records wait and then releases them at
        once does not keep the outboxes of others from being read.
        """
        if self.shard.subjects:
            self._notice(now_ms)
        ready: dict[str, list[str]] = {}
        for originator, stream in sorted(self.shard.waiting):
            if self.shard.streams[originator, stream].ready:
                ready.setdefault(originator, []).append(stream)
        turns = deque(sorted(ready, key=lambda originator: (originator <= self.shard.resumed, originator)))
        while turns and self._weight < BUDGET // 2:
            originator = self.shard.resumed = turns.popleft()
            if not self._release_one(originator, bytes.fromhex(ready[originator][-1]), now_ms):
                ready[originator].pop()
            if ready[originator]:
                turns.append(originator)

    def take(self, record: Record, *, now_ms: int) -> bool:
        """Deal with the next record of an outbox; ``now_ms`` is the admission time. False: it was not taken (see ``patient``)."""
        result = authenticate(record.value, self.rules, at_ms=now_ms) if record.value is not None else None
        if self._patient and result is not None:
            young = result.code in YOUNG if isinstance(result, Refusal) else not knows_schemas(result.header, self.rules)
            if young:
                return False
        self.shard.move(record, now_ms)
        self._admit(record, result, now_ms)
        return True

    def expire(self, *, now_ms: int) -> None:
        """Refuse what has waited too long for an earlier message of its stream. The numbers stay free for a re-send."""
        for originator, stream in sorted(self.shard.waiting):
            line = self.shard.streams[originator, stream]
            for parked in list(line.overdue(now_ms)):
                if self.full:
                    return
                self.shard.unpark(originator, bytes.fromhex(stream), parked.seq)
                result = authenticate(parked.record.value, self.rules, at_ms=now_ms)
                authentic = result if isinstance(result, Authentic) else None
                reason = f"waited a minute for number {line.last_seq + 1} of the stream"
                self._refuse(parked.record, Refusal("SEQUENCE_GAP", reason), authentic, now_ms)

    def sweep(self, records: Sequence[Record], *, now_ms: int) -> int:
        """Decide again what the next records of ``exchange.current`` say, as far as a sweep is under way and this batch has room; to be
        called after :meth:`take`. Returns how many were taken: where the sweep turns back to the beginning, none of those that follow."""
        room, looks, until = self._weight + BUDGET // 4, 0, self.shard.sweep.until
        for taken, record in enumerate(records):
            sweep = self.shard.sweep
            if sweep.position is None or sweep.until != until or looks == catch_up.LOOKS or self._weight >= room:
                return taken
            owed = catch_up.owed(record, self.shard, self.rules, self.decider, now_ms=now_ms)
            if owed is not None:
                looks += 1
                self._deliver_late(owed, now_ms)
            catch_up.moved(self.shard, record, delivered=owed is not None and bool(owed.releases))
        return len(records)

    def _notice(self, now_ms: int) -> None:
        mark = catch_up.begun(self.shard, self.rules.deciding, now_ms)
        if mark is not None:
            self._plain.append(mark)

    def _deliver_late(self, owed: catch_up.Owed, now_ms: int) -> None:
        """What is owed goes out, and its originator is told besides its first receipt."""
        subject = owed.authentic.header.subject
        for release in owed.releases:
            self._deliver(owed.authentic, release, owed.admitted_ms, late=True)
        state, left = owed.state, attachments.emptied(self.shard, owed.authentic)
        if left is not None:
            state = replace(state, cited_by="")  # for good: what was let go does not come back
            self._plain.append(Outgoing(CURRENT, subject.encode(), left))
        if state is not self.shard.subjects[subject]:
            self.shard.accept(subject, state)
        if owed.releases:
            self.tally.late += len(owed.releases)
            self._answer(owed.record, owed.authentic, None, now_ms, owed.releases, owed.remarks, b"+%d" % self.shard.sweep.number)

    @property
    def wanted(self) -> list[tuple[str, int, int]]:
        """Topic, partition and offset of messages in outboxes that evidence needs, at most :data:`PROOFS`. What is not found is left
        out: evidence then names the leaf and the place."""
        return [(proof.record.topic, proof.record.partition, proof.first.offset or 0) for proof in self._proofs]

    def found(self, records: Sequence[Record]) -> None:
        """Take in what was read of :attr:`wanted`. A record that is not the message of that leaf proves nothing and is ignored."""
        values = {(record.topic, record.partition, record.offset): record for record in records}
        for proof in self._proofs:
            record = values.get((proof.record.topic, proof.record.partition, proof.first.offset or 0))
            if record is None or record.value is None or self._leaf(record.value) != proof.first.leaf:
                continue
            first = replace(proof.first, timestamp_ms=record.timestamp_ms, value=record.value)
            self._weight += len(record.value)
            self._plain[proof.at] = self._quarantined(proof.record, proof.refusal, proof.authentic, proof.now_ms, first)

    def _leaf(self, value: bytes) -> bytes | None:
        """The leaf of a record value, whoever signed it and whenever: it was verified when it was taken."""
        parcel = read_parcel(value, MESSAGE_LIMIT)
        if isinstance(parcel, Refusal):
            return None
        return cose.leaf_hash(cose.to_be_signed(parcel.statement.protected, self.rules.aad, parcel.statement.payload))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.shard.pending

    def _admit(self, record: Record, result: Authentic | Refusal | None, now_ms: int) -> None:
        """Steps 4 to 6, after what came of the first three; the sequence decides whether the rest follows."""
        owner = record.topic.partition(".")[2]
        if result is None:
            self._refuse(record, Refusal("NOT_A_PARCEL", "the record has no value"), None, now_ms)
            return
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
        if self.shard.is_full(owner, header.stream):
            reason = f"{owner} has {STREAMS_LIMIT} streams, and this would be another"
            self._refuse(record, Refusal("TOO_MANY_STREAMS", reason), result, now_ms)
            return
        self._in_turn(record, result, now_ms)

    def _in_turn(self, record: Record, result: Authentic, now_ms: int) -> None:
        """Step 6."""
        header = result.header
        line = self.shard.stream(header.originator, header.stream)
        match line.turn(header.seq, result.leaf, header.prev):
            case sequence.Next():
                self._judge(record, result, self._barred(record, result), now_ms)
                self._release(header.originator, header.stream, now_ms)
            case sequence.BrokenChain():
                refusal = Refusal("BROKEN_CHAIN", f"prev of number {header.seq} is not the leaf of number {header.seq - 1}")
                self._judge(record, result, refusal, now_ms)
                self._release(header.originator, header.stream, now_ms)
            case sequence.Duplicate(answer):
                self.tally.duplicates += 1
                if answer is not None:
                    self._weight += max(RECEIPT_BYTES, len(answer.note))
                    self._post.repeat(answer)
            case sequence.Early(expected, full):
                self._wait(record, result, expected, now_ms, full=full or self.shard.waits_too_much(header.originator))
            case sequence.Equivocation(first):
                self._contradicted(record, result, first, now_ms)
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
        self._weight += parked.weight
        self.tally.parked += 1

    def _contradicted(self, record: Record, authentic: Authentic, known: Consumed | Parked, now_ms: int) -> None:
        """Two messages under one number: the second is refused, and both are kept where the first is at hand or can be read again."""
        refusal = Refusal("EQUIVOCATION", f"number {authentic.header.seq} was used for {known.leaf.hex()[:16]}… before")
        if isinstance(known, Consumed):
            first = First(known.leaf, known.offset)
        else:
            waits: Record = known.record
            first = First(known.leaf, waits.offset, waits.timestamp_ms, waits.value if self._proven < PROOFS else None)
        at = len(self._plain)
        self._refuse(record, refusal, authentic, now_ms, first)
        if first.offset is not None and self._proven < PROOFS:
            self._proven += 1
            if first.value is None:
                self._proofs.append(_Proof(at, record, refusal, authentic, first, now_ms))

    def _release(self, originator: str, stream: bytes, now_ms: int) -> None:
        """Messages that waited have their turn, in order, until the batch is full."""
        while not self.full and self._release_one(originator, stream, now_ms):
            pass

    def _release_one(self, originator: str, stream: bytes, now_ms: int) -> bool:
        """The message whose turn it is, if it waits. False: the stream has not moved."""
        line: Stream = self.shard.stream(originator, stream)
        parked = self.shard.unpark(originator, stream, line.last_seq + 1)
        if parked is None:
            return False
        result = authenticate(parked.record.value, self.rules, at_ms=now_ms)
        if isinstance(result, Refusal):
            self._refuse(parked.record, result, None, now_ms)
            return False
        refusal: Refusal | None = None
        if result.header.prev != line.last_leaf:
            refusal = Refusal("BROKEN_CHAIN", f"prev of number {parked.seq} is not the leaf of number {parked.seq - 1}")
        self._judge(parked.record, result, refusal or self._barred(parked.record, result), now_ms)
        return True

    def _judge(self, record: Record, authentic: Authentic, refusal: Refusal | None, now_ms: int) -> None:
        """Steps 7 to 9 and the decision; whatever comes out, the sequence number is consumed."""
        header = authentic.header
        refusal = refusal or examine(authentic, self.rules, complete=True) or attachments.uncited(self.shard, authentic)
        state = refusal or next_state(self.shard.subjects.get(header.subject), authentic)
        if isinstance(state, Refusal):
            answer = self._refuse(record, state, authentic, now_ms)
        elif isinstance(remarks := check_content(authentic, self.rules), Refusal):
            answer = self._refuse(record, remarks, authentic, now_ms)
        else:
            answer = self._decide(record, authentic, state, remarks, now_ms)
        self.shard.consume(header.originator, header.stream, header.seq, authentic.leaf, answer, record.offset)

    def _decide(self, record: Record, authentic: Authentic, state: str, remarks: list[Finding], now_ms: int) -> Answer:
        """Ask policy: may it be published, and who gets which sections. Holders are reached besides (:mod:`broker.exchange.recall`)."""
        header = authentic.header
        known = self.shard.subjects.get(header.subject)
        known = known and adopted(known, self.rules.openings, header.subject, now_ms)
        labels = labels_of(header, open_section(authentic, AUDIENCE), known.consents if known else ())
        verdict = self.decider.may_publish(labels, now_ms)
        if not verdict.allowed:
            refusal = Refusal("MAY_NOT_PUBLISH", verdict.reason, "header.family")
            return self._refuse(record, refusal, authentic, now_ms)
        self._notice(now_ms)
        distribution = attachments.following(self.shard, authentic, self.rules.directory)
        distribution = distribution or bind(self.decider.distribute(labels, now_ms), labels, self.decider, now_ms)
        reached = reach(labels, known, distribution, self.rules.directory)
        for release in reached.releases:
            self._deliver(authentic, release, now_ms)
        findings = (*timely(header, known, record.timestamp_ms), *remarks, *take_consent(self.shard, authentic, self.rules, now_ms))
        after = attachments.noted(successor(known, authentic, reached, state), authentic)
        until = distribution.until_ms
        decided = catch_up.decided(header, after.recipients, reached.releases, admitted_ms=now_ms, offset=record.offset, until_ms=until)
        self.shard.accept(header.subject, replace(after, decided=decided))
        self._plain.append(Outgoing(CURRENT, header.subject.encode(), record.value))
        self._weight += len(record.value or b"")
        self._leaves.append(authentic.leaf)
        self.tally.accepted += 1
        return self._answer(record, authentic, None, now_ms, reached.releases, findings)

    def _deliver(self, authentic: Authentic, release: Release, admitted_ms: int, *, late: bool = False) -> None:
        counter, prev = self.shard.deliver(release.agency, authentic.leaf)
        note = slip.Slip(
            exchange_id=self.rules.exchange_id,
            environment=self.rules.environment,
            recipient=release.agency,
            shard=self.shard.number,
            counter=counter,
            prev=prev,
            leaf=authentic.leaf,
            admitted_at=admitted_ms,
            rule=release.rule,
            given=release.given,
            withheld=release.withheld,
            policy_version=self.rules.policy_version,
            directory_version=self.rules.directory.version,
            redelivery=late,
            bound=release.bound,
        )
        self._weight += RECEIPT_BYTES + self._post.deliver(authentic, release, note)
        self.tally.delivered += 1

    def _refuse(
        self, record: Record, refusal: Refusal, authentic: Authentic | None, now_ms: int, first: First | None = None
    ) -> Answer:  # fmt: skip
        """Quarantine the bytes as they came, and tell the owner of the outbox."""
        self.tally.refuse(refusal.code)
        refusal = Refusal(refusal.code, _shown(refusal.reason), _shown(refusal.path))
        kept = self._quarantined(record, refusal, authentic, now_ms, first)
        self._weight += len(kept.value or b"")
        self._plain.append(kept)
        return self._answer(record, authentic, refusal, now_ms, (), ())

    def _quarantined(
        self, record: Record, refusal: Refusal, authentic: Authentic | None, now_ms: int, first: First | None
    ) -> Outgoing:  # fmt: skip
        header = authentic.header if authentic else None
        evidence = quarantine_value(
            record,
            refusal,
            at_ms=now_ms,
            originator=header.originator if header else None,
            subject=_subject(header),
            leaf=authentic.leaf if authentic else None,
            first=first,
        )
        return Outgoing(QUARANTINE, place_of(record).encode(), evidence)

    def _answer(
        self,
        record: Record,
        authentic: Authentic | None,
        refusal: Refusal | None,
        now_ms: int,
        releases: Sequence[Release],
        findings: tuple[Finding, ...],
        mark: bytes = b"",
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
            recipients=tuple([_disclosed(release) for release in releases]),
            findings=bounded(findings),
        )
        key = b"r/" + subject.encode() + mark if subject else UNREADABLE
        self._weight += RECEIPT_BYTES * (1 + len(releases) // 8) + FINDING_BYTES * len(note.findings)
        return self._post.answer(key, note)

    def to_be_signed(self) -> list[bytes]:
        """What the relay's key has to sign."""
        return self._post.to_be_signed()

    def sealed(self, signatures: Sequence[bytes]) -> list[Outgoing]:
        """All records of the transaction, given the signatures that :meth:`to_be_signed` asked for."""
        self.tally.health = self.decider.news()
        self.shard.note_health(self.tally.health)
        records = self._post.sealed(signatures)
        records += self._plain
        if self._leaves:
            records.append(Outgoing(JOURNAL, None, cbor.encode([self.shard.number, list(self._leaves)])))
        records += self.shard.drain()
        return records


def _disclosed(release: Release) -> receipt.Disclosure:
    """What a receipt says of one recipient."""
    withheld, by = tuple([name for name, _ in release.withheld]), tuple([rule for _, rule in release.withheld])
    return receipt.Disclosure(release.agency, tuple([name for name, _ in release.given]), withheld, release.rule, by)


def _shown(text: str) -> str:
    """A text that every receipt can hold: no control or direction-changing characters, and not too long."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text[:TEXT_LIMIT])


def _subject(header: Header | None) -> str | None:
    """The subject that a header names, if it is one."""
    try:
        return ids.subject_id(header.subject) if header else None
    except ids.InvalidId:
        return None
