"""Who shares a signature: a publisher's messages except the urgent ones, and all that a relay writes in one transaction."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from broker.envelope import cose
from broker.envelope.batch import Proof, Tree
from broker.envelope.note import read_note
from broker.envelope.parcel import SLIP, parcel_bytes
from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange import post
from broker.exchange.admit import Authentic, authenticate, examine
from broker.exchange.publish import Draft, Sealing
from broker.exchange.receive import Received, is_receipt, read_receipt, receive
from broker.exchange.relay import Batch
from broker.exchange.topology import MESSAGE_LIMIT
from broker.families.message import Message
from tests.support.batches import drafts_of, proof_of
from tests.support.parcels import key, parcel
from tests.unit.exchange.bench import NOW, RELAY, Bench, Written

BY = key("SG-CUSTOMS")


def sealed(drafts: Sequence[Draft], bench: Bench) -> tuple[list[bytes], int]:
    """The record values, and how many signatures they took."""
    sealing = Sealing(drafts, bench.rules)
    signatures = [BY.sign_now(message) for message in sealing.to_be_signed]
    return sealing.values(signatures), len(signatures)


def messages(bench: Bench, *urgencies: Any) -> list[Message]:
    return [replace(bench.alert(number), urgency=urgency) for number, urgency in enumerate(urgencies, 1)]


F, I, P, R = "FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE"  # noqa: E741


@pytest.mark.parametrize(
    ("urgencies", "together"),
    [
        ([], []), ([R], []), ([F], []), ([F, I], []), ([R, P], [0, 1]), ([P, P, P, R, R], [0, 1, 2, 3, 4]),
        ([R, F, R], [0, 2]), ([F, R, I], []), ([I, P, F, R, I, P], [1, 3, 5]), ([F, R, R], [1, 2]), ([R, R, F], [0, 1]),
    ],
)  # fmt: skip
def test_all_but_the_urgent_share_a_signature(urgencies: list[str], together: list[int]) -> None:
    """FLASH and IMMEDIATE have a signature of their own, the others share one; one that is left alone has its own. The order is that
    of the drafts, and admission takes every value."""
    bench = Bench()
    drafts = drafts_of(bench.author(), messages(bench, *urgencies), now_ms=NOW)
    values, signatures = sealed(drafts, bench)
    proofs = [parcel(value).statement.proof for value in values]
    assert [number for number, proof in enumerate(proofs) if proof is not None] == together
    assert [(proof.index, proof.size) for proof in proofs if proof is not None] == [(n, len(together)) for n in range(len(together))]
    assert signatures == len(urgencies) - len(together) + bool(together)
    for draft, value in zip(drafts, values, strict=True):
        authentic = authenticate(value, bench.rules, at_ms=NOW)
        assert isinstance(authentic, Authentic), authentic
        assert (authentic.leaf, authentic.header) == (draft.leaf, draft.header)
        assert examine(authentic, bench.rules, complete=True) is None
    assert bench.feed(*values).codes == [""] * len(values)


def test_a_full_batch_costs_one_signature() -> None:
    """256 messages: one signature, one verdict, paths of eight hashes, and each message is a parcel of its own."""
    bench = Bench()
    drafts = drafts_of(bench.author(), [bench.alert(number) for number in range(256)], now_ms=NOW)
    values, signatures = sealed(drafts, bench)
    assert signatures == 1
    rules = bench.rules
    for draft, value in zip(drafts, values, strict=True):
        authentic = authenticate(value, rules, at_ms=NOW)
        assert isinstance(authentic, Authentic)
        assert authentic.leaf == draft.leaf
        assert len(proof_of(authentic.parcel.statement).path) == 8
    assert len(rules.roots) == 1


def test_the_largest_message_fits_in_either_form() -> None:
    """What is prepared under the size limit passes the relay, also with the longest proof that a publisher's batch gives it."""
    bench = Bench()
    message = bench.alert()
    item: dict[str, Any] = message.sections["goods"]["items"][0]

    def largest(low: int, high: int) -> Draft:
        found: Draft | None = None
        while high - low > 1:
            middle = (low + high) // 2
            goods: dict[str, Any] = {**message.sections["goods"], "items": [{**item, "description": "x" * middle}]}
            try:
                (found,) = drafts_of(bench.author(), [replace(message, sections={**message.sections, "goods": goods})], now_ms=NOW)
                low = middle
            except AssertionError:
                high = middle
        assert found is not None
        return found

    draft = largest(900_000, MESSAGE_LIMIT)
    others = drafts_of(bench.author(seed=1), [bench.alert(number) for number in range(2, 257)], now_ms=NOW)
    values, _ = sealed([draft, *others], bench)
    (alone,), _ = sealed([draft], bench)
    assert MESSAGE_LIMIT - 1024 < len(alone) < len(values[0]) <= MESSAGE_LIMIT
    assert len(values[0]) - len(alone) < 340
    assert bench.feed(values[0]).codes == [""]


def slips(written: Written) -> list[cose.Sign1]:
    """The slips of a transaction, in order."""
    found: list[cose.Sign1] = []
    for record in written.records:
        if record.topic.startswith("in.") and not is_receipt(record.key):
            slip = cose.read_sign1_bytes(parcel(record.value or b"").extras[SLIP])
            assert isinstance(slip, cose.Sign1)
            found.append(slip)
    return found


def receipts(written: Written) -> list[cose.Sign1]:
    """The receipts of a transaction, in order."""
    found = [read_note(note, 1 << 20) for note in written.notes]
    return [note for note in found if not isinstance(note, Refusal)]


def leaf_of(statement: cose.Sign1, bench: Bench) -> bytes:
    return cose.leaf_hash(cose.to_be_signed(statement.protected, bench.rules.aad, statement.payload))


def fed(count: int) -> tuple[Bench, Written]:
    """One transaction of some messages, each to two recipients."""
    bench = Bench()
    author = bench.author()
    return bench, bench.feed(*(author.write(bench.alert(number), now_ms=NOW).value for number in range(1, count + 1)))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_slips_and_receipts_of_a_transaction_share_a_signature(count: int) -> None:
    """One signature and one tree for all, and each of them verifies alone, under a view that has seen no other."""
    bench, written = fed(count)
    proofs = [proof_of(statement) for statement in (*slips(written), *receipts(written))]
    assert len(proofs) == 3 * count
    assert {(proof.size, proof.signature) for proof in proofs} == {(5 * count, proofs[0].signature)}
    assert sorted({proof.index for proof in proofs}) == [*range(0, 4 * count, 2), *range(4 * count, 5 * count)]
    for agency in ("MY-CUSTOMS", "AE-CUSTOMS"):
        for record in written.inbox(agency):
            assert isinstance(receive(record.value or b"", bench.rules, recipient=agency), Received)
    for note in written.notes:
        assert isinstance(read_receipt(note, bench.rules), Receipt)


def test_a_single_receipt_is_in_direct_form() -> None:
    """A transaction with one refusal and no delivery has one statement to sign: it signs that."""
    bench = Bench()
    (receipt,) = receipts(bench.feed(b"noise"))
    assert receipt.proof is None
    assert len(receipt.signature) == 64
    assert [proof_of(each).size for each in receipts(bench.feed(b"noise", b"more noise"))] == [2, 2]


def test_nothing_new_to_sign() -> None:
    """A transaction that only repeats a receipt asks for no signature."""
    bench, written = fed(1)
    batch = Batch(bench.shard, bench.rules, bench.decider, alg=RELAY.alg, kid=RELAY.kid)
    batch.take(bench.record(bench.author().write(bench.alert(1), now_ms=NOW).value), now_ms=NOW)
    assert batch.tally.duplicates == 1
    assert batch.to_be_signed() == []
    assert written.notes[0] in [record.value for record in batch.sealed([])]


@pytest.mark.parametrize("reload", [False, True])
def test_a_duplicate_gets_the_same_bytes(reload: bool) -> None:
    """A message that comes again, in the same transaction, in a later one, or after another worker took the shard, is answered with
    the first receipt byte for byte, proof and all; what is new beside it has a tree of its own."""
    bench = Bench()
    author = bench.author()
    first, second, third = (author.write(bench.alert(number), now_ms=NOW).value for number in (1, 2, 3))
    written = bench.feed(first, second, first)
    assert written.notes[2] == written.notes[0]
    assert written.notes[0] != written.notes[1]
    if reload:
        bench.crash()
    bench.now += 1000
    again = bench.feed(second, third, first)
    assert again.notes[0] == written.notes[1]
    assert again.notes[2] == written.notes[0]
    assert proof_of(receipts(again)[1]).size == 5
    assert again.tally.duplicates == 2


def known_to_others(written: Written, bench: Bench) -> set[bytes]:
    """Every hash that follows from the slips of a transaction alone: what a recipient could make if it guessed them."""
    leaves = [leaf_of(slip, bench) for slip in slips(written)]
    found = set(leaves)
    for start in range(len(leaves)):
        for end in range(start + 1, len(leaves) + 1):
            found.add(Tree(leaves[start:end]).root)
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_a_proof_confirms_no_guess_about_other_recipients(count: int) -> None:
    """A slip can be guessed (another agency, its counter, the leaf and time that all recipients share). No hash in the proof of a
    delivery is that of another slip or of slips together: a guess meets nothing that would confirm it."""
    bench, written = fed(count)
    guessed = known_to_others(written, bench)
    assert len(guessed) > count
    for slip in slips(written):
        assert leaf_of(slip, bench) in guessed
        assert not set(proof_of(slip).path) & guessed


def test_the_blind_takes_the_salt_of_the_audience() -> None:
    """What stands beside a slip takes the whole audience section to make, salt and all, which no recipient ever gets; and it is another
    one for each delivery."""
    bench = Bench()
    made = bench.author().write(bench.alert(1), now_ms=NOW)
    found = slips(bench.feed(made.value))
    besides = [proof_of(slip).path[0] for slip in found]
    assert besides == [hmac.digest(made.sections["audience"], slip.payload, "sha256") for slip in found]
    assert len(set(besides)) == 2


@pytest.mark.parametrize("limit", [2, 4, 6, 8])
def test_more_slips_than_a_tree_holds(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction with more slips than a tree has places uses several; every slip and receipt verifies, also one left alone."""
    monkeypatch.setattr(post, "SIZE_LIMIT", limit)
    bench, written = fed(5)
    proofs = [statement.proof for statement in (*slips(written), *receipts(written))]
    signatures = {proof.signature for proof in proofs if proof is not None}
    assert len(signatures) == 25 // limit + (25 % limit > 1)
    assert [proof is None for proof in proofs] == [False] * 14 + [25 % limit == 1]
    assert all(proof.size <= limit for proof in proofs if isinstance(proof, Proof))
    for agency in ("MY-CUSTOMS", "AE-CUSTOMS"):
        for record in written.inbox(agency):
            assert isinstance(receive(record.value or b"", bench.rules, recipient=agency), Received)
    assert written.codes == [""] * 5


def test_a_slip_with_the_proof_of_another() -> None:
    """The slip of one recipient with the proof of another's is signed by nobody, although both are under one signature."""
    bench, written = fed(1)
    held = {agency: parcel(written.inbox(agency)[0].value or b"") for agency in ("MY-CUSTOMS", "AE-CUSTOMS")}
    mine, other = (cose.read_sign1_bytes(held[agency].extras[SLIP]) for agency in ("MY-CUSTOMS", "AE-CUSTOMS"))
    assert isinstance(mine, cose.Sign1)
    assert isinstance(other, cose.Sign1)

    def carrying(slip: cose.Sign1) -> bytes:
        return parcel_bytes(held["MY-CUSTOMS"].statement, held["MY-CUSTOMS"].sections, {SLIP: cose.statement_bytes(slip)})

    assert isinstance(receive(carrying(mine), bench.rules, recipient="MY-CUSTOMS"), Received)
    refusal = receive(carrying(replace(mine, proof=other.proof)), bench.rules, recipient="MY-CUSTOMS")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.reason) == ("BAD_SLIP", "the relay's signature does not verify")
