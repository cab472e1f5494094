"""Shipments held against an agency's register as they come: what the command ``broker screen`` and the node's ``POST /screen`` share.

::

    view = StoredView(reader, now_ms, use)            # what is in the register, so far as it may be used
    for each in screen(read_rows(chunks), view, lists):
        ...                                           # Screened or BadRow, in the order of the file

Rows are taken some hundred at a time, so that their keys are looked up in one query; nothing else is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from broker.app.purpose import Purposed
from broker.app.shared_names import Listing, SharedNames
from broker.errors import Finding
from broker.families.codelists import NO_LISTS, CodeLists
from broker.register import keys
from broker.register.answers import LicenceAnswer
from broker.register.keys import comparable
from broker.register.rows import Key
from broker.screening import matching, probes
from broker.screening.findings import findings
from broker.screening.hits import THRESHOLD, Evidence, Hit, Screened, Subject, screening_finding
from broker.screening.name_index import NameIndex
from broker.screening.probes import Probe
from broker.screening.shipment import BadRow, Row, Shipment
from broker.storage.register_reader import RegisterReader

BATCH: Final = 256
"""Rows whose keys are looked up together."""
HITS: Final = 50
"""Most hits of one shipment: the most certain."""
NAMES_FROM: Final = 70
"""A name that is less alike is no evidence at all, whatever threshold a hit needs."""


class RegisterView(Protocol):
    """What screening asks of a register. What may not be used for the purpose at hand is not in its answers."""

    @property
    def now_ms(self) -> int:
        """The moment that is asked about, in Unix milliseconds."""
        ...

    @property
    def names(self) -> NameIndex:
        """The names of live subjects; whether one may be used, :meth:`subject` says."""
        ...

    @property
    def patterns(self) -> Sequence[Subject]:
        """Subjects that no single number finds, and that may be used."""
        ...

    def candidates(self, asked: Iterable[tuple[str, str]]) -> Iterable[tuple[Key, str]]:
        """Keys that subjects have, with their subjects."""
        ...

    def subject(self, subject: str) -> Subject | None:
        """A subject that may be used; None for any other."""
        ...

    def licence(self, number: str) -> Sequence[tuple[LicenceAnswer, str]] | None:
        """The licences of a number, each with its urgency, that may be used; None where the register has none of this number."""
        ...


class StoredView:
    """The register of an agency at ``now_ms`` (Unix ms), read through ``reader``; ``use`` says what may be used. None, everything, is for
    registers without rules, such as a test's: an owner's consent may bind what came to some purposes even where none is asked.

    The names are read when it is made, where no ``listing`` of them is given: make a new one when the register has changed.
    :class:`SharedNames` keeps a listing for many views."""

    def __init__(self, reader: RegisterReader, now_ms: int, use: Purposed | None, listing: Listing | None = None) -> None:
        self.now_ms = now_ms
        self._reader, self._use = reader, use
        self.as_of = reader.as_of()
        self.subject = lru_cache(maxsize=20_000)(self._subject)
        self.licence = lru_cache(maxsize=20_000)(self._licence)
        listing = listing or SharedNames().at(0, reader, now_ms)
        self.names = listing.names
        self.patterns = [found for each in listing.patterns if (found := self._subject(each)) is not None]

    def candidates(self, asked: Iterable[tuple[str, str]]) -> list[tuple[Key, str]]:
        """Keys that live subjects have, with their subjects."""
        return self._reader.candidates(asked, self.now_ms)

    def _subject(self, subject: str) -> Subject | None:
        answer = self._reader.subject(subject, self.now_ms)
        if answer is not None and self._use is not None:
            answer = self._use.subject(answer)
        if answer is None or not answer.live:
            return None
        row = answer.row
        return Subject(row.subject, row.revision, row.family, row.originator, row.urgency, answer.content, frozenset(answer.keys))

    def _licence(self, number: str) -> list[tuple[LicenceAnswer, str]] | None:
        found = self._reader.licence(number, self.now_ms)
        shown = [each for answer in found if (each := answer if self._use is None else self._use.licence(answer)) is not None]
        rows = ((answer, self._reader.row(answer.subject)) for answer in shown)
        return [(answer, row.urgency if row else "ROUTINE") for answer, row in rows] if found else None


@dataclass(frozen=True, slots=True)
class _Looked:
    """A batch's keys, and the subjects that have them."""

    subjects: Mapping[tuple[str, str], Sequence[tuple[Key, str]]]

    def of(self, probe: Probe) -> Sequence[tuple[Key, str]]:
        return self.subjects.get((probe.kind, probe.value), ())


def at_once() -> bool:
    """Rows of a file: the next one need not be waited for."""
    return True


def screen(
    rows: Iterable[Row], view: RegisterView, lists: CodeLists = NO_LISTS, *, threshold: int = THRESHOLD, ready: Callable[[], bool] = at_once
) -> Iterator[Screened | BadRow]:
    """Every row with its hits and findings, in order; bad rows as they are. ``threshold``: the score from which a hit is told. ``ready``
    says whether more can be read without waiting: where it cannot, what is here is screened first."""
    source = iter(rows)
    while batch := list(_batch(source, ready)):
        asked = {number: probes.probes(each) for number, each in enumerate(batch) if isinstance(each, Shipment)}
        looked = _look_up(view, asked.values())
        for number, each in enumerate(batch):
            yield each if isinstance(each, BadRow) else _screened(each, asked[number], looked, view, lists, threshold)


def _batch(source: Iterator[Row], ready: Callable[[], bool]) -> Iterator[Row]:
    for count, row in enumerate(source, 1):
        yield row
        if count == BATCH or not ready():
            return


def _look_up(view: RegisterView, asked: Iterable[Sequence[Probe]]) -> _Looked:
    wanted = {(probe.kind, probe.value): None for each in asked for probe in each}
    found: dict[tuple[str, str], list[tuple[Key, str]]] = {}
    if wanted:
        for key, subject in view.candidates(wanted):
            found.setdefault((key.kind, key.value), []).append((key, subject))
    return _Looked(found)


def _screened(
    shipment: Shipment, asked: Sequence[Probe], looked: _Looked, view: RegisterView, lists: CodeLists, threshold: int
) -> Screened:
    evidence = _evidence(shipment, asked, looked, view)
    hits = [hit for hit in _hits(shipment, evidence, view) if hit.score >= threshold]
    stopped, unknown = _licences(shipment, view)
    hits += [hit for hit in stopped if hit.score >= threshold]
    hits.sort(key=lambda hit: (-hit.score, hit.subject))
    return Screened(shipment, tuple(hits[:HITS]), (*findings(shipment, lists), *unknown))


def _evidence(shipment: Shipment, asked: Sequence[Probe], looked: _Looked, view: RegisterView) -> dict[str, list[Evidence]]:
    """What agrees by number and by name, of each subject that may be used."""
    found: dict[str, list[Evidence]] = {}
    for probe in asked:
        for key, name in looked.of(probe):
            subject = view.subject(name)
            each = matching.key_evidence(probe, key, subject) if subject is not None and key in subject.keys else None
            if each is not None:
                found.setdefault(name, []).append(each)
    for trader in probes.traders(shipment):
        for like in view.names.find(trader.name, NAMES_FROM):
            subject = view.subject(like.listed.subject)
            if subject is not None and any(key.kind == keys.LATIN and key.detail == like.listed.detail for key in subject.keys):
                each = matching.name_evidence(trader, like, subject)
                found.setdefault(subject.subject, []).append(each)
    return found


def _hits(shipment: Shipment, evidence: Mapping[str, list[Evidence]], view: RegisterView) -> Iterator[Hit]:
    for name, agreed in evidence.items():
        subject = view.subject(name)
        if subject is not None:
            yield matching.hit(subject, [*agreed, *matching.content_evidence(shipment, subject)])
    for subject in view.patterns:
        if subject.subject not in evidence and (agreed := list(matching.content_evidence(shipment, subject))):
            yield matching.hit(subject, agreed)


def _licences(shipment: Shipment, view: RegisterView) -> tuple[list[Hit], list[Finding]]:
    """Cited licences that are not to be relied on, and those that the register does not know."""
    hits: list[Hit] = []
    unknown: list[Finding] = []
    for number, ref in enumerate(shipment.licence_refs):
        where, licence_no = f"licence_refs[{number}].licence_no", str(ref["licence_no"])
        answers = view.licence(comparable(licence_no)) if comparable(licence_no) else None
        if answers is None:
            unknown.append(screening_finding("LICENCE_UNKNOWN", where))
        for answer, urgency in answers or ():
            hit = matching.licence_hit(ref, where, answer, urgency, view.now_ms)
            if hit is not None:
                hits.append(hit)
    return hits, unknown
