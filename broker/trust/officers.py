"""The officers' signatures under a policy bundle: who signed, and whether it counts.

A signature is a COSE_Sign1 over the bundle's manifest, bound to exchange and environment, by an agency's **master key**. An agency's
officer is thus whoever keeps that key: it is not on the machine that signs messages, and never changes under one agency id, so a
reader that comes years later can still check an old bundle. The registrar lists members, and could list some of its own; so from the
second bundle on only the officers that the bundle before names, each with its key, may sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from broker.envelope import cose
from broker.errors import Refusal
from broker.trust.canonical import Flaw
from broker.trust.directory import AgencyEntry, Directory
from broker.trust.keys import key_id
from broker.trust.signing import SignedBy, Unsigned, check_signature, public_key, read_nested

MANIFEST_TYPE: Final = "application/vnd.broker.policy.manifest+json;v=1"
NEEDED: Final = 2
"""Officers of different agencies."""


def unsigned_manifest(manifest: bytes, by: SignedBy, exchange_id: str, environment: str) -> Unsigned:
    """A manifest for an agency's master key to sign; take ``nested`` of it."""
    return Unsigned.of(manifest, MANIFEST_TYPE, by, cose.context(exchange_id, environment))


def signers(manifest: bytes, signatures: Sequence[bytes], directory: Directory, at_ms: int) -> tuple[str, ...] | Refusal:
    """The agencies whose officers signed, in order; every signature has to be good and of an agency that was active.

    ``at_ms``: the exchange's time when the bundle was carried. An agency suspended since then was active: what it signed before stays
    good, and readers that come early and late agree. Refusals: BAD_SIGNATURE, TOO_FEW_OFFICERS.
    """
    masters = {key_id(entry.master_spki): entry for entry in directory.agencies.values()}
    found: list[str] = []
    for signature in signatures:
        try:
            entry = _signer(manifest, signature, masters, cose.context(directory.exchange_id, directory.environment))
        except Flaw as flaw:
            return Refusal("BAD_SIGNATURE", f"a signature under the bundle: {flaw}")
        if entry.status != "active" and entry.since_ms <= at_ms:
            return Refusal("TOO_FEW_OFFICERS", f"{entry.agency} is suspended: its officer's signature does not count")
        if entry.agency in found:
            return Refusal("TOO_FEW_OFFICERS", f"two signatures are of one agency, {entry.agency}: two different ones are needed")
        found.append(entry.agency)
    return tuple(sorted(found))


def entitled(signed: Sequence[str], officers: Mapping[str, bytes], directory: Directory) -> Refusal | None:
    """Whether these agencies may sign the bundle after one that names ``officers`` (key id by agency; empty: any member may).

    Refusal: TOO_FEW_OFFICERS.
    """
    if officers:
        for agency in signed:
            entry = directory.agency(agency)
            if entry is None or officers.get(agency) != key_id(entry.master_spki):
                return Refusal(
                    "TOO_FEW_OFFICERS",
                    f"{agency}, with the key that it has now, is not among the officers named by the bundle in force: "
                    f"{', '.join(sorted(officers))}",
                )
    if len(signed) < NEEDED:
        return Refusal(
            "TOO_FEW_OFFICERS", f"it is signed by {', '.join(signed) or 'nobody'}: two officers of different agencies are needed"
        )
    return None


def _signer(manifest: bytes, signature: bytes, masters: Mapping[bytes, AgencyEntry], aad: bytes) -> AgencyEntry:
    statement = read_nested(signature)
    entry = masters.get(statement.kid)
    if entry is None:
        raise Flaw(f"the key {statement.kid.hex()} is no agency's master key")
    if statement.content_type != MANIFEST_TYPE or statement.payload != manifest or statement.proof is not None:
        raise Flaw(f"what {entry.agency} signed is not this manifest")
    check_signature(statement, public_key(entry.master_spki, "the agency's master key"), aad, f"the master key of {entry.agency}")
    return entry
