"""Who is reached by a revision besides those whom policy names: holders, whom a recall reaches and a narrowing tells to erase.

A *holder* was given sections of any revision of a subject. What holds beside policy's own decision:

===========================  ================================================================================================
the message                  who gets it
===========================  ================================================================================================
a recall                     every holder, whatever audience, communities and policies say now, and nobody else: ``core`` (reason,
                             action, term) under :data:`REACHES_HOLDERS`
any other revision           whom policy names; and each holder of the revision before whom it does not name any more gets the
                             statement **without a section**, all withheld under :data:`NO_LONGER_DISCLOSED`: a *withdrawal*
===========================  ================================================================================================

A withdrawal is also what :mod:`broker.exchange.catch_up` sends, of the revision itself, to who gets nothing of it by the rules of now.
Both lie in the inbox under the key of the subject, so that compaction leaves nothing of what they take back. A withdrawal is made
once; a holder that comes into the audience again receives as others do.

What a withdrawal discloses is the header of the new revision, which was signed as a whole: ids, times, urgency, marks, purposes, legal
basis, the routing labels (countries and their roles, HS chapters, category, free zone), what it correlates to, and the names of its
sections with their salted hashes. Labels that those who drop out must not see do not belong into a revision that narrows; a recall
says nothing but that it is one.

A suspended agency and one that is no member get neither: they are remembered as untold, and are told by the next revision, or when they
are back (:mod:`broker.exchange.catch_up`). A holder whom an error of policy denies keeps what it has: erasing is for good, and an error
is no decision of the owner's.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from broker.envelope.receipt import Disclosure, Receipt
from broker.exchange.receive import read_receipt
from broker.exchange.rules import Rules
from broker.exchange.shard import SubjectState
from broker.families.lifecycles.tables import RECALL_FAMILY
from broker.policy.model import POLICY_ERROR, Distribution, Labels, Release
from broker.trust.directory import Directory
from broker.values import immutable

REACHES_HOLDERS: Final = "recall-reaches-holders"
"""The rule under which a holder receives a recall. No policy can take it back."""
NO_LONGER_DISCLOSED: Final = "no-longer-disclosed"
"""The rule of a withdrawal: the agency held a revision of the subject, this one or an earlier, and gets nothing of this one by now."""


@immutable
class Reach:
    """Whom a revision is delivered to, in order of agency id, and how that leaves the subject's holders.

    ``given`` get sections of it. ``untold`` hold an earlier revision that was taken back from them, and could not be told.
    """

    releases: tuple[Release, ...]
    given: tuple[str, ...]
    untold: tuple[str, ...]


def reach(labels: Labels, known: SubjectState | None, distribution: Distribution, directory: Directory) -> Reach:
    """Whom a revision that was accepted goes to. ``distribution`` is policy's decision, ``known`` the subject before it."""
    if labels.family == RECALL_FAMILY:
        holders = sorted(known.holders) if known else []
        reached = tuple(agency for agency in holders if is_active(agency, directory))
        releases = tuple(Release(agency, REACHES_HOLDERS, tuple((s, REACHES_HOLDERS) for s in labels.sections), ()) for agency in reached)
        return Reach(releases, reached, tuple(sorted(set(holders).difference(reached))))
    given = tuple(release.agency for release in distribution.releases)
    dropped = sorted({*known.recipients, *known.untold}.difference(given)) if known else []
    if not dropped:
        return Reach(distribution.releases, given, ())
    failed = {denial.agency for denial in distribution.denials if denial.rule == POLICY_ERROR}
    told = [agency for agency in dropped if agency not in failed and is_active(agency, directory)]
    withheld = tuple((section, NO_LONGER_DISCLOSED) for section in labels.sections)
    releases = (*distribution.releases, *(Release(agency, NO_LONGER_DISCLOSED, (), withheld) for agency in told))
    untold = tuple(agency for agency in dropped if agency not in told)
    return Reach(tuple(sorted(releases, key=lambda release: release.agency)), given, untold)


def word_owed(labels: Labels, known: SubjectState, distribution: Distribution, directory: Directory) -> tuple[Release, ...]:
    """The recalls and withdrawals of the subject's last revision that could not be made when it was accepted, and can be now."""
    owed = reach(labels, known, distribution, directory).releases
    return tuple(each for each in owed if each.agency in known.untold and each.rule in (REACHES_HOLDERS, NO_LONGER_DISCLOSED))


def is_active(agency: str, directory: Directory) -> bool:
    """Whether it is a member that is not suspended."""
    entry = directory.agency(agency)
    return entry is not None and entry.status == "active"


def taken_back(family: str, sections: Iterable[str]) -> bool:
    """Whether a delivery is the owner's word that its subject may not be held any longer: a recall, or one without a section."""
    return family == RECALL_FAMILY or not any(True for _ in sections)


def remembered(receipts: Iterable[Receipt]) -> SubjectState | None:
    """What the relay remembers of a subject, as far as its owner can tell from the receipts of its revisions, of which one may have
    several: who is sent it later, or has to erase it, is in a later receipt. None where nothing was accepted. Family and state are not in
    receipts."""
    state: SubjectState | None = None
    accepted = sorted((each for each in receipts if each.outcome == "ACCEPTED"), key=lambda each: (each.revision or 0, each.admitted_at))
    for revision, same in groupby(accepted, key=lambda each: each.revision or 0):
        told: dict[str, Disclosure] = {}
        leaf = b""
        before = set(state.holders if state else ())
        for receipt in same:
            leaf = receipt.leaf or b""
            told |= {each.agency: each for each in receipt.recipients}
            before.update(each.agency for each in receipt.recipients if not each.withdrawn)
        given = tuple(sorted(agency for agency, each in told.items() if not each.withdrawn))
        untold = tuple(sorted({*state.recipients, *state.untold}.difference(told))) if state else ()
        former = tuple(sorted(before.difference(given)))
        state = SubjectState("", revision, leaf, given, "", former, untold=untold)
    return state


def foreseen(labels: Labels, notes: Iterable[bytes], decided: Distribution, rules: Rules) -> Distribution:
    """Policy's decision on a revision that was not published yet, with the holders whom it would reach besides, as far as ``notes``, the
    receipts of the revisions before it, tell: a release that gives nothing is a withdrawal."""
    receipts = [receipt for note in notes if isinstance(receipt := read_receipt(note, rules), Receipt)]
    releases = reach(labels, remembered(receipts), decided, rules.directory).releases
    reached = {release.agency for release in releases}
    left = tuple(denial for denial in decided.denials if denial.agency not in reached)
    return Distribution(releases, left, decided.until_ms)
