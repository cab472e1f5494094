"""The publisher's side: a message becomes bytes, or a refusal that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from broker.envelope.section import digest
from broker.errors import Refusal
from broker.exchange.admit import Authentic, authenticate, examine, open_section
from broker.exchange.publish import Draft, Encoded, Seat, encode_sections, prepare, preview, seal
from broker.exchange.topology import MESSAGE_LIMIT
from broker.families.message import Message
from broker.testing.clock import SeededRandomness
from tests.support.parcels import key
from tests.unit.exchange.bench import NOW, Bench

SIGNER = key("SG-CUSTOMS")


def encoded(message: Message, bench: Bench) -> Encoded:
    found = encode_sections(message, "SG-CUSTOMS", bench.rules)
    assert isinstance(found, Encoded), found
    return found


def drafted(message: Message, bench: Bench, *, seat: Seat | None = None, seed: int = 0) -> Draft | Refusal:
    random = SeededRandomness(seed)
    return prepare(
        message, encoded(message, bench), bench.rules, originator="SG-CUSTOMS", seat=seat or Seat(bytes(16), 1, None),
        message_id=bytes(range(16)), salts=random.take, now_ms=NOW, alg=SIGNER.alg, kid=SIGNER.kid,
    )  # fmt: skip


def with_section(message: Message, name: str, record: Mapping[str, Any] | None) -> Message:
    sections: dict[str, Any] = {**message.sections, name: record}
    return replace(message, sections={each: value for each, value in sections.items() if value is not None})


def test_sealed_message_is_admitted() -> None:
    """What the publisher seals passes the relay's admission and opens to the records that were put in."""
    bench = Bench()
    message = bench.alert()
    draft = drafted(message, bench)
    assert isinstance(draft, Draft)
    value = seal(draft, SIGNER.sign_now(draft.signed_bytes))
    authentic = authenticate(value, bench.rules, at_ms=NOW)
    assert isinstance(authentic, Authentic)
    assert examine(authentic, bench.rules, complete=True) is None
    assert authentic.leaf == draft.leaf
    assert open_section(authentic, "route")["countries"] == message.sections["route"]["countries"]
    assert open_section(authentic, "audience")["communities"] == list(message.audience.communities)
    with pytest.raises(LookupError):
        open_section(authentic, "weather")


def test_same_arguments_give_the_same_bytes_and_other_salts_others() -> None:
    """Preparing is pure: all chance comes from the caller, and it hides equal sections behind unequal commitments."""
    bench = Bench()
    first, again, other = (drafted(bench.alert(), bench, seed=seed) for seed in (1, 1, 2))
    assert isinstance(first, Draft)
    assert isinstance(again, Draft)
    assert isinstance(other, Draft)
    assert (first.leaf, first.sections) == (again.leaf, again.sections)
    assert all(digest(first.sections[name]) != digest(other.sections[name]) for name in first.sections)


def test_header_carries_labels_and_place() -> None:
    """Labels, routing and the seat in the stream come out in the signed header; commitments are sorted and complete."""
    bench = Bench()
    draft = drafted(replace(bench.alert(revision=3), tlp="GREEN", urgency="FLASH"), bench, seat=Seat(bytes(16), 7, bytes(32)))
    assert isinstance(draft, Draft)
    header = draft.header
    assert (header.seq, header.prev, header.revision, header.tlp, header.urgency) == (7, bytes(32), 3, "GREEN", "FLASH")
    assert header.issued_at == NOW
    assert ("DE", "ORIGIN") in header.routing.countries
    assert header.routing.hs_chapters == ("84",)
    names = [commitment.section for commitment in header.commitments]
    assert names == sorted(draft.sections)
    assert "audience" not in draft.labels.sections


@pytest.mark.parametrize(
    ("section", "change", "code", "path"),
    [
        ("goods", {"colour": "red"}, "BAD_FIELD", "goods.colour"),
        ("goods", {"items": "one"}, "BAD_FIELD", "goods.items"),
        ("equipment", {"units": [{"id": 7}]}, "BAD_FIELD", "equipment.units[0].id"),
        ("route", {"countries": [{"country": "DE", "role": "VISITOR"}]}, "BAD_FIELD", "route.countries[0].role"),
        ("weather", {"wind": 3}, "UNKNOWN_SECTION", "weather"),
        ("core", None, "MISSING_SECTION", "core"),
        ("audience", {"agencies": ["MY-CUSTOMS"]}, "UNKNOWN_SECTION", "audience"),
    ],
)
def test_bad_message_is_refused_with_its_path(section: str, change: Mapping[str, Any] | None, code: str, path: str) -> None:
    """An unknown field, a wrong type, an unknown code, an unknown or missing section: refused before anything is signed, with the
    place named."""
    bench = Bench()
    message = bench.alert()
    record = None if change is None else {**message.sections.get(section, {}), **change}
    found = encode_sections(with_section(message, section, record), "SG-CUSTOMS", bench.rules)
    assert isinstance(found, Refusal)
    assert found.code == code
    assert found.path.startswith(path)


def test_text_that_reads_otherwise_than_it_is_signed() -> None:
    """A name with a direction override is refused: an officer would read another name than the one that was signed."""
    bench = Bench()
    message = bench.alert()
    party: dict[str, Any] = {**message.sections["parties"]["parties"][0], "name": "Gulf \u202egnidarT"}
    found = encode_sections(with_section(message, "parties", {"parties": [party]}), "SG-CUSTOMS", bench.rules)
    assert isinstance(found, Refusal)
    assert (found.code, found.path) == ("BAD_FIELD", "parties.parties[0].name")


def test_anothers_subject_is_refused() -> None:
    """An agency publishes about its own subjects only; a name that merely begins alike is another's."""
    bench = Bench()
    for subject in ("MY-CUSTOMS/2026/1", "SG-CUSTOMSX/1"):
        found = encode_sections(replace(bench.alert(), subject=subject), "SG-CUSTOMS", bench.rules)
        assert isinstance(found, Refusal)
        assert (found.code, found.path) == ("NOT_OWNER", "subject")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"tlp": "PURPLE"}, "header.tlp"),
        ({"purposes": ()}, "header.purposes"),
        ({"revision": 0}, "revision"),
        ({"valid_until_ms": None}, "header.valid_until"),
        ({"handling": "H3"}, "header.handling_caveat"),
    ],
)
def test_bad_label_is_refused(changes: dict[str, Any], path: str) -> None:
    """Labels that the header could not hold, or that contradict each other, are refused with their path."""
    bench = Bench()
    found = encode_sections(replace(bench.alert(), **changes), "SG-CUSTOMS", bench.rules)
    assert isinstance(found, Refusal)
    assert (found.code, found.path) == ("BAD_LABELS", path)


def test_unknown_family() -> None:
    """A family that does not exist is refused by name."""
    bench = Bench()
    found = encode_sections(replace(bench.alert(), family="gossip"), "SG-CUSTOMS", bench.rules)
    assert isinstance(found, Refusal)
    assert (found.code, found.path) == ("UNKNOWN_FAMILY", "family")


def test_oversize_is_refused_before_signing_and_the_largest_passes_the_relay() -> None:
    """A message over the record limit is refused with its largest section; whatever is prepared below it, the relay takes."""
    bench = Bench()
    message = bench.alert()
    item = message.sections["goods"]["items"][0]

    def goods(length: int) -> Message:
        return with_section(message, "goods", {**message.sections["goods"], "items": [{**item, "description": "x" * length}]})

    low, high = 900_000, MESSAGE_LIMIT
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if isinstance(drafted(goods(middle), bench), Draft) else (low, middle)
    largest, too_large = drafted(goods(low), bench), drafted(goods(high), bench)
    assert isinstance(too_large, Refusal)
    assert (too_large.code, too_large.path) == ("TOO_LARGE", "goods")
    assert isinstance(largest, Draft)
    value = seal(largest, SIGNER.sign_now(largest.signed_bytes))
    assert MESSAGE_LIMIT - 1024 < len(value) <= MESSAGE_LIMIT
    assert bench.feed(value).codes == [""]


def test_preview_sees_the_labels_that_would_be_signed() -> None:
    """A dry run asks policy about exactly the labels that publishing would sign."""
    bench = Bench()
    message = bench.alert()
    draft = drafted(message, bench)
    assert isinstance(draft, Draft)
    assert preview(message, encoded(message, bench), originator="SG-CUSTOMS", now_ms=NOW) == draft.labels
