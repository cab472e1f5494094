"""Statements that officers sign, in files: one text for one content, and nothing else is read, whatever kind of statement it is."""

from __future__ import annotations

import base64

import pytest

from broker.errors import Refusal
from broker.trust import opening, readmission
from broker.trust.opening import read_opening_file
from broker.trust.readmission import read_readmission_file
from broker.trust.statement_file import FILE_LIMIT, SIGNATURE_LIMIT, StatementFile

NOW_MS = 1_800_000_000_000
KINDS: dict[str, StatementFile] = {
    "opening": opening.propose("SG-CUSTOMS/2026/000123", "JP-CUSTOMS", ["core", "goods"], NOW_MS, "stolen source"),
    "readmission": readmission.propose("MY-CUSTOMS", 7, NOW_MS, "assurance renewed"),
}
TEXTS = {
    "opening": b'{"signatures":["YQ==","Yg=="],"statement":{"agency":"JP-CUSTOMS","reason":"stolen source","sections":["core","goods"],'
    b'"subject":"SG-CUSTOMS/2026/000123","type":"opening","until_ms":1800000000000},"type":"broker emergency opening v1"}\n',
    "readmission": b'{"signatures":["YQ==","Yg=="],"statement":{"agency":"MY-CUSTOMS","reason":"assurance renewed",'
    b'"since_ms":1800000000000,"suspension":7,"type":"readmission"},"type":"broker agency readmission v1"}\n',
}
"""Files as they were written before the two kinds shared their code."""
OTHER = {"opening": "readmission", "readmission": "opening"}


def read(kind: str, data: bytes) -> StatementFile | Refusal:
    return read_opening_file(data) if kind == "opening" else read_readmission_file(data)


def refused(kind: str, data: bytes) -> str:
    found = read(kind, data)
    assert isinstance(found, Refusal)
    assert found.code == f"BAD_{kind.upper()}"
    return found.reason


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_of_a_file(kind: str) -> None:
    """The bytes are pinned, do not depend on who signed first, and are read back as the same; the line end may be missing."""
    signed = KINDS[kind].with_signature(b"b").with_signature(b"a")
    assert signed.text() == KINDS[kind].with_signature(b"a").with_signature(b"b").with_signature(b"a").text() == TEXTS[kind]
    assert read(kind, TEXTS[kind]) == read(kind, TEXTS[kind][:-1]) == signed
    assert signed.statement() == KINDS[kind].statement()
    assert signed.statement() in TEXTS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_is_not_read_as_another(kind: str) -> None:
    """Neither a file of the other kind, nor its statement in a file that calls itself this one."""
    other = TEXTS[OTHER[kind]]
    assert "`type` must be one of" in refused(kind, other)
    relabelled = other.replace(KINDS[OTHER[kind]].FILE_TYPE.encode(), KINDS[kind].FILE_TYPE.encode())
    assert "the field" in refused(kind, relabelled) or "there is a field" in refused(kind, relabelled)
    assert "`type` must be one of" in refused(kind, TEXTS[kind].replace(b'"type":"%s"' % kind.encode(), b'"type":"x"'))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("signatures", "told"),
    [
        (b'"Yg==","YQ=="', "not in order, or one is there twice"),
        (b'"YQ==","YQ=="', "not in order, or one is there twice"),
        (b'"YR=="', "is not base64"),
        (b'"Y Q=="', "is not base64"),
        ('"é"'.encode(), "is not base64"),
        (b"7", "a list of texts"),
        (b",".join(b'"%s"' % base64.b64encode(b"%d" % each) for each in range(SIGNATURE_LIMIT + 1)), "a list of at most 8 items"),
        (b'"' + base64.b64encode(bytes(4097)) + b'"', "is not base64"),
    ],
)
def test_signatures_have_one_form(kind: str, signatures: bytes, told: str) -> None:
    """Each once, in order, in the one spelling that base64 has, not too many and not too long."""
    assert told in refused(kind, TEXTS[kind].replace(b'"YQ==","Yg=="', signatures))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"a":1,"a":2}', b"[" * 40_000])
def test_what_is_no_file_is_refused(kind: str, data: bytes) -> None:
    """Whatever the bytes are, the answer is a refusal with the kind's code."""
    assert refused(kind, data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_has_a_longest_length(kind: str) -> None:
    """One byte more than may be is refused before it is read."""
    assert f"{FILE_LIMIT} is the most" in refused(kind, bytes(FILE_LIMIT + 1))
    assert "is the most" not in refused(kind, bytes(FILE_LIMIT))
    assert "not canonical" in refused(kind, TEXTS[kind].replace(b":", b": ", 1))
    assert "not known here" in refused(kind, TEXTS[kind].replace(b'"signatures"', b'"a":1,"signatures"'))
