"""Who is owed what when rules or members change after a message was accepted, and that it is owed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.envelope.receipt import Receipt
from broker.exchange import catch_up
from broker.exchange.receive import Received, receive
from broker.exchange.topology import CURRENT, DAY_MS, STATE
from broker.families.lifecycles.tables import MACHINES
from broker.families.message import Audience
from broker.families.recall import recall
from broker.policy.bundle import Bundle
from broker.testing.samples import sample_alert
from tests.unit.exchange.bench import COMMUNITY, NOW, Bench, Written, bundle

NEWCOMER = "ID-CUSTOMS"
SUBJECT = "SG-CUSTOMS/2026/000001"


def without(rule: str) -> Bundle:
    """The shipped policies but for one rule, as the version after."""
    shipped = bundle()
    begin = shipped.policies.index(f'@id("{rule}")')
    end = shipped.policies.find("@id(", begin + 1)
    policies = shipped.policies[:begin] + shipped.policies[end:]
    return replace(shipped, version=shipped.version + 1, policies=policies)


def later(policies: Bundle) -> Bundle:
    """The same policies under a higher version."""
    return replace(policies, version=policies.version + 1)


def late(bench: Bench, written: Sequence[Written], agency: str) -> list[Received]:
    """What an agency was sent, verified."""
    found: list[Received] = []
    for each in written:
        for record in each.inbox(agency):
            received = receive(record.value or b"", bench.rules, recipient=agency)
            assert isinstance(received, Received), received
            found.append(received)
    return found


def receipts(written: Sequence[Written]) -> list[Receipt]:
    return [receipt for each in written for receipt in each.receipts]


def joined(bench: Bench, communities: Sequence[str] = (COMMUNITY,)) -> list[Written]:
    """An agency is admitted; what is written until all was decided again."""
    bench.desk.admit(NEWCOMER, "customs", communities)
    bench.renew()
    return bench.swept()


def published(bench: Bench, count: int = 3) -> None:
    """Alerts for the community."""
    author = bench.author()
    written = bench.feed(*(author.write(bench.alert(number), now_ms=bench.now).value for number in range(1, count + 1)))
    assert written.codes == [""] * count


def test_newcomer_gets_each_live_subject_once() -> None:
    """Who joins a community gets the last revision of each live subject that it may read, with the sections of its kind, under a slip
    that says it comes late and that the key is judged for when it was admitted; nobody else gets anything; another sweep owes nothing."""
    bench = Bench()
    author = bench.author()
    made = [author.write(bench.alert(n, revision=r), now_ms=bench.now) for n, r in ((1, 1), (2, 1), (1, 2))]
    bench.feed(*(each.value for each in made))
    bench.now += DAY_MS
    written = joined(bench)
    taken = late(bench, written, NEWCOMER)
    assert [(each.header.subject[-1], each.header.revision) for each in taken] == [("2", 1), ("1", 2)]
    assert [(each.slip.counter, each.slip.redelivery, each.slip.admitted_at) for each in taken] == [(1, True, NOW), (2, True, NOW)]
    assert sorted(taken[0].sections) == ["core", "equipment", "goods", "parties", "route"]
    assert all(each.inbox(agency) == [] for each in written for agency in ("MY-CUSTOMS", "AE-CUSTOMS", "DE-BAFA", "SG-CUSTOMS"))
    bench.renew(later(bundle()))
    assert all(each.tally.late == 0 for each in bench.swept())
    assert bench.loaded() == bench.shard


def test_originator_is_told_whom_else_it_reached() -> None:
    """A receipt of its own, under a key that leaves the first receipt where it is, names the message, its place, and the added recipients
    alone."""
    bench = Bench()
    published(bench, 1)
    first = bench.feed()  # nothing more
    assert first.receipts == ()
    written = joined(bench)
    (told,) = receipts(written)
    assert (told.outcome, told.subject, told.revision, told.source_offset) == ("ACCEPTED", SUBJECT, 1, 0)
    assert [each.agency for each in told.recipients] == [NEWCOMER]
    assert [finding.code for finding in told.findings] == ["DELIVERED_LATER"]
    (key,) = [record.key for each in written for record in each.records if record.topic == "in.SG-CUSTOMS"]
    assert key == b"r/" + SUBJECT.encode() + b"+1"


def test_nothing_changes_where_deciding_does_not() -> None:
    """A new key, or an exchange that stands still, makes no sweep and no transaction; a shard without subjects has nothing to decide."""
    bench = Bench()
    joined(bench)
    assert bench.log == []
    published(bench)
    before = len(bench.log)
    bench.desk.enroll("AE-CUSTOMS", bench.key_of("another key of it"))
    bench.renew()
    assert bench.sweep().records == ()
    assert len(bench.log) == before


@pytest.mark.parametrize("standing", ["suspended", "removed from the community"])
def test_back_again(standing: str) -> None:
    """Who was suspended, or not in the community, while a subject was revised, gets the last revision when it is back, and nothing
    before but the word that it dropped out, where it is a member."""
    bench = Bench()
    author = bench.author()
    bench.feed(author.write(bench.alert(1), now_ms=bench.now).value)
    if standing == "suspended":
        bench.desk.stand("MY-CUSTOMS", "suspended")
    else:
        bench.desk.place("MY-CUSTOMS", ())
    bench.renew()
    missed = bench.feed(*(author.write(bench.alert(n, revision=r), now_ms=bench.now).value for n, r in ((1, 2), (1, 3), (2, 1))))
    dropped = late(bench, [missed], "MY-CUSTOMS")
    assert [(each.header.revision, each.sections) for each in dropped] == ([] if standing == "suspended" else [(2, {})])
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
    if standing == "suspended":
        bench.desk.stand("MY-CUSTOMS", "active")
    else:
        bench.desk.place("MY-CUSTOMS", (COMMUNITY,))
    bench.renew()
    taken = late(bench, bench.swept(), "MY-CUSTOMS")
    assert [(each.header.subject[-1], each.header.revision) for each in taken] == [("1", 3), ("2", 1)]
    assert taken[0].slip.counter == 2 + len(dropped)
    state = bench.shard.subjects[SUBJECT]
    assert (state.recipients, state.former) == (("AE-CUSTOMS", "MY-CUSTOMS"), ())


def test_widened_sections_come_again_with_all_of_them() -> None:
    """A bundle that gives a holder one section more makes one more delivery of the same message, with all its sections; under the next
    one that gives the same nothing is owed."""
    bench = Bench()
    bench.renew(without("read-shipment"))
    published(bench, 1)
    assert bench.sweep().records == ()
    wide = later(later(bundle()))
    bench.renew(wide)
    (again,) = late(bench, bench.swept(), "MY-CUSTOMS")
    assert sorted(again.sections) == ["core", "equipment", "goods", "parties", "route"]
    assert (again.slip.counter, again.slip.redelivery) == (2, True)
    bench.renew(later(wide))
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []


def test_embargo_ends_by_itself() -> None:
    """While the embargo lasts nobody gets it; when its date has come, without anything else, the audience does, once, and only subjects
    whose date it is are decided again."""
    bench = Bench()
    author = bench.author()
    until = bench.now + 3600_000
    held = sample_alert(SUBJECT, now_ms=bench.now, communities=[COMMUNITY], embargo_until_ms=until)
    written = bench.feed(author.write(held, now_ms=bench.now).value, author.write(bench.alert(2), now_ms=bench.now).value)
    assert [each.key for each in written.inbox("MY-CUSTOMS")] == [b"s/SG-CUSTOMS/2026/000002"]
    bench.now = until
    assert bench.sweep().records == ()
    other = bench.shard.subjects["SG-CUSTOMS/2026/000002"]
    assert other.decided is not None
    nothing = replace(other.decided, given=bytes(len(other.decided.given)))
    bench.shard.accept("SG-CUSTOMS/2026/000002", replace(other, decided=nothing))  # were it decided again, it would be owed
    bench.now = until + 1
    (given,) = late(bench, bench.swept(), "MY-CUSTOMS")
    assert (given.header.subject, given.slip.redelivery) == (SUBJECT, True)
    bench.now += 10 * DAY_MS
    assert [each.records for each in bench.swept()] == [()]


def test_bundle_that_makes_a_date_count() -> None:
    """A bundle under which a date decides that did not before: the date is kept though nobody is given anything yet, and when it comes,
    whoever joined meanwhile is served, and so is the holder who had to give it back until then."""
    bench = Bench()
    bench.renew(without("stop-embargo"))
    until = bench.now + 3600_000
    message = sample_alert(SUBJECT, now_ms=bench.now, communities=[COMMUNITY], embargo_until_ms=until)
    assert len(bench.feed(bench.author().write(message, now_ms=bench.now).value).inbox("MY-CUSTOMS")) == 1
    bench.desk.admit(NEWCOMER, "customs", (COMMUNITY,))
    bench.renew(later(later(bundle())))
    written = bench.swept()
    assert late(bench, written, NEWCOMER) == []
    assert [each.sections for each in late(bench, written, "MY-CUSTOMS")] == [{}]
    bench.now = until + 1
    written = bench.swept()
    for agency in (NEWCOMER, "MY-CUSTOMS"):
        assert [bool(each.sections) for each in late(bench, written, agency)] == [True]


def test_date_survives_a_crash() -> None:
    """Whoever takes the shard knows when the next embargo ends, from the rows."""
    bench = Bench()
    until = bench.now + 3600_000
    held = sample_alert(SUBJECT, now_ms=bench.now, communities=[COMMUNITY], embargo_until_ms=until)
    bench.feed(bench.author().write(held, now_ms=bench.now).value)
    bench.crash()
    assert bench.sweep().records == ()
    bench.now = until + 1
    assert len(late(bench, bench.swept(), "MY-CUSTOMS")) == 1


def test_recalled_and_expired_subjects_are_not_for_newcomers() -> None:
    """A newcomer is sent nothing of what was recalled, nor what is past its validity; a holder that was suspended then learns of the
    recall when it is back."""
    bench = Bench()
    author = bench.author()
    short = replace(bench.alert(2), valid_until_ms=bench.now + 2 * DAY_MS)
    bench.feed(author.write(bench.alert(1), now_ms=bench.now).value, author.write(short, now_ms=bench.now).value)
    bench.desk.stand("MY-CUSTOMS", "suspended")
    bench.renew()
    core: Any = {"reason": "ERROR", "action": "DELETE", "due": datetime.fromtimestamp((bench.now + DAY_MS) / 1000, UTC)}
    back = recall(subject=SUBJECT, revision=2, audience=Audience(communities=(COMMUNITY,)), core=core)
    assert bench.feed(author.write(back, now_ms=bench.now).value).codes == [""]
    bench.now += 3 * DAY_MS
    assert late(bench, joined(bench), NEWCOMER) == []
    bench.desk.stand("MY-CUSTOMS", "active")
    bench.renew()
    written = bench.swept()
    assert late(bench, written, NEWCOMER) == []
    assert [(each.header.family, each.header.revision) for each in late(bench, written, "MY-CUSTOMS")] == [("recall", 2)]


def test_nothing_of_a_compromised_key() -> None:
    """What was signed with a key that was compromised before is not given to anybody anew; what was admitted before that is."""
    bench = Bench()
    author = bench.author()
    bench.feed(author.write(bench.alert(1), now_ms=bench.now).value)
    bench.now += DAY_MS
    bench.feed(author.write(bench.alert(2), now_ms=bench.now).value)
    bench.desk.revoke("SG-CUSTOMS", since_ms=bench.now - 1000, at_ms=bench.now)
    assert [each.header.subject for each in late(bench, joined(bench), NEWCOMER)] == [SUBJECT]


def test_nothing_of_a_suspended_originator_until_it_is_back() -> None:
    """What its originator might not publish now is given to nobody anew."""
    bench = Bench()
    published(bench, 1)
    bench.desk.stand("SG-CUSTOMS", "suspended")
    bench.renew()
    assert late(bench, joined(bench), NEWCOMER) == []
    bench.desk.stand("SG-CUSTOMS", "active")
    bench.renew()
    assert len(late(bench, bench.swept(), NEWCOMER)) == 1


def test_newer_revision_wins() -> None:
    """A revision accepted while the sweep is under way is delivered as it comes; the older one is then passed over."""
    bench = Bench()
    author = bench.author()
    bench.feed(*(author.write(bench.alert(number), now_ms=bench.now).value for number in (1, 2, 3)))
    bench.desk.admit(NEWCOMER, "customs", (COMMUNITY,))
    bench.renew()
    written = [bench.sweep(1), bench.feed(author.write(bench.alert(2, revision=2), now_ms=bench.now).value), *bench.swept()]
    taken = late(bench, written, NEWCOMER)
    found = [(each.header.subject[-1], each.header.revision, each.slip.redelivery) for each in taken]
    assert found == [("1", 1, True), ("2", 2, False), ("3", 1, True)]


def test_rules_that_change_under_way() -> None:
    """A sweep goes on from where it is when rules change, then goes through what it had passed, and no further: whoever joins late is
    served, however often something changes."""
    bench = Bench()
    published(bench, 6)
    others = ("ID-CUSTOMS", "TH-CUSTOMS", "PH-CUSTOMS")
    written: list[Written] = []
    for agency in others:
        bench.desk.admit(agency, "customs", (COMMUNITY,))
        bench.renew()
        written += [bench.sweep(1), bench.sweep(1)]
    written += bench.swept()
    for agency in others:
        found = [each.header.subject for each in late(bench, written, agency)]
        assert len(found) == len(set(found)) == 6
    assert bench.loaded() == bench.shard


def test_sweep_that_turns_back_leaves_what_follows() -> None:
    """Where a sweep turns back to what it had passed before the rules changed, the records behind its mark do not count as read by
    the second way round: what lies at the beginning is decided again."""
    bench = Bench()
    author = bench.author()
    bench.feed(author.write(bench.alert(1), now_ms=bench.now).value)
    bench.desk.admit("ID-CUSTOMS", "customs", (COMMUNITY,))
    bench.renew()
    written = [bench.sweep(1)]
    bench.desk.admit("TH-CUSTOMS", "customs", (COMMUNITY,))
    bench.renew()
    written += [bench.feed(author.write(bench.alert(2), now_ms=bench.now).value), *bench.swept()]
    assert {each.header.subject[-1] for each in late(bench, written, "TH-CUSTOMS")} == {"1", "2"}


def test_rows_of_an_older_relay() -> None:
    """Of a subject whose row does not say which sections were sent, recipients are sent nothing again, and newcomers get it; its place in
    the outbox is not known."""
    bench = Bench()
    bench.renew(without("read-shipment"))
    published(bench, 1)
    bench.shard.accept(SUBJECT, replace(bench.shard.subjects[SUBJECT], decided=None))
    bench.renew(later(later(bundle())))
    written = joined(bench)
    assert late(bench, written, "MY-CUSTOMS") == []
    assert len(late(bench, written, NEWCOMER)) == 1
    assert [receipt.source_offset for receipt in receipts(written)] == [catch_up.UNKNOWN_OFFSET]


def test_state_says_how_far_it_got_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that owes nothing writes its beginning, its end, and its position every so often, not each step."""
    monkeypatch.setattr(catch_up, "SAVE_EVERY", 20)
    bench = Bench()
    published(bench, 40)
    bench.renew(later(bundle()))
    written = [bench.sweep(5) for _ in range(10)]
    assert bench.shard.sweep.position is None
    states = [record for each in written for record in each.to(STATE)]
    assert {record.key for record in states} == {b"v/"}
    assert 2 <= len(states) <= 6
    assert [record.key for each in written for record in each.to(CURRENT)] == [b"-/0"]


def test_states_that_are_over_are_states() -> None:
    """Each state in which a subject is not for newcomers is one of some publication's table."""
    assert {state for machine in MACHINES for state in machine.states} >= catch_up.OVER
