"""Whom a recall reaches, and what a narrowed audience leaves: through a shard of the relay with real keys and the shipped policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.envelope import cbor
from broker.envelope.receipt import Receipt
from broker.exchange.recall import NO_LONGER_DISCLOSED, REACHES_HOLDERS, foreseen, reach, remembered, taken_back
from broker.exchange.receive import Received, receive
from broker.exchange.records import Record
from broker.exchange.shard import SubjectState
from broker.exchange.topology import CURRENT, DAY_MS, STATE
from broker.families.message import Audience, Message
from broker.families.recall import recall
from broker.policy.model import POLICY_ERROR, Denial, Distribution
from tests.unit.exchange.bench import Bench, Written

ALERT = "SG-CUSTOMS/2026/000001"
ALL = ("AE-CUSTOMS", "DE-BAFA", "MY-CUSTOMS")
MARK = b"Example Trading"


class Desk:
    """SG-CUSTOMS with one alert. ``told`` are its receipts, ``written`` what the relay wrote, revision by revision."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.author = self.bench.author()
        self.told: list[Receipt] = []
        self.notes: list[bytes] = []

    def send(self, message: Message) -> Written:
        """The next message, in a batch of its own."""
        written = self.bench.feed(self.author.write(message, now_ms=self.bench.now).value)
        (receipt,) = written.receipts
        assert receipt.outcome == "ACCEPTED", receipt
        self.told.append(receipt)
        self.notes += written.notes
        return written

    def issue(self, revision: int, *agencies: str) -> Written:
        """A revision of the alert for these agencies and nobody else (TLP:RED)."""
        message = replace(self.bench.alert(1, revision=revision), audience=Audience(agencies=agencies), tlp="RED")
        return self.send(message)

    def recall(self, revision: int, *agencies: str) -> Written:
        """A recall; ``agencies`` are its audience."""
        due = datetime.fromtimestamp((self.bench.now + DAY_MS) / 1000, UTC)
        core: Any = {"reason": "ERROR", "action": "DELETE", "due": due}
        return self.send(recall(subject=ALERT, revision=revision, audience=Audience(agencies=agencies), core=core))

    @property
    def state(self) -> SubjectState:
        """What the shard remembers, as the next worker reads it back from the compacted topic."""
        return self.bench.loaded(self.bench.compacted()).subjects[ALERT]

    def stand(self, agency: str, status: str) -> None:
        """Suspend or reinstate, and decide under it."""
        self.bench.desk.stand(agency, status)
        self.bench.renew()

    def got(self, written: Written, agency: str) -> Received:
        """The one delivery to an agency, verified as it verifies it."""
        (record,) = written.inbox(agency)
        assert record.key == b"s/" + ALERT.encode()
        received = receive(record.value or b"", self.bench.rules, recipient=agency)
        assert isinstance(received, Received), received
        return received


def reached(written: Written) -> list[str]:
    """The agencies with a delivery."""
    return [agency for agency in ALL if written.inbox(agency)]


def named(receipt: Receipt) -> list[tuple[str, bool]]:
    """The recipients of a receipt, each with whether it was withdrawn."""
    return [(each.agency, each.withdrawn) for each in receipt.recipients]


def test_a_recall_reaches_everyone_who_held_any_revision() -> None:
    """Whatever its audience says now: the holders of the first revision, of the second, and nobody who held none. Each gets reason, action
    and term under the rule of recalls; the receipt lists them all."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS")
    desk.issue(2, "AE-CUSTOMS")
    written = desk.recall(3)
    assert reached(written) == ["AE-CUSTOMS", "MY-CUSTOMS"]
    assert named(desk.told[-1]) == [("AE-CUSTOMS", False), ("MY-CUSTOMS", False)]
    for agency in ("AE-CUSTOMS", "MY-CUSTOMS"):
        received = desk.got(written, agency)
        assert received.sections["core"]["reason"] == "ERROR"
        assert (received.slip.rule, received.slip.given) == (REACHES_HOLDERS, (("core", REACHES_HOLDERS),))
        assert (received.header.revision, received.withheld) == (3, {})
    assert (desk.state.recipients, desk.state.former, desk.state.untold) == (("AE-CUSTOMS", "MY-CUSTOMS"), (), ())


def test_who_never_held_it_gets_no_recall() -> None:
    """Not even where the recall's own audience names it: it would learn that there was something."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS")
    assert reached(desk.recall(2, "MY-CUSTOMS", "AE-CUSTOMS", "DE-BAFA")) == ["MY-CUSTOMS"]


def test_a_recall_tells_no_holder_of_another() -> None:
    """No byte of a holder's delivery names another agency than the owner and itself."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS", "AE-CUSTOMS")
    written = desk.recall(2, "MY-CUSTOMS", "AE-CUSTOMS")
    for agency, other in (("MY-CUSTOMS", b"AE-CUSTOMS"), ("AE-CUSTOMS", b"MY-CUSTOMS")):
        (record,) = written.inbox(agency)
        assert other not in (record.value or b"")
        assert "audience" not in desk.got(written, agency).sections


def test_the_current_record_of_a_recalled_subject_is_the_recall() -> None:
    """Under the subject's key, so that compaction leaves no content."""
    desk = Desk()
    first = desk.issue(1, "MY-CUSTOMS").to(CURRENT)
    second = desk.recall(2).to(CURRENT)
    assert [record.key for record in (*first, *second)] == [ALERT.encode()] * 2
    assert MARK in (first[0].value or b"")
    assert MARK not in (second[0].value or b"")


def test_a_narrowed_audience_withdraws() -> None:
    """Who drops out gets the bare statement: no section, all withheld under the rule, nothing of the content in its bytes; who stays gets
    it as before. The receipt tells which is which, and the one that dropped out is still a holder."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS", "AE-CUSTOMS")
    written = desk.issue(2, "AE-CUSTOMS")
    received = desk.got(written, "MY-CUSTOMS")
    sections = {each.section for each in received.header.commitments} - {"audience"}
    assert received.sections == {}
    assert received.withheld == dict.fromkeys(sections, NO_LONGER_DISCLOSED)
    assert received.slip.rule == NO_LONGER_DISCLOSED
    (record,) = written.inbox("MY-CUSTOMS")
    assert MARK not in (record.value or b"")
    assert b"END_USE_UNCLEAR" not in (record.value or b"")
    assert "core" in desk.got(written, "AE-CUSTOMS").sections
    assert named(desk.told[-1]) == [("AE-CUSTOMS", False), ("MY-CUSTOMS", True)]
    assert (desk.state.recipients, desk.state.former, desk.state.untold) == (("AE-CUSTOMS",), ("MY-CUSTOMS",), ())
    assert desk.told[-1].recipients[1].withheld == tuple(sorted(sections))


def test_a_withdrawal_is_made_once_and_ends_with_the_next_disclosure() -> None:
    """The revision after it says nothing to the one that dropped out; coming into the audience again it receives as others do; a recall
    reaches it in either case."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS", "AE-CUSTOMS")
    desk.issue(2, "AE-CUSTOMS")
    assert reached(desk.issue(3, "AE-CUSTOMS")) == ["AE-CUSTOMS"]
    back = desk.issue(4, "MY-CUSTOMS", "AE-CUSTOMS")
    assert "core" in desk.got(back, "MY-CUSTOMS").sections
    assert desk.state.former == ()
    assert named(desk.issue(5, "AE-CUSTOMS").receipts[0]) == [("AE-CUSTOMS", False), ("MY-CUSTOMS", True)]
    assert reached(desk.recall(6)) == ["AE-CUSTOMS", "MY-CUSTOMS"]


def test_a_suspended_holder_is_told_when_it_is_back() -> None:
    """A suspended agency gets nothing at all; the revision after its return tells it, once."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS", "AE-CUSTOMS")
    desk.stand("MY-CUSTOMS", "suspended")
    assert reached(desk.issue(2, "AE-CUSTOMS")) == ["AE-CUSTOMS"]
    assert (desk.state.former, desk.state.untold) == (("MY-CUSTOMS",), ("MY-CUSTOMS",))
    assert remembered(desk.told) == replace(desk.state, family="", state="", decided=None)
    desk.stand("MY-CUSTOMS", "active")
    assert desk.got(desk.issue(3, "AE-CUSTOMS"), "MY-CUSTOMS").sections == {}
    assert desk.state.untold == ()
    assert reached(desk.issue(4, "AE-CUSTOMS")) == ["AE-CUSTOMS"]


def test_a_recall_does_not_reach_who_is_suspended() -> None:
    """It is remembered as untold, and the receipt does not claim that it was reached."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS", "AE-CUSTOMS")
    desk.stand("AE-CUSTOMS", "suspended")
    assert reached(desk.recall(2)) == ["MY-CUSTOMS"]
    assert named(desk.told[-1]) == [("MY-CUSTOMS", False)]
    assert (desk.state.former, desk.state.untold) == (("AE-CUSTOMS",), ("AE-CUSTOMS",))


@pytest.mark.parametrize("recalled", [True, False])
def test_a_holder_that_is_back_is_told_by_the_sweep(recalled: bool) -> None:
    """Suspended while a subject was recalled, or its audience narrowed: back again it is told, though policy names it nowhere, and once.
    The owner has a receipt for it, and the receipts together tell what the relay remembers."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS", "AE-CUSTOMS")
    desk.stand("AE-CUSTOMS", "suspended")
    if recalled:
        desk.recall(2)
    else:
        desk.issue(2, "MY-CUSTOMS")
    assert [agency for each in desk.bench.swept() for agency in reached(each)] == []
    desk.stand("AE-CUSTOMS", "active")
    (written,) = [each for each in desk.bench.swept() if reached(each)]
    received = desk.got(written, "AE-CUSTOMS")
    assert (received.header.revision, received.slip.redelivery) == (2, True)
    assert (received.slip.rule, set(received.sections)) == ((REACHES_HOLDERS, {"core"}) if recalled else (NO_LONGER_DISCLOSED, set()))
    assert reached(written) == ["AE-CUSTOMS"]
    later = [receipt for receipt in written.receipts if receipt.recipients]
    assert [named(receipt) for receipt in later] == [[("AE-CUSTOMS", not recalled)]]
    assert desk.state.untold == ()
    assert remembered([*desk.told, *later]) == replace(desk.state, family="", state="", decided=None)
    desk.stand("AE-CUSTOMS", "suspended")
    desk.stand("AE-CUSTOMS", "active")
    assert [agency for each in desk.bench.swept() for agency in reached(each)] == []


def test_an_error_of_policy_takes_nothing_back() -> None:
    """A holder who is denied because deciding failed gets nothing, and keeps what it has until a decision is made."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS")
    labels = desk.author.draft(desk.bench.alert(1, revision=2), now_ms=desk.bench.now).labels
    failed = Distribution((), (Denial("MY-CUSTOMS", POLICY_ERROR, "broken"),), None)
    found = reach(labels, desk.state, failed, desk.bench.desk.directory)
    assert (found.releases, found.given, found.untold) == ((), (), ("MY-CUSTOMS",))
    denied = replace(failed, denials=(Denial("MY-CUSTOMS", "default-deny", ""),))
    assert [each.given for each in reach(labels, desk.state, denied, desk.bench.desk.directory).releases] == [()]


def test_rows_of_a_relay_that_told_nobody() -> None:
    """Its former holders were never told: the next revision does."""
    desk = Desk()
    row = cbor.encode(["alert", 2, bytes(32), ["AE-CUSTOMS"], "AMENDED", ["MY-CUSTOMS"]])
    desk.bench.log.append(Record(STATE, 0, 0, desk.bench.now, b"b/" + ALERT.encode(), row))
    desk.bench.crash()
    assert desk.bench.shard.subjects[ALERT].untold == ("MY-CUSTOMS",)
    assert desk.got(desk.issue(3, "AE-CUSTOMS"), "MY-CUSTOMS").sections == {}


def test_receipts_tell_an_owner_what_the_relay_remembers() -> None:
    """After each revision of a history that narrows, widens and ends, in whatever order the receipts lie."""
    desk = Desk()
    audiences: Sequence[Sequence[str]] = (("MY-CUSTOMS",), ("AE-CUSTOMS",), ("AE-CUSTOMS", "MY-CUSTOMS"), ("DE-BAFA",), ("MY-CUSTOMS",))
    assert remembered([]) is None
    for revision, agencies in enumerate(audiences, 1):
        desk.issue(revision, *agencies)
        assert remembered(reversed(desk.told)) == replace(desk.state, family="", state="", decided=None)
    desk.recall(6)
    assert remembered(desk.told) == replace(desk.state, family="", state="", decided=None)


def test_a_dry_run_foresees_holders() -> None:
    """From the receipts alone: whom a recall reaches though it names nobody, and from whom a narrower audience withdraws."""
    desk = Desk()
    desk.issue(1, "MY-CUSTOMS", "AE-CUSTOMS")
    narrowed = replace(desk.bench.alert(1, revision=2), audience=Audience(agencies=("AE-CUSTOMS",)), tlp="RED")
    labels = desk.author.draft(narrowed, now_ms=desk.bench.now).labels
    decided = desk.bench.decider.distribute(labels, desk.bench.now)
    found = foreseen(labels, desk.notes, decided, desk.bench.rules)
    assert [(each.agency, bool(each.given)) for each in found.releases] == [("AE-CUSTOMS", True), ("MY-CUSTOMS", False)]
    assert "MY-CUSTOMS" not in {each.agency for each in found.denials}
    assert foreseen(labels, (), decided, desk.bench.rules) == decided
    labels = replace(labels, family="recall", sections=("core",))
    found = foreseen(labels, desk.notes, desk.bench.decider.distribute(labels, desk.bench.now), desk.bench.rules)
    assert [each.agency for each in found.releases] == ["AE-CUSTOMS", "MY-CUSTOMS"]


def test_what_takes_back() -> None:
    """A recall, and whatever has no section."""
    assert taken_back("recall", ["core"])
    assert taken_back("alert", [])
    assert not taken_back("alert", ["core"])
