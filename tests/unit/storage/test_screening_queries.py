"""What screening asks of a register: candidates by key, names in bulk, patterns; only of what is live, and by way of indexes."""

from __future__ import annotations

from broker.register import keys
from broker.register.rows import Key
from broker.storage import register_reader
from broker.testing.sample_reports import sample_entity_watch, sample_fz_warning, sample_licit_movement
from broker.testing.samples import sample_alert
from tests.support.deliveries import Kept
from tests.unit.register.scene import DAY, NOW, changed, put, recalled

ALERT = "SG-CUSTOMS/2026/000001"
ASKED = [(keys.CONTAINER, "CSQU3054383"), (keys.DOCUMENT, "HLCUHAM2611004711"), (keys.CONTAINER, "NONE0000000")]


def test_candidates_come_with_their_keys(kept: Kept) -> None:
    """Many keys in one query: each live subject that has one of them, and which; movements that are announced as licit are none."""
    kept.take(put(sample_alert(ALERT)), put(sample_fz_warning()), put(sample_licit_movement()))
    found = kept.reader.candidates(ASKED, NOW)
    assert {(key.kind, subject) for key, subject in found} == {
        (keys.CONTAINER, ALERT), (keys.DOCUMENT, ALERT), (keys.CONTAINER, "SG-CUSTOMS/2026/Z-4"), (keys.DOCUMENT, "SG-CUSTOMS/2026/Z-4"),
    }  # fmt: skip
    assert (Key(keys.CONTAINER, "CSQU3054383", ""), ALERT) in found
    assert kept.reader.candidates([], NOW) == []


def test_what_has_ended_or_was_recalled_is_no_candidate(kept: Kept) -> None:
    """After its time, and after a recall, an alert gives neither candidates nor names nor patterns."""
    kept.take(put(changed(sample_alert(ALERT), "core", alert_type="ROUTE")))
    assert kept.reader.candidates(ASKED, NOW)
    assert kept.reader.patterns(NOW) == [ALERT]
    assert [subject for subject, _, _ in kept.reader.names(NOW)] == [ALERT]
    later = NOW + 30 * DAY
    assert (kept.reader.candidates(ASKED, later), kept.reader.patterns(later), list(kept.reader.names(later))) == ([], [], [])
    kept.take(put(recalled(ALERT, 2), counter=2))
    assert (kept.reader.candidates(ASKED, NOW), kept.reader.patterns(NOW), list(kept.reader.names(NOW))) == ([], [], [])


def test_names_are_romanised(kept: Kept) -> None:
    """Each name of a watch, and its transliteration as one of its own."""
    kept.take(put(sample_entity_watch()))
    assert sorted(value for _, _, value in kept.reader.names(NOW)) == ["m example", "mithal", "mthl"]


def test_candidates_are_found_by_the_index(kept: Kept) -> None:
    """The plan walks what is asked and searches the keys of each: nothing is scanned that grows with the register."""
    plan = kept.store.transaction.execute(f"EXPLAIN QUERY PLAN {register_reader._CANDIDATES}", ("[]", NOW)).fetchall()
    told = [row[3] for row in plan]
    assert [line.split()[0] for line in told] == ["SCAN", "SEARCH", "SEARCH"]
    assert "VIRTUAL TABLE" in told[0]
    assert "kind=? AND value=?" in told[1]
