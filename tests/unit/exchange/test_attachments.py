"""Attached files at the relay: chunks go to those who hold the section that cites them, and are taken back with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from broker.envelope.parcel import Parcel, read_parcel
from broker.exchange.attachments import WITH_CITING
from broker.exchange.receive import Received
from broker.exchange.subjects import showing
from broker.exchange.topology import DAY_MS, MESSAGE_LIMIT
from broker.families.attachment import CHUNK_BYTES
from broker.families.message import Audience, Message
from broker.families.recall import recall
from broker.values import Correlation
from tests.support.attached import chunks, citing, file_of
from tests.unit.exchange.bench import COMMUNITY, Author, Bench, Written
from tests.unit.exchange.test_catch_up import NEWCOMER, SUBJECT, joined, late, without

PICTURE = bytes(range(256)) * 2048 + b"the end"
"""Two chunks."""
FILE = file_of(PICTURE)


def alert(bench: Bench, *, agencies: tuple[str, ...] = ("AE-CUSTOMS", "DE-BAFA"), revision: int = 1) -> Message:
    """An alert with the picture: customs that are named, or in the community, read it, the licensing authority does not."""
    message = replace(bench.alert(revision=revision), audience=Audience(agencies=agencies, communities=(COMMUNITY,)))
    return citing(message, FILE)


def taken_back(bench: Bench, *, revision: int = 2) -> Message:
    due = datetime.fromtimestamp((bench.now + DAY_MS) / 1000, UTC)
    core = {"reason": "ERROR", "action": "DELETE", "due": due}
    return recall(subject=SUBJECT, core=core, audience=Audience(communities=(COMMUNITY,)), revision=revision)  # pyright: ignore[reportArgumentType]


def sent(bench: Bench, author: Author) -> list[Written]:
    """The alert and its two chunks, each in a batch of its own."""
    message = alert(bench)
    return [bench.feed(author.write(each, now_ms=bench.now).value) for each in (message, *chunks(message, FILE, PICTURE))]


def got(bench: Bench, written: list[Written], agency: str) -> list[Received]:
    """The chunks that an agency was sent, verified."""
    return [each for each in late(bench, written, agency) if each.header.family == "attachment"]


def test_chunks_go_to_the_holders_of_the_section() -> None:
    """Each agency that was given the section, by its name or its community, is sent every chunk, and nobody else is."""
    bench = Bench()
    written = sent(bench, bench.author())
    assert [each.codes for each in written] == [[""], [""], [""]]
    assert showing(bench.shard.subjects[SUBJECT]) == ("AE-CUSTOMS", "MY-CUSTOMS")
    for agency in ("AE-CUSTOMS", "MY-CUSTOMS"):
        received = got(bench, written, agency)
        assert [each.sections["core"]["index"] for each in received] == [0, 1]
        assert {each.slip.rule for each in received} == {WITH_CITING}
        assert {each.header.correlation.target for each in received} == {SUBJECT}
    assert len(late(bench, written, "DE-BAFA")) == 1
    assert got(bench, written, "DE-BAFA") == []


def test_a_chunk_needs_a_message_that_cites_it() -> None:
    """Refused: a chunk before its message, of a file that is not cited, with another number of chunks, of another's message, and twice."""
    bench = Bench()
    author, message = bench.author(), alert(bench)
    first, second = chunks(message, FILE, PICTURE)
    foreign = replace(first, correlation=Correlation(target="MY-CUSTOMS/2026/000001"))
    other = file_of(PICTURE, seed=2)
    assert bench.feed(author.write(first, now_ms=bench.now).value).codes == ["NOT_CITED"]
    bench.feed(author.write(message, now_ms=bench.now).value)
    longer = chunks(message, {**FILE, "chunks": 3, "size": CHUNK_BYTES * 3}, PICTURE + bytes(CHUNK_BYTES))[0]
    strangers = [chunks(message, other, PICTURE)[0], longer]
    for stranger in strangers:
        assert bench.feed(author.write(stranger, now_ms=bench.now).value).codes == ["NOT_CITED"]
    made = author.draft(first, now_ms=bench.now)
    theirs = author.write(first, now_ms=bench.now, correlation=replace(made.header.correlation, target=foreign.correlation.target))
    assert bench.feed(theirs.value).codes == ["NOT_CITED"]
    assert bench.feed(author.write(second, now_ms=bench.now).value).codes == [""]
    assert bench.feed(author.write(second, now_ms=bench.now).value).codes == ["STALE_REVISION"]


def test_a_recall_of_the_message_takes_the_chunks_back() -> None:
    """The owner recalls the message alone: holders are told to erase each chunk, under its own inbox key, once, and nothing of the
    ciphertext is left in ``exchange.current`` once it is compacted; a chunk that comes after it is refused."""
    bench = Bench()
    author = bench.author()
    message = alert(bench)
    first, second = chunks(message, FILE, PICTURE)
    for each in (message, first):
        bench.feed(author.write(each, now_ms=bench.now).value)
    bench.now += 1000
    bench.feed(author.write(taken_back(bench), now_ms=bench.now).value)
    written = bench.swept()
    for agency in ("AE-CUSTOMS", "MY-CUSTOMS"):
        (gone,) = got(bench, written, agency)
        assert gone.sections == {}
        (record,) = [record for each in written for record in each.inbox(agency)]
        assert record.key == f"s/{first.subject}".encode()
    assert got(bench, bench.swept(), "AE-CUSTOMS") == []
    bench.compact()
    assert all(b"chunk" not in _sections(record.value or b"") for record in bench.current)
    assert bench.feed(author.write(second, now_ms=bench.now).value).codes == ["NOT_CITED"]


def _sections(value: bytes) -> set[bytes]:
    parcel = read_parcel(value, MESSAGE_LIMIT)
    return {name.encode() for name in parcel.sections} if isinstance(parcel, Parcel) else set()


def test_a_crash_between_recall_and_sweep_loses_nothing() -> None:
    """A worker that takes the shard after the recall was committed finds the chunks due in the state topic, and takes them back."""
    bench = Bench()
    author = bench.author()
    sent(bench, author)
    bench.now += 1000
    bench.feed(author.write(taken_back(bench), now_ms=bench.now).value)
    bench.crash()
    bench.now += 1000
    written = bench.swept()
    assert [each.sections for each in got(bench, written, "MY-CUSTOMS")] == [{}, {}]


def test_a_narrower_revision_takes_the_chunks_from_who_drops_out() -> None:
    """A revision without AE-CUSTOMS takes the chunks back from it; who stays keeps them and is sent nothing."""
    bench = Bench()
    author = bench.author()
    sent(bench, author)
    bench.now += 1000
    bench.feed(author.write(citing(replace(bench.alert(revision=2)), FILE), now_ms=bench.now).value)
    written = bench.swept()
    assert [each.sections for each in got(bench, written, "AE-CUSTOMS")] == [{}, {}]
    assert showing(bench.shard.subjects[SUBJECT]) == ("MY-CUSTOMS",)
    assert got(bench, written, "MY-CUSTOMS") == []


def test_a_revision_that_cites_no_file_takes_the_chunks_from_all() -> None:
    """Where the last revision does not cite the file any more, everybody is told to erase its chunks."""
    bench = Bench()
    author = bench.author()
    sent(bench, author)
    bench.now += 1000
    bench.feed(author.write(replace(bench.alert(revision=2)), now_ms=bench.now).value)
    written = bench.swept()
    for agency in ("AE-CUSTOMS", "MY-CUSTOMS"):
        assert [each.sections for each in got(bench, written, agency)] == [{}, {}]


def test_a_latecomer_gets_the_chunks_with_the_section() -> None:
    """An agency that joins the community is sent the alert, and then its chunks; the row of the chunks names it as a holder."""
    bench = Bench()
    sent(bench, bench.author())
    bench.now += 1000
    written = joined(bench)
    received = late(bench, written, NEWCOMER)
    assert [each.header.family for each in received] == ["alert", "attachment", "attachment"]
    assert received[1].sections["chunk"]["data"]


def test_rules_that_withhold_the_section_take_the_chunks() -> None:
    """A bundle without the rule that gives attachments takes the section from everybody, and the chunks with it."""
    bench = Bench()
    sent(bench, bench.author())
    bench.now += 1000
    bench.renew(without("read-attachments"))
    written = bench.swept()
    bench.now += 1000
    written += bench.swept()
    assert showing(bench.shard.subjects[SUBJECT]) == ()
    assert [each.sections for each in got(bench, written, "MY-CUSTOMS")] == [{}, {}]


def test_a_suspended_holder_is_told_when_it_is_back() -> None:
    """Suspended while the message is recalled, a holder is sent nothing; once it is back it is told to erase each chunk."""
    bench = Bench()
    author = bench.author()
    sent(bench, author)
    bench.desk.stand("MY-CUSTOMS", "suspended")
    bench.renew()
    bench.now += 1000
    bench.feed(author.write(taken_back(bench), now_ms=bench.now).value)
    assert got(bench, bench.swept(), "MY-CUSTOMS") == []
    bench.desk.stand("MY-CUSTOMS", "active")
    bench.renew()
    bench.now += 1000
    assert [each.sections for each in got(bench, bench.swept(), "MY-CUSTOMS")] == [{}, {}]


def test_the_state_topic_brings_back_what_a_shard_knows() -> None:
    """A worker that takes the shard knows which files are cited, by whom, and which chunks there are."""
    bench = Bench()
    sent(bench, bench.author())
    known, read = bench.shard, bench.loaded(bench.compacted())
    assert read.subjects == known.subjects
    assert read.chunks == known.chunks
    assert len(known.chunks[SUBJECT]) == 2


def test_an_agency_has_so_many_chunks_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit chunks are refused; what a recall takes back makes room."""
    monkeypatch.setattr("broker.exchange.attachments.CHUNKS_LIMIT", 1)
    bench = Bench()
    author = bench.author()
    assert [each.codes for each in sent(bench, author)] == [[""], [""], ["TOO_MUCH_ATTACHED"]]


def test_a_file_that_was_let_go_does_not_come_back() -> None:
    """A revision drops the file and a later one cites it again: its ciphertext is gone from the exchange, nobody is sent anything, and
    nothing fails; the owner attaches it anew."""
    bench = Bench()
    author = bench.author()
    sent(bench, author)
    for revision, message in ((2, bench.alert(revision=2)), (3, alert(bench, revision=3))):
        bench.now += 1000
        bench.feed(author.write(message, now_ms=bench.now).value)
        written = bench.swept()
        assert [each.sections for each in got(bench, written, "MY-CUSTOMS")] == ([{}, {}] if revision == 2 else [])
    assert bench.feed(author.write(chunks(alert(bench), FILE, PICTURE)[0], now_ms=bench.now).value).codes == ["STALE_REVISION"]


def test_a_suspended_holder_is_sent_no_chunk_before_it_is_back() -> None:
    """An agency that was given the section and is suspended since is sent no chunk that comes meanwhile; once it is back it is sent it."""
    bench = Bench()
    author, message = bench.author(), alert(bench)
    bench.feed(author.write(message, now_ms=bench.now).value)
    bench.desk.stand("MY-CUSTOMS", "suspended")
    bench.renew()
    bench.now += 1000
    bench.swept()
    written = [bench.feed(author.write(each, now_ms=bench.now).value) for each in chunks(message, FILE, PICTURE)]
    assert [each.codes for each in written] == [[""], [""]]
    assert [record for each in written for record in each.inbox("MY-CUSTOMS")] == []
    assert len(got(bench, written, "AE-CUSTOMS")) == 2
    bench.desk.stand("MY-CUSTOMS", "active")
    bench.renew()
    bench.now += 1000
    assert [each.sections["core"]["index"] for each in got(bench, bench.swept(), "MY-CUSTOMS")] == [0, 1]


@pytest.mark.parametrize("cites", [True, False], ids=["fewer read it", "no file is cited"])
def test_what_was_taken_and_given_again_at_once_is_sent_anew(cites: bool) -> None:
    """Two revisions follow each other before a sweep has come round, the first without AE-CUSTOMS or the file, the second with both:
    AE-CUSTOMS, which let go of the chunks with the section, is sent them anew, and in the end holds section and chunks."""
    bench = Bench()
    author = bench.author()
    sent(bench, author)
    bench.now += 1000
    plain = bench.alert(revision=2)
    narrower = citing(plain, FILE) if cites else replace(plain, audience=alert(bench).audience)
    for message in (narrower, alert(bench, revision=3)):
        bench.feed(author.write(message, now_ms=bench.now).value)
    bench.now += 1000
    assert ["chunk" in each.sections for each in got(bench, bench.swept(), "AE-CUSTOMS")] == [True, True]


def test_revisions_do_not_touch_the_chunks_of_files_that_were_let_go() -> None:
    """However many files a subject has cited and dropped, a revision has only those decided again that it cites still."""
    bench = Bench()
    author = bench.author()
    sent(bench, author)
    bench.now += 1000
    bench.feed(author.write(bench.alert(revision=2), now_ms=bench.now).value)
    bench.swept()
    assert not bench.shard.chunks[SUBJECT]
