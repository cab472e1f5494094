"""Statements signed together, as a publisher or a relay signs them: any payloads, any key, any claim about the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from broker.envelope import cose
from broker.envelope.batch import Proof, Tree
from broker.envelope.cose import Sign1
from broker.envelope.header import CONTENT_TYPE
from broker.exchange.publish import Draft
from broker.exchange.rules import Rules
from broker.exchange.verify import root_to_be_signed
from broker.families.message import Message
from tests.support.parcels import Author, Made, Signs


def root_signature(tree: Tree, by: Signs, exchange_id: str, environment: str, *, size: int | None = None) -> bytes:
    """The signature over the tree's root; ``size`` is what is signed as its size where that is not the truth."""
    claimed = tree.size if size is None else size
    tbs = root_to_be_signed(by.alg, by.kid, tree.root, claimed, exchange_id=exchange_id, environment=environment)
    return by.sign_now(tbs)


def signed_together(
    payloads: Sequence[bytes],
    by: Signs,
    exchange_id: str,
    environment: str,
    *,
    content_type: str = CONTENT_TYPE,
    protected: Mapping[int, bytes] | None = None,
) -> list[Sign1]:
    """One statement for each payload, all under one signature; ``protected`` exchanges the header of some, by their numbers."""
    usual, aad = cose.protected_header(by.alg, by.kid, content_type), cose.context(exchange_id, environment)
    headers = [(protected or {}).get(number, usual) for number in range(len(payloads))]
    tbs = [cose.to_be_signed(header, aad, payload) for header, payload in zip(headers, payloads, strict=True)]
    tree = Tree([cose.leaf_hash(each) for each in tbs])
    signature = root_signature(tree, by, exchange_id, environment)
    return [
        Sign1(header, payload, b"", by.alg, by.kid, content_type, tree.proof(number, signature))
        for number, (header, payload) in enumerate(zip(headers, payloads, strict=True))
    ]


def made_together(drafts: Sequence[Draft], by: Signs, rules: Rules, *, environment: str | None = None) -> list[Made]:
    """Drafts as messages under one signature; ``environment`` for which they are signed, the rules' own where it is None."""
    names = (rules.exchange_id, environment or rules.environment)
    statements = signed_together([draft.payload for draft in drafts], by, *names)
    return [Made(draft.header, statement, draft.sections, rules.aad) for draft, statement in zip(drafts, statements, strict=True)]


def reproved(statement: Sign1, **changes: object) -> Sign1:
    """The statement with parts of its proof exchanged."""
    assert statement.proof is not None
    return replace(statement, proof=replace(statement.proof, **changes))


def proof_of(statement: Sign1) -> Proof:
    """The proof of a statement that must be in batch form."""
    assert statement.proof is not None
    return statement.proof


def drafts_of(author: Author, messages: Sequence[Message], *, now_ms: int) -> list[Draft]:
    """The next messages of a stream, in order, not signed; the author goes on behind them."""
    drafts: list[Draft] = []
    for message in messages:
        draft = author.draft(message, now_ms=now_ms)
        author.seq, author.prev = author.seq + 1, draft.leaf
        drafts.append(draft)
    return drafts
