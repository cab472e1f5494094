"""The topics as an AsyncAPI 3.0 document, from the topology, the families and the schemas that the program has.

It is written from the side of an agency: what it sends, what it receives, and what only the exchange's own services touch. A record's
value is CBOR that holds several Avro bodies (``tests/vectors/README.md``); each section names its schemas by ``x-avro``, a reference to
the whole ``.avsc`` under ``components.schemas``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from broker.envelope.header import CONTENT_TYPE as HEADER_TYPE
from broker.envelope.receipt import CONTENT_TYPES as RECEIPT_TYPES
from broker.envelope.section import SALT_BYTES
from broker.envelope.slip import CONTENT_TYPES as SLIP_TYPES
from broker.exchange.notices import BUNDLE_TYPE, OPERATION_TYPE, POLICY_TYPE, SCHEMA_TYPE
from broker.exchange.openings import OPENING_TYPE
from broker.exchange.topology import (
    CURRENT,
    DIRECTORY,
    JOURNAL,
    MEMBERSHIPS,
    MESSAGE_LIMIT,
    POLICY,
    QUARANTINE,
    SCHEMAS,
    SHARDS,
    STATE,
    TopicSpec,
    exchange_specs,
    inbox_spec,
    outbox_spec,
)  # fmt: skip
from broker.families.catalogue import FAMILIES
from broker.schema.catalogue import Catalogue, Section
from broker.schema.release import Entry
from broker.trust.entries import AGENCY_TYPE, EXCHANGE_TYPE, KEY_TYPE

Json = dict[str, Any]
PARCEL_TYPE: Final = "application/vnd.broker.parcel+cbor;v=1"
NOTE_TYPE: Final = "application/vnd.broker.note+cbor;v=1"
AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"
"""The schema format of components: AsyncAPI's name for Avro's JSON (multi-format schema object)."""
_AGENCY: Final = "SG-CUSTOMS"  # stands in the topology's specifications for the parameter
_STANDARD: Final = ("cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes")
"""Settings that AsyncAPI's Kafka binding names; the others stand beside it as ``x-kafka-settings``."""
_PURPOSE: Final[Mapping[str, str]] = {
    "outbox": "What an agency publishes: parcels that it signed. It alone may write here, the relay alone reads.",
    "inbox": "What an agency receives: parcels less the sections that policy withheld, each with the relay's slip, and the relay's "
    "receipts for its own. The relay alone may write here, this agency alone reads.",
    DIRECTORY: "Agencies, keys, communities and agreements, each entry signed.",
    POLICY: "Bundles of policies, and the emergency openings, each signed by officers.",
    SCHEMAS: "The schemas in use, each signed by the registrar.",
    MEMBERSHIPS: "Members of confidential communities and operations, for relay and auditor.",
    CURRENT: "The last whole parcel of each live subject: the relay's own.",
    STATE: "Positions, streams and subjects: the relay's own.",
    SHARDS: "Empty: who holds which shard, by a consumer group.",
    JOURNAL: "The hash of every accepted message, in order, for relay and auditor.",
    QUARANTINE: "Refused records with code and reason, for relay and auditor.",
}
_NOTES: Final[Mapping[str, tuple[str, ...]]] = {
    DIRECTORY: (AGENCY_TYPE, KEY_TYPE, EXCHANGE_TYPE), POLICY: (POLICY_TYPE, BUNDLE_TYPE, OPENING_TYPE), SCHEMAS: (SCHEMA_TYPE,),
    MEMBERSHIPS: (OPERATION_TYPE,),
}  # fmt: skip
"""Content types of the signed notes of each topic."""


def _ref(*path: str) -> Json:
    """A reference inside this document (RFC 6901)."""
    return {"$ref": "#/" + "/".join(each.replace("~", "~0").replace("/", "~1") for each in path)}


def schema_name(section: Section) -> str:
    """A schema's name among the components: ``alert.core.v1``."""
    return f"{section.family}.{section.section}.v{section.version}"


def _avro(section: Section, released: Mapping[str, Entry]) -> Json:
    """A schema as a multi-format schema object, with what names it on the wire."""
    return {
        "schemaFormat": AVRO,
        "schema": json.loads(section.text),
        "x-schema-id": section.schema_id.hex(),
        "x-state": released[section.name].state,
        "x-nominal": list(section.nominal),
    }


def _body(catalogue: Catalogue, family: str, name: str, about: str) -> Json:
    """A byte string that holds an Avro body, in any of the versions that are in use."""
    versions = [_ref("components", "schemas", schema_name(each)) for each in catalogue.versions(family, name)]
    return {"type": "string", "format": "binary", "description": about, "x-avro": versions}


def _signed(content_type: str, body: Json) -> Json:
    """A COSE_Sign1 over an Avro body or a JSON text."""
    about = f"COSE_Sign1 (RFC 9052), content type {content_type}, in direct form or with a receipt of inclusion (RFC 9942)."
    return {"type": "object", "description": about, "required": ["payload"], "properties": {"payload": body}}


def _parcel(catalogue: Catalogue, family: str, *, delivered: bool) -> Json:
    """The message of a family: as its author wrote it, or as a recipient gets it."""
    known = FAMILIES[family]
    salted = f"{SALT_BYTES} bytes of salt, then the Avro body; bound to the header by SHA-256."
    sections = {name: _body(catalogue, family, name, salted) for name in known.sections if catalogue.versions(family, name)}
    if not delivered:
        sections["audience"] = _body(catalogue, "audience", "audience", salted)
    header = _signed(HEADER_TYPE, _body(catalogue, "header", "header", "The signed header: who says what about which subject."))
    slip = _signed(
        " or ".join(SLIP_TYPES.values()),
        _body(catalogue, "slip", "slip", "What was given and withheld, by which rules; number of the delivery."),
    )
    held: Json = {"type": "object", "description": "Sections by name.", "properties": sections, "additionalProperties": False}
    if not delivered:
        held["required"] = sorted({*known.mandatory, "audience"} & sections.keys())
    parts: Json = {"statement": header, "sections": held, "exchange": {"type": "object", "properties": {"1": slip} if delivered else {}}}
    if delivered:
        parts["exchange"]["required"] = ["1"]
    return {
        "name": family,
        "title": f"{family}, {'as delivered' if delivered else 'as published'}",
        "contentType": PARCEL_TYPE,
        "payload": {
            "type": "object",
            "description": "58 42 01, then deterministic CBOR (RFC 8949 4.2.1): the array [statement, sections, exchange].",
            "required": list(parts),
            "properties": parts,
        },
    }


def _receipt(catalogue: Catalogue) -> Json:
    types = " or ".join(RECEIPT_TYPES.values())
    body = _body(catalogue, "receipt", "receipt", "Accepted with every recipient, or refused with code and advice.")
    return {"name": "receipt", "title": "the relay's answer", "contentType": NOTE_TYPE, "payload": _signed(types, body)}


def _note(topic: str, content_types: tuple[str, ...]) -> Json:
    body: Json = {"type": "string", "format": "binary", "description": "JSON or CBOR, as the content type says."}
    return {
        "name": topic,
        "title": f"a signed note of {topic}",
        "contentType": NOTE_TYPE,
        "payload": _signed(" or ".join(content_types), body),
    }


def _channel(spec: TopicSpec, name: str, address: str, messages: Mapping[str, Json]) -> Json:
    """A topic with its settings; of a sharded one the partitions are the exchange's."""
    known: Json = {key: spec.settings[key] for key in _STANDARD if key in spec.settings}
    settings: Json = {key: int(value) for key, value in known.items() if key != "cleanup.policy"}
    if "cleanup.policy" in known:
        settings["cleanup.policy"] = known["cleanup.policy"].split(",")
    binding: Json = {"topic": address, "partitions": spec.partitions, "topicConfiguration": settings, "bindingVersion": "0.5.0"}
    made: Json = {
        "address": address,
        "description": _PURPOSE[name],
        "messages": dict(messages),
        "bindings": {"kafka": binding},
        "x-kafka-settings": {key: value for key, value in spec.settings.items() if key not in _STANDARD},
    }
    if "{agency}" in address:
        made["parameters"] = {"agency": _ref("components", "parameters", "agency")}
    return made


def _channels() -> Json:
    parcels = {side: {name: _ref("components", "messages", f"{name}.{side}") for name in FAMILIES} for side in ("published", "delivered")}
    inbox = {**parcels["delivered"], "receipt": _ref("components", "messages", "receipt")}
    made = {
        "outbox": _channel(outbox_spec(_AGENCY), "outbox", "out.{agency}", parcels["published"]),
        "inbox": _channel(inbox_spec(_AGENCY), "inbox", "in.{agency}", inbox),
    }
    for spec in exchange_specs(1):
        notes = {"note": _ref("components", "messages", spec.name)} if spec.name in _NOTES else {}
        made[spec.name] = _channel(spec, spec.name, spec.name, notes)
    for sharded in (STATE, SHARDS):
        del made[sharded]["bindings"]["kafka"]["partitions"]  # as many as the exchange was created with
    return made


def _operation(action: str, channel: str, about: str, names: list[str]) -> Json:
    messages = [_ref("channels", channel, "messages", name) for name in names]
    return {"action": action, "channel": _ref("channels", channel), "summary": about, "messages": messages}


def _operations() -> Json:
    publish = _operation("send", "outbox", "Publish a message; the answer comes as a receipt in the own inbox.", list(FAMILIES))
    publish["reply"] = {"channel": _ref("channels", "inbox"), "messages": [_ref("channels", "inbox", "messages", "receipt")]}
    made = {
        "publish": publish,
        "subscribe": _operation("receive", "inbox", "Take what is disclosed to this agency, and answers.", [*FAMILIES, "receipt"]),
    }
    for topic in (DIRECTORY, POLICY, SCHEMAS):
        made[f"read {topic}"] = _operation("receive", topic, "Know members, keys, rules and schemas.", ["note"])
    made[f"read {MEMBERSHIPS}"] = _operation("receive", MEMBERSHIPS, "Auditors only.", ["note"])
    return {name.replace(" exchange.", "-").replace(" ", "-"): operation for name, operation in made.items()}


def asyncapi(catalogue: Catalogue, sections: list[Section], released: Mapping[str, Entry]) -> Json:
    """The document. ``sections`` are all schemas, ``released`` their list: ``schemas/released.json``."""
    messages: Json = {}
    for name in FAMILIES:
        messages[f"{name}.published"] = _parcel(catalogue, name, delivered=False)
        messages[f"{name}.delivered"] = _parcel(catalogue, name, delivered=True)
    messages["receipt"] = _receipt(catalogue)
    messages |= {topic: _note(topic, content_types) for topic, content_types in _NOTES.items()}
    about = (
        "Signed alerts, licence decisions and seizure reports between agencies, each getting the sections that policy allows. "
        f"A record has at most {MESSAGE_LIMIT} bytes. Written by `python -m docs.generate`."
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Exchange of customs alerts", "version": "1.0.0", "description": about},
        "defaultContentType": PARCEL_TYPE,
        "servers": {"exchange": {
            "host": "{bootstrap}", "protocol": "kafka-secure", "description": "Apache Kafka 4, TLS with certificates on both sides.",
            "variables": {"bootstrap": {"description": "host:port, from the home that joining made"}},
            "security": [_ref("components", "securitySchemes", "certificate")],
        }},
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "parameters": {"agency": {"description": "Agency id: SG-CUSTOMS.", "examples": [_AGENCY]}},
            "securitySchemes": {"certificate": {"type": "X509", "description": "The agency's own: its subject names the agency."}},
            "messages": messages,
            "schemas": {schema_name(section): _avro(section, released) for section in sections},
        },
    }  # fmt: skip


def asyncapi_page(catalogue: Catalogue, sections: list[Section], released: Mapping[str, Entry]) -> str:
    """The document as text, the same for the same code."""
    return json.dumps(asyncapi(catalogue, sections, released), indent=1, ensure_ascii=False) + "\n"
