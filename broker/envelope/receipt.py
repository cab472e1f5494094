"""The receipt: the relay's signed answer to an originator. Payload of a note, Avro ``schemas/receipt/vN/receipt.avsc``.

It says whether a message was accepted, and if not at which admission step, why and what to do; and to whom it went, by which rule.

The content type in the protected header names the version. Version 1 names no rules; receipts are kept for years, so it is read too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from broker.errors import Finding
from broker.values import immutable

VERSION: Final = 2
"""The newest version."""
CONTENT_TYPES: Final = {version: f"application/vnd.broker.receipt+avro;v={version}" for version in range(1, VERSION + 1)}
"""Content type in the protected header of a receipt, by version."""
CONTENT_TYPE: Final = CONTENT_TYPES[VERSION]
"""That of the newest version."""
_VERSIONS: Final = {content_type: version for version, content_type in CONTENT_TYPES.items()}


def version_of(content_type: str) -> int | None:
    """Which version a content type names; None where it is no receipt's, or one of a version that this program does not know."""
    return _VERSIONS.get(content_type)


@immutable
class Disclosure:
    """Who got the message, and which sections were given to it or withheld from it.

    Without a section it is a *withdrawal*: the agency held an earlier revision and is told that it may not any longer. ``rule`` let it
    receive the message, ``withheld_by`` are the rules of the sections in ``withheld``, in that order; None and empty in version 1.
    """

    agency: str
    sections: tuple[str, ...]
    withheld: tuple[str, ...]
    rule: str | None = None
    withheld_by: tuple[str, ...] = ()

    @property
    def withdrawn(self) -> bool:
        """Whether the agency got the bare statement."""
        return not self.sections


@immutable
class Receipt:
    """The answer to one record of an outbox; the fields of the Avro record, in its order.

    ``originator`` is the owner of the outbox; ``outcome`` ACCEPTED or REFUSED, with ``code``, ``step``, ``reason``, ``advice``
    and ``path`` of the refusal (empty and 0 where accepted). ``message_id`` to ``leaf`` are None where the record did not let
    them be read; ``digest`` is SHA-256 of the record value. Ids are bytes, ``admitted_at`` Unix milliseconds.
    """

    exchange_id: str
    environment: str
    originator: str
    outcome: str
    code: str
    step: int
    reason: str
    advice: str
    path: str
    message_id: bytes | None
    stream: bytes | None
    seq: int | None
    subject: str | None
    revision: int | None
    leaf: bytes | None
    digest: bytes
    source_partition: int
    source_offset: int
    admitted_at: int
    policy_version: int
    directory_version: int
    recipients: tuple[Disclosure, ...]
    findings: tuple[Finding, ...]


def receipt_record(receipt: Receipt, version: int = VERSION) -> dict[str, object]:
    """The Avro record of a receipt; version 1 leaves out the rules."""
    told = _with_rules if version > 1 else _without_rules
    return {
        "exchange_id": receipt.exchange_id,
        "environment": receipt.environment,
        "originator": receipt.originator,
        "outcome": receipt.outcome,
        "code": receipt.code,
        "step": receipt.step,
        "reason": receipt.reason,
        "advice": receipt.advice,
        "path": receipt.path,
        "message_id": receipt.message_id,
        "stream": receipt.stream,
        "seq": receipt.seq,
        "subject": receipt.subject,
        "revision": receipt.revision,
        "leaf": receipt.leaf,
        "digest": receipt.digest,
        "source_partition": receipt.source_partition,
        "source_offset": receipt.source_offset,
        "admitted_at": receipt.admitted_at,
        "policy_version": receipt.policy_version,
        "directory_version": receipt.directory_version,
        "recipients": [told(each) for each in receipt.recipients],
        "findings": [{"severity": f.severity, "code": f.code, "path": f.path, "reason": f.reason} for f in receipt.findings],
    }


def _with_rules(to: Disclosure) -> dict[str, object]:
    return {
        "agency": to.agency,
        "sections": list(to.sections),
        "withheld": list(to.withheld),
        "rule": to.rule,
        "withheld_by": list(to.withheld_by),
    }


def _without_rules(to: Disclosure) -> dict[str, object]:
    return {"agency": to.agency, "sections": list(to.sections), "withheld": list(to.withheld)}


def receipt_of(record: Mapping[str, Any]) -> Receipt:
    """The receipt of an Avro record that fits the schema of its version, with logical types left as integers and bytes."""
    return Receipt(
        exchange_id=record["exchange_id"],
        environment=record["environment"],
        originator=record["originator"],
        outcome=record["outcome"],
        code=record["code"],
        step=record["step"],
        reason=record["reason"],
        advice=record["advice"],
        path=record["path"],
        message_id=record["message_id"],
        stream=record["stream"],
        seq=record["seq"],
        subject=record["subject"],
        revision=record["revision"],
        leaf=record["leaf"],
        digest=record["digest"],
        source_partition=record["source_partition"],
        source_offset=record["source_offset"],
        admitted_at=record["admitted_at"],
        policy_version=record["policy_version"],
        directory_version=record["directory_version"],
        recipients=tuple([_disclosure(each) for each in record["recipients"]]),
        findings=tuple([Finding(f["severity"], f["code"], f["path"], f["reason"]) for f in record["findings"]]),
    )


def _disclosure(record: Mapping[str, Any]) -> Disclosure:
    by = tuple(record.get("withheld_by", ()))
    return Disclosure(record["agency"], tuple(record["sections"]), tuple(record["withheld"]), record.get("rule"), by)
