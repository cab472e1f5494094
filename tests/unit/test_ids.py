"""Names that travel: what is one, what only looks like one, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import ids
from broker.ids import InvalidId


@pytest.mark.parametrize("text", ["SG-CUSTOMS", "XX-AUDIT1", "DE-BAFA", "MY-A1", "AE-ABCDEFGHIJKL"])
def test_agency_ids(text: str) -> None:
    """Two capitals, a hyphen, two to twelve capitals or digits."""
    assert ids.agency_id(text) == text
    assert ids.country_of(text) == text[:2]


@pytest.mark.parametrize(
    "text",
    [
        "", "SG", "SG-", "SG-C", "sg-CUSTOMS", "SG-customs", "SGP-CUSTOMS", "SG_CUSTOMS", "SG-CUSTOMS ", " SG-CUSTOMS", "SG-CUSTOMS\n",
        "SG-ABCDEFGHIJKLM", "SG-CUST/OMS", "SG-..", "S\u0413-CUSTOMS", "SG-CUSTOM\u0405", "SG-CUSTOMS\u0000", "\uff33G-CUSTOMS",
        "SG-\u0661\u0662",
    ],
)  # fmt: skip
def test_what_only_looks_like_an_agency_id(text: str) -> None:
    """Lower case, other lengths, blanks, line ends, Cyrillic twins, full-width letters, Arabic digits: each is refused with advice."""
    with pytest.raises(InvalidId) as caught:
        ids.agency_id(text)
    assert str(caught.value).isascii()
    assert caught.value.advice


@pytest.mark.parametrize("text", ["SG-CUSTOMS/1", "SG-CUSTOMS/2026/000123", "DE-BAFA/a.b-c_d/X/y/9", "SG-CUSTOMS/" + "1" * 48])
def test_subject_ids(text: str) -> None:
    """The owner's id and one to four parts; the owner is read off it."""
    assert ids.subject_id(text) == text
    assert ids.owner_of(text) == text.partition("/")[0]


@pytest.mark.parametrize(
    "text",
    [
        "SG-CUSTOMS", "SG-CUSTOMS/", "SG-CUSTOMS//1", "SG-CUSTOMS/../1", "SG-CUSTOMS/.hidden", "SG-CUSTOMS/1/", "/SG-CUSTOMS/1",
        "SG-CUSTOMS/1 2", "SG-CUSTOMS/1\n", "SG-CUSTOMS/\u0661", "SG-CUSTOMS/1/2/3/4/5", "SG-CUSTOMS/" + "1" * 49,
        "SG-CUSTOMS/" + "1" * 30 + "/" + "1" * 30, "sg-customs/1",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_subject(text: str) -> None:
    """Empty, hidden and climbing parts, blanks, foreign digits, and anything over 64 characters."""
    with pytest.raises(InvalidId):
        ids.subject_id(text)


@given(st.text(max_size=70))
def test_parsers_accept_or_raise_invalid_id(text: str) -> None:
    """Any text is either a name as it stands, in ASCII, or an InvalidId."""
    parsers: tuple[Callable[[str], str], ...] = (ids.agency_id, ids.subject_id, ids.community_id, ids.exchange_id, ids.kind)
    for parse in parsers:
        try:
            parsed = parse(text)
        except InvalidId as error:
            message = str(error)
        else:
            assert parsed == text
            message = parsed
        assert message.isascii()


def test_other_names() -> None:
    """Communities, exchanges and kinds have rules of their own."""
    assert ids.community_id("STCE-ASEAN") == "STCE-ASEAN"
    assert ids.exchange_id("stce.asean") == "stce.asean"
    assert ids.kind("coastguard") == "coastguard"
    for parse, text in ((ids.community_id, "stce"), (ids.exchange_id, "STCE"), (ids.exchange_id, "-x"), (ids.kind, "army")):
        with pytest.raises(InvalidId):
            parse(text)


def test_topics_and_principals() -> None:
    """Topics carry the agency's id, principals also the generation of its certificates."""
    assert (ids.outbox("SG-CUSTOMS"), ids.inbox("SG-CUSTOMS")) == ("out.SG-CUSTOMS", "in.SG-CUSTOMS")
    assert ids.principal("SG-CUSTOMS", 3) == "SG-CUSTOMS#3"


def test_shards_are_stable_and_spread() -> None:
    """An agency's shard never changes over the life of an exchange: these values are part of the format. All shards are used."""
    assert [ids.shard_of(agency, 16) for agency in ("SG-CUSTOMS", "MY-CUSTOMS", "AE-CUSTOMS", "DE-BAFA")] == [13, 15, 8, 9]
    assert {ids.shard_of(f"SG-A{number:03}", 16) for number in range(300)} == set(range(16))
    assert ids.shard_of("SG-CUSTOMS", 1) == 0


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_message_ids_are_uuid_version_7(now_ms: int, random: bytes) -> None:
    """RFC 9562 5.7: 48 bits of Unix milliseconds, version 7, variant 2, the rest as given; so they sort by time."""
    made = ids.message_id(now_ms, random)
    assert int.from_bytes(made[:6], "big") == now_ms
    assert (made[6] >> 4, made[8] >> 6) == (7, 2)
    assert (made[6] & 0xF, made[7], made[8] & 0x3F, made[9:]) == (random[0] & 0xF, random[1], random[2] & 0x3F, random[3:])


def test_uuid_text() -> None:
    """The 8-4-4-4-12 form."""
    assert ids.uuid_text(bytes(range(16))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
