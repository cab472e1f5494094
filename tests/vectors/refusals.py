"""The bad cases among the golden vectors: at least one for every refusal of admission steps 1, 3 and 7."""

from __future__ import annotations

from typing import Any

from broker.envelope import cose, header, slip
from broker.envelope.cbor import Encodable, Item, encode
from broker.envelope.cose import Sign1
from broker.envelope.parcel import MAGIC, SLIP, parcel_bytes
from tests.vectors import content
from tests.vectors.content import CUSTOMS, DIRECTORY, LICENSING, RELAY, STRANGER, Record
from tests.vectors.messages import Signed, commitments, delivered, sections, sign, statement
from tests.vectors.refusals_batch import batches

CARRIED = sections()
SIGNED = statement(CARRIED)
VALUE = parcel_bytes(SIGNED.statement, CARRIED, {})
ITEM = cose.sign1_item(*SIGNED.parts)
RECIPIENT: Record = {"recipient": "AE-CUSTOMS"}


def case(name: str, step: int, code: str, value: bytes, **more: Any) -> Record:
    """One bad case. ``more``: ``limit`` in bytes where it is not a megabyte, ``recipient`` where the value is a delivery."""
    return {"name": name, "step": step, "code": code, "value": value.hex(), **more}


def framed(*items: Encodable) -> bytes:
    """The magic bytes and an array of these items."""
    return MAGIC + encode(list(items))


def framing() -> list[Record]:
    """Step 1, without the statement."""
    after = VALUE[4:]
    named, carried = "BAD_PARCEL", encode(CARRIED)
    at = VALUE.index(carried)
    before, behind = VALUE[:at], VALUE[at + len(carried) :]
    core, goods = encode("core") + encode(CARRIED["core"]), encode("goods") + encode(CARRIED["goods"])
    return [
        case("one byte over the limit", 1, "TOO_LARGE", VALUE, limit=len(VALUE) - 1),
        case("an empty value", 1, "NOT_A_PARCEL", b""),
        case("an Avro object container file", 1, "NOT_A_PARCEL", b"Obj\x01" + VALUE),
        case("a note", 1, "NOT_A_PARCEL", b"XB\x02" + VALUE[3:]),
        case("nothing behind the magic bytes", 1, "BAD_CBOR", MAGIC),
        case("the last byte cut off", 1, "BAD_CBOR", VALUE[:-1]),
        case("a byte behind the end", 1, "BAD_CBOR", VALUE + b"\x00"),
        case("a double among the sections", 1, "BAD_CBOR", before + b"\xa1" + encode("core") + b"\xfb" + bytes(8) + behind),
        case("another tag than 18 (COSE_Mac0)", 1, "BAD_CBOR", MAGIC + b"\x83\xd1" + VALUE[5:]),
        case("the array's length in a byte of its own", 1, "NOT_CANONICAL", MAGIC + b"\x98\x03" + after),
        case("an array of indefinite length", 1, "NOT_CANONICAL", MAGIC + b"\x9f" + after + b"\xff"),
        case("sections out of order", 1, "NOT_CANONICAL", before + b"\xa2" + goods + core + behind),
        case("a section twice", 1, "NOT_CANONICAL", before + b"\xa2" + core + core + behind),
        case("two items instead of three", 1, named, framed(ITEM, CARRIED)),
        case("sections in an array", 1, named, framed(ITEM, list(CARRIED.values()), {})),
        case("a section that is text", 1, named, framed(ITEM, {"core": "text"}, {})),
        case("a section's name in capitals", 1, named, framed(ITEM, {"Core": CARRIED["core"]}, {})),
        case("seventeen sections", 1, named, framed(ITEM, {"x" * n: bytes(16) for n in range(1, 18)}, {})),
        case("a negative key in the exchange's part", 1, named, framed(ITEM, CARRIED, {-1: b""})),
        case("a text in the exchange's part", 1, named, framed(ITEM, CARRIED, {1: "slip"})),
    ]


def statements() -> list[Record]:
    """Step 1: statements that are none, or not in the profile."""
    protected, payload, signature = SIGNED.parts
    labels: dict[int, Encodable] = {1: CUSTOMS.alg, 3: header.CONTENT_TYPE, 4: CUSTOMS.kid}

    def bad(name: str, item: Item) -> Record:
        return case(name, 1, "BAD_STATEMENT", framed(item, CARRIED, {}))

    return [
        bad("a statement without its tag", [protected, {}, payload, signature]),
        bad("a statement of three parts", cose.Tagged(18, [protected, {}, payload])),
        bad("an unprotected header", cose.Tagged(18, [protected, {33: b"a chain of certificates"}, payload, signature])),
        bad("a detached payload", cose.Tagged(18, [protected, {}, None, signature])),
        bad("an empty signature", cose.sign1_item(protected, payload, b"")),
        bad("an unknown protected label", cose.sign1_item(encode({**labels, 2: [4]}), payload, signature)),
        bad("a protected header without key id", cose.sign1_item(encode({1: CUSTOMS.alg, 3: "x"}), payload, signature)),
        bad("another algorithm (-8, EdDSA)", cose.sign1_item(encode({**labels, 1: -8}), payload, signature)),
        bad("a protected header that is not canonical", cose.sign1_item(b"\xb8\x03" + protected[1:], payload, signature)),
    ]


def signatures() -> list[Record]:
    """Step 3: the originator's signature."""

    def outbox(name: str, signed: Signed, code: str = "BAD_SIGNATURE", **changes: bytes) -> Record:
        parts = dict(zip(("protected", "payload", "signature"), signed.parts, strict=True)) | changes
        signed_so = Sign1(parts["protected"], parts["payload"], parts["signature"], 0, b"", "")
        return case(name, 3, code, parcel_bytes(signed_so, CARRIED, {}))

    flipped = bytes([SIGNED.statement.signature[0] ^ 1]) + SIGNED.statement.signature[1:]
    revised = content.HEADER.encode(content.header(commitments(CARRIED), revision=2))
    high = statement(CARRIED, LICENSING, originator="DE-BAFA", subject="DE-BAFA/2026/0001", context={"low": False})
    return [
        outbox("a bit of the signature flipped", SIGNED, signature=flipped),
        outbox("another header under the same signature", SIGNED, payload=revised),
        outbox("signed for another exchange", statement(CARRIED, context={"exchange_id": "stce.africa"})),
        outbox("signed for the exercise environment", statement(CARRIED, context={"environment": "exercise"}), "WRONG_ENVIRONMENT"),
        outbox("ECDSA with the higher of the two possible s", high),
    ]


def slips() -> list[Record]:
    """Step 3, and the slip's part of step 4: deliveries."""
    value, slip_made = delivered(SIGNED, CARRIED, ["grounds"])
    given = {name: CARRIED[name] for name in ("core", "goods")}
    record = content.slip(SIGNED.leaf, ["core", "goods"], ["grounds"])

    def slipped(name: str, code: str, carried: dict[str, bytes], signed: Signed, step: int = 3) -> Record:
        return case(name, step, code, parcel_bytes(SIGNED.statement, carried, {SLIP: cose.sign1_bytes(*signed.parts)}), **RECIPIENT)

    def made(key: content.TestKey = RELAY, content_type: str = slip.CONTENT_TYPE, **changes: Any) -> Signed:
        return sign(key, content.SLIP, content_type, {**record, **changes})

    without = made(given=[{"section": "core", "rule": "read.core"}])
    return [
        case("a delivery without slip", 3, "BAD_SLIP", parcel_bytes(SIGNED.statement, given, {}), **RECIPIENT),
        case("a bit of the slip's signature flipped", 3, "BAD_SLIP", value[:-1] + bytes([value[-1] ^ 1]), **RECIPIENT),
        slipped("a slip by a key that is no relay's", "BAD_SLIP", given, made(STRANGER)),
        slipped("something else that the relay signed", "BAD_SLIP", given, made(content_type="application/vnd.broker.receipt+avro;v=1")),
        slipped("a section stripped on the way", "BAD_SLIP", {"core": CARRIED["core"]}, slip_made),
        slipped("a withheld section carried all the same", "BAD_SLIP", {**given, "grounds": CARRIED["grounds"]}, slip_made),
        slipped("a slip that leaves a section out", "BAD_SLIP", {"core": CARRIED["core"]}, without),
        slipped("a slip of another parcel", "NOT_FOR_ME", given, made(leaf=bytes(32)), 4),
        slipped("a slip for another recipient", "NOT_FOR_ME", given, made(recipient="MY-CUSTOMS"), 4),
    ]


def disclosed() -> list[Record]:
    """Step 7: sections against the signed commitments (the last two: a signed header or section that breaks the rules)."""

    def outbox(name: str, code: str, carried: dict[str, bytes], signed: Signed = SIGNED, step: int = 7) -> Record:
        return case(name, step, code, parcel_bytes(signed.statement, carried, {}))

    core = CARRIED["core"]
    rest = {name: value for name, value in CARRIED.items() if name != "goods"}
    backwards = statement(CARRIED, commitments=commitments(CARRIED)[::-1])
    twice = statement(CARRIED, commitments=commitments(CARRIED) + commitments(CARRIED)[-1:])
    short = {**CARRIED, "core": bytes(15)}
    return [
        outbox("a bit of a body flipped", "COMMITMENT_MISMATCH", {**CARRIED, "core": core[:-1] + bytes([core[-1] ^ 1])}),
        outbox("a bit of a salt flipped", "COMMITMENT_MISMATCH", {**CARRIED, "core": bytes([core[0] ^ 1]) + core[1:]}),
        outbox("two sections swapped", "COMMITMENT_MISMATCH", {**CARRIED, "core": CARRIED["goods"], "goods": core}),
        outbox("a section that nobody signed", "UNCOMMITTED_SECTION", {**CARRIED, "value": bytes(20)}),
        outbox("a section left out of an outbox", "MISSING_SECTION", rest),
        outbox("commitments out of order", "BAD_HEADER", CARRIED, backwards, 8),
        outbox("a commitment twice", "BAD_HEADER", CARRIED, twice, 8),
        outbox("a section shorter than a salt, signed so", "BAD_STRUCTURE", short, statement(short), 8),
    ]


def refusals() -> Record:
    """The vector of all bad cases."""
    return {
        "kind": "refusals",
        "note": "Record values that a reader refuses, with the refusal code and the admission step of the code. Each is made from "
        "parcel-ed25519.json, parcel-p256.json, parcel-batch.json or a delivery, whose files show the keys. A case with `recipient` is a "
        "delivery to that agency; another is a record of an outbox, of at most `limit` bytes (1048576 where none is given).",
        "directory": DIRECTORY,
        "cases": [*framing(), *statements(), *signatures(), *slips(), *disclosed(), *batches()],
    }
