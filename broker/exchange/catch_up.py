"""Deciding subjects again: who is entitled now to what it was not sent, because it joined late, came back from a suspension, was given a
community, because there is a new bundle, or because an embargo has ended; and who is entitled no more to what it was sent, because it
left, a bundle gives less, an agreement or a consent has ended.

A *sweep* goes through ``exchange.current``, which holds the last whole parcel of each subject, in small steps between and inside the
batches of traffic, and decides each subject of its shard under the rules of now. What it owes is delivered in the same transactions
as everything else, with a slip that says ``redelivery``, and the subject's row then names the recipient with the sections it was
sent. So a sweep may be repeated from anywhere: what was delivered is not owed any more.

===========================  ================================================================================================
the subject                  to whom it is owed
===========================  ================================================================================================
live                         each agency that policy names now and that was not sent this revision, or without a section it now gets
over, or past valid_until    each agency that policy names now and that holds an earlier revision: it has to learn how it stands
recalled                     each holder that the recall did not reach; nobody else is ever sent anything of it
narrowed by its owner        each holder that dropped out and could not be told (:mod:`broker.exchange.recall`)
any but recalled             each recipient that gets fewer sections of it now, or for other purposes (:mod:`broker.exchange.consent`): the
                             parcel as it gets it now, in the place of the first in inbox and register; one that gets nothing any more:
                             the withdrawal, and it has to erase it
===========================  ================================================================================================

Nothing is owed to an agency that is not active: one that is suspended keeps what it has, unread, until it is back. Nothing is taken
from one whom an error of policy denies. Of a message that its originator might not publish now nothing more is given, and of one whose
key is known by now to have been compromised when it was admitted nothing goes out at all. A newer revision that was accepted meanwhile
was decided when it was accepted; the older one, where the sweep comes upon it, is passed over by its leaf.

A sweep begins when the rules decide otherwise than before (:attr:`broker.exchange.rules.Rules.deciding`), and, for the subjects
concerned alone, when a date comes that a decision depends on. It begins with a mark of the shard's own behind everything in
``exchange.current`` that was decided before, and ends when it has read that mark. Where rules change under way it goes on from where
it is to a new mark, then from the beginning to where it was: changes that follow each other closely do not keep it from getting round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from broker import ids
from broker.envelope import cose
from broker.envelope.header import Header
from broker.envelope.parcel import read_parcel
from broker.envelope.receipt import Receipt
from broker.envelope.section import body_of
from broker.errors import Finding, Refusal
from broker.exchange.admit import AUDIENCE, Authentic, authenticate_parcel
from broker.exchange.attachments import following
from broker.exchange.consent import adopted, bind
from broker.exchange.decide import labels_of
from broker.exchange.recall import is_active, word_owed
from broker.exchange.records import Outgoing, Record
from broker.exchange.rules import Rules
from broker.exchange.shard import Decided, ShardState, SubjectState, Sweep
from broker.exchange.topology import CURRENT, MESSAGE_LIMIT
from broker.families.lifecycles.tables import JOINT, RECALL_FAMILY
from broker.policy.decide import Decider
from broker.policy.model import POLICY_ERROR, Distribution, Labels, Release, Verdict

LOOKS: Final = 32
"""Most subjects decided again in one batch. One takes 0.13 ms, 0.3 ms with a delivery (measured on two loaded cores)."""
SAVE_EVERY: Final = 2000
"""How far a sweep that owes nothing gets before its position is written."""

OVER: Final = frozenset({"CLOSED", "SUPERSEDED", "MERGED", "EXPIRED", "EXHAUSTED", "SURRENDERED", "DENIAL_LAPSED", "RECALLED"})
"""States of a publication of which nobody has to learn who never heard of it. A revocation is not among them: it stops shipments."""

LATER: Final = Finding("INFO", "DELIVERED_LATER", "", "these recipients were added, or got more sections, after the message was accepted")
"""What a receipt says that names recipients besides those of the first receipt."""
LESS: Final = Finding("INFO", "DISCLOSED_LESS", "", "recipients get less of it by the rules of now, or nothing, and erase the rest")
"""What a receipt says that names recipients from whom something was taken."""

BOUND_ANEW: Final = Finding("INFO", "BOUND_ANEW", "", "these recipients were told for which purposes they have it by now")
"""What a receipt says where nothing changed but the purposes that consent binds it to."""

NOTHING_NEW: Final = "nothing-new-when-over"
"""The rule of a section that comes to nobody any more who has the message: it is closed, expired or past its validity."""

UNKNOWN_OFFSET: Final = -1
"""Where a message lay in its outbox, of which the relay kept no place."""


def is_later(answer: Receipt) -> bool:
    """Whether a receipt came after the message's first one, for what was decided again."""
    return any(finding.code in (LATER.code, LESS.code, BOUND_ANEW.code) for finding in answer.findings)


@dataclass(frozen=True, slots=True)
class Owed:
    """What one subject's last parcel is owed: deliveries to make, and the subject's state with them, both perhaps as it was.

    ``record`` is the parcel as it was found in its outbox, as far as that is known; ``remarks`` are for its owner.
    """

    authentic: Authentic
    record: Record
    releases: tuple[Release, ...]
    admitted_ms: int
    state: SubjectState
    remarks: tuple[Finding, ...] = ()


def begun(shard: ShardState, deciding: bytes, now_ms: int) -> Outgoing | None:
    """Begin a sweep if it is time: the mark to write into ``exchange.current``. None where there is nothing new.

    To be asked before anything is decided under these rules: what is accepted from then on is not ahead of the sweep.
    """
    sweep, changed = shard.sweep, shard.sweep.deciding != deciding
    if changed and not shard.subjects:
        shard.sweeps(Sweep(deciding, sweep.number))
        return None
    if changed:
        at = 0 if sweep.position is None or sweep.dated else sweep.position
        shard.sweeps(Sweep(deciding, sweep.number + 1, at, again=at))
    elif sweep.position is None and shard.due is not None and shard.due < now_ms:
        # A rule may turn at a date, and another a millisecond later: one sweep serves both.
        shard.sweeps(Sweep(deciding, sweep.number + 1, 0, dated=True))
    else:
        return None
    shard.look_ahead(now_ms)
    return Outgoing(CURRENT, _mark(shard), b"%d" % shard.sweep.number)


def moved(shard: ShardState, record: Record, *, delivered: bool) -> None:
    """The sweep has dealt with a record of ``exchange.current``. ``delivered``: what it owed is in the same transaction."""
    sweep = shard.sweep
    if sweep.position is None:
        return
    is_mark = record.key == _mark(shard) and record.value == b"%d" % sweep.number
    if is_mark and sweep.again:
        shard.sweeps(replace(sweep, position=0, again=0, until=sweep.again))
    elif is_mark or (sweep.until is not None and record.offset + 1 >= sweep.until):
        shard.sweeps(replace(sweep, position=None, until=None))
    elif delivered or record.offset + 1 - sweep.position >= SAVE_EVERY:
        shard.sweeps(replace(sweep, position=record.offset + 1))


def _mark(shard: ShardState) -> bytes:
    """A key that no subject has: subjects begin with an agency id."""
    return b"-/%d" % shard.number


def owed(record: Record, shard: ShardState, rules: Rules, decider: Decider, *, now_ms: int) -> Owed | None:
    """What a record of ``exchange.current`` is owed now. None where it is not for this sweep: another shard's subject, a revision that
    is not the last, a decision whose date has not come."""
    known = shard.subjects.get((record.key or b"").decode("ascii", "replace"))
    if known is None or record.value is None or (shard.sweep.dated and not _has_come(known, now_ms)):
        return None
    authentic = _authentic(record, known, rules)
    audience = None if authentic is None else _audience(authentic, rules)
    if authentic is None or audience is None:
        return None
    header = authentic.header
    known = adopted(known, rules.openings, header.subject, now_ms)
    labels = labels_of(header, audience, known.consents)
    distribution = following(shard, authentic, rules.directory) or bind(decider.distribute(labels, now_ms), labels, decider, now_ms)
    known = _without(known, header, _lost(known, header, distribution, rules), now_ms)
    publishing = decider.may_publish(labels, now_ms)
    releases = _missing(known, header, labels, distribution, publishing, rules, now_ms=now_ms)
    before = known.decided
    admitted, offset = (before.admitted_ms, before.offset) if before else (record.timestamp_ms, UNKNOWN_OFFSET)
    state = _with(known, header, releases, admitted, offset, distribution.until_ms)
    lay = replace(record, topic=ids.outbox(header.originator), partition=0, offset=offset)
    return Owed(authentic, lay, releases, admitted, state, _remarks(known, header, releases, rules, now_ms))


def _remarks(known: SubjectState, header: Header, releases: tuple[Release, ...], rules: Rules, now_ms: int) -> tuple[Finding, ...]:
    """What the owner is told of these releases besides whom they name. ``known`` is the subject before them."""
    names, had = _sections(header), _given(known, header)
    more = any(_bits(release, names) & ~had.get(release.agency, 0) for release in releases) or header.family == RECALL_FAMILY
    less = any(not release.given or had.get(release.agency, 0) & ~_bits(release, names) for release in releases)
    anew = bool(releases) and not more and not less
    sent = {release.agency for release in releases if release.given}
    opened = [each.remark for each in rules.openings.of(header.subject, now_ms) if each.opening.agency in sent]
    return (*((LATER,) if more else ()), *((LESS,) if less else ()), *((BOUND_ANEW,) if anew else ()), *opened)


def _has_come(known: SubjectState, now_ms: int) -> bool:
    until = known.decided.until_ms if known.decided else None
    return until is not None and until <= now_ms


def _authentic(record: Record, known: SubjectState, rules: Rules) -> Authentic | None:
    """The parcel, if it is the subject's last revision and its key is good for when it was admitted."""
    parcel = read_parcel(record.value or b"", MESSAGE_LIMIT)
    if isinstance(parcel, Refusal):
        return None
    statement = parcel.statement
    if cose.leaf_hash(cose.to_be_signed(statement.protected, rules.aad, statement.payload)) != known.leaf:
        return None
    admitted = known.decided.admitted_ms if known.decided else record.timestamp_ms
    authentic = authenticate_parcel(parcel, rules, at_ms=admitted)
    return None if isinstance(authentic, Refusal) else authentic


def _audience(authentic: Authentic, rules: Rules) -> Mapping[str, Any] | None:
    """The audience section. The parcel was examined when it was admitted, and nobody but the relay writes where it was kept."""
    commitment = next((each for each in authentic.header.commitments if each.section == AUDIENCE), None)
    schema = rules.catalogue.by_id(commitment.schema_id) if commitment else None
    if schema is None or AUDIENCE not in authentic.parcel.sections:
        return None
    read = rules.catalogue.read(schema, body_of(authentic.parcel.sections[AUDIENCE]), logical=False)
    return None if isinstance(read, Refusal) else read


def _missing(
    known: SubjectState, header: Header, labels: Labels, distribution: Distribution, publishing: Verdict, rules: Rules, *, now_ms: int
) -> tuple[Release, ...]:  # fmt: skip
    """The releases that were not made: the table above. ``publishing``: whether the originator might publish it now."""
    untold = word_owed(labels, known, distribution, rules.directory)
    if header.family == RECALL_FAMILY:
        return untold if publishing.allowed else ()
    over = bool(OVER.intersection(known.state.split(JOINT))) or (header.valid_until is not None and header.valid_until <= now_ms)
    names, had, bound = _sections(header), _given(known, header), dict(known.decided.bound if known.decided else ())
    missing: list[Release] = []
    for release in distribution.releases:
        if not is_active(release.agency, rules.directory):
            continue
        now = _bits(release, names)
        before = had.get(release.agency)
        if before is not None and known.decided is None:
            before = now  # what it was sent is not known, and nothing is taken on suspicion
        new = before is None or bool(now & ~before)
        if before is not None and before & _unclear(release, names):
            continue
        if before is not None and (over or not publishing.allowed):
            release = _only(release, names, before, NOTHING_NEW if publishing.allowed else publishing.rules[0])
        less = before is not None and bool(before & ~now)
        anew = before is not None and known.decided is not None and release.bound != bound.get(release.agency, ())
        if less or anew or (publishing.allowed and (release.agency in known.former if over else new)):
            missing.append(release)
    return (*missing, *untold)


def _only(release: Release, names: list[str], before: int, rule: str) -> Release:
    """The release without what the recipient was not sent before, which this rule withholds."""
    had = {name for place, name in enumerate(names) if before >> place & 1}
    kept = tuple(each for each in release.given if each[0] in had)
    more = tuple((section, rule) for section, _rule in release.given if section not in had)
    bound = tuple(each for each in release.bound if each[0] in had)
    return replace(release, given=kept, withheld=(*release.withheld, *more), bound=bound)


def _unclear(release: Release, names: list[str]) -> int:
    """The sections that an error of policy withholds. From who has one of them nothing is taken: the parcel would come without it."""
    failed = {section for section, rule in release.withheld if rule == POLICY_ERROR}
    return sum(1 << place for place, name in enumerate(names) if name in failed)


def _lost(known: SubjectState, header: Header, distribution: Distribution, rules: Rules) -> frozenset[str]:
    """The recipients of the last revision who get nothing of it any more. A recall is no one's to lose."""
    if header.family == RECALL_FAMILY:
        return frozenset()
    named = {release.agency for release in distribution.releases}
    failed = {denial.agency for denial in distribution.denials if denial.rule == POLICY_ERROR}
    return frozenset(each for each in set(known.recipients).difference(named, failed) if is_active(each, rules.directory))


def _without(known: SubjectState, header: Header, lost: frozenset[str], now_ms: int) -> SubjectState:
    """The subject without the holders who get nothing of it any more: they have to be told. The consents that ended are forgotten."""
    consents = tuple(each for each in known.consents if each.until_ms > now_ms)
    if not lost:
        return known if len(consents) == len(known.consents) else replace(known, consents=consents)
    had = {agency: bits for agency, bits in _given(known, header).items() if agency not in lost}
    decided = replace(known.decided, given=_packed(had.values(), len(_sections(header)))) if known.decided else None
    former, untold = (tuple(sorted({*names, *lost})) for names in (known.former, known.untold))
    return replace(known, recipients=tuple(had), former=former, untold=untold, decided=decided, consents=consents)


def _with(
    known: SubjectState, header: Header, releases: tuple[Release, ...], admitted: int, offset: int, until: int | None
) -> SubjectState:  # fmt: skip
    """The subject when these releases are made; the very same where nothing is new."""
    if not releases and known.decided is not None and known.decided.until_ms == until:
        return known
    names, had = _sections(header), _given(known, header)
    had.update((release.agency, _bits(release, names)) for release in releases if release.given)
    recipients = tuple(sorted(had))
    bound = dict(known.decided.bound if known.decided else ()) | {release.agency: release.bound for release in releases}
    to = tuple((agency, bound[agency]) for agency in recipients if bound.get(agency))
    decided = Decided(_packed((had[agency] for agency in recipients), len(names)), admitted, offset, until, to)
    former = tuple(agency for agency in known.former if agency not in had)
    told = {release.agency for release in releases}
    untold = tuple(agency for agency in known.untold if agency not in told)
    return replace(known, recipients=recipients, former=former, decided=decided, untold=untold)


def decided(
    header: Header, recipients: Iterable[str], releases: Iterable[Release], *, admitted_ms: int, offset: int, until_ms: int | None
) -> Decided:  # fmt: skip
    """How a revision was decided when it was accepted. ``recipients`` in the order in which the subject's state has them."""
    names, releases = _sections(header), tuple(releases)
    bits = {release.agency: _bits(release, names) for release in releases}
    bound = tuple((release.agency, release.bound) for release in releases if release.bound)
    return Decided(_packed((bits.get(agency, 0) for agency in recipients), len(names)), admitted_ms, offset, until_ms, bound)


def _sections(header: Header) -> list[str]:
    return [commitment.section for commitment in header.commitments if commitment.section != AUDIENCE]


def _bits(release: Release, names: list[str]) -> int:
    given = {section for section, _rule in release.given}
    return sum(1 << place for place, name in enumerate(names) if name in given)


def _packed(bits: Iterable[int], count: int) -> bytes:
    width = max(1, (count + 7) // 8)
    return b"".join(each.to_bytes(width, "big") for each in bits)


def _given(known: SubjectState, header: Header) -> dict[str, int]:
    """Each recipient of the last revision, with the sections it was sent as bits. Where that was not kept: all, so that nothing is sent
    again to those who have it."""
    count = len(_sections(header))
    if known.decided is None:
        return dict.fromkeys(known.recipients, (1 << count) - 1)
    given, width = known.decided.given, max(1, (count + 7) // 8)
    return {
        agency: int.from_bytes(given[place * width : (place + 1) * width], "big") for place, agency in enumerate(known.recipients)
    }  # fmt: skip
