"""What is open in a register: begun, met, moved and taken back by messages in any order; told once; kept over versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from broker.families.clocks.dates import DAY_MS, HOUR_MS, MINUTE_MS
from broker.families.clocks.duty import Contact
from broker.families.message import Message
from broker.ports import OwnCopy
from broker.register.rows import Delivered
from broker.storage.own_copies import SqliteOwnCopies
from broker.testing.sample_answers import sample_ack, sample_consent_reply, sample_consent_request, sample_feedback, sample_rfi
from broker.testing.sample_reports import moment, sample_fz_warning, sample_seizure
from broker.testing.samples import sample_alert
from broker.values import Correlation
from tests.support.deliveries import ME, Kept, all_rows, bytes_of
from tests.unit.register.scene import NOW, acknowledged, changed, decision, put, recalled, used

ALERT, OWN = "SG-CUSTOMS/2026/000001", f"{ME}/2026/000007"
HOLDERS = (ME, "MY-CUSTOMS", "SG-CUSTOMS")
CHAIN = (Contact("DUTY_OFFICER"), Contact("HEAD", HOUR_MS))


def opened(kept: Kept) -> list[tuple[str, str, int, str]]:
    """Kind, subject's number, revision and debtor of what is open."""
    return [(d.kind, d.subject.rpartition("/")[2], d.revision, d.debtor) for d in (each.duty for each in kept.reader.duties(NOW))]


def own(message: Message, at: int = NOW) -> Delivered:
    """An own message that the others got."""
    return put(message, at=at, counter=0, recipients=HOLDERS)


def feedback(target: str, revision: int = 1) -> Message:
    return replace(sample_feedback(f"{ME}/2026/F-1"), correlation=Correlation(target=target, target_revision=revision))


def test_both_sides(kept: Kept) -> None:
    """What the agency owes about another's alert, and what each recipient of its own owes it; it owes itself nothing."""
    kept.take(put(sample_alert(ALERT)), own(sample_alert(OWN)))
    expected = {("ACKNOWLEDGE", "000001", 1, ME), ("FEEDBACK", "000001", 1, ME)}
    expected |= {(kind, "000007", 1, debtor) for kind in ("ACKNOWLEDGE", "FEEDBACK") for debtor in ("MY-CUSTOMS", "SG-CUSTOMS")}
    assert set(opened(kept)) == expected


def test_the_own_answer_ends_what_is_owed(kept: Kept) -> None:
    """An alert asks for acknowledgement and feedback, a request for an answer; own answers meet that, not another's, not one to an earlier
    revision, not one below L3; a later revision does not take the silence back, and an answer to it speaks for the earlier ones."""
    kept.take(put(sample_alert(ALERT)), put(sample_alert(ALERT, revision=2), counter=2), put(sample_rfi("SG-CUSTOMS/2026/Q-1")))
    acks = [("ACKNOWLEDGE", "000001", 1, ME), ("ACKNOWLEDGE", "000001", 2, ME)]
    assert set(acks) < set(opened(kept))
    low = sample_ack(f"{ME}/ack/0", target=ALERT, target_revision=2, level="L2")
    kept.take(put(acknowledged(ALERT, 2, subject="MY-CUSTOMS/2026/A-1")), put(low, counter=0))
    assert set(acks) < set(opened(kept))
    kept.take(put(acknowledged(ALERT, 1), counter=0))
    assert acks[0] not in opened(kept)
    assert acks[1] in opened(kept)
    kept.take(put(feedback(ALERT, 2), counter=0))
    assert sorted(opened(kept)) == [("ACKNOWLEDGE", "Q-1", 1, ME), ("ANSWER_RFI", "Q-1", 1, ME)]


def test_an_answer_before_its_question(kept: Kept) -> None:
    """What was answered before it came here is not open when it comes; another's answer opens nothing either."""
    kept.take(put(feedback(ALERT), counter=0), put(sample_alert(ALERT)))
    assert opened(kept) == []


def test_an_answer_that_is_taken_back(kept: Kept) -> None:
    """Feedback that its author recalls is owed again; an answer whose time is over by itself has been given all the same."""
    kept.take(put(sample_alert(ALERT)), put(feedback(ALERT), counter=0))
    assert opened(kept) == []
    kept.take(put(recalled(f"{ME}/2026/F-1", 2), counter=0))
    assert sorted(each[0] for each in opened(kept) if each[1] == "000001") == ["ACKNOWLEDGE", "FEEDBACK"]
    again = replace(feedback(ALERT), subject=f"{ME}/2026/F-2", valid_until_ms=NOW + 5)
    kept.take(put(again, counter=0), put(replace(again, revision=2), at=NOW + 10, counter=0, only=[]))
    assert [each for each in opened(kept) if each[1] == "000001"] == []


def test_an_examination_moves_feedback(kept: Kept) -> None:
    """Whoever reports a seizure that the alert led to owes feedback 72 hours after it; with the report, the new time is gone too."""
    report = changed(sample_seizure(f"{ME}/2026/S-1", alert_id=ALERT), "core", occurred_at=moment(NOW))
    kept.take(put(sample_alert(ALERT)))
    (before,) = [each.duty.due_ms for each in kept.reader.duties(NOW) if each.duty.kind == "FEEDBACK"]
    kept.take(put(report, at=NOW + 5, counter=0))
    assert [each.duty.due_ms for each in kept.reader.duties(NOW) if each.duty.kind == "FEEDBACK"] == [NOW + 72 * HOUR_MS]
    kept.take(put(recalled(report.subject, 2), counter=0))
    assert [each.duty.due_ms for each in kept.reader.duties(NOW) if each.duty.kind == "FEEDBACK"] == [before]


def test_goods_that_left_the_zone(kept: Kept) -> None:
    """A free-zone warning counts the days of what is in the zone; the revision that has them leave ends that. A recall of the warning
    leaves no container behind, not in what was told either."""
    warning = sample_fz_warning()
    (pair,) = warning.sections["movements"]["pairs"]
    inside = changed(warning, "movements", pairs=[{**pair, "outbound": None}])
    kept.take(put(inside))
    far = NOW + 100 * DAY_MS
    assert [each.duty.kind for each in kept.reader.duties(far, overdue=True, dates=True)].count("LEAVE_ZONE") == 1
    kept.store.climb(far, CHAIN)
    assert kept.store.transaction.execute("SELECT count(*) FROM told WHERE about != ''").fetchone() != (0,)
    kept.take(put(replace(warning, revision=2), counter=2))
    assert not [each for each in kept.reader.duties(NOW, dates=True) if each.duty.kind in ("LEAVE_ZONE", "WARN_OF_DWELL")]
    assert kept.store.transaction.execute("SELECT count(*) FROM told WHERE about != ''").fetchone() == (0,)


def test_a_consent_answered_without_a_revision(kept: Kept) -> None:
    """A reply that names no revision is about what was asked before it: a question that was put again is open again."""
    question = replace(sample_consent_request(), subject="SG-CUSTOMS/2026/K-1")
    reply = replace(sample_consent_reply(f"{ME}/2026/C-1"), correlation=Correlation(target=question.subject))
    again = put(replace(question, revision=2), at=NOW + 2 * MINUTE_MS, counter=2)
    kept.take(again, put(reply, at=NOW + MINUTE_MS, counter=0), put(question))
    assert [each for each in opened(kept) if each[0] == "ANSWER_CONSENT"] == [
        ("ANSWER_CONSENT", question.subject.rpartition("/")[2], 2, ME)
    ]


def test_each_rung_is_told_once(tmp_path: Path) -> None:
    """The originator when it is late, the contacts later, each once; a new process does not tell it again; what is met, nobody is told."""
    path = tmp_path / "register.sqlite"
    kept = Kept(path)
    kept.take(own(replace(sample_alert(OWN), urgency="IMMEDIATE")))
    kept.take(put(sample_ack("MY-CUSTOMS/ack/1", target=OWN), counter=9))
    told: list[tuple[int, str]] = []
    for minutes in range(0, 200, 10):
        told += [(minutes, step.to) for step in kept.store.climb(NOW + minutes * MINUTE_MS, CHAIN)]
        kept.close()
        kept = Kept(path)
    assert told == [(30, ME), (60, "DUTY_OFFICER"), (120, "HEAD")]
    (each,) = kept.reader.duties(NOW + 200 * MINUTE_MS, overdue=True)
    assert [(rung.rung, rung.to, (rung.at - NOW) // MINUTE_MS) for rung in each.told] == [
        (0, ME, 30),
        (1, "DUTY_OFFICER", 60),
        (2, "HEAD", 120),
    ]
    kept.close()


def test_many_are_late_at_once(kept: Kept) -> None:
    """More than are looked at in one transaction: asked until there are none, each is told once."""
    kept.take(*(put(sample_alert(f"MY-CUSTOMS/2026/{number:06}"), counter=number + 1) for number in range(600)))
    told: list[str] = []
    while steps := kept.store.climb(NOW + 2 * DAY_MS, CHAIN[:1]):
        told += [step.duty.subject for step in steps]
    assert len(told) == len(set(told)) == 600


_V1_DUTY = (
    "CREATE TABLE duty (subject TEXT NOT NULL, kind TEXT NOT NULL, since INTEGER NOT NULL, due INTEGER, "
    "PRIMARY KEY (subject, kind)) WITHOUT ROWID"
)


def as_version_1(path: Path) -> None:
    """The file as a program of the first version leaves it."""
    with closing(sqlite3.connect(path)) as plain:
        for table in ("duty", "answer", "ended", "told", "chain_of_contacts"):
            plain.execute(f"DROP TABLE {table}")
        plain.execute(_V1_DUTY)
        plain.execute("ALTER TABLE subject DROP COLUMN labels")
        plain.execute("PRAGMA user_version = 1")
        plain.commit()


def test_a_register_of_version_1_keeps_what_is_its_own(tmp_path: Path) -> None:
    """Own decisions stay, with what follows from them; everything of others is read from the inbox again, to the same rows as ever. Nothing
    of others is left on the disk meanwhile."""
    path = tmp_path / "register.sqlite"
    mine = [put(decision("GRANT", 1, subject=f"{ME}/2026/L-1", number="77"), counter=0), put(used(1, 9), counter=5)]
    others = [put(sample_alert(ALERT)), put(decision("GRANT", 1), counter=2)]
    whole = Kept(agency=ME)
    whole.take(*others, *mine)
    kept = Kept(path)
    kept.take(*others, *mine)
    kept.store.move(7)
    kept.store.own_taken(12)
    kept.close()
    before = bytes_of(path)
    as_version_1(path)
    kept = Kept(path)
    assert b"CSQU3054383" in before
    assert (kept.store.position(), kept.store.own_position()) == (0, 12)
    assert [row[0] for row in kept.rows()["subject"]] == [f"{ME}/2026/L-1"]
    assert [answer.licence.licence_no for answer in kept.reader.licence("77", NOW)] == ["77"]
    assert kept.reader.as_of() == NOW
    assert b"CSQU3054383" not in bytes_of(path)
    kept.take(*others, mine[1])
    rows, expected = kept.rows(), whole.rows()
    for each in (rows, expected):
        del each["register_state"]
        each["duty"] = [row for row in each["duty"] if row[0] != f"{ME}/2026/L-1"]  # what version 1 never knew
    assert rows == expected
    kept.close()
    whole.close()


def test_a_register_of_version_2_knows_no_purposes_of_its_own(tmp_path: Path) -> None:
    """What came from the inbox is read again, with its labels; an own message of that time stays without, and what comes later has them."""
    path = tmp_path / "register.sqlite"
    mine = [replace(put(sample_alert(f"{ME}/2026/{number}"), counter=0), labels='{"onward":"FREE"}') for number in (1, 2)]
    other = replace(put(sample_alert(ALERT)), labels='{"onward":"CONSENT"}')
    kept = Kept(path)
    kept.take(mine[0], other)
    kept.close()
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("ALTER TABLE subject DROP COLUMN labels")
        plain.execute("PRAGMA user_version = 2")
        plain.commit()
    kept = Kept(path)
    assert kept.reader.row(ALERT) is None
    kept.take(mine[1], other)
    labels = {each.subject: (row := kept.reader.row(each.subject)) and row.labels for each in (*mine, other)}
    assert list(labels.values()) == ["", '{"onward":"FREE"}', '{"onward":"CONSENT"}']
    kept.close()


def test_own_duties_and_what_was_told_outlive_a_rebuild(tmp_path: Path) -> None:
    """The next time that the tables change: what others owe about own messages cannot come from the inbox, so it stays, open until the
    answers are read again; nobody is told twice."""
    path = tmp_path / "register.sqlite"
    kept = Kept(path)
    messages = [own(sample_alert(OWN)), put(sample_ack("MY-CUSTOMS/ack/1", target=OWN), counter=9)]
    kept.take(*messages)
    assert len(kept.store.climb(NOW + 2 * DAY_MS, CHAIN)) == 2
    before = kept.rows()
    kept.store.begin()
    kept.store.register.keep_own()
    kept.store.commit()
    assert ("ACKNOWLEDGE", "000007", 1, "MY-CUSTOMS") in opened(kept)
    kept.take(messages[1])
    after = kept.rows()
    assert [row[:11] for row in after["duty"]] == [row[:11] for row in before["duty"]]
    assert {name: after[name] for name in after if name != "duty"} == {name: before[name] for name in before if name != "duty"}
    assert kept.store.climb(NOW + 2 * DAY_MS, CHAIN) == []
    kept.close()


def test_own_copies_of_an_earlier_version(tmp_path: Path) -> None:
    """They name no recipients, and are taken all the same; new ones do."""
    path = tmp_path / "own.sqlite"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("CREATE TABLE copy (number INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL, admitted_at INTEGER NOT NULL)")
        plain.execute("INSERT INTO copy (value, admitted_at) VALUES (x'00', 5)")
        plain.commit()
    with closing(SqliteOwnCopies(path)) as copies:
        copies.keep([OwnCopy(b"\1", 6, ("MY-CUSTOMS", "AE-CUSTOMS"))])
        assert copies.after(0, 9) == [(1, OwnCopy(b"\0", 5, ())), (2, OwnCopy(b"\1", 6, ("MY-CUSTOMS", "AE-CUSTOMS")))]
    with closing(SqliteOwnCopies(path)) as copies:
        assert len(copies.after(0, 9)) == 2


def test_told_is_no_part_of_what_messages_say(kept: Kept) -> None:
    """A clock that is looked at changes no row that follows from messages, but when it is to be looked at next."""
    kept.take(put(sample_alert(ALERT)))
    before = all_rows(kept.store.transaction)
    kept.store.climb(NOW + 2 * DAY_MS, CHAIN)
    after = all_rows(kept.store.transaction)
    assert [row[:11] for row in after["duty"]] == [row[:11] for row in before["duty"]]
    del before["duty"], after["duty"]
    assert after == before
