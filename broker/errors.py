"""What can go wrong: refusals are values, exceptions are broken edges or mistakes of the caller.

::

    BrokerError                 code, advice, retriable
    ├── UsageError              the caller asked for something that cannot be (exit code 2)
    │   └── PositionLost        reading was to begin at an offset that was trimmed away
    ├── RefusedError            carries a Refusal to a caller who asked for one message (exit code 1)
    ├── ExchangeUnreachable     no Kafka, no answer in time (exit code 3)
    ├── NotAuthorised           Kafka's access control said no
    ├── Fenced                  another worker took this shard: discard its state, rejoin
    ├── OutcomeUnknown          a commit may or may not have taken place: take the shard again from the start
    ├── NodeError               the embedded Kafka node cannot start, or died
    └── StoreError              a local store cannot be opened, or is damaged
        └── StoreInUse          another process has it

A :class:`Refusal` says which admission step (design: admission 1-10) refused and what the sender should do. Its code is stable:
programs may branch on it, documents may cite it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final


class BrokerError(Exception):
    """Root of every exception this project raises on purpose. ``str()`` is one line for a person, ``advice`` the next step."""

    code: ClassVar[str] = "BROKER_ERROR"
    retriable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class UsageError(BrokerError):
    """The caller's mistake: a bad argument, a file that is not what it should be."""

    code = "USAGE"
    exit_code = 2


class ExchangeUnreachable(BrokerError):
    """Kafka did not answer in time, or there is no network. Trying again later may work."""

    code = "EXCHANGE_UNREACHABLE"
    retriable = True
    exit_code = 3


class NotAuthorised(BrokerError):
    """Kafka refused the operation for this certificate."""

    code = "NOT_AUTHORISED"


class PositionLost(UsageError):
    """The offset asked for was trimmed away: records may have been missed."""

    code = "POSITION_LOST"


class Fenced(BrokerError):
    """The transactional id of this shard was taken by another worker. State held in memory is void."""

    code = "FENCED"


class OutcomeUnknown(BrokerError):
    """A transaction's end was not confirmed. Whoever holds the shard reads the truth back from ``exchange.state``."""

    code = "OUTCOME_UNKNOWN"
    retriable = True


class NodeError(BrokerError):
    """The embedded Kafka node cannot be fetched, started, or has died."""

    code = "NODE_FAILED"
    exit_code = 3


class StoreError(BrokerError):
    """A local store cannot be used: locked by another process, of another agency, or damaged."""

    code = "STORE"


class StoreInUse(StoreError):
    """Another process has the store open for writing."""


STEPS: Final = (
    "", "size and framing", "key", "signature", "place", "time and environment", "sequence", "commitments", "schema",
    "ownership and revision", "content",
)  # fmt: skip
"""Names of the admission steps, by number."""

REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "TOO_LARGE": (1, "keep a record under 1 MiB: send pictures and documents as attachments, not inside sections"),
    "NOT_A_PARCEL": (1, "a record begins with the bytes 58 42 01; send with the publisher, not with a bare Kafka producer"),
    "BAD_CBOR": (1, "the bytes end early or are no CBOR; send the stored record again, byte for byte"),
    "NOT_CANONICAL": (1, "encode with deterministic CBOR (RFC 8949 4.2.1): shortest forms, sorted unique keys, definite lengths"),
    "BAD_PARCEL": (1, "a parcel is [statement, {section: bytes}, {int: bytes}], and an outbox's third item is empty"),
    "BAD_STATEMENT": (1, "the statement must be a COSE_Sign1 with exactly alg, content type and kid protected and nothing unprotected"),
    "UNKNOWN_KEY": (2, "register the signing key in the directory before using it"),
    "KEY_NOT_VALID": (2, "the key is expired, not valid yet, or revoked: sign with a current key"),
    "KEY_OF_ANOTHER_AGENCY": (2, "sign with a key that the directory lists for the originator named in the header"),
    "AGENCY_SUSPENDED": (2, "the agency is suspended: speak to the operator"),
    "BAD_ENTRY": (2, "the directory entry is not what its agency and the registrar signed: nothing of it is used; tell the operator"),
    "BAD_REQUEST": (2, "ask the agency to run `broker agency init` again and to send the file unaltered"),
    "BAD_REPLY": (2, "ask the operator for the reply to your own request, and take it unaltered"),
    "DIRECTORY_BEHIND": (2, "wait until this side has read the directory further: the bundle is judged again then, by itself"),
    "TOO_FEW_OFFICERS": (2, "have officers of two different active agencies sign it: `broker policy sign`, `broker agency approve`"),
    "NAME_TAKEN": (2, "choose a name that no community, agreement, operation or regime has: `broker agency list`, `broker operation list`"),
    "OTHER_SUSPENSION": (2, "propose it anew, and have it approved anew: `broker agency reinstate AGENCY --propose`"),
    "BAD_OPENING": (2, "take the file that `broker emergency propose` made, unaltered"),
    "OPENING_TOO_LONG": (2, "make a new statement: an opening lasts a day at the most, from when it is carried"),
    "BAD_READMISSION": (2, "take the file that `broker agency reinstate AGENCY --propose` made, unaltered"),
    "BAD_SIGNATURE": (3, "the signature does not fit these bytes, this exchange and this environment: sign again, alter nothing"),
    "WRONG_ENVIRONMENT": (3, "the message was signed for another environment: publish it with the right --environment"),
    "BAD_SLIP": (3, "the exchange's slip is missing or not signed by a relay of this exchange: report it to the auditor"),
    "WRONG_OUTBOX": (4, "an agency publishes in its own outbox only; forwarding needs the owner's consent and a message of your own"),
    "NOT_FOR_ME": (4, "the slip names another recipient or another parcel: report it to the auditor"),
    "FROM_THE_FUTURE": (5, "issued_at is over 5 minutes ahead of the exchange's clock: set the clock by NTP and issue again"),
    "BUNDLE_NOT_DUE": (5, "apply the bundle when it is valid, or propose it anew with an earlier time"),
    "BUNDLE_OUT_OF_ORDER": (6, "a bundle has the version after the one in force: see `broker policy show`, and propose it anew"),
    "BUNDLE_BREAKS_CHAIN": (6, "another bundle is in force than the one it was made to follow: propose it anew and have it signed anew"),
    "SEQUENCE_GAP": (6, "an earlier message of this stream never came: send the stored records again from the missing one"),
    "TOO_MANY_PARKED": (6, "over 1,000 messages wait for an earlier one of this stream: send that one first"),
    "TOO_MANY_STREAMS": (6, "the agency has begun 4,096 streams: publish through a store that it has, and find out what begins new ones"),
    "EQUIVOCATION": (6, "two different messages carry the same sequence number: both are kept as evidence; start a new stream"),
    "NOT_PROVEN": (6, "both statements hold and do not contradict each other: this is no evidence of anything"),
    "BROKEN_CHAIN": (6, "prev is not the message before it in this stream: the publisher's store was altered; start a new stream"),
    "STALE_SEQUENCE": (6, "this sequence number was consumed long ago: send new content as a new message"),
    "COMMITMENT_MISMATCH": (7, "a section is not the one that was signed: send the stored record again, byte for byte"),
    "UNCOMMITTED_SECTION": (7, "a section is carried that the header does not commit to: sign what you send"),
    "MISSING_SECTION": (7, "the header commits to a section that is not carried: an originator sends all sections"),
    "BAD_HEADER": (8, "the header does not decode under its schema: build it with the publisher"),
    "BAD_BUNDLE": (8, "correct the policies as the reason says, and make the file again: `broker policy propose DIR`"),
    "UNKNOWN_SCHEMA": (8, "the section's schema is not in this exchange's catalogue: see `broker schema list`"),
    "INCOMPATIBLE_SCHEMA": (8, "correct it until `broker schema check` passes; another meaning needs another name"),
    "UNKNOWN_SECTION": (8, "the family has no such section: see `broker schema list`"),
    "UNKNOWN_FAMILY": (8, "there is no such family: see `broker schema list`"),
    "WRONG_SCHEMA": (8, "the schema belongs to another family or section: see `broker schema list`"),
    "BAD_STRUCTURE": (8, "a section's bytes are not canonical Avro of its schema: encode with the publisher"),
    "BAD_FIELD": (8, "correct the field named by the path"),
    "NOT_OWNER": (9, "only the agency that a subject's id begins with may publish or revise it; others send a proposal"),
    "STALE_REVISION": (9, "a revision with this or a higher number was accepted already: publish the next one, complete"),
    "WRONG_FAMILY": (9, "the subject belongs to another family: use a new subject id"),
    "ILLEGAL_MOVE": (9, "the subject's life does not allow it: publish one of the moves that the reason lists, see docs/lifecycles.md"),
    "NOT_CITED": (9, "publish the message that cites the file first, as the latest revision of its subject, and then its chunks"),
    "TOO_MUCH_ATTACHED": (9, "the agency's attached files are as many as the exchange keeps: recall messages that are over"),
    "MAY_NOT_PUBLISH": (9, "policy lets this agency not publish this family with these labels: see `broker publish --dry-run`"),
    "BUNDLE_WIDENS": (9, "declare the rule with --widens if it is meant to give more, or correct it; then propose and sign anew"),
    "BUNDLE_FAILS_TESTS": (10, "correct rule or scenario until every scenario holds, then propose and sign anew"),
    "BAD_LABELS": (9, "correct the header's labels as the reason says"),
}  # fmt: skip
"""Every refusal code: the admission step it belongs to, and what the sender should do."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why bytes or a message were not accepted. A value, never raised inside the core.

    ``path`` names the field as ``section.field[3].sub`` where there is one.
    """

    code: str
    reason: str
    path: str = ""

    @property
    def step(self) -> int:
        """The admission step, 1 to 10."""
        return REFUSALS[self.code][0]

    @property
    def advice(self) -> str:
        """What the sender should do next."""
        return REFUSALS[self.code][1]


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark on an accepted message (domain dictionary 2.8): severity REJECT, HOLD, WARN or INFO, a stable code, a path."""

    severity: str
    code: str
    path: str
    reason: str


class RefusedError(BrokerError):
    """A refusal brought to the caller who asked for this one message."""

    code = "REFUSED"

    def __init__(self, refusal: Refusal) -> None:
        where = f" at {refusal.path}" if refusal.path else ""
        super().__init__(f"{refusal.code}{where}: {refusal.reason}", advice=refusal.advice)
        self.refusal = refusal
