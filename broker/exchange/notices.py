"""What the registrar announces beside the directory: policy bundles, schemas, confidential operations, as signed notes.

A notice that does not verify is no notice: the reader keeps the last good one and says so.
"""

from __future__ import annotations

import json
from typing import Any, Final

from broker.envelope import cose
from broker.envelope.note import note_bytes, read_note
from broker.errors import Refusal, UsageError
from broker.trust.keys import VerifyKey

POLICY_TYPE: Final = "application/vnd.broker.policy+json;v=1"
BUNDLE_TYPE: Final = "application/vnd.broker.policy.bundle+json;v=1"
"""A bundle file that officers signed, carried by the registrar; POLICY_TYPE is the bundle that an exchange is made with."""
SCHEMA_TYPE: Final = "application/vnd.broker.schema+json;v=1"
OPERATION_TYPE: Final = "application/vnd.broker.operation+json;v=1"
"""A confidential operation (:mod:`broker.exchange.memberships`), which only the operator's services and auditors read."""
NOTICE_LIMIT: Final = 4 << 20
"""Largest notice in bytes."""


def context(exchange_id: str, environment: str) -> bytes:
    """What a notice is bound to: the COSE external data of its exchange and environment."""
    return cose.context(exchange_id, environment)


def notice_to_sign(content_type: str, payload: bytes, aad: bytes, *, alg: int, kid: bytes) -> bytes:
    """The bytes that the registrar signs."""
    return cose.to_be_signed(cose.protected_header(alg, kid, content_type), aad, payload)


def notice_bytes(content_type: str, payload: bytes, signature: bytes, *, alg: int, kid: bytes) -> bytes:
    """The record value of a notice."""
    return note_bytes(cose.protected_header(alg, kid, content_type), payload, signature)


def read_notice(value: bytes, content_type: str, registrar: VerifyKey, aad: bytes) -> bytes | Refusal:
    """The payload of a notice that this registrar signed for this exchange. Refusal: BAD_ENTRY."""
    signed = read_note(value, NOTICE_LIMIT)
    if isinstance(signed, Refusal):
        return Refusal("BAD_ENTRY", signed.reason)
    if signed.content_type != content_type:
        return Refusal("BAD_ENTRY", f"content type `{signed.content_type[:60]}` is not {content_type}")
    if signed.kid != registrar.kid or signed.alg != registrar.alg:
        return Refusal("BAD_ENTRY", "not signed by the registrar this home trusts")
    if not registrar.verify(signed.signature, cose.to_be_signed(signed.protected, aad, signed.payload)):
        return Refusal("BAD_ENTRY", "the registrar's signature does not verify")
    return signed.payload


def schema_payload(name: tuple[str, str, int], text: str) -> bytes:
    """The payload that announces one schema: ``name`` is family, section, version; ``text`` the ``.avsc`` file."""
    family, section, version = name
    content = {"family": family, "section": section, "version": version, "schema": text}
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def schema_of(payload: bytes) -> tuple[tuple[str, str, int], str]:
    """The inverse of :func:`schema_payload`. Raises UsageError."""
    try:
        content: Any = json.loads(payload)
        return (str(content["family"]), str(content["section"]), int(content["version"])), str(content["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("a schema notice is not what the registrar writes", advice="tell the operator") from error
