"""What rules take away when they change or a date comes: it goes out of inboxes, once, and comes back when they give it again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.exchange.catch_up import NOTHING_NEW
from broker.exchange.recall import NO_LONGER_DISCLOSED, remembered
from broker.exchange.receive import Received
from broker.policy.bundle import Bundle
from tests.unit.exchange.bench import AGENCIES, COMMUNITY, NOW, Bench, Written, bundle
from tests.unit.exchange.test_catch_up import SUBJECT, late, published, receipts, without

ALL = ["core", "equipment", "goods", "parties", "route"]
LEFT = ["core", "parties"]
HOUR_MS = 3600_000


def added(text: str) -> Bundle:
    """The shipped policies and one rule more, as the version after."""
    return replace(bundle(), version=bundle().version + 1, policies=f"{bundle().policies}\n{text}")


def codes(written: list[Written]) -> list[list[str]]:
    """The findings of each receipt."""
    return [[finding.code for finding in receipt.findings] for receipt in receipts(written)]


def one(bench: Bench, written: list[Written], agency: str = "MY-CUSTOMS") -> Received:
    (found,) = late(bench, written, agency)
    return found


def test_fewer_sections_take_the_place_of_more() -> None:
    """A bundle that takes sections away sends the parcel with those that are left, under the same inbox key, once; the owner is told;
    where a later bundle gives them again, they come back."""
    bench = Bench()
    published(bench, 1)
    bench.renew(without("read-shipment"))
    written = bench.swept()
    less = one(bench, written)
    assert sorted(less.sections) == LEFT
    assert less.slip.redelivery
    assert dict(less.slip.withheld) == dict.fromkeys(("equipment", "goods", "route"), "default-deny")
    (record,) = [record for each in written for record in each.inbox("MY-CUSTOMS")]
    assert record.key == f"s/{SUBJECT}".encode()
    assert codes(written) == [["DISCLOSED_LESS"]]
    bench.renew(replace(without("read-shipment"), version=9))
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
    bench.renew(replace(bundle(), version=10))
    written = bench.swept()
    assert sorted(one(bench, written).sections) == ALL
    assert codes(written) == [["DELIVERED_LATER"]]


def test_who_gets_nothing_any_more_is_told_to_erase() -> None:
    """An agency that leaves the community that was addressed is sent the bare statement, once; a recall still reaches it, and back in the
    community it receives again."""
    bench = Bench()
    published(bench, 1)
    bench.desk.place("MY-CUSTOMS", ())
    bench.renew()
    written = bench.swept()
    gone = one(bench, written)
    assert gone.sections == {}
    assert set(gone.withheld.values()) == {NO_LONGER_DISCLOSED}
    assert codes(written) == [["DISCLOSED_LESS"]]
    state = bench.shard.subjects[SUBJECT]
    assert (state.recipients, state.former, state.untold) == (("AE-CUSTOMS",), ("MY-CUSTOMS",), ())
    bench.desk.place("DE-BAFA", ("OTHERS",))
    bench.renew()
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
    bench.desk.place("MY-CUSTOMS", (COMMUNITY,))
    bench.renew()
    assert sorted(one(bench, bench.swept()).sections) == ALL


def test_the_owner_knows_who_held_it() -> None:
    """From its receipts alone the owner knows what the relay knows: who holds the revision, and who held it and has to be reached by a
    recall, whoever lost it and got it back in between."""
    bench = Bench()
    written = [bench.feed(bench.author().write(bench.alert(1), now_ms=bench.now).value)]
    for communities in ((), (COMMUNITY,), ()):
        bench.now += HOUR_MS
        bench.desk.place("MY-CUSTOMS", communities)
        bench.renew()
        written += bench.swept()
        state = bench.shard.subjects[SUBJECT]
        known = remembered(receipts(written))
        assert known == replace(state, family="", state="", decided=None)
        assert known is not None
        assert known.holders == {"AE-CUSTOMS", "MY-CUSTOMS"}


def test_when_a_date_comes_what_it_ends_is_taken_back() -> None:
    """A rule that stops a section from a date on takes it back at that date, without anything else happening, and of the subjects
    concerned alone."""
    bench = Bench()
    bench.renew(added(
        '@id("stop-goods-late") @title("Goods are shown until the validity ends") @basis("Test") '
        'forbid (principal, action == Action::"read:goods", resource) '
        "when { resource has validUntil && context.now >= resource.validUntil };"
    ))  # fmt: skip
    bench.swept()
    author = bench.author()
    until = bench.now + 20 * 24 * HOUR_MS
    first = author.write(bench.alert(1), now_ms=bench.now).value
    bench.now += HOUR_MS
    bench.feed(first, author.write(bench.alert(2), now_ms=bench.now).value)
    bench.now = until - 1
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
    bench.now = until + 1
    less = one(bench, bench.swept())
    assert less.header.subject == SUBJECT
    assert less.withheld == {"goods": "stop-goods-late"}


def test_a_suspended_agency_keeps_what_it_has_unread() -> None:
    """A suspension is no order to erase: nothing goes into the inbox of who is suspended; what was taken meanwhile is taken when it is
    back, and what it may have all the same does not come again."""
    bench = Bench()
    published(bench, 1)
    bench.desk.stand("MY-CUSTOMS", "suspended")
    bench.renew()
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
    bench.renew(without("read-shipment"))
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
    bench.desk.stand("MY-CUSTOMS", "active")
    bench.renew(without("read-shipment"))
    assert sorted(one(bench, bench.swept()).sections) == LEFT
    bench.renew(replace(without("read-shipment"), version=9))
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []


@pytest.mark.parametrize("action", ['== Action::"receive"', '== Action::"read:goods"'])
def test_an_error_takes_nothing(action: str) -> None:
    """Where deciding fails, for the message or for one section, nobody is told to erase: erasing is for good, and an error decides
    nothing."""
    bench = Bench()
    published(bench, 1)
    bench.renew(added(
        f'@id("stop-broken") @title("Adds up what is too large") @basis("Test") forbid (principal, action {action}, resource) '
        "when { 9223372036854775807 + context.now > 0 };"
    ))  # fmt: skip
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
    assert "MY-CUSTOMS" in bench.shard.subjects[SUBJECT].recipients


def test_an_error_beside_a_loss_takes_nothing() -> None:
    """Where deciding fails for one section that a holder has, nothing is sent, though another is given no more: the parcel would come
    without both, and one of them by an error."""
    bench = Bench()
    published(bench, 1)
    broken = added(
        '@id("stop-broken") @title("Adds up what is too large") @basis("Test") '
        'forbid (principal, action == Action::"read:goods", resource) when { 9223372036854775807 + context.now > 0 };'
    )
    begin = broken.policies.index('@id("read-parties-customs")')
    bench.renew(replace(broken, policies=broken.policies[:begin] + broken.policies[broken.policies.find("@id(", begin + 1) :]))
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []


def test_what_is_over_gives_nothing_more() -> None:
    """A bundle that takes one section of an alert past its validity, and would give another, only takes."""
    bench = Bench()
    bench.renew(without("read-parties-customs"))
    published(bench, 1)
    bench.now = NOW + 21 * 24 * HOUR_MS
    bench.renew(replace(without("read-shipment"), version=9))
    less = one(bench, bench.swept())
    assert list(less.sections) == ["core"]
    assert less.withheld["parties"] == NOTHING_NEW


def test_rows_that_do_not_say_what_was_sent() -> None:
    """A relay of before kept no word of the sections sent: nobody that is still named is sent anything on suspicion."""
    bench = Bench()
    bench.renew(without("read-shipment"))
    published(bench, 1)
    bench.shard.accept(SUBJECT, replace(bench.shard.subjects[SUBJECT], decided=None))
    list(bench.shard.drain())
    bench.renew(replace(without("read-shipment"), version=9))
    written = bench.swept()
    assert [late(bench, written, agency) for agency in AGENCIES] == [[] for _ in AGENCIES]


def test_less_is_given_also_where_nothing_may_be_published() -> None:
    """Of a message whose originator is suspended nothing more is given, and what rules take is taken all the same: a bundle that gives one
    section and takes another only takes."""
    bench = Bench()
    bench.renew(without("read-parties-customs"))
    published(bench, 1)
    bench.desk.stand("SG-CUSTOMS", "suspended")
    bench.renew(replace(without("read-shipment"), version=9))
    less = one(bench, bench.swept())
    assert list(less.sections) == ["core"]
    assert less.withheld["parties"] == "stop-suspended"
    bench.desk.stand("SG-CUSTOMS", "active")
    bench.renew(replace(without("read-shipment"), version=10))
    assert sorted(one(bench, bench.swept()).sections) == LEFT


def test_what_is_over_is_taken_too() -> None:
    """An alert that is past its validity is no longer news for anybody, but its sections are still lying in inboxes."""
    bench = Bench()
    published(bench, 1)
    bench.now = NOW + 21 * 24 * HOUR_MS
    bench.renew(without("read-shipment"))
    assert sorted(one(bench, bench.swept()).sections) == LEFT


def test_a_crash_takes_once() -> None:
    """A worker that dies before the commit takes it when it is up again; one that dies after it does not take it twice."""
    bench = Bench()
    published(bench, 2)
    bench.renew(without("read-shipment"))
    bench.crash()
    taken = late(bench, bench.swept(), "MY-CUSTOMS")
    assert sorted(each.header.subject for each in taken) == [SUBJECT, SUBJECT[:-1] + "2"]
    bench.crash()
    assert late(bench, bench.swept(), "MY-CUSTOMS") == []
