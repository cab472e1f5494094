"""The AsyncAPI document is one: every field that version 3.0 requires, every reference leads somewhere, every schema is a released one."""

# What JSON decodes to has no static type:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import fastavro
import jsonschema_rs
import pytest
from fastavro.utils import generate_one

from broker.exchange.topology import agency_specs, exchange_specs
from broker.families.catalogue import FAMILIES
from broker.storage.schemas import read_released

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final[dict[str, Any]] = json.loads((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))

_REF: Final = {
    "type": "object",
    "required": ["$ref"],
    "properties": {"$ref": {"type": "string", "pattern": "^#/"}},
    "additionalProperties": False,
}
_EXTRA: Final = {"^x-": True}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these fields, extensions, and nothing else."""
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "patternProperties": _EXTRA,
        "additionalProperties": False,
    }


def _map(of: Any, names: str = r"^[\w\d.\-_]+$") -> dict[str, Any]:
    return {"type": "object", "patternProperties": {names: of}, "additionalProperties": False}


AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"
_TEXT: Final = {"type": "string"}
_REFS: Final = {"type": "array", "items": _REF}
_KAFKA: Final = _object(
    ["bindingVersion"],
    topic=_TEXT, bindingVersion={"const": "0.5.0"},
    partitions={"type": "integer", "minimum": 1}, replicas={"type": "integer", "minimum": 1},
    topicConfiguration=_object(
        [],
        **{
            "cleanup.policy": {"type": "array", "items": {"enum": ["compact", "delete"]}},
            "retention.ms": {"type": "integer", "minimum": -1}, "retention.bytes": {"type": "integer", "minimum": -1},
            "delete.retention.ms": {"type": "integer", "minimum": 0}, "max.message.bytes": {"type": "integer", "minimum": 0},
        },
    ),
)  # fmt: skip
_MESSAGE: Final = _object(["payload"], name=_TEXT, title=_TEXT, contentType=_TEXT, payload={"type": "object"})
_SPECIFICATION: Final = _object(
    ["asyncapi", "info"],
    asyncapi={"const": "3.0.0"},
    info=_object(["title", "version"], title=_TEXT, version=_TEXT, description=_TEXT),
    defaultContentType=_TEXT,
    servers=_map(_object(
        ["host", "protocol"],
        host=_TEXT, protocol=_TEXT, description=_TEXT, security=_REFS, variables=_map(_object([], description=_TEXT)),
    )),
    channels=_map(_object(
        [],
        address=_TEXT, description=_TEXT, messages=_map(_REF), parameters=_map(_REF), bindings=_object([], kafka=_KAFKA),
    )),
    operations=_map(_object(
        ["action", "channel"],
        action={"enum": ["send", "receive"]}, channel=_REF, summary=_TEXT, messages=_REFS,
        reply=_object([], channel=_REF, messages=_REFS),
    )),
    components=_object(
        [],
        parameters=_map(_object([], description=_TEXT, examples={"type": "array", "items": _TEXT})),
        securitySchemes=_map(_object(["type"], type={"const": "X509"}, description=_TEXT)),
        messages=_map(_MESSAGE),
        schemas=_map(_object(["schemaFormat", "schema"], schemaFormat={"const": AVRO}, schema=True)),
    ),
)  # fmt: skip
"""What AsyncAPI 3.0.0 requires and allows of the parts that this document has, and Kafka's bindings 0.5.0."""


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` below a value; what lies in a schema of another format is not looked into."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            elif key != "schema":
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def found(reference: str) -> Any:
    """What a reference leads to (RFC 6901)."""
    value: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        value = value[step.replace("~1", "/").replace("~0", "~")]
    return value


def avro_of(message: Any) -> set[str]:
    """The names of the schemas that a message's payload names."""
    return {each.rpartition("/")[2] for each in references(message) if each.startswith("#/components/schemas/")}


def test_it_has_the_fields_that_the_specification_requires() -> None:
    """Required fields, kinds of values, no field that version 3.0 does not know in its place."""
    errors = [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in jsonschema_rs.iter_errors(_SPECIFICATION, DOCUMENT)
    ]
    assert errors == []


@pytest.mark.parametrize("path", [("info", "title"), ("channels", "outbox", "address"), ("operations", "publish", "action")])
def test_the_check_of_fields_can_fail(path: tuple[str, ...]) -> None:
    """A field left out where it is required, or of another name, is found."""
    altered = json.loads(json.dumps(DOCUMENT))
    parent = altered
    for step in path[:-1]:
        parent = parent[step]
    parent["mistyped"] = parent.pop(path[-1])
    assert not jsonschema_rs.is_valid(_SPECIFICATION, altered)


def test_every_reference_leads_somewhere() -> None:
    """Of messages, channels, parameters, schemas."""
    all_of_them = list(references(DOCUMENT))
    assert len(all_of_them) > 250
    for each in all_of_them:
        assert isinstance(found(each), dict), each


def test_operations_use_messages_of_their_own_channel() -> None:
    """AsyncAPI 3.0, Operation Object: the messages of an operation are a subset of its channel's, named through the channel."""
    for operation in DOCUMENT["operations"].values():
        for part in (operation, *filter(None, [operation.get("reply")])):
            assert part["messages"]
            for message in part["messages"]:
                assert message["$ref"].startswith(part["channel"]["$ref"] + "/messages/")


def test_parameters_are_those_of_the_address() -> None:
    """AsyncAPI 3.0, Channel Object: an expression in braces for each parameter, and a parameter for each expression."""
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel.get("parameters", {}))


def test_every_message_names_released_schemas() -> None:
    """Each family's message names the schema of its header and of each of its sections; each is in schemas/released.json as it stands."""
    released = read_released()
    schemas = DOCUMENT["components"]["schemas"]
    assert {schema["x-schema-id"] for schema in schemas.values()} == {entry.schema_id for entry in released.values() if entry.name}
    assert {schema["x-state"] for schema in schemas.values()} == {"released"}
    for channel, side in (("outbox", "published"), ("inbox", "delivered")):
        messages = DOCUMENT["channels"][channel]["messages"]
        assert set(FAMILIES) <= set(messages)
        for name, family in FAMILIES.items():
            named = avro_of(found(messages[name]["$ref"]))
            assert "header.header.v1" in named
            assert {f"{name}.{section}.v1" for section in family.types} <= named
            assert ("audience.audience.v1" in named) == (side == "published")
            assert ("slip.slip.v1" in named) == (side == "delivered")
    assert {"receipt.receipt.v1", "receipt.receipt.v2"} == avro_of(found(DOCUMENT["channels"]["inbox"]["messages"]["receipt"]["$ref"]))


def test_the_schemas_are_avro() -> None:
    """Another library reads each of them, and each is the file's."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        family, section, version = name.split(".")
        file = ROOT / "schemas" / family / version / f"{section}.avsc"
        assert json.loads(file.read_text(encoding="utf-8")) == schema["schema"]
        parsed = fastavro.parse_schema(schema["schema"])
        fastavro.schemaless_writer(io.BytesIO(), parsed, generate_one(parsed))


def test_topics_are_those_of_the_topology() -> None:
    """Each topic that a registrar makes, with its settings, and no other."""
    specs = {spec.name.replace("SG-CUSTOMS", "{agency}"): spec for spec in [*agency_specs("SG-CUSTOMS"), *exchange_specs(16)]}
    channels = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
    assert set(channels) == set(specs)
    for address, channel in channels.items():
        named = channel["bindings"]["kafka"]["topicConfiguration"]
        told = {key: ",".join(value) if isinstance(value, list) else str(value) for key, value in named.items()}
        assert told | channel["x-kafka-settings"] == dict(specs[address].settings)
