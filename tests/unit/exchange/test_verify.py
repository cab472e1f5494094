"""Step 3 for batches: one signature check serves all its messages, and no message that the key did not sign so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from broker.envelope import cose
from broker.envelope.batch import Tree, batch_context, receipt_protected
from broker.envelope.cose import Sign1
from broker.envelope.header import CONTENT_TYPE
from broker.errors import Refusal
from broker.exchange.admit import Authentic, authenticate, examine
from broker.exchange.publish import Draft
from broker.exchange.rules import Rules
from broker.exchange.verify import ROOTS, RootName, Roots, is_signed
from broker.trust.keys import VerifyKey
from tests.support.batches import drafts_of, made_together, proof_of, reproved, root_signature, signed_together
from tests.support.parcels import Made, key
from tests.unit.exchange.bench import ENVIRONMENT, EXCHANGE, NOW, Bench
from tests.vectors.content import LICENSING

BY = key("SG-CUSTOMS")
NAMES = (EXCHANGE, ENVIRONMENT)


def drafts(bench: Bench, count: int, *, seed: int = 0) -> list[Draft]:
    """The first messages of a stream."""
    return drafts_of(bench.author(seed=seed), [bench.alert(number + 1) for number in range(count)], now_ms=NOW)


def code(made: Made, rules: Rules) -> str:
    """How a message fares: the code of its refusal, empty where it is authentic and whole."""
    found = authenticate(made.value, rules, at_ms=NOW)
    found = examine(found, rules, complete=True) if isinstance(found, Authentic) else found
    return found.code if isinstance(found, Refusal) else ""


def codes(batch: Sequence[Made], rules: Rules) -> list[str]:
    return [code(made, rules) for made in batch]


@pytest.mark.parametrize("count", [2, 3, 5, 8, 33])
def test_each_message_of_a_batch_verifies_alone(count: int) -> None:
    """Any message of a batch, by itself, in any order, under a view that knows nothing; and one verdict then serves the others."""
    bench = Bench()
    batch = made_together(drafts(bench, count), BY, bench.rules)
    for made in batch:
        assert code(made, bench.rules) == ""
    rules = bench.rules
    assert codes(batch[::-1], rules) == [""] * count
    assert len(rules.roots) == 1
    assert bench.feed(*(made.value for made in batch)).codes == [""] * count


def test_a_proof_of_another_message() -> None:
    """The proof of one message proves no other, whether that one is of the same batch or of none."""
    bench = Bench()
    first, second, third, *_, stranger = drafts(bench, 6)
    batch = made_together([first, second, third], BY, bench.rules)
    swapped = [
        replace(made, statement=replace(made.statement, proof=other.statement.proof))
        for made, other in zip(batch, batch[1:] + batch[:1], strict=True)
    ]  # fmt: skip
    assert codes(swapped, bench.rules) == ["BAD_SIGNATURE"] * 3
    forged = Made(stranger.header, replace(batch[0].statement, payload=stranger.payload), stranger.sections, bench.rules.aad)
    assert code(forged, bench.rules) == "BAD_SIGNATURE"


def test_altered_proofs() -> None:
    """Another index, size, path or signature: not verified, each alone and also when the true root is known already."""
    bench = Bench()
    batch = made_together(drafts(bench, 6), BY, bench.rules)
    proof = proof_of(batch[3].statement)
    flipped = bytes([proof.signature[0] ^ 1]) + proof.signature[1:]
    rules = bench.rules
    assert code(batch[3], rules) == ""
    for changes in (
        {"index": 2}, {"index": 5}, {"size": 4}, {"size": 65_536}, {"path": proof.path[1:]}, {"path": (*proof.path, bytes(32))},
        {"path": proof.path[::-1]}, {"path": (bytes(32), *proof.path[1:])}, {"signature": flipped}, {"signature": bytes(64)},
    ):  # fmt: skip
        altered = replace(batch[3], statement=reproved(batch[3].statement, **changes))
        assert code(altered, rules) == "BAD_SIGNATURE", changes
        assert code(altered, bench.rules) == "BAD_SIGNATURE", changes
    assert codes(batch, rules) == [""] * 6


def test_the_size_is_signed() -> None:
    """Place 2 of 3 and place 1 of 2 share a shape, so the same path leads to the same root under either; the signature is over the
    size too, and only the true one verifies, before and after the other was tried."""
    bench = Bench()
    third = made_together(drafts(bench, 3), BY, bench.rules)[2]
    lying = replace(third, statement=reproved(third.statement, size=2, index=1))
    assert proof_of(lying.statement).root(third.leaf) == proof_of(third.statement).root(third.leaf)
    for batch in ([third, lying], [lying, third]):
        rules = bench.rules
        assert {each is lying: code(each, rules) for each in batch} == {False: "", True: "BAD_SIGNATURE"}


def test_a_size_that_was_signed_and_is_not_true() -> None:
    """A publisher that signs another size than its tree has: its proofs lead nowhere, or its signature does not fit."""
    bench = Bench()
    prepared = drafts(bench, 5)
    tree = Tree([draft.leaf for draft in prepared])
    signature = root_signature(tree, BY, *NAMES, size=7)
    last = made_together(prepared, BY, bench.rules)[4]
    for size in (5, 7):
        assert code(replace(last, statement=reproved(last.statement, size=size, signature=signature)), bench.rules) == "BAD_SIGNATURE"


def test_a_batch_for_another_environment_or_exchange() -> None:
    """A batch signed for another environment is told from a forgery, as a message is; one of another exchange is not told apart."""
    bench = Bench()
    prepared = drafts(bench, 3)
    for environment in ("exercise", "production"):
        batch = made_together(prepared, BY, bench.rules, environment=environment)
        assert codes(batch, bench.rules) == ["WRONG_ENVIRONMENT"] * 3
        assert bench.feed(batch[0].value).codes == ["WRONG_ENVIRONMENT"]
    others = signed_together([draft.payload for draft in prepared], BY, "other.exchange", ENVIRONMENT)
    assert code(replace(made_together(prepared, BY, bench.rules)[0], statement=others[0]), bench.rules) == "BAD_SIGNATURE"


def in_tree(draft: Draft, tree: Tree, number: int, signature: bytes) -> Made:
    """The message with the proof of a place in a tree."""
    statement = Sign1(draft.protected, draft.payload, b"", draft.alg, draft.kid, CONTENT_TYPE, tree.proof(number, signature))
    return Made(draft.header, statement, draft.sections, b"")


def mixed(bench: Bench, environment: str) -> tuple[Made, Made]:
    """Two messages in one tree, the second's leaf as it is in another environment; the root is signed for the test environment."""
    first, second = drafts(bench, 2)
    protected = cose.protected_header(BY.alg, BY.kid, CONTENT_TYPE)
    elsewhere = cose.to_be_signed(protected, cose.context(EXCHANGE, environment), second.payload)
    tree = Tree([first.leaf, cose.leaf_hash(elsewhere)])
    signature = root_signature(tree, BY, *NAMES)
    return in_tree(first, tree, 0, signature), in_tree(second, tree, 1, signature)


@pytest.mark.parametrize("environment", ["exercise", "production"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_root_is_judged_for_one_environment(environment: str, order: tuple[int, int]) -> None:
    """One tree with leaves of two environments has one root and one signature. What is signed for this environment passes and the
    other does not, whichever is seen first: no verdict reached for one environment serves another."""
    bench = Bench()
    batch = mixed(bench, environment)
    rules = bench.rules
    found = {number: code(batch[number], rules) for number in order}
    assert found == {0: "", 1: "BAD_SIGNATURE"}


def test_a_bad_root_is_bad_for_its_key_only() -> None:
    """Two agencies' messages in one tree: the signature of the one serves only its own message; that it failed for the other makes
    neither the root nor the other key bad."""
    bench = Bench()
    other = key("MY-CUSTOMS")
    ours = drafts(bench, 1)[0]
    theirs = drafts_of(bench.author("MY-CUSTOMS"), [bench.alert(7, owner="MY-CUSTOMS")], now_ms=NOW)[0]
    tree = Tree([ours.leaf, theirs.leaf])
    our_signature, their_signature = root_signature(tree, BY, *NAMES), root_signature(tree, other, *NAMES)

    rules = bench.rules
    for _ in range(2):
        assert code(in_tree(theirs, tree, 1, our_signature), rules) == "BAD_SIGNATURE"
        assert code(in_tree(ours, tree, 0, their_signature), rules) == "BAD_SIGNATURE"
        assert code(in_tree(ours, tree, 0, our_signature), rules) == ""
        assert code(in_tree(theirs, tree, 1, their_signature), rules) == ""


def test_verdicts_are_remembered_and_bounded() -> None:
    """A known root is not checked again, for good and for bad; the oldest verdicts go, and what they were about is checked anew."""
    roots = Roots()
    names = [RootName(bytes(16), b"", number.to_bytes(32, "big"), bytes(64)) for number in range(ROOTS + 10)]
    for number, name in enumerate(names):
        assert roots.get(name) is None
        assert roots.keep(name, verdict=number % 2 == 0) == (number % 2 == 0)
        assert len(roots) <= ROOTS
    assert [roots.get(name) for name in names[:12]] == [None] * 10 + [True, False]
    verify = VerifyKey.from_spki(BY.spki)
    assert isinstance(verify, VerifyKey)
    statements = signed_together([b"one", b"two"], BY, *NAMES)
    signed = [cose.to_be_signed(each.protected, cose.context(*NAMES), each.payload) for each in statements]
    root = proof_of(statements[0]).root(cose.leaf_hash(signed[0]))
    assert root is not None
    name = RootName(BY.kid, batch_context(*NAMES, 2), root, proof_of(statements[0]).signature)

    def check(number: int) -> bool:
        return is_signed(statements[number], signed[number], verify, exchange_id=EXCHANGE, environment=ENVIRONMENT, roots=roots)

    assert check(0)
    assert roots.get(name) is True
    roots.keep(name, verdict=False)
    assert not check(1)
    for number in range(ROOTS):
        roots.keep(RootName(bytes(16), b"", number.to_bytes(32, "big"), bytes(64)), verdict=False)
    assert check(1)


def test_everything_remembered_is_bounded() -> None:
    """What a hostile sender chooses (keys, sizes) fills no memory without end."""
    for remembered in (batch_context, receipt_protected):
        size = remembered.cache_info().maxsize
        assert size is not None
        assert size <= 4096


def test_a_new_view_remembers_nothing() -> None:
    """A root that was verified under one directory is nothing under the next: a revoked key's batch is refused at once."""
    bench = Bench()
    batch = made_together(drafts(bench, 4), BY, bench.rules)
    rules = bench.rules
    assert codes(batch[:2], rules) == ["", ""]
    assert len(rules.roots) == 1
    assert len(replace(rules, policy_version=2).roots) == 0
    bench.desk.revoke("SG-CUSTOMS", since_ms=NOW - 1, at_ms=NOW + 60_000)
    later = bench.rules
    assert len(later.roots) == 0
    assert codes(batch, later) == ["KEY_NOT_VALID"] * 4
    assert len(later.roots) == 0


def test_altered_sections_of_a_batch() -> None:
    """What the root does not cover, the commitments do: a changed section shows in batch form as in direct form."""
    bench = Bench()
    made = made_together(drafts(bench, 3), BY, bench.rules)[1]
    goods = made.sections["goods"]
    assert code(made.carrying(goods=goods[:-1] + bytes([goods[-1] ^ 1])), bench.rules) == "COMMITMENT_MISMATCH"
    assert code(made.carrying(parties=None), bench.rules) == "MISSING_SECTION"


def test_batches_of_a_p256_key() -> None:
    """ECDSA keys of hardware tokens sign roots too, and only the lower of the two possible s passes."""
    verify = VerifyKey.from_spki(LICENSING.spki)
    assert isinstance(verify, VerifyKey)
    protected = cose.protected_header(LICENSING.alg, LICENSING.kid, CONTENT_TYPE)
    aad = cose.context(*NAMES)
    signed = [cose.to_be_signed(protected, aad, payload) for payload in (b"one", b"two", b"three")]
    tree = Tree([cose.leaf_hash(each) for each in signed])
    tbs = cose.to_be_signed(receipt_protected(LICENSING.alg, LICENSING.kid), batch_context(*NAMES, 3), tree.root)
    for low in (True, False):
        signature = LICENSING.sign(tbs, low=low)
        for number, each in enumerate(signed):
            statement = Sign1(protected, b"", b"", LICENSING.alg, LICENSING.kid, CONTENT_TYPE, tree.proof(number, signature))
            assert is_signed(statement, each, verify, exchange_id=EXCHANGE, environment=ENVIRONMENT, roots=Roots()) == low
