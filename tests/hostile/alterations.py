"""Everything that a thief of the wire can do to a parcel without anybody's key, and what a stranger can do with his own.

Each function takes parcels that are accepted and yields altered ones; none of them may be accepted by anybody. What happens to give
the same bytes again is no alteration, and is left out by :func:`altered`. Two things are left alone on purpose: a third item may
carry keys that this version does not know (they are ignored), and a whole genuine parcel may come again (a duplicate, by its leaf).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

from broker.envelope import batch, cbor, cose
from broker.envelope.batch import PATH_LIMIT, Proof
from broker.envelope.cose import ED25519, P256, Sign1
from broker.envelope.parcel import MAGIC, SLIP, Parcel, parcel_bytes
from broker.envelope.slip import slip_record
from tests.hostile.scene import Original, Scene, slip_of
from tests.support.batches import signed_together
from tests.support.parcels import Signs, committed, key, make, put, slip_item
from tests.unit.exchange.bench import AGENCIES

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER: Final = (1 << 252) + 27742317777372353535851937790883648493
MASKS: Final = (0x01, 0x80, 0xFF, 0x10, 0x02, 0x7F, 0x08, 0x40)
Alter = Callable[[Scene, Original, random.Random], Iterator[bytes]]


class Altered(NamedTuple):
    """An altered parcel. ``reader`` judges it in the place of the original's own where it is not empty."""

    kind: str
    original: Original
    value: bytes
    reader: str = ""


def flipped(original: Original, at: int, *, mask: int = 0) -> bytes:
    """One byte changed, by this mask or the one whose turn it is."""
    value = bytearray(original.value)
    value[at] ^= mask or MASKS[at % len(MASKS)]
    return bytes(value)


def truncated(_scene: Scene, original: Original, dice: random.Random) -> Iterator[bytes]:
    """The end is missing, or the beginning."""
    value = original.value
    for end in {0, 1, 2, 3, 4, len(value) // 2, len(value) - 1, *(dice.randrange(len(value)) for _ in range(8))}:
        yield value[:end]
        yield value[len(value) - end :]


def spliced(_scene: Scene, original: Original, dice: random.Random) -> Iterator[bytes]:
    """Bytes put in, taken out or doubled somewhere, or something behind the end."""
    value = original.value
    for _ in range(8):
        at, length = dice.randrange(len(value)), dice.randrange(1, 40)
        yield value[:at] + dice.randbytes(length) + value[at:]
        yield value[:at] + value[at + length :]
        yield value[:at] + value[at : at + length] + value[at:]
    yield value + b"\x00"
    yield value + value
    yield MAGIC + value


def sections_moved(scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """Sections exchanged inside the parcel, and against those of other parcels; one section's body under another's name."""
    parcel = original.parcel
    names = sorted(parcel.sections)
    for one, other in pairwise(names):
        yield put(parcel, sections={**parcel.sections, one: parcel.sections[other], other: parcel.sections[one]})
        yield put(parcel, sections={**parcel.sections, one: parcel.sections[other]})
    for stranger in scene.originals[:: max(1, len(scene.originals) // 6)]:
        for name in names:
            if name in stranger.parcel.sections:
                yield put(parcel, sections={**parcel.sections, name: stranger.parcel.sections[name]})
        yield put(parcel, sections=stranger.parcel.sections)


def sections_missing(_scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """A section taken out, or all of them."""
    parcel = original.parcel
    for name in parcel.sections:
        yield put(parcel, sections={each: carried for each, carried in parcel.sections.items() if each != name})
    yield put(parcel, sections={})


def sections_added(_scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """A section that was not signed, and at a recipient one that policy withheld from it, genuine as it is."""
    parcel = original.parcel
    for name in ("nominal", "value", "outcome", "a", "z" * 32):
        yield put(parcel, sections={**parcel.sections, name: bytes(20)})
    for name, carried in original.made.sections.items():
        if name not in parcel.sections:
            yield put(parcel, sections={**parcel.sections, name: carried})


def sections_altered(_scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """Another salt, a longer, shorter or empty section."""
    parcel = original.parcel
    for name, carried in parcel.sections.items():
        for other in (bytes(16) + carried[16:], carried + b"\x00", carried[:-1], b"", carried[:16], carried[16:]):
            yield put(parcel, sections={**parcel.sections, name: other})


def _proofs(proof: Proof, dice: random.Random) -> Iterator[Proof]:
    for index in {0, 1, proof.index - 1, proof.index + 1, proof.index ^ 2, proof.size - 1, dice.randrange(proof.size)}:
        if 0 <= index < proof.size:
            yield replace(proof, index=index)
    for size in {2, proof.size - 1, proof.size + 1, proof.size * 2, 1 << 16}:
        if size > 1:
            yield replace(proof, size=size, index=min(proof.index, size - 1))
            yield replace(proof, size=size, index=size - 1)
    path = proof.path
    for at in range(len(path)):
        yield replace(proof, path=path[:at] + path[at + 1 :])
        yield replace(proof, path=(*path[:at], dice.randbytes(32), *path[at:]))
        yield replace(proof, path=(*path[:at], dice.randbytes(32), *path[at + 1 :]))
        yield replace(proof, path=(*path[:at], *path[at : at + 2][::-1], *path[at + 2 :]))
    yield replace(proof, path=path[::-1])
    yield replace(proof, path=path * (PATH_LIMIT // len(path)))
    for signature in _signatures(proof.signature, dice):
        yield replace(proof, signature=signature)


def _signatures(signature: bytes, dice: random.Random) -> Iterator[bytes]:
    """Signatures that are not this one; the other halves of ECDSA and Ed25519 that sloppy checks let pass among them."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    yield signature[:32] + ((P256_ORDER - s) % P256_ORDER).to_bytes(32, "big")
    yield (P256_ORDER - r if r < P256_ORDER else 0).to_bytes(32, "big") + signature[32:]
    little = int.from_bytes(signature[32:], "little")
    for times in (1, 2):
        if little + times * ED25519_ORDER < 1 << 256:
            yield signature[:32] + (little + times * ED25519_ORDER).to_bytes(32, "little")
    yield signature[32:] + signature[:32]
    yield bytes(64)
    yield bytes(31) + b"\x01" + bytes(31) + b"\x01"
    yield b"\xff" * 64
    yield dice.randbytes(64)


def restated(original: Original, statement: Sign1) -> bytes:
    """The parcel under another statement."""
    return parcel_bytes(statement, original.parcel.sections, original.parcel.extras)


def proofs_altered(_scene: Scene, original: Original, dice: random.Random) -> Iterator[bytes]:
    """Index, size, path and signature of the batch's proof."""
    statement = original.parcel.statement
    if statement.proof is not None:
        for proof in _proofs(statement.proof, dice):
            yield restated(original, replace(statement, proof=proof))


def proofs_of_others(scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """The proof of another message of the batch, of another batch, and both forms mixed."""
    statement = original.parcel.statement
    for other in scene.outbox:
        theirs = other.parcel.statement
        if theirs.payload != statement.payload:
            yield restated(original, replace(statement, proof=theirs.proof, signature=theirs.signature))
    if statement.proof is not None:
        yield restated(original, replace(statement, proof=None, signature=statement.proof.signature))
        yield restated(original, replace(statement, signature=statement.proof.signature))
        yield restated(original, replace(statement, proof=None, signature=b""))


def signatures_altered(_scene: Scene, original: Original, dice: random.Random) -> Iterator[bytes]:
    """Another signature under a statement in direct form."""
    statement = original.parcel.statement
    if statement.proof is None:
        for signature in (*_signatures(statement.signature, dice), statement.signature[:-1], statement.signature + b"\x00", b""):
            yield restated(original, replace(statement, signature=signature))


def names_altered(scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """Another algorithm, key id, content type or statement in the protected header; the signature as it was."""
    statement = original.parcel.statement
    kids = [scene.p256.kid, key("relay").kid, key("registrar").kid, bytes(16), *(key(agency).kid for agency in AGENCIES)]
    for alg in (ED25519, P256):
        for kid in kids:
            for content_type in (statement.content_type, "application/vnd.broker.slip+avro;v=1"):
                protected = cose.protected_header(alg, kid, content_type)
                yield restated(original, replace(statement, protected=protected, alg=alg, kid=kid, content_type=content_type))
    for other in scene.outbox:
        if other.parcel.statement.payload != statement.payload:
            yield restated(original, other.parcel.statement)
            yield restated(original, replace(statement, payload=other.parcel.statement.payload))


def _signers(scene: Scene, original: Original) -> Iterable[tuple[Signs, str, str]]:
    """Who could sign in the originator's place, and for which exchange and environment."""
    here = (scene.rules.exchange_id, scene.rules.environment)
    for by in (key("a stranger"), key("relay"), key("AE-CUSTOMS"), key("SG-CUSTOMS master")):
        yield by, *here
    for elsewhere in (("other.test", here[1]), (here[0], "production"), (here[0], "exercise"), (here[0] + here[1], "")):
        yield original.by, *elsewhere


def signed_otherwise(scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """Signed by a stranger, by another member or service, for another exchange or environment; alone and in a batch."""
    payload = original.parcel.statement.payload
    for by, exchange_id, environment in _signers(scene, original):
        protected = cose.protected_header(by.alg, by.kid, original.parcel.statement.content_type)
        tbs = cose.to_be_signed(protected, cose.context(exchange_id, environment), payload)
        direct = Sign1(protected, payload, by.sign_now(tbs), by.alg, by.kid, original.parcel.statement.content_type)
        for statement in (direct, *signed_together([payload, b"other"], by, exchange_id, environment)[:1]):
            yield restated(original, statement)
            # The stranger's signature under the originator's name.
            own = original.parcel.statement
            if by is not original.by and by.alg == own.alg:
                yield restated(original, replace(own, signature=statement.signature, proof=statement.proof))


def content_forged(_scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """A header with another content and the commitments to fit, signed by a stranger under his own name or the originator's."""
    header, sections = original.made.header, dict(original.parcel.sections)
    stranger = key("a stranger")
    for changes in ({}, {"revision": 2}, {"urgency": "FLASH"}, {"originator": "AE-CUSTOMS"}):
        changed: Any = replace(header, **changes)
        forged = make(committed(changed, {**original.made.sections, **sections}), sections, stranger, original.made.aad)
        yield put(Parcel(forged.statement, sections, original.parcel.extras))
        own = original.parcel.statement
        yield restated(original, replace(own, payload=forged.statement.payload))


def slips_altered(scene: Scene, original: Original, dice: random.Random) -> Iterator[bytes]:
    """No slip, another delivery's, one that says something else, one that an agency or a stranger signed, another proof; and a slip
    where none may be."""
    parcel = original.parcel
    theirs = [other.parcel.extras[SLIP] for other in scene.inbox]
    if not original.delivered:
        yield from (put(parcel, extras={SLIP: slip}) for slip in theirs[:: max(1, len(theirs) // 12)])
        yield from (put(parcel, extras={number: b""}) for number in (0, 1, 2, 7))
        return
    yield put(parcel, extras={})
    yield put(parcel, extras={2: parcel.extras[SLIP]})
    yield from (
        put(parcel, extras={SLIP: slip}) for slip in (b"", b"\xf6", bytes(70), parcel.extras[SLIP][:-1], parcel.extras[SLIP] + b"\x00")
    )
    mine = slip_of(original.value, scene.rules)
    # The same delivery's slip in its other form is genuine; every other delivery's is not this one's.
    for other in scene.inbox:
        note = slip_of(other.value, scene.rules)
        if (note.leaf, note.recipient) != (mine.leaf, mine.recipient):
            yield put(parcel, extras=other.parcel.extras)
    aad = scene.rules.aad
    for by in (key("a stranger"), key("SG-CUSTOMS"), key("registrar"), original.by):
        yield put(parcel, extras=slip_item(mine, by, aad))
    yield put(parcel, extras=slip_item(mine, key("relay"), cose.context(scene.rules.exchange_id, "production")))
    yield put(parcel, extras=slip_item(mine, key("relay"), aad, content_type="application/vnd.broker.receipt+avro;v=1"))
    yield from _slips_restated(scene, original, dice)


def _slips_restated(scene: Scene, original: Original, dice: random.Random) -> Iterator[bytes]:
    """The relay's signature under another text, and other proofs under its own."""
    parcel, schema = original.parcel, scene.rules.version("slip", 1)
    signed = cose.read_sign1_bytes(parcel.extras[SLIP])
    assert isinstance(signed, Sign1)
    note = slip_of(original.value, scene.rules)
    everything = {"given": (*note.given, *note.withheld), "withheld": ()}
    claims: list[dict[str, Any]] = [{"recipient": agency} for agency in ("AE-CUSTOMS", "XX-NOBODY")]
    claims += [everything, {"counter": note.counter + 1}, {"leaf": bytes(32)}, {"admitted_at": note.admitted_at + 1}, {"redelivery": True}]
    for changes in claims:
        other = replace(note, **changes)
        if other != note:
            payload = schema.codec.encode(slip_record(other))
            yield put(parcel, extras={SLIP: cose.statement_bytes(replace(signed, payload=payload))})
    if signed.proof is not None:
        for proof in _proofs(signed.proof, dice):
            yield put(parcel, extras={SLIP: cose.statement_bytes(replace(signed, proof=proof))})
    else:
        for signature in _signatures(signed.signature, dice):
            yield put(parcel, extras={SLIP: cose.statement_bytes(replace(signed, signature=signature))})


def encoded_otherwise(_scene: Scene, original: Original, _dice: random.Random) -> Iterator[bytes]:
    """The same parcel in another encoding: longer heads, indefinite lengths, keys in another order or twice, no tag, more tags."""
    value = original.value
    body = value[len(MAGIC) :]
    statement = cose.statement_bytes(original.parcel.statement)
    rest = body[1 + len(statement) :]
    assert body[:1] + statement + rest == body
    count = rest[0] & 31
    yield MAGIC + b"\x98\x03" + body[1:]
    yield MAGIC + b"\x9f" + body[1:] + b"\xff"
    yield MAGIC + b"\xd2" + body
    yield MAGIC + b"\x83" + statement[1:] + rest
    yield MAGIC + b"\x83\xd8\x12" + statement[1:] + rest
    yield MAGIC + b"\x83\xd2" + statement + rest
    yield MAGIC + b"\x83" + statement + bytes([0xB8, count]) + rest[1:]
    yield MAGIC + b"\x83" + statement + b"\xbf" + rest[1:]
    yield MAGIC + b"\x84" + body[1:] + b"\xf6"
    pairs = [(cbor.text(name), cbor.encode(carried)) for name, carried in original.parcel.sections.items()]
    extras = parcel_bytes(original.parcel.statement, {}, original.parcel.extras)[len(MAGIC) + 1 + len(statement) + 1 :]

    def with_pairs(order: list[tuple[bytes, bytes]]) -> bytes:
        return MAGIC + b"\x83" + statement + cbor.head(5, len(order)) + b"".join(name + carried for name, carried in order) + extras

    yield with_pairs(pairs[::-1])
    yield with_pairs([*pairs, pairs[-1]])
    yield with_pairs([pairs[0], *pairs])
    yield with_pairs([(name[:1] + name[1:].upper(), carried) for name, carried in pairs])
    for name, carried in pairs:
        longer = b"\x59" + len(carried).to_bytes(2, "big") if carried[0] == 0x58 else b"\x5a" + len(carried).to_bytes(4, "big")
        bare = carried[2:] if carried[0] == 0x58 else carried[3:]
        yield with_pairs([(each, longer + bare if each == name else kept) for each, kept in pairs])
        yield with_pairs([(each, b"\x5f" + kept + b"\xff" if each == name else kept) for each, kept in pairs])
    proof = original.parcel.statement.proof
    if proof is not None:
        alg, kid = original.parcel.statement.alg, original.parcel.statement.kid
        written = batch.unprotected_bytes(alg, kid, proof)
        for other in (b"\xb8\x01" + written[1:], b"\xa1\x1a\x00\x00\x01\x8a" + written[4:], b"\xa2" + written[1:] + written[1:]):
            yield value.replace(written, other)
    else:
        head = b"\xa0" + cbor.bytes_head(len(original.parcel.statement.payload))
        for other in (b"\xb8\x00", b"\xbf\xff", b"\xa1\x01\x01", b"\xf6", b"\x80"):
            yield value.replace(head, other + head[1:], 1)


KINDS: Final[dict[str, Alter]] = {
    "cut short": truncated,
    "bytes put in, taken out, doubled": spliced,
    "sections exchanged": sections_moved,
    "sections taken out": sections_missing,
    "sections added": sections_added,
    "sections altered": sections_altered,
    "proof altered": proofs_altered,
    "proof of another message or batch": proofs_of_others,
    "signature altered (high s, s + order, ...)": signatures_altered,
    "key, algorithm, type or statement exchanged": names_altered,
    "signed by another, or for elsewhere": signed_otherwise,
    "content forged": content_forged,
    "slip missing, altered, another's": slips_altered,
    "encoded otherwise": encoded_otherwise,
}
FLIPPED: Final = "one byte changed"
MISPLACED: Final = "genuine, before another reader"


def altered(scene: Scene, *, step: int, thin: int) -> Iterator[Altered]:
    """All alterations: of bytes every ``step``-th of each parcel, of each other kind every ``thin``-th."""
    dice = random.Random(20261124)
    for number, original in enumerate(scene.originals):
        for at in range(number % step, len(original.value), step):
            yield Altered(FLIPPED, original, flipped(original, at))
        for reader in AGENCIES:
            if reader != original.reader:
                yield Altered(MISPLACED, original, original.value, reader)
    for kind, alter in KINDS.items():
        count = 0
        for original in scene.originals:
            for value in alter(scene, original, dice):
                if value == original.value:
                    continue
                count += 1
                if count % thin == 0:
                    yield Altered(kind, original, value)
