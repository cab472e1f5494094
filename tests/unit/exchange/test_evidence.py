"""Two messages under one number are proof against their author, before anybody who has the directory, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.envelope.cose import Sign1
from broker.errors import REFUSALS, Refusal
from broker.exchange.evidence import MAGIC, Proven, evidence_bytes, evidence_of, is_evidence, prove, read_evidence
from broker.exchange.quarantine import Quarantined, read_quarantined
from broker.exchange.topology import QUARANTINE
from tests.support.batches import signed_together
from tests.support.parcels import Made, key
from tests.unit.exchange.bench import Bench, Written


def quarantined(written: Written) -> list[Quarantined]:
    """What a batch put into quarantine."""
    return [read_quarantined(record.value or b"") for record in written.to(QUARANTINE)]


def contradiction(bench: Bench, seq: int = 1) -> tuple[Made, Made]:
    """Two messages of one number, from two authors of one stream."""
    one, other = bench.author(), bench.author()
    for number in range(seq - 1):
        made = one.write(bench.alert(number), now_ms=bench.now)
        other.took(made)
    return one.write(bench.alert(60), now_ms=bench.now), other.write(bench.alert(61), now_ms=bench.now)


@lru_cache(maxsize=1)
def good() -> bytes:
    """Evidence that holds."""
    one, other = contradiction(Bench())
    return evidence_bytes(one.statement, other.statement)


def test_from_quarantine_to_proof() -> None:
    """What the relay kept of an equivocation becomes a file that proves it, in the order of arrival; also where the first message
    still waits for its turn, and after the agency's key was revoked."""
    bench = Bench()
    first, second = contradiction(bench)
    third, fourth = contradiction(bench, seq=3)
    items = quarantined(bench.feed(first.value, second.value, third.value, fourth.value))
    bench.desk.revoke("SG-CUSTOMS", since_ms=bench.now - 86_400_000, at_ms=bench.now)
    found = [prove(evidence_of(item) or b"", bench.rules) for item in items]
    leaves = [(each.first.leaf, each.second.leaf) for each in found if isinstance(each, Proven)]
    assert leaves == [(first.leaf, second.leaf), (third.leaf, fourth.leaf)]


def test_it_discloses_no_section() -> None:
    """The file holds neither a section's bytes nor its salt: what was said is not needed to prove that two things were said."""
    bench = Bench()
    first, second = contradiction(bench)
    evidence = evidence_of(quarantined(bench.feed(first.value, second.value))[0]) or b""
    assert isinstance(prove(evidence, bench.rules), Proven)
    for made in (first, second):
        assert made.sections
        for carried in made.sections.values():
            assert carried[:16] not in evidence
            assert carried[16:] not in evidence


def test_both_forms_of_statement() -> None:
    """A message signed in a batch contradicts one that was signed directly."""
    bench = Bench()
    alone, twin = contradiction(bench)
    other = bench.author(seed=9).write(bench.alert(70), now_ms=bench.now)
    payloads = [twin.statement.payload, other.statement.payload]
    batched, _ = signed_together(payloads, bench.key_of("SG-CUSTOMS"), bench.rules.exchange_id, bench.rules.environment)
    assert batched.proof is not None
    found = prove(evidence_bytes(alone.statement, batched), bench.rules)
    assert isinstance(found, Proven)
    assert (found.first.leaf, found.second.leaf) == (alone.leaf, twin.leaf)


def altered(name: str) -> tuple[Sign1, Sign1]:
    """Two statements that prove nothing."""
    bench = Bench()
    one, other = contradiction(bench)
    author = bench.author()
    author.took(one)
    match name:
        case "the same message":
            return one.statement, one.statement
        case "the next message":
            return one.statement, author.write(bench.alert(1), now_ms=bench.now).statement
        case "another stream":
            return one.statement, bench.author(seed=5).write(bench.alert(1), now_ms=bench.now).statement
        case "another agency":
            return one.statement, bench.author("MY-CUSTOMS").write(bench.alert(1, owner="MY-CUSTOMS"), now_ms=bench.now).statement
        case "another's key":
            forged = bench.author().write(bench.alert(9), now_ms=bench.now, by=key("MY-CUSTOMS"))
            return one.statement, forged.statement
        case "a key that nobody has":
            return one.statement, bench.author().write(bench.alert(9), now_ms=bench.now, by=key("nobody")).statement
        case "another exchange":
            context = b"\x83\x64xb/1\x65other\x64test"
            return one.statement, bench.author().write(bench.alert(9), now_ms=bench.now, aad=context).statement
        case _:
            return one.statement, replace(other.statement, signature=bytes(64))


@pytest.mark.parametrize(
    ("name", "code", "path"),
    [
        ("the same message", "NOT_PROVEN", ""),
        ("the next message", "NOT_PROVEN", ""),
        ("another stream", "NOT_PROVEN", ""),
        ("another agency", "NOT_PROVEN", ""),
        ("another's key", "KEY_OF_ANOTHER_AGENCY", "second"),
        ("a key that nobody has", "UNKNOWN_KEY", "second"),
        ("another exchange", "BAD_SIGNATURE", "second"),
        ("no signature", "BAD_SIGNATURE", "second"),
    ],
)
def test_what_proves_nothing(name: str, code: str, path: str) -> None:
    """Messages that may well stand beside each other, and statements that the agency never signed: the refusal says which."""
    found = prove(evidence_bytes(*altered(name)), Bench().rules)
    assert isinstance(found, Refusal)
    assert (found.code, found.path) == (code, path)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_altered_file_proves_anything(data: st.DataObject) -> None:
    """Whatever one byte is changed to, whatever is cut off or put behind: a refusal with a documented code, and no exception."""
    value = bytearray(good())
    at = data.draw(st.integers(0, len(value) - 1), label="at")
    match data.draw(st.sampled_from(["change", "cut", "add"])):
        case "change":
            value[at] ^= data.draw(st.integers(1, 255), label="mask")
        case "cut":
            del value[at:]
        case _:
            value[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    if bytes(value) == good():
        return
    found = prove(bytes(value), Bench().rules)
    assert isinstance(found, Refusal)
    assert found.code in REFUSALS


@given(st.binary(max_size=200))
def test_any_bytes(noise: bytes) -> None:
    """Bytes that claim to be evidence and are none are refused."""
    found = read_evidence(MAGIC + noise)
    assert isinstance(found, Refusal)
    assert is_evidence(MAGIC + noise)
    assert not is_evidence(b"XB\x01" + noise)


@pytest.mark.parametrize("changes", [{"code": "STALE_SEQUENCE"}, {"first": None}, {"size": 10**9}])
def test_what_was_not_kept_whole_is_no_evidence(changes: dict[str, Any]) -> None:
    """Another refusal, a first message that was trimmed away, a second one that was cut: there is nothing to export."""
    bench = Bench()
    item = quarantined(bench.feed(*(made.value for made in contradiction(bench))))[0]
    assert evidence_of(item) is not None
    assert evidence_of(replace(item, **changes)) is None


def test_a_trimmed_first_message_leaves_its_place() -> None:
    """Where the first message cannot be read again, the quarantine still names its leaf and where it lay."""
    bench = Bench()
    first, second = contradiction(bench)
    bench.feed(first.value)
    bench.outbox.clear()
    item = quarantined(bench.feed(second.value))[0]
    assert item.first is not None
    assert (item.first.leaf, item.first.offset, item.first.value) == (first.leaf, 0, None)
    assert evidence_of(item) is None
