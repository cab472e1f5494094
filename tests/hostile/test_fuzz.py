"""Any bytes, and good bytes spoilt at random, into everything that reads a stranger's bytes: a value or a refusal, never an exception.

Each target is run with a few examples by default and with fifty times as many in the long form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.envelope import cbor, cose
from broker.envelope.batch import Proof, read_unprotected, unprotected_bytes
from broker.envelope.header import CONTENT_TYPE
from broker.envelope.note import read_note
from broker.envelope.parcel import MAGIC, SLIP, Parcel, parcel_bytes, read_parcel
from broker.envelope.receipt import CONTENT_TYPE as RECEIPT_TYPE
from broker.envelope.slip import CONTENT_TYPE as SLIP_TYPE
from broker.errors import REFUSALS, Refusal
from broker.exchange.quarantine import UNKEPT, quarantine_value, read_quarantined
from broker.exchange.receive import is_receipt, read_receipt, subject_of
from broker.exchange.records import Record
from broker.kafka.batches import UnfitBatch
from broker.schema.catalogue import Section
from broker.trust.directory import Directory, Unsigned
from broker.trust.entries import AGENCY_TYPE, EXCHANGE_TYPE, KEY_TYPE
from tests.hostile.bombs import records_of
from tests.hostile.record_batches import Row, batch, batch_of
from tests.hostile.scene import code_at_recipient, code_at_relay, scene
from tests.property.test_schema_codec import samples
from tests.support.parcels import catalogue, key, parcel, put, sign1
from tests.unit.exchange.bench import AGENCIES, NOW, REGISTRAR, RELAY, Bench, opened

SHORT, LONG = 60, 3_000
Bytes = st.SearchStrategy[bytes]


class Target(NamedTuple):
    """What is thrown, and at what; ``check`` fails the test where the answer is no good one."""

    thrown: st.SearchStrategy[Any]
    check: Callable[[Any], None]


INTERESTING: Final = [
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x02",
    b"\xf6",
    b"\xa0",
    b"\xd2",
    b"\x58\x20",
    b"\xff" * 9 + b"\x01",
    b"\x80" * 12,
]


@st.composite
def spoilt(draw: st.DrawFn, good: Sequence[bytes]) -> bytes:
    """One of these, with up to four places overwritten, cut out or widened."""
    value = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(1, 4))):
        at, cut = draw(st.integers(0, len(value))), draw(st.integers(0, 12))
        value = value[:at] + draw(st.binary(max_size=6) | st.sampled_from(INTERESTING)) + value[at + cut :]
    return value


def thrown(good: Sequence[bytes], front: bytes = b"") -> Bytes:
    """Spoilt good bytes, and any bytes."""
    return spoilt(good) | st.binary(max_size=300).map(lambda tail: front + tail)


# ── framing, CBOR, proofs ───────────────────────────────────────────────────────────────────────────────────────────


def framing(value: bytes) -> None:
    """Step 1: what is read as a parcel has exactly these bytes."""
    found = read_parcel(value, 1 << 20)
    if isinstance(found, Parcel):
        assert parcel_bytes(found.statement, found.sections, found.extras) == value
    else:
        assert found.code in REFUSALS


def at_relay(value: bytes) -> None:
    """A spoilt parcel in an outbox is refused."""
    assert code_at_relay(value, scene().rules, "SG-CUSTOMS") in REFUSALS


def at_recipients(value: bytes) -> None:
    """A spoilt delivery is refused by everyone."""
    for agency in AGENCIES:
        assert code_at_recipient(value, scene().rules, agency) in REFUSALS


def decoder(value: bytes) -> None:
    """What the decoder reads, it writes again."""
    try:
        item = cbor.decode(value)
    except cbor.CborError as error:
        assert error.code in REFUSALS  # noqa: PT017  (a refusal is one of the two good outcomes)
    else:
        assert cbor.encode(item) == value


ITEMS: Final = st.recursive(
    st.none() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=100) | st.text(max_size=9) | st.just(394) | st.just(396),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from([394, 396, -1, 1, 4, 395]), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


def proofs(thrown: tuple[Any, bytes]) -> None:
    """Any item as a statement's unprotected header, and what it proves of any leaf."""
    item, leaf = thrown
    found = read_unprotected(item, cose.ED25519, bytes(16))
    if isinstance(found, Proof):
        assert cbor.decode(unprotected_bytes(cose.ED25519, bytes(16), found)) == item
        root = found.root(leaf)
        assert root is None or len(root) == 32
    else:
        assert found


@st.composite
def receipts_of_batches(draw: st.DrawFn) -> tuple[Any, bytes]:
    """An unprotected header around a spoilt receipt, and a leaf."""
    statements = [original.parcel.statement for original in scene().outbox if original.parcel.statement.proof is not None]
    statement = draw(st.sampled_from(statements))
    assert statement.proof is not None
    header: Any = cbor.decode(unprotected_bytes(cose.ED25519, bytes(16), statement.proof))
    return draw(st.just({394: [draw(thrown(header[394]))]}) | ITEMS), draw(st.binary(min_size=32, max_size=32))


# ── what a key holder signs, however mad ────────────────────────────────────────────────────────────────────────────


def slips(payload: bytes) -> None:
    """A relay signs any bytes as a slip: its delivery is taken only where the slip is the right one."""
    original = scene().inbox[0]
    signed = sign1(payload, SLIP_TYPE, RELAY, scene().rules.aad)
    good = cose.read_sign1_bytes(original.parcel.extras[SLIP])
    assert isinstance(good, cose.Sign1)
    value = put(parcel(original.value), extras={SLIP: cose.statement_bytes(signed)})
    code = code_at_recipient(value, scene().rules, original.reader)
    assert code in REFUSALS or (code == "" and scene().rules.version("slip", 1).check(payload) is None)


def headers(payload: bytes) -> None:
    """A member signs any bytes as a header."""
    original = scene().outbox[0]
    signed = sign1(payload, CONTENT_TYPE, original.by, scene().rules.aad)
    code = code_at_relay(parcel_bytes(signed, original.parcel.sections, {}), scene().rules, original.reader)
    assert code in REFUSALS or scene().rules.schema("header").check(payload) is None


def answers(thrown: tuple[bytes, bool]) -> None:
    """A relay signs any bytes as a receipt, or a receipt's record is any bytes."""
    value, signed = thrown
    if signed:
        statement = sign1(value, RECEIPT_TYPE, RELAY, scene().rules.aad)
        value = b"XB\x02" + cose.statement_bytes(statement)
    found = read_receipt(value, scene().rules)
    assert not isinstance(found, Refusal) or found.code in REFUSALS
    assert isinstance(read_note(value, 4096), cose.Sign1 | Refusal)


def directory(thrown: tuple[bytes, str]) -> None:
    """The registrar signs any bytes as an entry, or an entry's record is any bytes: a directory, or a refusal."""
    value, content_type = thrown
    known = opened()
    if content_type:
        unsigned = Unsigned.of(value, content_type, REGISTRAR, cose.context(known.exchange_id, known.environment))
        value = unsigned.signed(REGISTRAR.sign_now(unsigned.to_be_signed))
    found = known.applied(value)
    assert isinstance(found, Directory | Refusal)


@lru_cache(maxsize=1)
def entries() -> list[bytes]:
    """Payloads of good entries, each alone CBOR."""
    bench = Bench()
    entry = bench.desk.directory.keys_of("SG-CUSTOMS")[0]
    note = read_note(bench.desk.key_entry(entry), 1 << 16)
    assert isinstance(note, cose.Sign1)
    return [note.payload]


@lru_cache(maxsize=1)
def notes() -> tuple[list[bytes], list[bytes]]:
    """Records of good receipts, and their payloads."""
    written = Bench().feed(*[original.value for original in scene().outbox[:2]], b"nonsense")
    read = [read_note(note, 1 << 20) for note in written.notes]
    return list(written.notes), [note.payload for note in read if isinstance(note, cose.Sign1)]


def payload_of_slip() -> bytes:
    """A good slip's payload."""
    signed = cose.read_sign1_bytes(scene().inbox[0].parcel.extras[SLIP])
    assert isinstance(signed, cose.Sign1)
    return signed.payload


# ── schemas ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def sound(section: Section, body: bytes) -> None:
    """What the walk lets pass decodes, and encodes to itself."""
    refusal = section.check(body)
    if refusal is None:
        assert section.codec.encode(section.codec.decode(body)) == body
        assert section.codec.encode(section.codec.decode(body, logical=False)) == body
    else:
        assert (refusal.code, refusal.path.partition(".")[0].partition("[")[0]) == ("BAD_STRUCTURE", section.section)


def shipped(thrown: tuple[Section, bytes]) -> None:
    """A shipped schema and bytes for it."""
    sound(*thrown)


@lru_cache(maxsize=1)
def bodies() -> dict[str, list[bytes]]:
    """Good bodies of the shipped sections, by section."""
    found: dict[str, list[bytes]] = {}
    for original in scene().originals[:8]:
        for name, carried in original.parcel.sections.items():
            found.setdefault(name, []).append(carried[16:])
    found["header"] = [original.parcel.statement.payload for original in scene().outbox[:4]]
    found["receipt"], found["slip"] = notes()[1], [payload_of_slip()]
    return found


VARINTS: Final = st.lists(st.sampled_from([bytes([number]) for number in range(16)]) | st.binary(max_size=3), max_size=90).map(b"".join)


@st.composite
def shipped_bodies(draw: st.DrawFn) -> tuple[Section, bytes]:
    """A shipped schema and bytes for it: any, small numbers in a row, or a good body spoilt."""
    section = draw(st.sampled_from(list(catalogue())))
    return section, draw(thrown(bodies().get(section.section, [bytes(40)])) | VARINTS)


def schema_and_bytes(thrown: tuple[tuple[Any, Any], bytes, bool]) -> None:
    """Any schema of the subset and any bytes, or its own bytes spoilt."""
    (avsc, value), noise, own = thrown
    section = Section.from_text("sample", "extra", 1, json.dumps(avsc))
    if own:
        body = section.codec.encode(value)
        at = noise[0] % len(body) if noise and body else 0
        noise = body[:at] + noise[1:] + body[at + len(noise) // 2 :]
    sound(section, noise)


# ── records of the exchange, and of Kafka ───────────────────────────────────────────────────────────────────────────


def quarantined(thrown: tuple[bytes, str, str, bytes | None]) -> None:
    """Whatever was refused lies in quarantine as it came; of what the exchange has already, size and digest only."""
    value, code, text, leaf = thrown
    record = Record("out.SG-CUSTOMS", 0, 7, NOW, None, value)
    kept = quarantine_value(record, Refusal(code, text, text), at_ms=NOW, originator=text or None, subject=None, leaf=leaf)
    read = read_quarantined(kept)
    assert read.value == (b"" if code in UNKEPT else value)
    assert read.digest == hashlib.sha256(value).digest()
    assert (read.code, read.reason, read.leaf, read.size) == (code, text, leaf, len(value))


def inbox_keys(value: bytes) -> None:
    """Any key of an inbox record names something or nothing."""
    assert is_receipt(value) == value.startswith(b"r/")
    assert subject_of(value) is not None or not value


def batches(raw: bytes) -> None:
    """Any bytes from a Kafka: records whose offsets go up within their batches, or an UnfitBatch."""
    before = -1
    try:
        for record in records_of(raw, check_crcs=False):
            assert record.offset > before
            before = record.offset
    except UnfitBatch as error:
        assert "`out.SG-CUSTOMS`/0" in str(error)  # noqa: PT017


GOOD_BATCHES: Final = [
    batch_of([Row(b"one"), Row(b"two" * 20, header=b"name", delta=1), Row(b"", delta=2)]),
    batch_of([Row(b"one", header=b"\xff"), Row(b"two", delta=1)]) + batch_of([Row(b"three", delta=5), Row(b"four")], base=2),
    batch(b"\x00" * 8, 1, codec=0x20) + batch_of([Row(b"after", delta=0)], base=1),
]  # fmt: skip

SLOW: Final = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example]
TEXTS: Final = st.text(max_size=60)
TARGETS: Final[dict[str, Callable[[], Target]]] = {
    "framing": lambda: Target(thrown([o.value for o in scene().originals], MAGIC), framing),
    "parcels at the relay": lambda: Target(
        spoilt([o.value for o in scene().outbox]).filter(lambda value: all(o.value != value for o in scene().outbox)),
        at_relay,
    ),
    "parcels at a recipient": lambda: Target(
        spoilt([o.value for o in scene().inbox]).filter(lambda value: all(o.value != value for o in scene().inbox)),
        at_recipients,
    ),
    "CBOR": lambda: Target(thrown([o.value[len(MAGIC) :] for o in scene().originals]), decoder),
    "proofs": lambda: Target(receipts_of_batches(), proofs),
    "slips": lambda: Target(thrown([payload_of_slip()]), slips),
    "headers": lambda: Target(thrown([o.parcel.statement.payload for o in scene().outbox]), headers),
    "receipts": lambda: Target(
        st.tuples(thrown(notes()[0], b"XB\x02"), st.just(False)) | st.tuples(thrown(notes()[1]), st.just(True)), answers
    ),
    "directory": lambda: Target(
        st.tuples(thrown(entries()), st.sampled_from([AGENCY_TYPE, KEY_TYPE, EXCHANGE_TYPE, SLIP_TYPE, ""]))
        | st.tuples(ITEMS.map(cbor.encode), st.sampled_from([AGENCY_TYPE, KEY_TYPE, EXCHANGE_TYPE])),
        directory,
    ),
    "every shipped schema": lambda: Target(shipped_bodies(), shipped),
    "any schema": lambda: Target(st.tuples(samples(), VARINTS, st.booleans()), schema_and_bytes),
    "quarantine": lambda: Target(
        st.tuples(st.binary(max_size=200), st.sampled_from(sorted(REFUSALS)), TEXTS, st.none() | st.binary(max_size=32)), quarantined
    ),
    "inbox keys": lambda: Target(st.binary(max_size=40) | st.binary(max_size=20).map(lambda tail: b"r/" + tail), inbox_keys),
    "Kafka's batches": lambda: Target(thrown(GOOD_BATCHES), batches),
}  # fmt: skip


def throw(name: str, examples: int) -> None:
    """Run one target."""
    target = TARGETS[name]()

    @settings(max_examples=examples, deadline=None, suppress_health_check=SLOW, database=None)
    @given(target.thrown)
    def attempt(value: Any) -> None:
        target.check(value)

    attempt()


@pytest.mark.parametrize("name", TARGETS)
def test_a_value_or_a_refusal(name: str) -> None:
    """A few examples of each."""
    throw(name, SHORT)


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_a_value_or_a_refusal_for_long(name: str) -> None:
    """Fifty times as many."""
    throw(name, LONG)


def test_the_good_ones_are_good() -> None:
    """What is spoilt is good before: bodies pass the walk, receipts and batches are read; the samples are worth something."""
    by_section = {section.section: section for section in catalogue() if section.family in ("alert", "header", "receipt")}
    by_section["slip"] = scene().rules.version("slip", 1)
    checked = [name for name, good in bodies().items() for body in good if name in by_section and by_section[name].check(body) is None]
    assert {"header", "receipt", "slip", "core", "goods", "route"} <= set(checked)
    assert not [note for note in notes()[0] if isinstance(read_receipt(note, scene().rules), Refusal)]
    values = [records_of(raw) for raw in GOOD_BATCHES[:2]]
    assert [[record.value for record in each] for each in values] == [[b"one", b"two" * 20, b""], [b"one", b"two", b"three", b"four"]]
    assert [record.offset for record in values[1]] == [0, 1, 2, 3]
    assert key("relay").kid == RELAY.kid
