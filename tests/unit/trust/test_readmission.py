"""A suspended agency comes back by two officers of other agencies: what a reader of the directory takes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.errors import Refusal, UsageError
from broker.trust.canonical import canonical_json, read_object
from broker.trust.directory import AgencyEntry, Directory, Unsigned, agency_payload
from broker.trust.entries import AGENCY_TYPE
from broker.trust.officers import approved, unsigned_manifest, unsigned_readmission
from broker.trust.readmission import Readmission, propose, read_readmission_file
from broker.trust.statement_file import FILE_LIMIT
from tests.unit.trust.actors import ENVIRONMENT, EXCHANGE, NOW, Pen, Registrar, agency, empty, refusal, replay

SG, MY, DE, AE = Pen("sg-master"), Pen("my-master"), Pen("de-master", p256=True), Pen("ae-master")
PENS = {"SG-CUSTOMS": SG, "MY-CUSTOMS": MY, "DE-BAFA": DE, "AE-CUSTOMS": AE}
OUT = "MY-CUSTOMS"
"""The agency that is suspended."""
LATER = NOW + 5000


class Scene:
    """Four members; MY-CUSTOMS is suspended. ``records`` are all that the registrar wrote, in order."""

    def __init__(self) -> None:
        self.registrar = Registrar()
        self.records: list[bytes] = []
        self.directory = empty(self.registrar)
        for name, pen in PENS.items():
            self.write(agency(name, pen))
        self.suspend(OUT)

    def entry(self, name: str) -> AgencyEntry:
        return self.directory.agencies[name]

    def record(self, entry: AgencyEntry) -> bytes:
        """The registrar's record of this entry, not written."""
        return self.registrar.agency(entry, version=self.directory.version + 1)

    def write(self, entry: AgencyEntry) -> None:
        self.records.append(self.record(entry))
        self.directory = replay(self.directory, self.records[-1])

    def suspend(self, name: str, *, since_ms: int = NOW + 1000, number: int | None = None) -> None:
        version = self.directory.version + 1
        self.write(
            replace(self.entry(name), status="suspended", since_ms=since_ms, reason="x", readmission=None, suspension=number or version)
        )

    def back(self, file: Readmission, *, name: str = OUT) -> AgencyEntry:
        """The entry with which the registrar carries a file."""
        return replace(self.entry(name), status="active", since_ms=LATER, reason=file.reason, readmission=file, suspension=file.suspension)

    def file(self, *by: Pen, name: str = OUT, **how: str) -> Readmission:
        entry = self.entry(name)
        return signed(propose(name, entry.suspension, entry.since_ms, "assurance renewed"), *by, **how)

    def refused(self, file: Readmission) -> str:
        """Why the entry with this file is refused; the agency stays suspended."""
        return refusal(self.directory, self.record(self.back(file)))


def signed(file: Readmission, *by: Pen, exchange: str = EXCHANGE, environment: str = ENVIRONMENT) -> Readmission:
    for pen in by:
        unsigned = unsigned_readmission(file.statement(), pen, exchange, environment)
        file = file.with_signature(unsigned.nested(pen.sign(unsigned.to_be_signed)))
    return file


def test_two_officers_end_a_suspension() -> None:
    """With the statement of two other active agencies the entry is taken, whichever keys they have; the agency is active, and who
    approved it can be asked of the directory."""
    scene = Scene()
    file = scene.file(SG, DE)
    scene.write(scene.back(file))
    entry = scene.entry(OUT)
    assert (entry.status, entry.reason, entry.readmission) == ("active", "assurance renewed", file)
    assert approved(file, scene.directory) == ("DE-BAFA", "SG-CUSTOMS")


def with_a_bundle_s(scene: Scene) -> Readmission:
    """An officer's signature over the very same bytes, as a policy bundle's manifest."""
    file = scene.file(SG)
    unsigned = unsigned_manifest(file.statement(), DE, EXCHANGE, ENVIRONMENT)
    return file.with_signature(unsigned.nested(DE.sign(unsigned.to_be_signed)))


def twice_by_one(scene: Scene) -> Readmission:
    """ECDSA makes another signature every time."""
    file = scene.file(DE)
    while len(file.signatures) < 2:
        file = signed(file, DE)
    return file


def by_a_suspended_one(scene: Scene) -> Readmission:
    scene.suspend("DE-BAFA")
    return scene.file(SG, DE)


REFUSED: dict[str, tuple[Callable[[Scene], Readmission], str]] = {
    "nobody": (lambda scene: scene.file(), "signed by nobody"),
    "one officer": (lambda scene: scene.file(SG), "signed by SG-CUSTOMS"),
    "two signatures of one agency": (twice_by_one, "of one agency, DE-BAFA"),
    "the suspended agency itself": (lambda scene: scene.file(SG, MY), "signed for itself"),
    "a suspended officer": (by_a_suspended_one, "DE-BAFA is suspended"),
    "a stranger": (lambda scene: scene.file(SG, Pen("stranger")), "is no agency's master key"),
    "the registrar": (lambda scene: scene.file(SG, scene.registrar.pen), "is no agency's master key"),
    "altered afterwards": (lambda scene: replace(scene.file(SG, DE), reason="no reason"), "is not this text"),
    "another exchange": (lambda scene: scene.file(SG, DE, exchange="other.exchange"), "does not fit these bytes, this exchange"),
    "another environment": (lambda scene: scene.file(SG, DE, environment="production"), "does not fit these bytes, this exchange"),
    "signed as something else": (with_a_bundle_s, "is not this text"),
    "another moment": (lambda scene: signed(propose(OUT, scene.entry(OUT).suspension, NOW, "x"), SG, DE), "it was at"),
    "another number": (lambda scene: signed(propose(OUT, 2, NOW + 1000, "x"), SG, DE), "the suspension 2"),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_refused(why: str) -> None:
    """One thing is wrong with the statement that the registrar carries: the entry is refused and says what."""
    scene = Scene()
    make, said = REFUSED[why]
    file = make(scene)
    assert said in scene.refused(file)
    assert scene.entry(OUT).status == "suspended"


def test_an_old_approval_does_not_end_a_later_suspension() -> None:
    """What two officers once signed ends that suspension and no other, also where the registrar gives the later one the same time, or
    would give it the same number."""
    scene = Scene()
    old = scene.file(SG, DE)
    scene.write(scene.back(old))
    again = replace(scene.entry(OUT), status="suspended", readmission=None)
    assert "of a suspension that has ended" in refusal(scene.directory, scene.record(again))
    scene.suspend(OUT)
    assert scene.entry(OUT).since_ms == old.since_ms
    assert "is known" in scene.refused(old)


def test_a_suspension_is_not_forgotten() -> None:
    """The registrar alone cannot end it: not by an entry that says nothing of a suspension, not by one under a new number that never
    began, not by suspending it once more without a number."""
    scene = Scene()
    bare = replace(scene.entry(OUT), status="active", suspension=0)
    assert "is known" in refusal(scene.directory, scene.record(bare))
    assert "is known" in refusal(scene.directory, scene.record(replace(bare, status="suspended")))
    backdated = replace(scene.entry(OUT), suspension=3)
    assert "is known" in refusal(scene.directory, scene.record(backdated))
    assert scene.directory.applied(scene.records[1]) is scene.directory


def test_suspended_under_way() -> None:
    """An entry that changes something else leaves the suspension as it is, and the approval good; a suspended agency's new entry can
    carry the officers' statement of a suspension that this reader missed, but not skip the statement."""
    scene = Scene()
    file = scene.file(SG, DE)
    scene.write(replace(scene.entry(OUT), communities=("GULF",)))
    missed = scene.directory
    scene.write(scene.back(file))
    scene.suspend(OUT, since_ms=NOW + 9000)
    later = scene.back(scene.file(SG, AE))
    record = scene.record(later)
    assert replay(missed, record).agencies[OUT].status == "active"
    forged = replace(later, readmission=replace(later.readmission or file, signatures=()))
    assert "signed by nobody" in refusal(missed, scene.record(forged))


def test_who_comes_late() -> None:
    """A reader that finds only the last entry takes it, and can ask whether the statement in it is good: it is, also where one of its
    officers was suspended afterwards; with forged signatures it says so. It cannot know of a suspension that no entry speaks of."""
    scene = Scene()
    file = scene.file(SG, DE)
    scene.write(scene.back(file))
    scene.suspend("DE-BAFA", since_ms=LATER + 1)
    late = replay(empty(scene.registrar), *(scene.records[at] for at in (0, 3, 5, 6)))
    assert late == scene.directory
    assert approved(file, late, late.agencies[OUT].since_ms) == ("DE-BAFA", "SG-CUSTOMS")
    forged = replace(file, signatures=scene.file(SG).signatures)
    found = approved(forged, late)
    assert isinstance(found, Refusal)
    assert found.code == "BAD_SIGNATURE"
    assert replay(empty(scene.registrar), scene.registrar.agency(agency(OUT, MY), version=9)).agencies[OUT].status == "active"


def test_entries_of_before() -> None:
    """Suspensions without a number, as an earlier program wrote them, and their ends without officers are read as ever."""
    registrar = Registrar()
    active = agency(OUT, MY)
    records = [registrar.agency(each) for each in (active, replace(active, status="suspended"), active)]
    assert b"suspension" not in records[1]
    assert replay(empty(registrar), *records).agencies[OUT].status == "active"


def test_status_suspension_and_statement_fit() -> None:
    """What no registrar's program writes is refused: an end without a statement, a statement of another agency or another suspension, a
    suspended agency with one, a number that is still to come."""
    scene = Scene()
    entry, file = scene.entry(OUT), scene.file(SG, DE)
    ended = scene.back(file)
    wrong = [
        (replace(ended, readmission=None), "carries the statement"),
        (replace(ended, readmission=replace(file, agency="DE-BAFA")), "of `DE-BAFA`"),
        (replace(ended, suspension=file.suspension - 1), "its suspension 4"),
        (replace(ended, status="suspended"), "carries the statement"),
        (replace(entry, suspension=99), "has not reached"),
        (replace(agency(OUT, MY), readmission=file, version=9), "carries the statement"),
    ]
    for each, said in wrong:
        with pytest.raises(UsageError, match=said):
            agency_payload(replace(each, version=9))
    values = read_object(agency_payload(replace(ended, version=9)))
    values["suspension"] = 0
    record = scene.registrar.pen.note(Unsigned.of(canonical_json(values), AGENCY_TYPE, scene.registrar.pen, aad(scene.directory)))  # type: ignore[arg-type]
    assert "`suspension` must be a whole number from 1" in refusal(scene.directory, record)


def aad(directory: Directory) -> bytes:
    return unsigned_readmission(b"", SG, directory.exchange_id, directory.environment).aad


def test_the_file() -> None:
    """A file is read back as it was made; the order of signatures does not tell who came first."""
    scene = Scene()
    file = scene.file(SG, DE)
    assert read_readmission_file(file.text()) == file
    assert {each.text() for each in (file, signed(file, SG))} == {file.text()}
    assert signed(scene.file(), AE, SG) == signed(scene.file(), SG, AE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"since_ms"', b'"when"'), (b'"suspension":5', b'"suspension":0'), (b'"suspension":5', b'"suspension":"5"'),
        (b'"suspension":5', b'"suspension": 5'), (b"MY-CUSTOMS", b"MY CUSTOMS"), (b'"type":"readmission"', b'"type":"key"'),
        (b'"signatures":[', b'"signatures":["x",'), (b'"signatures":[', b'"signatures":[1,'),
        (b'"signatures":[', b'"signatures":["AAAA","AAAA",'),
        (b"readmission v1", b"readmission v2"), (b"assurance", b"a\xe2\x80\xaessurance"), (b"}\n", b"}\n\n"),
        (b'"statement":{', b'"statement":[{'), (b"assurance renewed", b"y" * 501), (b"assurance renewed", b"y" * FILE_LIMIT),
    ],
)  # fmt: skip
def test_a_file_that_is_something_else(before: bytes, after: bytes) -> None:
    """One change to a good file and it is none."""
    text = Scene().file(SG, DE).text()
    if before not in text:
        pytest.fail(f"{before!r} is not in the file")
    read = read_readmission_file(text.replace(before, after, 1))
    assert isinstance(read, Refusal)
    assert (read.code, bool(read.advice)) == ("BAD_READMISSION", True)


def test_no_statement_that_a_reader_would_refuse() -> None:
    """A reason that cannot be shown is refused before anybody signs it."""
    with pytest.raises(UsageError, match="`reason`"):
        propose(OUT, 5, NOW, "a\u202eb")
