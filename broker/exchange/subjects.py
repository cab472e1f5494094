"""What a shard remembers of one subject, and the row of it in ``exchange.state`` (:mod:`broker.exchange.shard`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from broker.policy.model import Consent
from broker.values import immutable


@immutable
class Decided:
    """How the last revision of a subject was decided, so that it can be decided again (:mod:`broker.exchange.catch_up`).

    ``given`` says which sections each recipient was sent, in the order of the recipients: numbers of equal length, big-endian, in
    which bit n stands for the nth section that the header commits to, the audience left out. ``admitted_ms`` is when the revision
    was admitted, ``offset`` where it lay in its outbox, ``until_ms`` the next date at which the decision may change. ``bound`` has the
    recipients to whom sections were given for certain purposes, with those (:attr:`broker.policy.model.Release.bound`).
    """

    given: bytes
    admitted_ms: int
    offset: int
    until_ms: int | None
    bound: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = ()


@immutable
class SubjectState:
    """The last accepted revision of a subject, who was given it, and where it took the subject (:mod:`broker.exchange.lifecycle`).

    ``family`` is the subject's, also after a recall. ``former`` were given an earlier revision and not the last, sorted; ``untold``
    are those of them who were not told so (:mod:`broker.exchange.recall`). ``decided`` is None where a relay wrote the row that did not
    keep it. ``consents`` are the owner's (:mod:`broker.exchange.consent`).

    ``files`` are those that the last revision cites, each with its number of chunks, and ``files_at`` the place of the section that cites
    them; ``cited_by`` is the subject that cites the file of which this one is a chunk (:mod:`broker.exchange.attachments`).
    """

    family: str
    revision: int
    leaf: bytes
    recipients: tuple[str, ...]
    state: str = ""
    former: tuple[str, ...] = ()
    decided: Decided | None = None
    untold: tuple[str, ...] = ()
    consents: tuple[Consent, ...] = ()
    files: tuple[tuple[bytes, int], ...] = ()
    files_at: int = 0
    cited_by: str = ""

    @property
    def holders(self) -> frozenset[str]:
        """Everyone who was given any revision: whom a recall has to reach."""
        return frozenset((*self.recipients, *self.former))


def _life(row: list[Any]) -> tuple[str, tuple[str, ...]]:
    """State and former holders of a subject; rows of a relay that kept neither end before them."""
    return (row[4], tuple(row[5])) if len(row) > 5 else ("", ())


def _untold(row: list[Any]) -> tuple[str, ...]:
    """Former holders that were not told; rows of a relay that told nobody end before them."""
    return tuple(row[7]) if len(row) > 7 else _life(row)[1]


def _consents(row: list[Any]) -> tuple[Consent, ...]:
    """The owner's consents; rows of a subject without any, or of a relay that knew none, end before them."""
    return (
        tuple(Consent(each[0], tuple(each[1]), each[2], each[3], bool(each[4]), bool(each[5]), _purposes(each)) for each in row[8])
        if len(row) > 8
        else ()
    )


def _purposes(consent: list[Any]) -> tuple[str, ...]:
    """For what an owner consented; where it named nothing, the row ends before it."""
    return tuple(consent[6].split()) if len(consent) > 6 else ()


def _decided(row: list[Any]) -> Decided | None:
    """How it was decided; rows of a relay that did not decide again end before it."""
    if len(row) < 7 or row[6] is None:
        return None
    given, admitted_ms, offset, until_ms, *more = row[6]
    bound: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
    for agency, sections, purposes in more[0] if more else ():
        bound[agency] = (*bound.get(agency, ()), *((section, tuple(purposes.split())) for section in sections.split()))
    return Decided(given, admitted_ms, offset, until_ms, tuple(bound.items()))


def _grouped(agency: str, bound: Iterable[tuple[str, tuple[str, ...]]]) -> list[list[str]]:
    """What is bound of one recipient, sections of the same purposes together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for section, purposes in bound:
        groups.setdefault(purposes, []).append(section)
    return [[agency, " ".join(sections), " ".join(purposes)] for purposes, sections in groups.items()]


def _attached(row: list[Any]) -> tuple[tuple[tuple[bytes, int], ...], int, str]:
    """The files that it cites, the place of the section, the subject that cites it; most rows end before them."""
    if len(row) < 10:
        return (), 0, ""
    if len(row[9]) == 1:
        return (), 0, row[9][0]
    place, files = row[9]
    return tuple((files[at : at + 16], files[at + 16]) for at in range(0, len(files), 17)), place, ""


def showing(state: SubjectState) -> tuple[str, ...]:
    """Who was given the section that cites files with the last revision: a number out of :class:`Decided` has its bit."""
    if not state.files or state.decided is None or not state.recipients:
        return ()
    given = state.decided.given
    width = len(given) // len(state.recipients)
    bits = (int.from_bytes(given[place * width : (place + 1) * width], "big") for place in range(len(state.recipients)))
    return tuple(agency for agency, each in zip(state.recipients, bits, strict=True) if each >> state.files_at & 1)


def narrowed(state: SubjectState, holders: Iterable[str]) -> SubjectState:
    """The subject without the recipients who are no ``holders``: they have to be told."""
    lost = set(state.recipients).difference(holders)
    if not lost or state.decided is None:
        return state
    width = len(state.decided.given) // len(state.recipients)
    left = [place for place, agency in enumerate(state.recipients) if agency not in lost]
    given = b"".join(state.decided.given[place * width : (place + 1) * width] for place in left)
    bound = tuple(each for each in state.decided.bound if each[0] not in lost)
    former, untold = (tuple(sorted({*names, *lost})) for names in (state.former, state.untold))
    return replace(
        state, recipients=tuple(state.recipients[place] for place in left), former=former, untold=untold,
        decided=replace(state.decided, given=given, bound=bound),
    )  # fmt: skip


def subject_of(row: list[Any]) -> SubjectState:
    """A subject from its row, also from a shorter one of an earlier relay."""
    life = _life(row)
    return SubjectState(row[0], row[1], row[2], tuple(row[3]), *life, _decided(row), _untold(row), _consents(row), *_attached(row))


def subject_row(item: SubjectState) -> list[Any]:
    """The row of a subject."""
    known, former, untold = item.decided, list(item.former), list(item.untold)
    decided: list[Any] | None = [known.given, known.admitted_ms, known.offset, known.until_ms] if known else None
    if known and known.bound:
        decided = [*(decided or ()), [each for agency, to in known.bound for each in _grouped(agency, to)]]
    row = [item.family, item.revision, item.leaf, list(item.recipients), item.state, former, decided, untold]
    consents = [
        [each.agency, list(each.sections), each.from_ms, each.until_ms, int(each.evidential), int(each.emergency)]
        + ([" ".join(each.purposes)] if each.purposes else [])
        for each in item.consents
    ]
    if item.files:
        return [*row, consents, [item.files_at, b"".join(file + bytes([chunks]) for file, chunks in item.files)]]
    if item.cited_by:
        return [*row, consents, [item.cited_by]]
    return [*row, consents] if consents else row
