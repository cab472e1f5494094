"""The register in SQLite: what look-ups find, what newer and older revisions do, what erasure leaves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from broker.errors import StoreError
from broker.families.message import Message
from broker.register.rows import Delivered
from broker.storage import register_reader as look
from broker.storage.register import RegisterStore
from broker.storage.register_reader import RegisterReader
from broker.testing.sample_answers import SAMPLES
from broker.testing.sample_reports import sample_entity_watch
from broker.testing.samples import sample_alert
from tests.support.deliveries import ME, Kept, bytes_of
from tests.unit.register.scene import DAY, NOW, changed, citing, codes, decision, put, recalled, used, with_container

ALERT = "SG-CUSTOMS/2026/000001"


def rich_alert() -> Message:
    """An alert with everything that it can be found by."""
    message = sample_alert(ALERT)
    message = changed(
        message, "core", mrn="06DE586600006143E1", licence_refs=[{"authority": "DE-BAFA", "licence_no": "2026-0815", "resolved": True}]
    )
    route = message.sections["route"]
    ship = {"mode": "SEA", "imo": "9074729", "voyage": "017E", "name": "EVER FORWARD", "flag": "SG"}
    plane = {"mode": "AIR", "flight": "SQ12", "flight_date": __import__("datetime").date(2026, 12, 1)}
    empty = dict.fromkeys(("imo", "name", "flag", "voyage", "flight", "flight_date", "wagon", "plate"))
    message = changed(message, "route", conveyances=[{**empty, **ship}, {**empty, **plane}], places=route["places"])
    (party,) = message.sections["parties"]["parties"]
    parties = [{**party, "id": "AE 12-345", "id_scheme": "TAX"}, {**party, "name": "ООО «Ромашка»", "role": "END_USER"}]
    return changed(message, "parties", parties=parties)


@pytest.mark.parametrize(
    "condition",
    [
        look.container_is("csqu 305438-3"), look.document_is("HLCU-HAM2611004711"), look.document_is("06DE586600006143E1"),
        look.conveyance_is("9074729"), look.conveyance_is("9074729/017e"), look.conveyance_is("Ever Forward"),
        look.conveyance_is("sq 12/2026-12-01"), look.party_is("EXAMPLE TRADING"), look.party_is("romashka llc"), look.party_is("Ромашка"),
        look.party_is("ae12345"), look.hs_is("8479"), look.hs_is("847989"), look.control_is("2b004"), look.cites_licence("2026 0815"),
    ],
    ids=lambda condition: " ".join(condition[0]),
)  # fmt: skip
def test_an_alert_is_found_by_each_key(kept: Kept, condition: look.Condition) -> None:
    """Container, document, MRN, ship with and without voyage, flight, party in two scripts and by number, HS, control code, licence."""
    kept.take(put(rich_alert()), put(with_container(sample_alert("SG-CUSTOMS/2026/000002", description="other"), "MSKU9070323")))
    found = kept.reader.find([condition], NOW)
    assert ALERT in [answer.row.subject for answer in found]
    assert kept.reader.find([condition, look.conveyance_is("9074729")], NOW)[0].row.subject == ALERT


def test_what_does_not_fit_is_not_found(kept: Kept) -> None:
    """Every condition has to fit; an ended alert is found only when asked for; a wrong key finds nothing."""
    kept.take(put(rich_alert()))
    assert kept.reader.find([look.container_is("CSQU3054383"), look.party_is("Nobody")], NOW) == []
    assert kept.reader.find([look.container_is("CSQU3054384")], NOW) == []
    assert kept.reader.find([look.hs_is("847")], NOW) != []
    after = NOW + 21 * DAY
    assert kept.reader.find([look.container_is("CSQU3054383")], after) == []
    assert [answer.live for answer in kept.reader.find([look.container_is("CSQU3054383")], after, ended=True)] == [False]


def test_the_answer_is_what_was_disclosed(kept: Kept) -> None:
    """Content comes back as JSON values, section by section; a withheld section is named and nothing of it is there."""
    kept.take(put(rich_alert(), withheld=["parties", "route"]))
    answer = kept.reader.subject(ALERT, NOW)
    assert answer is not None
    assert answer.content["goods"]["items"][0]["gross_mass_kg"] == "4200.5"
    assert answer.content["core"]["decision_deadline"].endswith("Z")
    assert set(answer.content) == {"core", "goods", "equipment"}
    assert answer.row.withheld == "parties route"
    assert not {"NAME", "LATIN", "BARE", "PARTY_ID", "CONVEYANCE"} & {key.kind for key in answer.keys}
    assert kept.reader.find([look.party_is("Example Trading")], NOW) == []


def test_a_later_revision_takes_the_place_of_all_rows(kept: Kept) -> None:
    """Keys of the earlier revision are gone, and a section that is withheld from now on leaves nothing."""
    kept.take(put(rich_alert()))
    kept.take(put(replace(with_container(rich_alert(), "MSKU9070323"), revision=2), withheld=["parties"]))
    assert kept.reader.find([look.container_is("CSQU3054383")], NOW) == []
    assert kept.reader.find([look.party_is("Ромашка")], NOW) == []
    assert kept.reader.find([look.container_is("MSKU9070323")], NOW)[0].row.revision == 2


def test_an_earlier_revision_changes_nothing(kept: Kept) -> None:
    """Late, double, or decided before: the register is what it was, but that the late one was to be acknowledged too. The relay's later
    decision on the same revision counts."""
    second = put(replace(rich_alert(), revision=2), counter=7)
    kept.take(second)
    before = kept.rows()
    kept.take(put(rich_alert(), counter=9), second, put(replace(rich_alert(), revision=2), counter=6, withheld=["parties"]))
    after = kept.rows()
    late = set(after.pop("duty")) - set(before.pop("duty"))
    assert [row[:3] for row in late] == [(ALERT, 1, "ACKNOWLEDGE")]
    assert after == before
    kept.take(put(replace(rich_alert(), revision=2), counter=8, withheld=["parties"]))
    assert kept.reader.find([look.party_is("Ромашка")], NOW) == []


def test_a_revocation_is_not_overwritten_by_a_late_grant(kept: Kept) -> None:
    """Whatever order they come in, the authority's highest revision says what the licence is."""
    kept.take(put(decision("REVOKE", 3)), put(decision("GRANT", 1)), put(decision("SUSPEND", 2)))
    (answer,) = kept.reader.licence("2026/0815", NOW)
    assert (answer.status, answer.revision, answer.licence.instruction) == ("REVOKED", 3, "HOLD")


def test_life_of_a_licence(kept: Kept) -> None:
    """Granted, suspended, reinstated, partly used, revoked: status, instruction and what is left after each step."""
    seen: list[tuple[str, str | None, int | None]] = []
    steps = [
        decision("GRANT", 1), decision("SUSPEND", 2), decision("REINSTATE", 3, final_assessment="cleared"), used(1, 1), used(2, 2),
        used(2, 2, revision=2, cancelled=True), decision("REVOKE", 4),
    ]  # fmt: skip
    for at, message in enumerate(steps):
        kept.take(put(message, at=NOW + at))
        (answer,) = kept.reader.licence("2026-0815", NOW)
        assert answer.items is not None
        left = answer.items[0].remaining
        seen.append((answer.status, answer.licence.instruction, None if left is None else left // 1_000_000))
    assert seen == [
        ("VALID", None, 4), ("SUSPENDED", "HOLD", 4), ("VALID", None, 4), ("VALID", None, 3), ("VALID", None, 1), ("VALID", None, 3),
        ("REVOKED", "HOLD", 3),
    ]  # fmt: skip
    assert kept.reader.as_of() == NOW + 6


def test_a_licence_ends_by_itself(kept: Kept) -> None:
    """No message is needed for it, and one that is still to take effect says so."""
    kept.take(put(decision("GRANT", 1)))
    assert kept.reader.licence("2026-0815", NOW + 366 * DAY)[0].status == "EXPIRED"
    assert kept.reader.licence("2026-0815", NOW - 1)[0].in_force is False


def test_one_number_at_two_authorities(kept: Kept) -> None:
    """A number is unique per authority only: both answer. A decision on somebody else's licence gives no licence."""
    kept.take(put(decision("GRANT", 1)), put(decision("REVOKE", 1, subject="FR-DGA/2026/L-0815")))
    assert [(a.licence.authority, a.status) for a in kept.reader.licence("2026-0815", NOW)] == [("DE-BAFA", "VALID"), ("FR-DGA", "REVOKED")]
    stranger = replace(put(decision("REVOKE", 1, subject="XX-EVIL/2026/1")), sections=put(decision("REVOKE", 1)).sections)
    kept.take(stranger)
    assert len(kept.reader.licence("2026-0815", NOW)) == 2


def test_items_that_are_withheld(kept: Kept) -> None:
    """The licence is there without items, and no quantity is made up."""
    kept.take(put(decision("GRANT", 1), only=["core"]), put(used(1, 9)))
    (answer,) = kept.reader.licence("2026-0815", NOW)
    assert (answer.items, answer.flags, answer.withheld) == (None, (), ("items", "parties", "value"))


@pytest.mark.parametrize("late_first", [False, True])
def test_a_recall_leaves_a_tombstone(kept: Kept, late_first: bool) -> None:
    """Subject, revision, reason and time stay, and what the recall says itself; no content does, whether the recall comes after or before
    the revision it recalls."""
    deliveries = [put(rich_alert()), put(recalled(ALERT, 2), at=NOW + 5)]
    kept.take(*(reversed(deliveries) if late_first else deliveries))
    answer = kept.reader.subject(ALERT, NOW)
    assert answer is not None
    assert (answer.row.state, answer.row.revision, answer.row.reason, answer.row.erased_at) == ("ERASED", 2, "ERROR", NOW + 5)
    assert set(answer.content) == {"core"}
    assert set(answer.content["core"]) == {"reason", "action", "due", "replaced_by"}
    assert (answer.keys, answer.flags, answer.live) == ((), (), False)
    assert kept.reader.find([look.container_is("CSQU3054383")], NOW, ended=True) == []
    assert [each.duty.kind for each in kept.reader.duties(NOW)] == ["ANSWER_RECALL"]


def test_narrowing_and_expiry_are_erasures(kept: Kept) -> None:
    """A parcel without its core: withdrawn, or expired where its time is over. A wider audience later brings the subject back."""
    kept.take(put(rich_alert()), put(replace(rich_alert(), revision=2), only=[]))
    assert (row := kept.reader.subject(ALERT, NOW)) is not None
    assert (row.row.reason, row.content) == ("WITHDRAWN", {})
    assert [each.duty.kind for each in kept.reader.duties(NOW)] == ["ANSWER_WITHDRAWAL"]
    kept.take(put(replace(rich_alert(), revision=3), only=[], at=NOW + 30 * DAY))
    assert (row := kept.reader.subject(ALERT, NOW)) is not None
    assert row.row.reason == "EXPIRED"
    kept.take(put(replace(rich_alert(), revision=4)))
    assert len(kept.reader.find([look.container_is("CSQU3054383")], NOW)) == 1


def test_what_waits_or_was_refused_here_is_erased_too(tmp_path: Path) -> None:
    """A recall also takes the subject's records that wait for another try or that the agency's own code refused."""
    from broker.ports import Held, Record

    path = tmp_path / "register.sqlite"
    kept = Kept(path)
    secret = Record("in.AE-CUSTOMS", 0, 4, NOW, b"s/" + ALERT.encode(), b"Zwiebelschale")
    kept.take(put(rich_alert()))
    kept.store.hold(Held(secret, ALERT, 1, NOW), "later")
    kept.store.quarantine(secret, "REJECTED_HERE", "not usable", NOW)
    kept.store.quarantine(replace(secret, offset=5, value=b"forged"), "BAD_SIGNATURE", "forged", NOW)
    kept.take(put(recalled(ALERT, 2)))
    assert not kept.store.holds(ALERT)
    assert [code for _, code, _, _ in kept.store.quarantined()] == ["BAD_SIGNATURE"]
    kept.close()
    assert b"Zwiebelschale" not in bytes_of(path)
    assert b"forged" in bytes_of(path)


def marked(number: int, container: str) -> Message:
    """An alert with a mark of its own in each kind of row: content, name, document, container."""
    message = with_container(sample_alert(f"SG-CUSTOMS/2026/{number:06}", description=f"Besenkammer{number:05}"), container)
    message = changed(message, "core", documents=[{"type": "N705", "id": f"DOCMARK{number:05}"}])
    (party,) = message.sections["parties"]["parties"]
    return changed(message, "parties", parties=[{**party, "name": f"Namensmarke{number:05} Ltd"}])


def test_erased_content_is_in_no_byte_of_the_files(tmp_path: Path) -> None:
    """400 subjects, every second recalled, many pages rearranged: what is recalled is found in no byte of store and log at once, in any
    form, while the register stays open; what is not recalled is still there."""
    path = tmp_path / "register.sqlite"
    kept = Kept(path)
    for number in range(400):
        kept.take(put(marked(number, f"MARK{number:07}")))
    assert b"Besenkammer00004" in bytes_of(path)
    for number in range(0, 400, 2):
        kept.take(put(recalled(f"SG-CUSTOMS/2026/{number:06}", 2)))
    lying = bytes_of(path)
    for number in range(0, 400, 2):
        for form in ("Besenkammer{:05}", "DOCMARK{:05}", "namensmarke{:05}", "Namensmarke{:05}", "MARK{:07}"):
            assert form.format(number).encode() not in lying, form.format(number)
    assert b"Besenkammer00005" in lying
    kept.close()
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("VACUUM")
    assert b"Besenkammer00004" not in bytes_of(path)


def test_a_reader_in_the_middle_of_an_answer_delays_the_scrubbing(tmp_path: Path) -> None:
    """The writer does not wait for it; what was erased is in no byte once the reader is done, or the register is opened again."""
    path = tmp_path / "register.sqlite"
    kept = Kept(path)
    kept.take(put(marked(4, "CSQU3054383")), put(marked(5, "CSQU3054383")))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        for number in (4, 5):
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM subject").fetchall()
            kept.take(put(recalled(f"SG-CUSTOMS/2026/{number:06}", 2)))
            mark = f"Besenkammer{number:05}".encode()
            assert mark in bytes_of(path)
            assert not kept.store.clean
            reader.execute("ROLLBACK")
            if number == 4:
                kept.store.scrub()
            else:
                kept.close()
                kept = Kept(path)
            assert mark not in bytes_of(path)
            assert kept.store.clean
    kept.close()


def test_withheld_sections_are_in_no_byte_of_the_files(tmp_path: Path) -> None:
    """What a recipient may not see never reaches its disk by way of the register."""
    path = tmp_path / "register.sqlite"
    kept = Kept(path)
    kept.take(put(marked(1, "CSQU3054383"), withheld=["parties", "goods"]))
    lying = bytes_of(path)
    assert b"CSQU3054383" in lying
    assert b"amensmarke" not in lying
    assert b"Besenkammer" not in lying
    kept.close()


def test_answers_are_linked_to_their_subject(kept: Kept) -> None:
    """Who said what of a subject: the acknowledgement's level, the feedback's result, the write-off."""
    kept.take(*(put(make()) for make in SAMPLES.values()))
    answer = kept.reader.subject("SG-CUSTOMS/2026/000123", NOW)
    assert answer is not None
    assert answer.row.state == "ERASED"  # the samples recall it
    assert {(kind, note) for kind, _, note in answer.links} >= {("ACK", "L3"), ("FEEDBACK", "EXAMINED_POSITIVE"), ("HIT", "")}


def test_watched_entities_are_found_by_each_name_and_number(kept: Kept) -> None:
    """By the name as written, by its owner's romanisation, by an alias, by a passport."""
    kept.take(put(sample_entity_watch()))
    for text in ("مثال", "MITHAL", "Example M.", "x-0000000"):
        assert [a.row.subject for a in kept.reader.find([look.party_is(text)], NOW, family="entity_watch")] == ["SG-CUSTOMS/2026/W-9"], text


@pytest.mark.parametrize("family", sorted(SAMPLES))
def test_every_family_leaves_rows_and_can_be_erased(kept: Kept, family: str) -> None:
    """A good message of each family is taken, twice, and after an erasure only its own row is left, and the duty to confirm."""
    message = SAMPLES[family]()
    labelled = replace(put(message), labels='{"onward":"FREE"}')
    kept.take(labelled, labelled)
    held = kept.reader.row(message.subject)
    assert held is not None
    assert held.labels == ("" if family == "recall" else labelled.labels)
    kept.take(replace(put(replace(message, revision=message.revision + 1), only=[]), labels=labelled.labels))
    erased = kept.reader.row(message.subject)
    assert erased is not None
    assert (erased.state, erased.labels) == ("ERASED", "")
    rows = kept.rows()
    del rows["register_state"]
    assert [name for name, each in rows.items() if each] == ["subject", "duty"]


def test_a_register_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    """It is neither read nor written, and the advice says what to do."""
    path = tmp_path / "register.sqlite"
    RegisterStore(path, ME).close()
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="version 99"):
        RegisterStore(path, ME)
    with pytest.raises(StoreError, match="another version"):
        RegisterReader.open(path)


def test_there_is_no_register(tmp_path: Path) -> None:
    """A look-up where nothing is stored is told what to do, and a damaged file is no traceback."""
    with pytest.raises(StoreError, match="there is no register"):
        RegisterReader.open(tmp_path / "none.sqlite")
    (tmp_path / "bad.sqlite").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StoreError, match="cannot be"):
        RegisterReader.open(tmp_path / "bad.sqlite")


def test_readers_read_while_another_writes(tmp_path: Path) -> None:
    """A look-up sees what is committed, not what is under way, and holds nobody up."""
    path = tmp_path / "register.sqlite"
    kept = Kept(path)
    kept.take(put(decision("GRANT", 1)))
    with closing(RegisterReader.open(path)) as reader:
        kept.store.begin()
        kept.store.register.take(put(decision("REVOKE", 2)))
        assert reader.licence("2026-0815", NOW)[0].status == "VALID"
        kept.store.commit()
        assert reader.licence("2026-0815", NOW)[0].status == "REVOKED"
    kept.close()


def test_every_look_up_uses_an_index(kept: Kept) -> None:
    """No query of the reader scans a table, but for the list of duties and flags, which shows them all."""
    plans: list[str] = []
    kept.take(put(rich_alert()), put(decision("GRANT", 1)))
    connection = kept.store.transaction
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    kept.reader.licence("2026-0815", NOW)
    kept.reader.find([look.container_is("CSQU3054383"), look.party_is("Example"), look.hs_is("84")], NOW)
    kept.reader.subject(ALERT, NOW)
    kept.reader.zone_stays("CSQU3054383")
    connection.set_trace_callback(None)
    for statement in statements:
        plans += [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    tables = ("look", "subject", "content", "licence", "flag", "link", "movement")
    assert not [plan for plan in plans if any(plan.startswith(f"SCAN {name}") for name in tables)]
    assert any("SEARCH licence" in plan for plan in plans)


def test_citing_is_of_the_newest_revision(kept: Kept) -> None:
    """An alert whose later revision cites nothing any more carries no flag."""
    cites, clean = citing(1), replace(sample_alert(ALERT), revision=2)
    kept.take(put(decision("REVOKE", 1)), put(cites))
    assert codes(kept.reader.flags(NOW)) == ["LICENCE_REVOKED"]
    kept.take(put(clean))
    assert codes(kept.reader.flags(NOW)) == []


def test_delivered_is_ordered_by_revision_then_decision() -> None:
    """The rank that decides what is newer."""
    first: Delivered = put(rich_alert())
    assert replace(first, revision=2, counter=1).rank > replace(first, counter=9).rank > first.rank
