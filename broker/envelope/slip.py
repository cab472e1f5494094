"""The slip: the relay's signed note on one delivery. Extra 1 of a delivered parcel, Avro ``schemas/slip/v1/slip.avsc``.

It tells "policy withheld this section" from "somebody stripped it", names the recipient and the parcel, and counts the
deliveries of an inbox, so that a dropped one shows.

The content type in the protected header names the version. Version 2 is written where the owner's consent binds a section to purposes,
which version 1 cannot say; all else is written in version 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from broker.values import immutable

VERSION: Final = 2
"""The newest version."""
CONTENT_TYPES: Final = {version: f"application/vnd.broker.slip+avro;v={version}" for version in range(1, VERSION + 1)}
"""Content type in the protected header of a slip, by version."""
CONTENT_TYPE: Final = CONTENT_TYPES[1]
"""That of a slip that binds nothing to purposes."""
_VERSIONS: Final = {content_type: version for version, content_type in CONTENT_TYPES.items()}


def version_of(content_type: str) -> int | None:
    """Which version a content type names; None where it is no slip's, or one of a version that this program does not know."""
    return _VERSIONS.get(content_type)


@immutable
class Slip:
    """One delivery; the fields of the Avro record, in its order.

    ``counter`` counts from 1 for each shard and inbox; ``prev`` is the leaf (32 bytes) of the parcel before it in this chain,
    ``leaf`` that of the parcel delivered; ``admitted_at`` is in Unix milliseconds. ``rule`` let the recipient receive;
    ``given`` and ``withheld`` are pairs of section and the rule that decided it. ``bound`` are the sections given by consent alone, with
    the purposes for which the owner consented to them; not in version 1.
    """

    exchange_id: str
    environment: str
    recipient: str
    shard: int
    counter: int
    prev: bytes | None
    leaf: bytes
    admitted_at: int
    rule: str
    given: tuple[tuple[str, str], ...]
    withheld: tuple[tuple[str, str], ...]
    policy_version: int
    directory_version: int
    redelivery: bool
    bound: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def version(self) -> int:
        """The version that it is written in: the oldest that says all."""
        return 2 if self.bound else 1


def slip_record(slip: Slip) -> dict[str, object]:
    """The Avro record of a slip, in its version."""
    record: dict[str, object] = {
        "exchange_id": slip.exchange_id,
        "environment": slip.environment,
        "recipient": slip.recipient,
        "shard": slip.shard,
        "counter": slip.counter,
        "prev": slip.prev,
        "leaf": slip.leaf,
        "admitted_at": slip.admitted_at,
        "rule": slip.rule,
        "given": [{"section": section, "rule": rule} for section, rule in slip.given],
        "withheld": [{"section": section, "rule": rule} for section, rule in slip.withheld],
        "policy_version": slip.policy_version,
        "directory_version": slip.directory_version,
        "redelivery": slip.redelivery,
    }
    if slip.bound:
        record["bound"] = [{"section": section, "purposes": list(purposes)} for section, purposes in slip.bound]
    return record


def slip_of(record: Mapping[str, Any]) -> Slip:
    """The slip of an Avro record that fits the schema, with logical types left as integers and bytes."""
    return Slip(
        exchange_id=record["exchange_id"],
        environment=record["environment"],
        recipient=record["recipient"],
        shard=record["shard"],
        counter=record["counter"],
        prev=record["prev"],
        leaf=record["leaf"],
        admitted_at=record["admitted_at"],
        rule=record["rule"],
        given=tuple([(entry["section"], entry["rule"]) for entry in record["given"]]),
        withheld=tuple([(entry["section"], entry["rule"]) for entry in record["withheld"]]),
        policy_version=record["policy_version"],
        directory_version=record["directory_version"],
        redelivery=record["redelivery"],
        bound=tuple([(entry["section"], tuple(entry["purposes"])) for entry in record.get("bound", ())]),
    )
