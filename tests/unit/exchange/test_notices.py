"""Notices: policy bundles and schemas count only with the registrar's signature for this exchange."""

from __future__ import annotations

import pytest

from broker.errors import Refusal, UsageError
from broker.exchange import notices
from broker.storage.keys import FileSigner
from broker.trust.keys import VerifyKey
from tests.support.parcels import key

REGISTRAR = key("registrar")
AAD = notices.context("bench.test", "test")


def verifier(signer: FileSigner = REGISTRAR) -> VerifyKey:
    found = VerifyKey.from_spki(signer.spki)
    assert isinstance(found, VerifyKey)
    return found


def notice(payload: bytes = b"{}", *, by: FileSigner = REGISTRAR, aad: bytes = AAD, kind: str = notices.POLICY_TYPE) -> bytes:
    signature = by.sign_now(notices.notice_to_sign(kind, payload, aad, alg=by.alg, kid=by.kid))
    return notices.notice_bytes(kind, payload, signature, alg=by.alg, kid=by.kid)


def test_notice_comes_back() -> None:
    """What the registrar signed is read back."""
    assert notices.read_notice(notice(b"content"), notices.POLICY_TYPE, verifier(), AAD) == b"content"


@pytest.mark.parametrize(
    "value",
    [
        notice(by=key("relay")),
        notice(aad=notices.context("bench.test", "production")),
        notice(aad=notices.context("other", "test")),
        notice(kind=notices.SCHEMA_TYPE),
        notice()[:-1],
        notice()[:-1] + b"\x00",
        b"",
        b"XB\x02",
        b"garbage",
        bytes(notices.NOTICE_LIMIT + 1),
    ],
)
def test_everything_else_is_refused(value: bytes) -> None:
    """Another signer, another exchange or environment, another kind of notice, altered or foreign bytes: BAD_ENTRY."""
    found = notices.read_notice(value, notices.POLICY_TYPE, verifier(), AAD)
    assert isinstance(found, Refusal)
    assert found.code == "BAD_ENTRY"


def test_schema_payload_comes_back() -> None:
    """Name and text of a schema survive the notice, in any script."""
    name = ("alert", "core", 2)
    assert notices.schema_of(notices.schema_payload(name, '{"doc": "größe 重"}')) == (name, '{"doc": "größe 重"}')


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"family":"a","section":"b","version":"x","schema":""}', b"\xff", b"null"])
def test_bad_schema_payload(payload: bytes) -> None:
    """A payload that no registrar writes is an error with advice, never another exception."""
    with pytest.raises(UsageError) as caught:
        notices.schema_of(payload)
    assert caught.value.advice
