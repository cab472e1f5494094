"""Rules across messages: each flag in either order of arrival, and gone when its cause is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from broker.families.message import Message
from broker.register.crossing import FLAGS
from broker.register.zones import DAY_MS, Passage, stays
from broker.storage import register_reader as look
from broker.testing.sample_reports import moment, sample_fz_warning, sample_licit_movement, sample_seizure
from broker.testing.samples import sample_alert
from tests.support.deliveries import Kept
from tests.unit.register.scene import DAY, NOW, changed, citing, codes, decision, put, recalled, used, with_container, zone_event

ALERT = "SG-CUSTOMS/2026/000001"


def take(kept: Kept, messages: Sequence[Message], order: Sequence[int]) -> None:
    """Each message admitted at a time of its own, taken in this order."""
    kept.take(*(put(messages[number], at=NOW + number) for number in order))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize(("decided", "status"), [("SUSPEND", "SUSPENDED"), ("REVOKE", "REVOKED"), ("ANNUL", "ANNULLED")])
def test_a_stopped_licence_flags_what_cites_it(kept: Kept, decided: str, status: str, order: tuple[int, ...]) -> None:
    """Grant, alert, and the decision that stops it, in every order: one flag with the in-transit instruction."""
    take(kept, [decision("GRANT", 1), citing(), decision(decided, 2, retroactive=True)], order)
    (flag,) = kept.reader.flags(NOW + 10)
    assert (flag.code, flag.subject, flag.others, flag.instruction) == (f"LICENCE_{status}", ALERT, ("DE-BAFA/2026/L-0815",), "HOLD")
    assert (flag.since, flag.starts_at, flag.ends_at) == (NOW + 2, 0, NOW + 20 * DAY)
    assert kept.reader.find([look.cites_licence("2026-0815")], NOW)[0].flags == (flag,)
    assert kept.reader.licence("2026-0815", NOW + 10)[0].flags == (flag,)


def test_the_flag_goes_with_its_cause(kept: Kept) -> None:
    """Reinstated: gone. Suspended again: back. The alert recalled, or over: gone."""
    kept.take(put(decision("SUSPEND", 1)), put(citing()))
    assert codes(kept.reader.flags(NOW)) == ["LICENCE_SUSPENDED"]
    kept.take(put(decision("REINSTATE", 2)))
    assert codes(kept.reader.flags(NOW)) == []
    kept.take(put(decision("SUSPEND", 3)))
    assert codes(kept.reader.flags(NOW)) == ["LICENCE_SUSPENDED"]
    assert codes(kept.reader.flags(NOW + 20 * DAY)) == []
    kept.take(put(recalled(ALERT, 2)))
    assert codes(kept.reader.flags(NOW)) == []
    kept.take(put(decision("REVOKE", 4)))
    assert codes(kept.reader.flags(NOW)) == []


def test_an_end_that_needs_no_message(kept: Kept) -> None:
    """A licence that will end while the alert lives: the flag begins at that moment, and not before."""
    kept.take(put(decision("GRANT", 1, expires_at=moment(NOW, days=5))), put(citing()))
    assert codes(kept.reader.flags(NOW + 5 * DAY - 1)) == []
    assert codes(kept.reader.flags(NOW + 5 * DAY)) == ["LICENCE_EXPIRED"]
    kept.take(put(decision("AMEND", 2, expires_at=moment(NOW, days=50))))
    assert codes(kept.reader.flags(NOW + 5 * DAY)) == []


@pytest.mark.parametrize(
    ("authority", "flagged"),
    [("DE-BAFA", True), ("FR-DGA", False), ("Bundesamt für Wirtschaft und Ausfuhrkontrolle", True), ("", True)],
)
def test_whose_licence_is_cited(kept: Kept, authority: str, flagged: bool) -> None:
    """Another agency's id means another licence of the same number; a name as on the paper may be anybody's, so the number counts."""
    kept.take(put(decision("REVOKE", 1)), put(citing(authority=authority)))
    assert bool(kept.reader.flags(NOW)) is flagged


def test_shipments_are_flagged_like_alerts(kept: Kept) -> None:
    """A notified lawful movement that cites a revoked permit is stopped too."""
    kept.take(put(sample_licit_movement()), put(decision("REVOKE", 1, subject="DE-BAFA/2026/L-0900", number="2026-0900")))
    assert [(flag.code, flag.subject) for flag in kept.reader.flags(NOW)] == [("LICENCE_REVOKED", "DE-BAFA/2026/P-31")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_more_used_than_granted(kept: Kept, order: tuple[int, ...]) -> None:
    """Four granted, five written off by two customs services: a finding for the authority, in every order; cancelled, it is gone."""
    take(kept, [decision("GRANT", 1), used(1, 2), used(2, 3)], order)
    (flag,) = kept.reader.flags(NOW + 10)
    assert (flag.code, flag.addressees, flag.since) == ("QUANTITY_OVERDRAWN", ("DE-BAFA",), NOW + 2)
    assert flag.text == "written off licence 2026-0815: line 1: 5 of 4 H87"
    kept.take(put(used(2, 3, revision=2, cancelled=True)))
    assert kept.reader.flags(NOW + 10) == ()


def test_a_recalled_write_off_counts_no_more(kept: Kept) -> None:
    """The total is that of the write-offs that stand."""
    kept.take(put(decision("GRANT", 1)), put(used(1, 5)), put(recalled("DE-CUSTOMS/2026/U-1", 2)))
    assert kept.reader.flags(NOW) == ()
    (answer,) = kept.reader.licence("2026-0815", NOW)
    assert answer.items is not None
    assert (answer.items[0].used, answer.items[0].remaining) == (0, 4_000_000)


def test_a_write_off_that_no_item_takes(kept: Kept) -> None:
    """A line or unit that the licence does not have is told to its authority, and is not taken off another item."""
    kept.take(put(decision("GRANT", 1)), put(used(1, 1, line=9)), put(used(2, 1, unit="KGM")))
    (flag,) = kept.reader.flags(NOW)
    assert (flag.code, flag.text) == ("USAGE_UNMATCHED", "no item of licence 2026-0815 takes line 1: 1 KGM; line 9: 1 H87")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_one_container_in_alerts_of_two_owners(kept: Kept, order: tuple[int, ...]) -> None:
    """Both owners are to be told, and only while both have a live alert on it; two alerts of one owner are no conflict."""
    mine, again, other = citing(1), citing(2), citing(3, owner="MY-CUSTOMS")
    take(kept, [mine, again, other], order)
    flags = [flag for flag in kept.reader.flags(NOW + 10) if flag.code == "SAME_CONTAINER"]
    assert len(flags) == 1
    assert flags[0].addressees == ("MY-CUSTOMS", "SG-CUSTOMS")
    assert {flags[0].subject, *flags[0].others} == {mine.subject, again.subject, other.subject}
    assert flags[0].since == NOW + 2
    for each in kept.reader.find([look.container_is("CSQU3054383")], NOW + 10):
        assert "SAME_CONTAINER" in codes(each.flags)
    kept.take(put(recalled(other.subject, 2)))
    assert kept.reader.flags(NOW + 10) == ()


def test_the_conflict_ends_with_the_first_owner_s_last_alert(kept: Kept) -> None:
    """It stands until only one owner's alerts are live."""
    short = replace(citing(3, owner="MY-CUSTOMS"), valid_until_ms=NOW + 2 * DAY)
    kept.take(put(citing(1)), put(short))
    assert codes(kept.reader.flags(NOW + 2 * DAY - 1)) == ["SAME_CONTAINER"]
    assert codes(kept.reader.flags(NOW + 2 * DAY)) == []


def test_a_moved_container_is_no_conflict(kept: Kept) -> None:
    """A revision that names another container ends it."""
    kept.take(put(citing(1)), put(citing(3, owner="MY-CUSTOMS")), put(replace(with_container(citing(1), "MSKU9070323"), revision=2)))
    assert kept.reader.flags(NOW) == ()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_seizure_is_the_hit_of_the_alert_it_names(kept: Kept, order: tuple[int, ...]) -> None:
    """In either order; without the method section, which names it, there is none."""
    take(kept, [sample_alert(ALERT), sample_seizure(alert_id=ALERT)], order)
    answer = kept.reader.subject(ALERT, NOW + 10)
    assert answer is not None
    assert [(flag.code, flag.others, flag.since) for flag in answer.flags] == [("ALERT_HIT", ("AE-CUSTOMS/2026/S-7",), NOW + 1)]
    assert answer.links == (("HIT", "AE-CUSTOMS/2026/S-7", ""),)
    kept.take(put(replace(sample_seizure(alert_id=ALERT), revision=2), withheld=["method"]))
    assert kept.reader.flags(NOW + 10) == ()


@pytest.mark.parametrize(("mode", "limit"), [("SEA", 45), ("INLAND_WATER", 45), ("AIR", 21)])
def test_a_stay_in_a_free_zone(kept: Kept, mode: str, limit: int) -> None:
    """In and out in days; over the limit of the way it came, it is flagged; one that does not leave is flagged in time."""
    kept.take(put(zone_event(1, "FZ_IN", day=0, mode=mode)))
    assert codes(kept.reader.flags(NOW + limit * DAY - 1)) == []
    assert codes(kept.reader.flags(NOW + limit * DAY)) == ["DWELL_OVER"]
    kept.take(put(zone_event(2, "FZ_OUT", day=limit, mode=mode)))
    (zone,) = kept.reader.zone_stays("msku 9070323")
    assert [(stay.days, stay.over) for stay in zone.stays] == [(limit, False)]
    assert codes(kept.reader.flags(NOW + 100 * DAY)) == []
    kept.take(put(replace(zone_event(2, "FZ_OUT", day=limit + 1, mode=mode), revision=2)))
    assert codes(kept.reader.flags(NOW + 100 * DAY)) == ["DWELL_OVER"]


def test_goods_that_leave_in_another_container(kept: Kept) -> None:
    """A warning pairs the box that came with the box that left: one stay, found by both, 46 days by water."""
    kept.take(put(sample_fz_warning()))
    for box in ("CSQU3054383", "MSKU9070323"):
        (zone,) = kept.reader.zone_stays(box)
        (stay,) = zone.stays
        assert (zone.zone, zone.container, stay.days, stay.over) == ("SGSIN-03", "CSQU3054383", 46, True)
    (flag,) = kept.reader.flags(NOW)
    assert flag.text == "container CSQU3054383 was in SGSIN-03 for 46 days, over the limit of 45, and left in MSKU9070323"


def test_pairs_of_a_container_that_comes_again() -> None:
    """Two stays, a second report of the same entry, an exit whose entry nobody told, an entry that is still open."""

    def at(day: int, direction: str) -> Passage:
        return Passage(f"X/{day}{direction}", 0, "IN" if direction == "IN" else "OUT", day * DAY_MS, "AIR")

    told = [at(90, "IN"), at(2, "OUT"), at(3, "IN"), at(4, "IN"), at(10, "OUT"), at(20, "IN"), at(60, "OUT")]
    found = [(stay.days, stay.over, stay.left is None) for stay in stays(told)]
    assert found == [(None, False, False), (7, False, False), (40, True, False), (None, False, True)]
    assert [(stay.days, stay.over, stay.left is None) for stay in stays(told[::-1])] == found


def test_every_code_is_described() -> None:
    """Each status that stops has its flag in the table of codes."""
    from broker.register.licences import STOPPED

    assert {f"LICENCE_{status}" for status in STOPPED} | {
        "QUANTITY_OVERDRAWN", "USAGE_UNMATCHED", "SAME_CONTAINER", "ALERT_HIT", "DWELL_OVER",
    } == set(FLAGS)  # fmt: skip


def test_flooding_one_container_is_bounded(kept: Kept) -> None:
    """Many alerts on one container: the rule looks at the first 200, and the flag says who they are."""
    for number in range(205):
        kept.take(put(changed(citing(number, owner="SG-CUSTOMS" if number % 2 else "MY-CUSTOMS"), "core", licence_refs=[])))
    (flag,) = kept.reader.flags(NOW)
    assert len(flag.others) == 199
