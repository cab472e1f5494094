"""The message header: what an originator signs. Payload of a parcel's statement, Avro ``schemas/header/v1/header.avsc``.

Everything that policy and routing need is here or in the ``audience`` section; nothing here is personal or sensitive. Ids are
bytes, times are Unix milliseconds UTC, codes are the symbols of the schema's enumerations (``AMBER_STRICT``, not
``AMBER+STRICT``). :func:`header_record` and :func:`header_of` convert to and from the record that the Avro codec takes and
gives, without checking: a record was checked against its schema by the codec's walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from broker.envelope.section import Commitment
from broker.values import Correlation, Evaluation, immutable

CONTENT_TYPE: Final = "application/vnd.broker.header+avro;v=1"
"""Content type in the protected header of a statement."""


@immutable
class Routing:
    """Labels to route by. ``countries`` are pairs of ISO 3166 country and role (ORIGIN, TRANSIT, DESTINATION, ...)."""

    countries: tuple[tuple[str, str], ...] = ()
    hs_chapters: tuple[str, ...] = ()
    category: str | None = None
    free_zone: str | None = None


@immutable
class Header:
    """One revision of a subject, as its originator signed it; the fields of the Avro record, in its order.

    ``message_id`` and ``stream`` have 16 bytes; ``seq`` and ``revision`` count from 1; ``prev`` is the leaf (32 bytes) of the
    message before it in the stream. ``commitments`` are sorted by section.
    """

    message_id: bytes
    family: str
    originator: str
    stream: bytes
    seq: int
    prev: bytes | None
    subject: str
    revision: int
    issued_at: int
    valid_from: int | None
    valid_until: int | None
    embargo_until: int | None
    urgency: str
    handling: str
    handling_caveat: str | None
    tlp: str
    pap: str | None
    evaluation: Evaluation | None
    purposes: tuple[str, ...]
    legal_basis: str
    onward: str
    evidential_use: bool
    retention: str
    language: str | None
    routing: Routing
    correlation: Correlation
    commitments: tuple[Commitment, ...]


def header_record(header: Header) -> dict[str, object]:
    """The Avro record of a header."""
    evaluation, routing, correlation = header.evaluation, header.routing, header.correlation
    return {
        "message_id": header.message_id,
        "family": header.family,
        "originator": header.originator,
        "stream": header.stream,
        "seq": header.seq,
        "prev": header.prev,
        "subject": header.subject,
        "revision": header.revision,
        "issued_at": header.issued_at,
        "valid_from": header.valid_from,
        "valid_until": header.valid_until,
        "embargo_until": header.embargo_until,
        "urgency": header.urgency,
        "handling": header.handling,
        "handling_caveat": header.handling_caveat,
        "tlp": header.tlp,
        "pap": header.pap,
        "evaluation": evaluation and {"source": evaluation.source, "information": evaluation.information},
        "purposes": list(header.purposes),
        "legal_basis": header.legal_basis,
        "onward": header.onward,
        "evidential_use": header.evidential_use,
        "retention": header.retention,
        "language": header.language,
        "routing": {
            "countries": [{"country": country, "role": role} for country, role in routing.countries],
            "hs_chapters": list(routing.hs_chapters),
            "category": routing.category,
            "free_zone": routing.free_zone,
        },
        "correlation": {
            "causation": correlation.causation,
            "target": correlation.target,
            "target_revision": correlation.target_revision,
            "case_ref": correlation.case_ref,
        },
        "commitments": [{"section": c.section, "schema_id": c.schema_id, "digest": c.digest, "plain": c.plain} for c in header.commitments],
    }


def header_of(record: Mapping[str, Any]) -> Header:
    """The header of an Avro record that fits the schema, with logical types left as integers and bytes."""
    evaluation, routing, correlation = record["evaluation"], record["routing"], record["correlation"]
    return Header(
        message_id=record["message_id"],
        family=record["family"],
        originator=record["originator"],
        stream=record["stream"],
        seq=record["seq"],
        prev=record["prev"],
        subject=record["subject"],
        revision=record["revision"],
        issued_at=record["issued_at"],
        valid_from=record["valid_from"],
        valid_until=record["valid_until"],
        embargo_until=record["embargo_until"],
        urgency=record["urgency"],
        handling=record["handling"],
        handling_caveat=record["handling_caveat"],
        tlp=record["tlp"],
        pap=record["pap"],
        evaluation=evaluation and Evaluation(evaluation["source"], evaluation["information"]),
        purposes=tuple(record["purposes"]),
        legal_basis=record["legal_basis"],
        onward=record["onward"],
        evidential_use=record["evidential_use"],
        retention=record["retention"],
        language=record["language"],
        routing=Routing(
            tuple([(entry["country"], entry["role"]) for entry in routing["countries"]]),
            tuple(routing["hs_chapters"]),
            routing["category"],
            routing["free_zone"],
        ),
        correlation=Correlation(
            correlation["causation"],
            correlation["target"],
            correlation["target_revision"],
            correlation["case_ref"],
        ),
        commitments=tuple([Commitment(c["section"], c["schema_id"], c["digest"], c["plain"]) for c in record["commitments"]]),
    )
