"""Step 3 of admission for both forms: a signature of its own, or the path to a root that was signed once for a whole batch.

A root's verdict is remembered for the view of the rules it was reached under, so one signature check serves its batch; a new
directory is a new view and remembers nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from broker.envelope import cose
from broker.envelope.batch import batch_context, receipt_protected
from broker.trust.keys import VerifyKey

ROOTS: Final = 1024
"""Roots remembered."""


class RootName(NamedTuple):
    """What a verdict is about. ``context`` is the root's external data: the same root may be tried for several environments."""

    kid: bytes
    context: bytes
    root: bytes
    signature: bytes


class Roots:
    """Verdicts on batch roots, the latest :data:`ROOTS` of them."""

    def __init__(self) -> None:
        self._verdicts: OrderedDict[RootName, bool] = OrderedDict()

    def get(self, name: RootName) -> bool | None:
        """The verdict on a root, if it is remembered."""
        return self._verdicts.get(name)

    def keep(self, name: RootName, *, verdict: bool) -> bool:
        """Remember a verdict, and give it."""
        self._verdicts[name] = verdict
        if len(self._verdicts) > ROOTS:
            self._verdicts.popitem(last=False)
        return verdict

    def __len__(self) -> int:
        return len(self._verdicts)


def root_to_be_signed(alg: int, kid: bytes, root: bytes, size: int, *, exchange_id: str, environment: str) -> bytes:
    """What a key signs for a whole batch: the Sig_structure over the root (RFC 9942 section 5.2.1)."""
    return cose.to_be_signed(receipt_protected(alg, kid), batch_context(exchange_id, environment, size), root)


def is_signed(statement: cose.Sign1, signed: bytes, key: VerifyKey, *, exchange_id: str, environment: str, roots: Roots) -> bool:
    """Whether this key signed the statement, alone or in a batch; ``signed`` is the statement's own Sig_structure."""
    proof = statement.proof
    if proof is None:
        return key.verify(statement.signature, signed)
    root = proof.root(cose.leaf_hash(signed))
    if root is None:
        return False
    name = RootName(key.kid, batch_context(exchange_id, environment, proof.size), root, proof.signature)
    known = roots.get(name)
    if known is not None:
        return known
    tbs = root_to_be_signed(key.alg, key.kid, root, proof.size, exchange_id=exchange_id, environment=environment)
    return roots.keep(name, verdict=key.verify(proof.signature, tbs))
