"""Step 9 at the relay: a subject's life. What its table does not allow gets a signed negative receipt that lists what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.envelope import cbor
from broker.envelope.receipt import Receipt
from broker.exchange.quarantine import read_quarantined
from broker.exchange.records import Record
from broker.exchange.shard import SubjectState
from broker.exchange.topology import CURRENT, DAY_MS, QUARANTINE, STATE
from broker.families.message import Audience, Message
from broker.families.recall import recall
from tests.support.parcels import Author
from tests.unit.exchange.bench import Bench, Written
from tests.unit.families.samples import REMOVE, changed, good_licence, good_seizure

LICENCE, ALERT = "DE-BAFA/2026/L-0815", "SG-CUSTOMS/2026/000001"
ASSESSMENT = "the end use was confirmed on the spot"


def decision(bench: Bench, kind: str, revision: int, *, assessment: str | None = None) -> Message:
    """A revision of the licence, complete and dated so that the bench's clock takes it."""
    now = datetime.fromtimestamp(bench.now / 1000, UTC)
    core: dict[str, Any] = {
        "core.decision_type": kind,
        "core.effective_at": now,
        "core.published_at": now,
        "core.retroactive": kind == "ANNUL",
        "core.final_assessment": assessment,
    }
    if kind not in ("DENY", "REVOKE"):
        core["denial"] = REMOVE
    return replace(changed(good_licence(), core), subject=LICENCE, revision=revision)


def taken_back(subject: str, revision: int, bench: Bench, agencies: Sequence[str] = ("MY-CUSTOMS",)) -> Message:
    """A recall."""
    due = datetime.fromtimestamp((bench.now + DAY_MS) / 1000, UTC)
    core: Any = {"reason": "ERROR", "action": "DELETE", "due": due}
    return recall(subject=subject, revision=revision, audience=Audience(agencies=tuple(agencies)), core=core)


class Office:
    """An agency that sends one message after the other, each in a batch of its own."""

    def __init__(self, agency: str) -> None:
        self.bench = Bench()
        self.agency = agency
        self.author: Author = self.bench.author(agency)

    def send(self, *messages: Message) -> list[Receipt]:
        """Publish and read the receipts."""
        return [receipt for message in messages for receipt in self.written(message).receipts]

    def written(self, message: Message) -> Written:
        """Publish, and what the relay wrote."""
        made = self.author.write(message, now_ms=self.bench.now)
        return self.bench.feed(self.bench.record(made.value, outbox=self.agency))

    def state(self, subject: str) -> SubjectState:
        """What the shard remembers, as another worker would read it back."""
        assert self.bench.loaded() == self.bench.shard
        return self.bench.loaded().subjects[subject]

    def decided(self, *kinds: str) -> list[Receipt]:
        """A licence through these decisions, revision by revision."""
        return self.send(*(decision(self.bench, kind, number) for number, kind in enumerate(kinds, 1)))


def test_illegal_move_is_refused_with_the_moves_that_are_allowed() -> None:
    """The bytes go to quarantine, the receipt is signed, negative, of step 9, and lists what may be said; the number is used up, nothing
    is delivered, and the subject stands as before."""
    office = Office("DE-BAFA")
    assert [receipt.code for receipt in office.decided("GRANT", "REVOKE")] == ["", ""]
    before = office.state(LICENCE)
    written = office.written(decision(office.bench, "AMEND", 3))
    (receipt,) = written.receipts
    assert (receipt.outcome, receipt.code, receipt.step) == ("REFUSED", "ILLEGAL_MOVE", 9)
    assert receipt.reason == "AMEND does not follow REVOKED in the life of a licence; allowed are: REVOKE, RECALL"
    assert "docs/lifecycles.md" in receipt.advice
    assert (receipt.subject, receipt.revision, receipt.seq) == (LICENCE, 3, 3)
    (kept,) = written.to(QUARANTINE)
    assert read_quarantined(kept.value or b"").code == "ILLEGAL_MOVE"
    assert {record.topic for record in written.records} == {QUARANTINE, STATE, "in.DE-BAFA"}
    assert office.state(LICENCE) == before
    assert [each.code for each in office.send(taken_back(LICENCE, 3, office.bench))] == [""]


def test_grant_after_a_revocation() -> None:
    """With a lower revision or the same it is stale, with a higher one it is no move of a revoked licence."""
    office = Office("DE-BAFA")
    office.send(decision(office.bench, "GRANT", 1), decision(office.bench, "REVOKE", 5))
    found = office.send(*(decision(office.bench, "GRANT", revision) for revision in (2, 5, 6)))
    assert [receipt.code for receipt in found] == ["STALE_REVISION", "STALE_REVISION", "ILLEGAL_MOVE"]
    assert (office.state(LICENCE).revision, office.state(LICENCE).state) == (5, "REVOKED")


def test_a_suspension_ends_with_its_final_assessment() -> None:
    """A revocation of a suspended licence without it is refused with the path of the field, and taken with it."""
    office = Office("DE-BAFA")
    office.decided("GRANT", "SUSPEND")
    bare, assessed = decision(office.bench, "REVOKE", 3), decision(office.bench, "REVOKE", 3, assessment=ASSESSMENT)
    refused, accepted = office.send(bare, assessed)
    assert (refused.code, refused.path) == ("ILLEGAL_MOVE", "core.final_assessment")
    assert accepted.outcome == "ACCEPTED"
    assert office.state(LICENCE).state == "REVOKED"


def test_a_licence_older_than_the_exchange_can_be_revoked_at_once() -> None:
    """What stops goods needs no history here; what gives a licence back does."""
    for kind, code in (("REVOKE", ""), ("SUSPEND", ""), ("REINSTATE", "ILLEGAL_MOVE")):
        office = Office("DE-BAFA")
        assert [each.code for each in office.send(decision(office.bench, kind, 7, assessment=ASSESSMENT))] == [code]


def test_nothing_follows_a_recall() -> None:
    """A recall is taken on a subject of another family and is delivered; an amendment after it is refused, and so is a second recall.
    The subject keeps its own family."""
    office = Office("SG-CUSTOMS")
    bench = office.bench
    first = office.send(bench.alert(1))
    assert [receipt.code for receipt in first] == [""]
    written = office.written(taken_back(ALERT, 2, bench))
    assert [receipt.code for receipt in written.receipts] == [""]
    assert len(written.inbox("MY-CUSTOMS")) == len(written.to(CURRENT)) == 1
    amended, again = office.send(bench.alert(1, revision=3), taken_back(ALERT, 3, bench))
    for receipt in (amended, again):
        assert (receipt.code, receipt.step) == ("ILLEGAL_MOVE", 9)
        assert receipt.reason.endswith("does not follow RECALLED in the life of an alert; no move is allowed")
    assert (office.state(ALERT).family, office.state(ALERT).state, office.state(ALERT).revision) == ("alert", "RECALLED", 2)


def test_a_recall_needs_something_to_recall_and_a_higher_revision() -> None:
    """What was never published cannot be recalled, and a recall is a revision like others: it comes after the last."""
    office = Office("SG-CUSTOMS")
    assert [each.code for each in office.send(taken_back(ALERT, 2, office.bench))] == ["ILLEGAL_MOVE"]
    office.send(office.bench.alert(1, revision=4))
    assert [each.code for each in office.send(taken_back(ALERT, 4, office.bench))] == ["STALE_REVISION"]
    assert [each.code for each in office.send(taken_back(ALERT, 5, office.bench))] == [""]


def test_only_the_owner_recalls() -> None:
    """Another agency's recall of the subject is refused before its life is looked at."""
    office = Office("SG-CUSTOMS")
    bench = office.bench
    office.send(bench.alert(1))
    other = bench.author("MY-CUSTOMS")
    made = other.write(taken_back("MY-CUSTOMS/2026/1", 2, bench), now_ms=bench.now, subject=ALERT)
    assert bench.feed(bench.record(made.value, outbox="MY-CUSTOMS")).codes == ["NOT_OWNER"]
    assert office.state(ALERT).state == "ISSUED"


def test_everyone_who_got_any_revision_is_remembered() -> None:
    """An audience that narrows leaves former holders behind, one that widens again takes them back; a recall has to reach them all."""
    office = Office("SG-CUSTOMS")
    bench = office.bench
    seen: list[tuple[set[str], set[str]]] = []
    audiences = (("MY-CUSTOMS", "AE-CUSTOMS"), ("AE-CUSTOMS",), ("AE-CUSTOMS",), ("MY-CUSTOMS",))
    for revision, agencies in enumerate(audiences, 1):
        office.send(replace(bench.alert(1, revision=revision), audience=Audience(agencies=agencies)))
        state = office.state(ALERT)
        seen.append((set(state.recipients), set(state.former)))
        assert not set(state.recipients) & set(state.former)
    named = {"MY-CUSTOMS", "AE-CUSTOMS"}  # AE-CUSTOMS is on the route and gets each of them
    assert [(now & named, former & named) for now, former in seen] == [
        (named, set()), ({"AE-CUSTOMS"}, {"MY-CUSTOMS"}), ({"AE-CUSTOMS"}, {"MY-CUSTOMS"}), (named, set()),
    ]  # fmt: skip
    office.send(taken_back(ALERT, 5, bench, agencies=("MY-CUSTOMS",)))
    assert set(office.state(ALERT).recipients) == office.state(ALERT).holders >= named


@pytest.mark.parametrize("stages", [("PRELIMINARY", "CONFIRMED", "PRELIMINARY"), ("FINAL", "CONFIRMED")])
def test_a_seizure_report_does_not_go_back(stages: tuple[str, ...]) -> None:
    """A stage that was passed is not taken again."""
    office = Office("SG-CUSTOMS")
    seizure = replace(good_seizure(), subject="SG-CUSTOMS/2026/S-1")
    when = datetime.fromtimestamp(office.bench.now / 1000, UTC)
    found = office.send(
        *(
            replace(changed(seizure, {"core.stage": stage, "core.occurred_at": when}), revision=revision)
            for revision, stage in enumerate(stages, 1)
        )
    )
    assert [receipt.code for receipt in found] == [*([""] * (len(stages) - 1)), "ILLEGAL_MOVE"]
    assert "in the life of a seizure report; allowed are: " in found[-1].reason


def test_rows_without_a_state_are_read_and_believe_the_next_revision() -> None:
    """A shard written before states were kept: the subject is known, its revisions still only go up, and the next one says where it
    stands."""
    office = Office("DE-BAFA")
    row = cbor.encode(["licence", 4, bytes(32), ["AE-CUSTOMS"]])
    office.bench.log.append(Record(STATE, office.bench.shard.number, 0, office.bench.now, b"b/" + LICENCE.encode(), row))
    office.bench.crash()
    assert office.bench.shard.subjects[LICENCE] == SubjectState("licence", 4, bytes(32), ("AE-CUSTOMS",), "", ())
    found = office.send(decision(office.bench, "GRANT", 4), decision(office.bench, "REINSTATE", 5, assessment=ASSESSMENT))
    assert [receipt.code for receipt in found] == ["STALE_REVISION", ""]
    assert office.state(LICENCE).state == "REINSTATED"
    assert "AE-CUSTOMS" in office.state(LICENCE).holders
