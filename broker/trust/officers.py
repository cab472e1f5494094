"""The officers' signatures under a policy bundle, the re-admission of a suspended agency, an emergency opening: who signed, and whether
it counts.

A signature is a COSE_Sign1 over the bundle's manifest or the statement, bound to exchange and environment, by an agency's **master
key**. An agency's officer is thus whoever keeps that key: it is not on the machine that signs messages, and never changes under one
agency id, so a reader that comes years later can still check an old bundle. The registrar lists members, and could list some of its
own; so from the second bundle on only the officers that the bundle before names, each with its key, may sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from broker.envelope import cose
from broker.errors import Refusal
from broker.trust import opening
from broker.trust.canonical import Flaw
from broker.trust.entries import AgencyEntry
from broker.trust.keys import key_id
from broker.trust.readmission import STATEMENT_TYPE, Readmission
from broker.trust.signing import SignedBy, Unsigned, check_signature, public_key, read_nested

MANIFEST_TYPE: Final = "application/vnd.broker.policy.manifest+json;v=1"
NEEDED: Final = 2
"""Officers of different agencies."""
NOW: Final = 2**63
"""Later than any suspension: only who is active as far as the reader knows counts."""


class Members(Protocol):
    """What is asked of a directory: every :class:`broker.trust.directory.Directory` has it."""

    @property
    def exchange_id(self) -> str:
        """The exchange that signatures are bound to."""
        ...

    @property
    def environment(self) -> str:
        """Its environment."""
        ...

    @property
    def agencies(self) -> Mapping[str, AgencyEntry]:
        """Members by id, suspended or not."""
        ...


def unsigned_manifest(manifest: bytes, by: SignedBy, exchange_id: str, environment: str) -> Unsigned:
    """A manifest for an agency's master key to sign; take ``nested`` of it."""
    return Unsigned.of(manifest, MANIFEST_TYPE, by, cose.context(exchange_id, environment))


def unsigned_readmission(statement: bytes, by: SignedBy, exchange_id: str, environment: str) -> Unsigned:
    """A re-admission's statement for an agency's master key to sign; take ``nested`` of it."""
    return Unsigned.of(statement, STATEMENT_TYPE, by, cose.context(exchange_id, environment))


def unsigned_opening(statement: bytes, by: SignedBy, exchange_id: str, environment: str) -> Unsigned:
    """An emergency opening's statement for an agency's master key to sign; take ``nested`` of it."""
    return Unsigned.of(statement, opening.STATEMENT_TYPE, by, cose.context(exchange_id, environment))


def openers(file: opening.Opening, members: Members, at_ms: int = NOW) -> tuple[str, ...] | Refusal:
    """The agencies whose officers signed an emergency opening, as :func:`signers` has it; there may be fewer than two. Who is to get the
    subject is not among those who may. Refusals: BAD_SIGNATURE, TOO_FEW_OFFICERS."""
    return _signers(file.statement(), opening.STATEMENT_TYPE, file.signatures, members, at_ms, barred=file.agency)


def signers(manifest: bytes, signatures: Sequence[bytes], members: Members, at_ms: int) -> tuple[str, ...] | Refusal:
    """The agencies whose officers signed a bundle, in order; every signature has to be good and of an agency that was active.

    ``at_ms``: the exchange's time when the bundle was carried. An agency suspended since then was active: what it signed before stays
    good, and readers that come early and late agree. Refusals: BAD_SIGNATURE, TOO_FEW_OFFICERS.
    """
    return _signers(manifest, MANIFEST_TYPE, signatures, members, at_ms)


def approvers(file: Readmission, members: Members, at_ms: int = NOW) -> tuple[str, ...] | Refusal:
    """The agencies whose officers signed a re-admission, as :func:`signers` has it; there may be fewer than two. The suspended agency is
    not among those who may. Refusals: BAD_SIGNATURE, TOO_FEW_OFFICERS."""
    return _signers(file.statement(), STATEMENT_TYPE, file.signatures, members, at_ms, barred=file.agency)


def approved(file: Readmission, members: Members, at_ms: int = NOW) -> tuple[str, ...] | Refusal:
    """The two or more agencies that re-admitted another one. ``at_ms``: when the re-admission was announced; by default only who is active
    as far as the reader knows counts. Refusals: BAD_SIGNATURE, TOO_FEW_OFFICERS."""
    found = approvers(file, members, at_ms)
    return found if isinstance(found, Refusal) else _enough(found) or found


def entitled(signed: Sequence[str], officers: Mapping[str, bytes], members: Members) -> Refusal | None:
    """Whether these agencies may act under a bundle that names ``officers`` (key id by agency; empty: any member may): sign the next
    one, or re-admit an agency.

    Refusal: TOO_FEW_OFFICERS.
    """
    if officers:
        for agency in signed:
            entry = members.agencies.get(agency)
            if entry is None or officers.get(agency) != key_id(entry.master_spki):
                return Refusal(
                    "TOO_FEW_OFFICERS",
                    f"{agency}, with the key that it has now, is not among the officers named by the bundle in force: "
                    f"{', '.join(sorted(officers))}",
                )
    return _enough(signed)


def _enough(signed: Sequence[str]) -> Refusal | None:
    if len(signed) < NEEDED:
        return Refusal(
            "TOO_FEW_OFFICERS", f"it is signed by {', '.join(signed) or 'nobody'}: two officers of different agencies are needed"
        )
    return None


def _signers(
    payload: bytes, content_type: str, signatures: Sequence[bytes], members: Members, at_ms: int, *, barred: str = ""
) -> tuple[str, ...] | Refusal:
    masters = {key_id(entry.master_spki): entry for entry in members.agencies.values()}
    aad = cose.context(members.exchange_id, members.environment)
    found: list[str] = []
    for signature in signatures:
        try:
            entry = _signer(payload, content_type, signature, masters, aad)
        except Flaw as flaw:
            return Refusal("BAD_SIGNATURE", f"a signature under it: {flaw}")
        if entry.agency == barred:
            return Refusal("TOO_FEW_OFFICERS", f"{barred} signed for itself: others have to approve it")
        if entry.status != "active" and entry.since_ms <= at_ms:
            return Refusal("TOO_FEW_OFFICERS", f"{entry.agency} is suspended: its officer's signature does not count")
        if entry.agency in found:
            return Refusal("TOO_FEW_OFFICERS", f"two signatures are of one agency, {entry.agency}: two different ones are needed")
        found.append(entry.agency)
    return tuple(sorted(found))


def _signer(payload: bytes, content_type: str, signature: bytes, masters: Mapping[bytes, AgencyEntry], aad: bytes) -> AgencyEntry:
    statement = read_nested(signature)
    entry = masters.get(statement.kid)
    if entry is None:
        raise Flaw(f"the key {statement.kid.hex()} is no agency's master key")
    if statement.content_type != content_type or statement.payload != payload or statement.proof is not None:
        raise Flaw(f"what {entry.agency} signed is not this text")
    check_signature(statement, public_key(entry.master_spki, "the agency's master key"), aad, f"the master key of {entry.agency}")
    return entry
