"""Canonical JSON: one value, one text, and typed fields with the field's name in every complaint."""

from __future__ import annotations

import pytest

from broker import ids
from broker.trust.canonical import Fields, Flaw, canonical_json, read_canonical


def test_canonical_text() -> None:
    """Keys are sorted, nothing is escaped that need not be, no spaces."""
    assert canonical_json({"b": [1, None, True], "a": "é"}) == '{"a":"é","b":[1,null,true]}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"1", b"null", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a": 1}', b'{"a":1}\n', b'{"a":1.0}', b'{"a":1e2}', b'{"a":NaN}',
        b'{"a":"\\u00e9"}', b'{"a":"\\ud800"}', b'{"a":-0}', b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}', b"[" * 60_000, b'{"a":' * 9_000,
        b'{"a":' + b"9" * 5000 + b"}", '{"a":1}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: bytes) -> None:
    """Anything but the canonical text is refused with a Flaw, however hostile: no other exception comes out."""
    with pytest.raises(Flaw):
        read_canonical(text)


def test_unknown_and_missing_fields() -> None:
    """A reader acts only on objects whose fields it knows, all of them."""
    fields = read_canonical(b'{"a":1,"b":2}')
    fields.exactly({"a", "b"})
    with pytest.raises(Flaw, match="`c` is missing"):
        fields.exactly({"a", "b", "c"})
    with pytest.raises(Flaw, match="not known here: `b`"):
        fields.exactly({"a"})


def test_fields_by_type() -> None:
    """Each getter takes its own type only and names the field."""
    good = Fields({"n": 3, "t": "x", "h": "00ff", "l": ["A1", "B1"], "o": None, "hs": ["00", "01"]})
    assert (good.integer("n"), good.text("t"), good.octets("h")) == (3, "x", b"\x00\xff")
    assert good.named_list("l", ids.community_id, 2) == ("A1", "B1")
    assert good.octets_list("hs", 2) == (b"\x00", b"\x01")
    assert good.integer_or_none("o") is None
    bad = Fields({
        "n": True, "t": "a\u202eb", "h": "00FF", "l": ["B1", "A1"], "o": "1", "hs": ["00", "00"], "big": 2**53, "odd": "0", "e": "",
    })  # fmt: skip
    for name, take in [
        ("n", bad.integer), ("t", bad.text), ("h", bad.octets), ("o", bad.integer_or_none), ("big", bad.integer), ("odd", bad.octets),
        ("e", bad.octets), ("gone", bad.text), ("gone", bad.octets), ("gone", bad.integer),
    ]:  # fmt: skip
        with pytest.raises(Flaw, match=f"`{name}`"):
            take(name)
    with pytest.raises(Flaw, match="ascending"):
        bad.named_list("l", ids.community_id, 2)
    with pytest.raises(Flaw, match="at most 1 items"):
        good.named_list("l", ids.community_id, 1)
    with pytest.raises(Flaw, match="none twice"):
        bad.octets_list("hs", 2)
    with pytest.raises(Flaw, match="is not an agency id"):
        Fields({"a": "SG-СUSTOMS"}).named("a", ids.agency_id)
