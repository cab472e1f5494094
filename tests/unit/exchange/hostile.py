"""Bad records, one of each kind that admission knows, as a broken or hostile member puts them into its outbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from broker.envelope import cbor, cose
from broker.envelope.header import CONTENT_TYPE
from broker.envelope.parcel import MAGIC, parcel_bytes
from broker.envelope.section import Commitment
from broker.exchange.admit import AUDIENCE
from broker.exchange.rules import Rules
from broker.families.message import Message
from tests.support.parcels import Author, Made, Signs, committed, key, make, sign1

DAY_MS: Final = 86_400_000


class Scene(Protocol):
    """Where the bad records are made: the bench, or an exchange in memory."""

    @property
    def rules(self) -> Rules: ...
    @property
    def now(self) -> int: ...
    def key_of(self, agency: str) -> Signs: ...
    def author(self, agency: str = "SG-CUSTOMS", *, seed: int = 0) -> Author: ...
    def alert(self, number: int = 1, *, owner: str = "SG-CUSTOMS", revision: int = 1) -> Message: ...


Build = Callable[[Scene, Author, Message], bytes | None]


@dataclass(frozen=True)
class Bad:
    """A bad record: the refusal it must meet, and how to make it for an author and its next message.

    ``consumes``: the message is authentic, so its number is used up; the author must have gone on.
    """

    code: str
    build: Build
    path: str = ""
    consumes: bool = False


def _signed(change: Callable[[Scene, Author, Message], Made]) -> Build:
    return lambda scene, author, message: change(scene, author, message).value


def _next(scene: Scene, author: Author, message: Message) -> Made:
    """The author's next message, in a copy of its stream: the place is not taken."""
    draft = author.draft(message, now_ms=scene.now)
    return make(draft.header, draft.sections, author.by, scene.rules.aad)


def _header(**changes: Any) -> Build:
    """An authentic message with fields of its header changed before signing."""
    return lambda scene, author, message: author.write(message, now_ms=scene.now, **changes).value


def _sections(change: Callable[[dict[str, bytes]], dict[str, bytes]], **schemas: bytes) -> Build:
    """An authentic message whose sections are changed and committed to as they are."""

    def build(scene: Scene, author: Author, message: Message) -> bytes:
        draft = author.draft(message, now_ms=scene.now)
        sections = change(dict(draft.sections))
        header = committed(draft.header, sections, {name: bytes(32) for name in sections} | _ids(draft.header.commitments) | schemas)
        return author.took(make(header, sections, author.by, scene.rules.aad)).value

    return build


def _ids(commitments: tuple[Commitment, ...]) -> dict[str, bytes]:
    return {commitment.section: commitment.schema_id for commitment in commitments}


def _tampered(change: Callable[[Made], Made]) -> Build:
    """An authentic statement with other sections than it was signed with."""
    return lambda scene, author, message: change(author.write(message, now_ms=scene.now)).value


def _flipped(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _restated(**changes: Any) -> Build:
    """The next message with parts of its COSE_Sign1 exchanged after signing."""

    def build(scene: Scene, author: Author, message: Message) -> bytes:
        made = _next(scene, author, message)
        return replace(made, statement=replace(made.statement, **changes)).value

    return build


def _payload(payload: bytes) -> Build:
    """A signed payload that need not be a header."""

    def build(scene: Scene, author: Author, message: Message) -> bytes:
        return parcel_bytes(sign1(payload, CONTENT_TYPE, author.by, scene.rules.aad), {}, {})

    return build


def _by(agency: str) -> Build:
    return _signed(lambda scene, author, message: replace_key(_next(scene, author, message), scene.key_of(agency)))


def replace_key(made: Made, by: Signs) -> Made:
    """The same header and sections, signed by another key."""
    return make(made.header, made.sections, by, made.aad)


def _in_context(exchange: str | None, environment: str | None) -> Build:
    def build(scene: Scene, author: Author, message: Message) -> bytes:
        aad = cose.context(exchange or scene.rules.exchange_id, environment or scene.rules.environment)
        draft = author.draft(message, now_ms=scene.now)
        return make(draft.header, draft.sections, author.by, aad).value

    return build


def _reframed(change: Callable[[bytes], bytes]) -> Build:
    return lambda scene, author, message: change(_next(scene, author, message).value)


def _unprotected(value: bytes) -> bytes:
    item: Any = cbor.decode(value[len(MAGIC) :])
    item[0].value[1] = {4: b"x"}
    return MAGIC + cbor.encode(item)


def _raw(value: bytes | None) -> Build:
    """Bytes that owe nothing to any message."""

    def build(scene: Scene, author: Author, message: Message) -> bytes | None:
        return value

    return build


def _short_item(value: bytes) -> bytes:
    item: Any = cbor.decode(value[len(MAGIC) :])
    return MAGIC + cbor.encode(item[:2])


def _unsorted(scene: Scene, author: Author, message: Message) -> bytes:
    draft = author.draft(message, now_ms=scene.now)
    commitments = tuple(reversed(draft.header.commitments))
    return author.took(make(replace(draft.header, commitments=commitments), draft.sections, author.by, scene.rules.aad)).value


def _endless_name(scene: Scene, author: Author, message: Message) -> bytes:
    """A commitment to a section with a name of a megabyte."""
    draft = author.draft(message, now_ms=scene.now)
    commitments = (*draft.header.commitments, Commitment("x" * 950_000, bytes(32), bytes(32), None))
    return author.took(make(replace(draft.header, commitments=commitments), draft.sections, author.by, scene.rules.aad)).value


def _anothers_message(scene: Scene, author: Author, message: Message) -> bytes:
    other = scene.author("MY-CUSTOMS", seed=77)
    return other.write(scene.alert(7, owner="MY-CUSTOMS"), now_ms=scene.now).value


def _with_extras(scene: Scene, author: Author, message: Message) -> bytes:
    return replace(_next(scene, author, message), extras={1: b"a slip of my own"}).value


def _anothers_schema(scene: Scene, author: Author, message: Message) -> bytes:
    """The bytes of `goods` under the schema of `equipment`."""
    draft = author.draft(message, now_ms=scene.now)
    schema = _ids(draft.header.commitments)["equipment"]
    header = committed(draft.header, draft.sections, {"goods": schema})
    return author.took(make(header, draft.sections, author.by, scene.rules.aad)).value


def _other_routing(scene: Scene, author: Author, message: Message) -> bytes:
    routing = author.draft(message, now_ms=scene.now).header.routing
    return author.write(message, now_ms=scene.now, routing=replace(routing, hs_chapters=("01",))).value


FRAMING: Final[dict[str, Bad]] = {
    "no value": Bad("NOT_A_PARCEL", _raw(None)),
    "empty value": Bad("NOT_A_PARCEL", _raw(b"")),
    "garbage": Bad("NOT_A_PARCEL", _raw(b"\x00\x01garbage" * 9)),
    "plain JSON": Bad("NOT_A_PARCEL", _raw(b'{"subject":"SG-CUSTOMS/2026/1"}')),
    "a note's magic": Bad("NOT_A_PARCEL", _reframed(lambda value: b"XB\x02" + value[3:])),
    "magic only": Bad("BAD_CBOR", _raw(MAGIC)),
    "truncated": Bad("BAD_CBOR", _reframed(lambda value: value[:-1])),
    "half": Bad("BAD_CBOR", _reframed(lambda value: value[: len(value) // 2])),
    "trailing byte": Bad("BAD_CBOR", _reframed(lambda value: value + b"\x00")),
    "longer array head": Bad("NOT_CANONICAL", _reframed(lambda value: MAGIC + b"\x98\x03" + value[4:])),
    "indefinite array": Bad("NOT_CANONICAL", _reframed(lambda value: MAGIC + b"\x9f" + value[4:] + b"\xff")),
    "array of two": Bad("BAD_PARCEL", _reframed(_short_item)),
    "a third item": Bad("BAD_PARCEL", _with_extras),
    "unprotected header": Bad("BAD_STATEMENT", _reframed(_unprotected)),
    "2 MiB": Bad("TOO_LARGE", _raw(MAGIC + bytes(2 << 20))),
    "Kafka's limit": Bad("TOO_LARGE", _raw(bytes((4 << 20) - 1))),
}
"""Step 1."""

AUTHORSHIP: Final[dict[str, Bad]] = {
    "unknown key": Bad("UNKNOWN_KEY", _signed(lambda s, a, m: replace_key(_next(s, a, m), key("nobody's")))),
    "another agency's key": Bad("KEY_OF_ANOTHER_AGENCY", _by("MY-CUSTOMS")),
    "content type of a slip": Bad("BAD_STATEMENT", _restated(protected=cose.protected_header(-19, bytes(16), "a/b"), content_type="a/b")),
    "control characters in the content type": Bad(
        "BAD_STATEMENT", _restated(protected=cose.protected_header(-19, bytes(16), "\x00\x1b[2J\u202e")),
    ),
    "altered header": Bad("BAD_SIGNATURE", _signed(lambda s, a, m: _altered(_next(s, a, m)))),
    "altered signature": Bad("BAD_SIGNATURE", _signed(lambda s, a, m: _resigned(_next(s, a, m)))),
    "another environment": Bad("WRONG_ENVIRONMENT", _in_context(None, "exercise")),
    "production": Bad("WRONG_ENVIRONMENT", _in_context(None, "production")),
    "another exchange": Bad("BAD_SIGNATURE", _in_context("other.exchange", None)),
    "no header": Bad("BAD_HEADER", _payload(b"")),
    "hostile header": Bad("BAD_HEADER", _payload(b"\xff" * 600)),
    "seq 0": Bad("BAD_HEADER", _signed(lambda s, a, m: _reheaded(_next(s, a, m), a, seq=0)), "header.seq"),
    "revision 0": Bad("BAD_HEADER", _signed(lambda s, a, m: _reheaded(_next(s, a, m), a, revision=0)), "header.revision"),
    "prev of the first": Bad("BAD_HEADER", _signed(lambda s, a, m: _reheaded(_next(s, a, m), a, seq=1, prev=bytes(32))), "header.prev"),
    "no prev of the second": Bad("BAD_HEADER", _signed(lambda s, a, m: _reheaded(_next(s, a, m), a, seq=2, prev=None)), "header.prev"),
    "another's message": Bad("WRONG_OUTBOX", _anothers_message),
}  # fmt: skip
"""Steps 2 to 4: not proven to be the owner's of the outbox. Nothing of it may touch a stream."""


def _altered(made: Made) -> Made:
    return replace(made, statement=replace(made.statement, payload=_flipped(made.statement.payload, 20)))


def _resigned(made: Made) -> Made:
    return replace(made, statement=replace(made.statement, signature=_flipped(made.statement.signature)))


def _reheaded(made: Made, author: Author, **changes: Any) -> Made:
    return make(replace(made.header, **changes), made.sections, author.by, made.aad)


AUTHENTIC: Final[dict[str, Bad]] = {
    "from the future": Bad("FROM_THE_FUTURE", lambda s, a, m: _header(issued_at=s.now + 5 * 60_000 + 1)(s, a, m), "header.issued_at"),
    "altered section": Bad("COMMITMENT_MISMATCH", _tampered(lambda made: made.carrying(goods=_flipped(made.sections["goods"]))), "goods"),
    "swapped sections": Bad(
        "COMMITMENT_MISMATCH", _tampered(lambda made: made.carrying(goods=made.sections["route"], route=made.sections["goods"])), "goods"
    ),
    "section left out": Bad("MISSING_SECTION", _tampered(lambda made: made.carrying(parties=None)), "parties"),
    "all sections left out": Bad("MISSING_SECTION", _tampered(lambda made: replace(made, sections={})), "audience"),
    "section added": Bad("UNCOMMITTED_SECTION", _tampered(lambda made: made.carrying(value=bytes(40))), "value"),
    "no core": Bad("MISSING_SECTION", _sections(lambda all_: {k: v for k, v in all_.items() if k != "core"}), "core"),
    "no audience": Bad("MISSING_SECTION", _sections(lambda all_: {k: v for k, v in all_.items() if k != AUDIENCE}), AUDIENCE),
    "unsorted commitments": Bad("BAD_HEADER", _unsorted),
    "endless section name": Bad("MISSING_SECTION", _endless_name, "x" * 500),
    "unknown schema": Bad("UNKNOWN_SCHEMA", _sections(lambda all_: all_, goods=bytes(32)), "goods"),
    "schema of another section": Bad("WRONG_SCHEMA", _anothers_schema, "goods"),
    "unknown section": Bad("UNKNOWN_SECTION", _sections(lambda all_: {**all_, "weather": bytes(30)}), "weather"),
    "unknown family": Bad("UNKNOWN_FAMILY", _header(family="gossip"), "header.family"),
    "family of the exchange": Bad("UNKNOWN_FAMILY", _header(family="slip"), "header.family"),
    "another family": Bad("WRONG_SCHEMA", _header(family="licence"), "core"),
    "shorter than a salt": Bad("BAD_STRUCTURE", _sections(lambda all_: {**all_, "goods": b"short"}), "goods"),
    "hostile Avro": Bad("BAD_STRUCTURE", _sections(lambda all_: {**all_, "goods": bytes(16) + b"\xff\xff\xff\xff\x0f"})),
    "trailing Avro": Bad("BAD_STRUCTURE", _sections(lambda all_: {**all_, "goods": all_["goods"] + b"\x00"})),
    "malformed subject": Bad("BAD_LABELS", _header(subject="SG-CUSTOMS/../etc"), "header.subject"),
    "subject in Cyrillic": Bad("BAD_LABELS", _header(subject="SG-CUSTOMS/2026/\u0410"), "header.subject"),
    "endless subject": Bad("BAD_LABELS", _header(subject="SG-CUSTOMS/" + "1" * 900_000), "header.subject"),
    "another's subject": Bad("NOT_OWNER", _header(subject="MY-CUSTOMS/2026/000001"), "header.subject"),
    "invented routing": Bad("BAD_LABELS", _other_routing, "header.routing"),
    "empty legal basis": Bad("BAD_LABELS", _header(legal_basis=""), "header.legal_basis"),
}  # fmt: skip
"""Steps 5 to 10: the originator signed this, so its number is used up."""

BAD: Final = {
    **FRAMING, **AUTHORSHIP, **{name: replace(bad, consumes=True) for name, bad in AUTHENTIC.items()},
}  # fmt: skip
"""Every kind that needs no history."""
