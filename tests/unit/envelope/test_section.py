"""Sections against their commitments: admission step 7."""

from __future__ import annotations

import hashlib

import pytest

from broker.envelope.section import Commitment, body_of, check_sections, digest, seal_body
from broker.errors import Refusal

BODIES = {"audience": b"who", "core": b"what", "goods": b"", "route": b"where"}
SECTIONS = {name: seal_body(bytes([n]) * 16, body) for n, (name, body) in enumerate(BODIES.items())}


def committed(sections: dict[str, bytes]) -> list[Commitment]:
    """Commitments to these sections, sorted by name."""
    return [Commitment(name, bytes(32), digest(sections[name]), None) for name in sorted(sections)]


def refused(outcome: Refusal | None) -> tuple[str, str]:
    """Code and path of a refusal."""
    assert isinstance(outcome, Refusal)
    return outcome.code, outcome.path


def test_a_section_is_salt_and_body() -> None:
    """The carried bytes are the 16 bytes of salt and the body; the digest is SHA-256 of both."""
    carried = seal_body(b"0123456789abcdef", b"body")
    assert carried == b"0123456789abcdefbody"
    assert body_of(carried) == b"body"
    assert digest(carried) == hashlib.sha256(b"0123456789abcdefbody").digest()
    for salt in (b"", b"short", bytes(17)):
        with pytest.raises(ValueError, match="salt"):
            seal_body(salt, b"body")


def test_what_was_signed_passes_whole_or_in_part() -> None:
    """All sections pass; with some withheld the rest passes where withholding is allowed; no sections at all is a recall."""
    assert check_sections(committed(SECTIONS), SECTIONS, complete=True) is None
    for missing in SECTIONS:
        rest = {name: carried for name, carried in SECTIONS.items() if name != missing}
        assert check_sections(committed(SECTIONS), rest, complete=False) is None
        assert refused(check_sections(committed(SECTIONS), rest, complete=True)) == ("MISSING_SECTION", missing)
    assert check_sections([], {}, complete=True) is None
    assert check_sections(committed(SECTIONS), {}, complete=False) is None


def test_altered_and_swapped_sections_are_refused() -> None:
    """Another salt, body or place of a section does not fit its commitment; a swap is told in words."""
    for altered in (b"\xff" + SECTIONS["core"][1:], SECTIONS["core"] + b"\x00", SECTIONS["core"][:-1], b""):
        outcome = check_sections(committed(SECTIONS), {**SECTIONS, "core": altered}, complete=True)
        assert refused(outcome) == ("COMMITMENT_MISMATCH", "core")
    swapped = {**SECTIONS, "core": SECTIONS["route"], "route": SECTIONS["core"]}
    outcome = check_sections(committed(SECTIONS), swapped, complete=True)
    assert refused(outcome) == ("COMMITMENT_MISMATCH", "core")
    assert outcome is not None
    assert "`route`" in outcome.reason


def test_a_section_nobody_signed_is_refused() -> None:
    """Nothing can be added beside the sections of the header."""
    outcome = check_sections(committed(SECTIONS), {**SECTIONS, "value": bytes(20)}, complete=False)
    assert refused(outcome) == ("UNCOMMITTED_SECTION", "value")


def test_a_section_shorter_than_a_salt_is_refused() -> None:
    """Even when it was signed so; 16 bytes, an empty body, pass."""
    assert check_sections(committed({"core": bytes(16)}), {"core": bytes(16)}, complete=True) is None
    outcome = check_sections(committed({"core": bytes(15)}), {"core": bytes(15)}, complete=True)
    assert refused(outcome) == ("BAD_STRUCTURE", "core")


def test_commitments_are_sorted_and_unique() -> None:
    """One header has one list: out of order, twice, or without a name is BAD_HEADER, before any section is looked at."""
    signed = committed(SECTIONS)
    assert refused(check_sections([signed[1], signed[0]], {}, complete=False)) == ("BAD_HEADER", "audience")
    assert refused(check_sections([*signed, signed[-1]], SECTIONS, complete=True)) == ("BAD_HEADER", "route")
    nameless = Commitment("", bytes(32), bytes(32), None)
    assert refused(check_sections([nameless], {}, complete=False)) == ("BAD_HEADER", "")
