"""Counting answers and tracing recipients, from receipts and answers alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.envelope.receipt import Disclosure, Receipt
from broker.exchange.recall_status import RecallStatus, Terms, recall_status
from broker.exchange.trace import Said, traces
from broker.families.clocks.arising import ACKNOWLEDGE_MS, GRACE_MS
from broker.families.clocks.dates import DAY_MS, HOUR_MS
from broker.families.clocks.duty import Contact

NOW = 1_795_478_400_000
SUBJECT = "SG-CUSTOMS/2026/1"
CHAIN = (Contact("DUTY-DESK"), Contact("DIRECTOR", 8 * HOUR_MS))


def receipt(revision: int, got: Mapping[str, bool], *, outcome: str = "ACCEPTED", at: int = NOW) -> Receipt:
    """A receipt that names these recipients; False: withdrawn."""
    recipients = tuple(Disclosure(agency, ("core",) if given else (), () if given else ("core",)) for agency, given in sorted(got.items()))
    return Receipt(
        "x.test", "test", "SG-CUSTOMS", outcome, "", 0, "", "", "", bytes(16), bytes(16), revision, SUBJECT, revision,
        bytes([revision]) * 32, bytes(32), 0, revision, at, 3, 7, recipients, (),
    )  # fmt: skip


def said(agency: str, code: str, revision: int | None = 3, *, kind: str = "RECALL_REPLY", at: int = NOW, number: int = 1) -> Said:
    return Said(kind, agency, f"{agency}/2026/{number}", revision, code, "EVIDENCE" if code == "CANNOT" else None, at)


HISTORY = [
    receipt(1, {"AE-CUSTOMS": True, "MY-CUSTOMS": True}),
    receipt(2, {"AE-CUSTOMS": True, "MY-CUSTOMS": False}),
    receipt(3, {"AE-CUSTOMS": True, "MY-CUSTOMS": True, "TH-CUSTOMS": True}),
]
"""Two revisions and a recall. TH-CUSTOMS is in no earlier receipt: it was sent the subject later."""
TERMS = Terms(3, "ERROR", "DELETE", NOW + DAY_MS)


def status(
    answers: Iterable[Said] = (), *, at: int = NOW, terms: Terms | None = TERMS, history: Iterable[Receipt] = HISTORY
) -> RecallStatus:
    found = recall_status(SUBJECT, history, answers, terms, now_ms=at, chain=CHAIN)
    assert found is not None
    return found


def states(found: RecallStatus) -> dict[str, str]:
    return {holder.agency: holder.state for holder in found.holders}


def test_everyone_whom_the_recall_reached_is_asked() -> None:
    """With the revisions that it held; also one that got the subject later than the receipts tell."""
    found = status()
    assert {holder.agency: holder.held for holder in found.holders} == {"AE-CUSTOMS": (1, 2), "MY-CUSTOMS": (1,), "TH-CUSTOMS": ()}
    assert (found.confirmed, found.complete, states(found)) == (0, False, dict.fromkeys(states(found), "OPEN"))
    assert all(holder.reached and holder.due_ms == TERMS.due_ms for holder in found.holders)


def test_a_holder_that_was_not_reached() -> None:
    """It is in the count, open for good, and silence is told of it as of others."""
    found = status(history=[*HISTORY[:2], receipt(3, {"AE-CUSTOMS": True})], at=NOW + DAY_MS)
    assert states(found) == {"AE-CUSTOMS": "SILENT", "MY-CUSTOMS": "UNREACHED"}
    assert {step.duty.debtor for step in found.told} == {"AE-CUSTOMS", "MY-CUSTOMS"}


@pytest.mark.parametrize(
    ("codes", "state"),
    [
        (["STOPPED"], "STOPPED"), (["DELETED"], "DELETED"), (["CANNOT"], "CANNOT"), (["STOPPED", "DELETED"], "DELETED"),
        (["DELETED", "STOPPED"], "DELETED"), (["CANNOT", "STOPPED"], "STOPPED"), (["DELETED", "CANNOT"], "DELETED"), (["NONSENSE"], "OPEN"),
    ],
)  # fmt: skip
def test_answers_follow_the_table(codes: list[str], state: str) -> None:
    """One after the other, by the lifecycle of a recall; what does not follow changes nothing."""
    answers = [said("MY-CUSTOMS", code, at=NOW + number, number=number) for number, code in enumerate(codes)]
    holder = next(each for each in status(answers).holders if each.agency == "MY-CUSTOMS")
    assert (holder.state, holder.confirmed) == (state, state != "OPEN")
    assert (holder.reason is not None) is (state == "CANNOT")


def test_what_is_no_answer_to_this_recall() -> None:
    """One to an earlier revision, one that names none, one by an agency that never held it, and an acknowledgement."""
    others = [said("MY-CUSTOMS", "DELETED", 2), said("MY-CUSTOMS", "DELETED", None), said("KR-CUSTOMS", "DELETED")]
    assert status([*others, said("AE-CUSTOMS", "DELETED", kind="ACK")]).confirmed == 0


def test_silence_climbs_by_the_clock() -> None:
    """The owner at the term, the contacts after the grace and each at its hours; who has answered is not told of."""
    answers = [said("AE-CUSTOMS", "DELETED"), said("TH-CUSTOMS", "CANNOT")]
    due = NOW + DAY_MS
    seen: list[tuple[list[str], int | None, str | None]] = []
    for at in (due - 1, due, due + GRACE_MS, due + GRACE_MS + 8 * HOUR_MS):
        found = status(answers, at=at)
        assert {step.duty.debtor for step in found.told} <= {"MY-CUSTOMS"}
        seen.append(([step.to for step in found.told], found.next_ms, found.next_to))
    assert seen == [
        ([], due, "SG-CUSTOMS"),
        (["SG-CUSTOMS"], due + GRACE_MS, "DUTY-DESK"),
        (["SG-CUSTOMS", "DUTY-DESK"], due + GRACE_MS + 8 * HOUR_MS, "DIRECTOR"),
        (["SG-CUSTOMS", "DUTY-DESK", "DIRECTOR"], None, None),
    ]
    whole = status([*answers, said("MY-CUSTOMS", "STOPPED")], at=due + 30 * DAY_MS)
    assert (whole.complete, whole.told, whole.next_ms) == (True, (), None)


def test_a_recall_without_a_term_is_due_by_its_urgency() -> None:
    """Half an hour after it was admitted."""
    terms = Terms(3, "ERROR", "DELETE", None)
    assert {holder.due_ms for holder in status(terms=terms).holders} == {NOW + ACKNOWLEDGE_MS["IMMEDIATE"]}


def test_a_narrowed_audience_asks_those_who_dropped_out() -> None:
    """By the revision that withdrew; one that comes back is asked no more, and nothing taken back is no status."""
    found = status(terms=None, history=HISTORY[:2])
    assert [(holder.agency, holder.asked, holder.held, holder.reached) for holder in found.holders] == [("MY-CUSTOMS", 2, (1,), True)]
    assert found.recall is None
    assert status([said("MY-CUSTOMS", "DELETED", 2)], terms=None, history=HISTORY[:2]).complete
    assert recall_status(SUBJECT, HISTORY, (), None, now_ms=NOW) is None
    assert recall_status(SUBJECT, HISTORY[:1], (), None, now_ms=NOW) is None
    assert recall_status(SUBJECT, [], (), None, now_ms=NOW) is None


def test_who_dropped_out_and_was_not_told() -> None:
    """Suspended when the audience narrowed: asked by the last revision, and unreached."""
    found = status(terms=None, history=[HISTORY[0], receipt(2, {"AE-CUSTOMS": True})])
    assert [(holder.agency, holder.asked, holder.state) for holder in found.holders] == [("MY-CUSTOMS", 2, "UNREACHED")]


def test_a_refused_revision_is_none() -> None:
    """What the relay refused reached nobody, whatever else its receipt says."""
    refused = receipt(4, {"KR-CUSTOMS": True}, outcome="REFUSED")
    assert status(history=[*HISTORY, refused]) == status()
    assert "KR-CUSTOMS" not in {trace.agency for trace in traces([*HISTORY, refused], (), 3)}


def test_a_trace_of_receipts_without_rules_names_one_only_where_there_is_no_choice() -> None:
    """Receipts of version 1: facts by revision, and what was said by time; the rule of a recall and of a withdrawal, and no other."""
    heard = [
        said("MY-CUSTOMS", "L3", 1, kind="ACK", at=NOW + 2),
        said("MY-CUSTOMS", "L1", 1, kind="ACK", at=NOW + 1),
        said("KR-CUSTOMS", "L1"),
    ]
    found = {trace.agency: trace for trace in traces(reversed(HISTORY), heard, 3)}
    assert sorted(found) == ["AE-CUSTOMS", "MY-CUSTOMS", "TH-CUSTOMS"]
    assert [(sent.revision, sent.withdrawn, sent.rule) for sent in found["MY-CUSTOMS"].sent] == [
        (1, False, None), (2, True, "no-longer-disclosed"), (3, False, "recall-reaches-holders"),
    ]  # fmt: skip
    assert (found["MY-CUSTOMS"].sent[0].policy_version, found["MY-CUSTOMS"].sent[0].directory_version) == (3, 7)
    assert found["MY-CUSTOMS"].codes("ACK") == ("L1", "L3")


def test_a_trace_names_the_rules_that_the_receipts_name() -> None:
    """Version 2: the rule of each delivery and of each section withheld, beside receipts of version 1 of the same subject."""
    told = Disclosure("AE-CUSTOMS", ("core",), ("parties", "grounds"), "receive-named", ("default-deny", "stop-grounds"))
    back = Disclosure("MY-CUSTOMS", (), ("core",), "no-longer-disclosed", ("no-longer-disclosed",))
    newer = replace(HISTORY[1], recipients=(told, back))
    found = {trace.agency: trace.sent for trace in traces([HISTORY[0], newer], (), None)}
    assert [(sent.rule, sent.withheld_by) for sent in found["AE-CUSTOMS"]] == [
        (None, ()), ("receive-named", ("default-deny", "stop-grounds")),
    ]  # fmt: skip
    assert [sent.rule for sent in found["MY-CUSTOMS"]] == [None, "no-longer-disclosed"]


AGENCY = st.sampled_from(["AE-CUSTOMS", "MY-CUSTOMS", "TH-CUSTOMS"])
ANSWER = st.builds(
    said,
    AGENCY,
    st.sampled_from(["STOPPED", "DELETED", "CANNOT"]),
    st.integers(1, 4),
    at=st.integers(NOW, NOW + 5),
    number=st.integers(1, 9),
)


@given(st.lists(ANSWER, max_size=8), st.randoms(use_true_random=False))
def test_the_count_only_grows_and_order_does_not_matter(answers: list[Said], random: object) -> None:
    """Each further answer leaves the count or raises it; the same answers in another order give the same status."""
    counts = [status(answers[:number]).confirmed for number in range(len(answers) + 1)]
    assert counts == sorted(counts)
    mixed = sorted(answers, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert states(status(mixed)) == states(status(answers))
