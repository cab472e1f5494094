"""The OpenAPI 3.1 document of the node: paths and parameters from the routes themselves, shapes and examples beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig

from broker.app.exporting import FORMATS
from broker.node.answers import JSON
from broker.node.examples import EXAMPLES
from broker.node.problems import MEDIA
from broker.node.shapes import PURPOSE, SHAPES, ref
from broker.node.table_parts import MULTIPART

Json = dict[str, Any]
JSONL: Final = "application/jsonl"
TOML: Final = "application/toml"
WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OCTETS: Final = "application/octet-stream"
BYTES: Final = "bytes"
"""Instead of a shape: the bytes of a file."""
COMMON: Final = (401, 403, 429)
"""What every route may answer that asks for a certificate."""


class Operation(NamedTuple):
    """What a route takes, what it answers, and how else it may end."""

    answer: str
    body: str | None = None
    also: tuple[int, ...] = ()


OPERATIONS: Final[Mapping[str, Operation]] = {
    "publish": Operation("Kept", "Message", (400, 408, 413, 415, 422, 503)),
    "dryRun": Operation("DryRun", "Message", (400, 408, 413, 415, 422, 503)),
    "messageStatus": Operation("Status", None, (400, 404)),
    "acknowledge": Operation("Kept", "Acknowledgement", (400, 408, 413, 415, 422, 503)),
    "giveFeedback": Operation("Kept", "Feedback", (400, 408, 413, 415, 422, 503)),
    "askForInformation": Operation("Kept", "Rfi", (400, 408, 413, 415, 422, 503)),
    "consent": Operation("Kept", "Consent", (400, 408, 413, 415, 422, 503)),
    "recall": Operation("Kept", "Recall", (400, 408, 413, 415, 422, 503)),
    "inbox": Operation("Inbox", None, (400, 410)),
    "inboxEvents": Operation("Item", None, (400, 410)),
    "findAlerts": Operation("Alerts", None, (400, 503)),
    "licence": Operation("Licence", None, (400, 503)),
    "licenceStatus": Operation("LicenceStatus", "Numbers", (400, 408, 413, 415, 503)),
    "screen": Operation("Screened", "Shipments", (400, 404, 408, 413, 503)),
    "screenStream": Operation("Screened", "Shipments", (400, 404, 408, 503)),
    "mappings": Operation("Mappings", None, ()),
    "mapping": Operation("Mapping", None, (400, 404)),
    "keepMapping": Operation("MappingKept", "MappingText", (400, 404, 408, 413, 415, 503)),
    "removeMapping": Operation("MappingRemoved", None, (400, 404)),
    "export": Operation("Mappings", None, (400, 404, 503)),
    "exportSummary": Operation("ExportSummary", None, (400, 404)),
    "import": Operation("Import", "Table", (400, 404, 408, 413, 422, 503)),
    "imports": Operation("Imports", None, ()),
    "importStatus": Operation("Import", None, (404,)),
    "importEvents": Operation("Import", None, (404,)),
    "runImport": Operation("Import", None, (400, 404)),
    "removeImport": Operation("ImportRemoved", None, (404,)),
    "trace": Operation("Trace", None, (400, 404, 503)),
    "attach": Operation("AttachedFile", "bytes", (400, 408, 413, 422, 503)),
    "attachments": Operation("AttachedFiles", None, (400, 403, 404, 503)),
    "attachment": Operation("bytes", None, (400, 403, 404, 409, 503)),
    "health": Operation("Health", None, ()),
    "ready": Operation("Ready", None, ()),
}
TAGGED: Final = frozenset({"messageStatus", "inbox", "findAlerts", "licence", "trace", "mappings", "mapping", "imports", "importStatus"})
"""Whose answers carry an ETag."""
EVENTS: Final[Mapping[str, str]] = {
    "inboxEvents": "Server-sent events: `id` is the cursor, `event` the kind, `data` an Item.",
    "importEvents": "Server-sent events: `data` is an Import without its results; the last one is of the phase in which it stays.",
}
"""Operations that answer with server-sent events."""
LINES: Final[Mapping[str, str]] = {
    "screenStream": "JSON Lines: `hit`, `bad_row`, `finding`, `progress` by `type`, and `summary` (or `error`) as the last one.",
}
"""Operations that answer with lines while the body comes."""
_ABOUT: Final = """The node of one agency, on its own premises: it holds the agency's keys, signs, verifies, keeps the register.

Every request carries a client certificate (`broker node user add`), or a bearer token where the node takes
some. `Broker-Purpose` says what content is read for; `Broker-Unit` names one of the user's units where it has several. What is not done is
answered with problem details (RFC 9457): `code` is stable, `advice` says what to do. Every answer names the environment and the request's
id in its headers."""


@lru_cache(maxsize=4)
def document(routes: Sequence[HTTPRouteHandler], environment: str) -> Json:
    """The document of these routes."""
    config = OpenAPIConfig(title="broker node", version=version("broker"), description=_ABOUT, use_handler_docstrings=True)
    described = Litestar(route_handlers=list(routes), openapi_config=config, logging_config=None).openapi_schema.to_schema()
    opts = {route.operation_id: route.opt for route in routes}
    for path in described["paths"].values():
        for operation in path.values():
            _complete(operation, opts[operation["operationId"]])
    schemes = {
        "certificate": {"type": "mutualTLS", "description": "A client certificate that the node knows."},
        "token": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A token of the issuer that the node was started with (`--oidc`), whose subject the node knows.",
        },
    }  # fmt: skip
    described["components"] = {"schemas": SHAPES, "securitySchemes": schemes}
    described["security"] = [{"certificate": []}, {"token": []}]
    described["info"]["x-environment"] = environment
    return described


def _complete(operation: Json, opt: Mapping[str, Any]) -> None:
    name = operation["operationId"]
    known = OPERATIONS[name]
    public = bool(opt.get("public"))
    done = next(iter(operation["responses"]))
    answers: Json = {done: _answer(name, known)}
    if name in TAGGED:
        operation.setdefault("parameters", []).append(_header("If-None-Match", "The ETag of the answer you have.", {"type": "string"}))
        answers["304"] = {"description": "You have it already."}
    if public:
        operation["security"] = []
        answers["503"] = {"description": "It is not.", "content": {JSON: {"schema": ref(known.answer)}}}
    for status in sorted({*(() if public else COMMON), *known.also}):
        answers[str(status)] = {"description": "Not done.", "content": {MEDIA: {"schema": ref("Problem")}}}
    if public:
        answers["429"] = {"description": "Not done.", "content": {MEDIA: {"schema": ref("Problem")}}}
    operation["responses"] = answers
    for each in operation.get("parameters", ()):
        each["schema"] = _plain(each["schema"])
    if known.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(name, known.body)}
    operation["x-roles"] = ["everybody"] if public else sorted(opt.get("roles", ()))
    if opt.get("content"):
        operation.setdefault("parameters", []).append(_header("Broker-Purpose", "What it is read for.", PURPOSE, required=True))
    if not public:
        operation.setdefault("parameters", []).append(_header("Broker-Unit", "One of the user's units.", {"type": "string"}))


def _plain(schema: Json) -> Json:
    """A parameter that may be left out is not null where it is given."""
    kinds = [each for each in schema.get("oneOf", ()) if each != {"type": "null"}]
    return {**{name: value for name, value in schema.items() if name != "oneOf"}, **kinds[0]} if len(kinds) == 1 else schema


def _header(name: str, description: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def _answer(name: str, known: Operation) -> Json:
    if name == "export":
        schema: Json = {"description": "As `format` says; it is sent as it is made."}
        content = {media.partition(";")[0]: {"schema": schema} for media in FORMATS.values()}
        return {"description": "Done.", "content": content, "headers": {"Broker-Export": {"schema": {"type": "string"}}}}
    if name in EVENTS:
        text = EVENTS[name]
        return {"description": text, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    if name in LINES:
        return {"description": "Done.", "content": {JSONL: {"schema": {"type": "string", "description": LINES[name]}}}}
    if known.answer == BYTES:
        return {"description": "The file.", "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}
    schema = {"anyOf": [ref("Kept"), ref("KeptMany")]} if name == "publish" else ref(known.answer)
    content = {"schema": schema}
    example = EXAMPLES.get(f"{name} answer")
    if example is not None:
        content["example"] = example
    headers = {"ETag": {"schema": {"type": "string"}}} if name in TAGGED else {}
    if known.answer == "Import" and name not in TAGGED:
        headers = {"Location": {"schema": {"type": "string"}}}
    if known.answer == "Kept":
        headers = {"Location": {"schema": {"type": "string"}}, "Idempotency-Replayed": {"schema": {"type": "string"}}}
    return {"description": "Done.", "content": {JSON: content}, "headers": headers}


def _body(name: str, body: str) -> Json:
    if body == BYTES:
        return {OCTETS: {"schema": {"type": "string", "format": "binary", "description": "The file's bytes."}}}
    examples = {title.partition(" ")[2] or "example": {"value": value} for title, value in EXAMPLES.items() if title.split(" ")[0] == name}
    examples.pop("answer", None)
    if name == "import":
        parts: Json = {"type": "object", "required": ["file"], "properties": {"mapping": ref("MappingText"), "file": ref(body)}}
        return {**{media: {"schema": ref(body)} for media in ("text/csv", WORKBOOK)}, MULTIPART: {"schema": parts}}
    if name == "keepMapping":
        return {TOML: {"schema": ref(body), "examples": examples}}
    content: Json = {JSON: {"schema": ref(body), "examples": examples}}
    if name in ("screen", "screenStream"):
        for media, what in (
            ("application/xml", "A declaration or waybill."),
            ("application/edifact", "An interchange."),
            ("text/csv", "A table, with `mapping`."),
            (JSONL, "Lines."),
        ):
            content[media] = {"schema": {"type": "string", "description": what}}
    if name == "publish":
        content[JSONL] = {"schema": {"type": "string", "description": "JSON Lines: up to 1,000 messages, one on each line."}}
    return content
