"""Valid parcels of every form, and the two who judge them: the relay before an outbox, a recipient before its inbox."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from broker.envelope.cose import P256
from broker.envelope.parcel import Parcel
from broker.envelope.slip import Slip
from broker.errors import Refusal
from broker.exchange.admit import authenticate, examine
from broker.exchange.content import check_content
from broker.exchange.receive import Received, open_delivery, receive
from broker.exchange.rules import Rules
from broker.families.message import Message
from broker.testing.samples import sample_alert
from broker.trust.keys import key_id, p256_raw, spki_of
from tests.support.batches import drafts_of, made_together
from tests.support.parcels import Author, Made, Signs, key, parcel, put, slip_item
from tests.unit.exchange.bench import AGENCIES, COMMUNITY, NOW, RELAY, Bench

ED25519_AGENCY, P256_AGENCY = "SG-CUSTOMS", "MY-CUSTOMS"
SIZES: Final = (2, 3, 7, 8, 33)
"""Sizes of the batches: even and uneven trees, one with a path of six."""


class P256Signer:
    """An ECDSA key that is the same in every run, and signs the same bytes the same way."""

    alg = P256

    def __init__(self, seed: str) -> None:
        number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") >> 1
        self._key = ec.derive_private_key(number, ec.SECP256R1())
        self.spki = spki_of(self._key.public_key())
        self.kid = key_id(self.spki)

    def sign_now(self, message: bytes) -> bytes:
        """64 bytes, s low."""
        return p256_raw(self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))


@dataclass(frozen=True)
class Original:
    """A parcel that is accepted. ``reader`` owns the outbox or inbox it lies in; ``by`` signed it."""

    form: str
    value: bytes
    reader: str
    by: Signs
    made: Made
    delivered: bool = False

    @property
    def parcel(self) -> Parcel:
        """The parcel, read."""
        return parcel(self.value)


@dataclass(frozen=True)
class Scene:
    """An exchange with its originals; ``rules`` is the view under which all of them are accepted."""

    rules: Rules
    outbox: tuple[Original, ...]
    inbox: tuple[Original, ...]
    p256: P256Signer

    @property
    def originals(self) -> tuple[Original, ...]:
        """All of them."""
        return self.outbox + self.inbox

    def code(self, value: bytes, original: Original, *, reader: str = "") -> str:
        """The code under which the original's reader (or another one) refuses this record in its place; empty where it is accepted."""
        judge = code_at_recipient if original.delivered else code_at_relay
        return judge(value, self.rules, reader or original.reader)


def code_at_relay(value: bytes, rules: Rules, owner: str) -> str:
    """The code under which the relay refuses a record of this agency's outbox; empty where it is good in itself.

    The steps of the relay without its memory of streams and subjects: steps 1 to 5 and 7 to 10.
    """
    found = authenticate(value, rules, at_ms=NOW)
    if isinstance(found, Refusal):
        return found.code
    if found.parcel.extras:
        return "BAD_PARCEL"
    if found.header.originator != owner:
        return "WRONG_OUTBOX"
    refusal = examine(found, rules, complete=True)
    if refusal is not None:
        return refusal.code
    content = check_content(found, rules)
    return content.code if isinstance(content, Refusal) else ""


def code_at_recipient(value: bytes, rules: Rules, recipient: str) -> str:
    """The code under which a recipient refuses a record of its inbox; empty where it takes it."""
    found = receive(value, rules, recipient=recipient)
    return "" if isinstance(found, Received) else found.code


def slip_of(value: bytes, rules: Rules) -> Slip:
    """The slip of a delivery."""
    opened = open_delivery(value, rules)
    assert not isinstance(opened, Refusal)
    return opened.slip


def _messages(owner: str, first: int, count: int) -> list[Message]:
    """Messages about subjects of this agency, by turns for a community (a section is withheld from some) and for three agencies."""
    named = [agency for agency in AGENCIES if agency != owner]
    return [
        sample_alert(
            f"{owner}/2026/{number:06}", now_ms=NOW, communities=[COMMUNITY] if number % 2 else [], agencies=[] if number % 2 else named
        )
        for number in range(first, first + count)
    ]  # fmt: skip


def _streams(rules: Rules, agency: str, by: Signs) -> Iterator[tuple[str, list[Made]]]:
    """Whole streams of an agency: one of two messages in direct form, and one for each size of batch."""
    name = "Ed25519" if by.alg != P256 else "P-256"
    author = Author(agency, by, rules, seed=1)
    yield f"direct, {name}", [author.write(message, now_ms=NOW) for message in _messages(agency, 1, 2)]
    for size in SIZES:
        author = Author(agency, by, rules, seed=100 * size)
        drafts = drafts_of(author, _messages(agency, 100 * size, size), now_ms=NOW)
        yield f"batch of {size}, {name}", made_together(drafts, by, rules)


def _delivered(bench: Bench, form: str, owner: str, by: Signs, stream: Sequence[Made]) -> Iterator[Original]:
    """How the middle message of a stream reaches each agency: with the slip as the relay wrote it, and with that slip signed alone."""
    wanted = stream[len(stream) // 2]
    written = bench.feed(*[bench.record(made.value, outbox=owner) for made in stream])
    assert set(written.codes) == {""}
    for agency in AGENCIES:
        for record in written.inbox(agency):
            value = record.value or b""
            note = slip_of(value, bench.rules)
            if note.leaf == wanted.leaf:
                yield Original(f"{form}; slip in a batch", value, agency, by, wanted, delivered=True)
                alone = put(parcel(value), extras=slip_item(note, RELAY, bench.rules.aad))
                yield Original(f"{form}; slip alone", alone, agency, by, wanted, delivered=True)


@lru_cache(maxsize=1)
def scene() -> Scene:
    """The scene, made once. Every original is accepted by its reader, or this fails."""
    bench, p256 = Bench(), P256Signer("P-256")
    bench.desk.enroll(P256_AGENCY, p256)  # pyright: ignore[reportArgumentType]  (any key with an SPKI)
    rules = bench.rules
    outbox: list[Original] = []
    inbox: list[Original] = []
    for agency, by in ((ED25519_AGENCY, key(ED25519_AGENCY)), (P256_AGENCY, p256)):
        for form, stream in _streams(rules, agency, by):
            outbox += [
                Original(form, stream[index].value, agency, by, stream[index]) for index in sorted({0, len(stream) // 2, len(stream) - 1})
            ]
            inbox += _delivered(bench, form, agency, by, stream)
    made = Scene(rules, tuple(outbox), tuple(inbox), p256)
    assert {made.code(original.value, original) for original in made.originals} == {""}
    return made
