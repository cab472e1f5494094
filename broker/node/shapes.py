"""The shapes of the API's JSON, as JSON Schema (2020-12): the OpenAPI document is made of them, and tests hold the answers to them."""

from __future__ import annotations

from typing import Any, Final

from broker.families.catalogue import FAMILIES
from broker.families.message import PURPOSES
from broker.node.problems import CODES

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time", "description": "ISO 8601 UTC"}
WHOLE: Final[Schema] = {"type": "integer"}
FLAG: Final[Schema] = {"type": "boolean"}
OPEN: Final[Schema] = {"type": "object"}
HEX: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]*$"}
NUMBER: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 200}
REVISION: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}


def ref(name: str) -> Schema:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def shape(required: str, **properties: Schema) -> Schema:
    """An object: the names of what it always has, separated by blanks, and what it may have. It may have more."""
    return {"type": "object", "required": required.split(), "properties": properties}


def form(required: str, **properties: Schema) -> Schema:
    """What a client sends: nothing else is taken."""
    return shape(required, **properties) | {"additionalProperties": False}


_WHERE: Final = {"exchange": TEXT, "environment": {"enum": ["production", "test", "exercise"]}, "agency": TEXT}
_AGE: Final = {"as_of": TIME, "reachable": {"type": ["boolean", "null"]}, "note": MAYBE_TEXT}
_ABOUT: Final = {
    "target": {"type": "string", "description": "the subject that it is about"}, "target_revision": REVISION, "core": OPEN,
    "header": {"type": "object", "description": "labels where the defaults do not fit; without an audience it goes to the target's owner"},
    "subject": {"type": "string", "description": "the message's own subject; a new one by default"}, "revision": REVISION,
}  # fmt: skip

SHAPES: Final[dict[str, Schema]] = {
    "Problem": shape(
        "type title status code", type=TEXT, title=TEXT, status=WHOLE, detail=TEXT, advice=TEXT, request_id=TEXT, path=TEXT,
        code={"type": "string", "description": f"a refusal code (docs/codes.md), or one of {', '.join(CODES)}"},
        step={"type": "integer", "description": "the admission step that refuses it"}, errors=many(OPEN),
    ),
    "Message": shape(
        "family subject sections", family={"enum": sorted(FAMILIES)}, subject=TEXT, revision=REVISION,
        header={"type": "object", "description": "urgency, tlp, handling, purposes, legal_basis, audience, valid_until, ..."},
        sections={"type": "object", "additionalProperties": OPEN, "description": "docs/messages.md has every section's fields"},
    ),
    "Finding": shape("severity code path reason", severity=TEXT, code=TEXT, path=TEXT, reason=TEXT),
    "Recipient": shape(
        "agency sections withheld", agency=TEXT, rule=MAYBE_TEXT, sections=many(TEXT), withheld=many(TEXT), withdrawn=FLAG
    ),
    "Kept": shape(
        "message_id subject revision outcome environment findings", message_id=TEXT, subject=TEXT, revision=WHOLE,
        outcome={"const": "kept"}, environment=TEXT, findings=many(ref("Finding")),
    ),
    "Refused": shape(
        "outcome code reason advice", message_id=MAYBE_TEXT, subject=MAYBE_TEXT, outcome={"const": "refused"}, code=TEXT, step=WHOLE,
        path=TEXT, reason=TEXT, advice=TEXT,
    ),
    "KeptMany": shape("accepted refused results", accepted=WHOLE, refused=WHOLE, results=many({"anyOf": [ref("Kept"), ref("Refused")]})),
    "Status": shape(
        "message_id subject revision outcome environment", message_id=TEXT, subject=MAYBE_TEXT, revision={"type": ["integer", "null"]},
        outcome={
            "enum": ["kept", "sending", "accepted", "quarantined", "refused"],
            "description": "kept here; signed and being sent; the relay's answer: accepted or quarantined; refused before it was sent",
        },
        code=MAYBE_TEXT, reason=TEXT, advice=TEXT, path=TEXT, admitted_at=TIME, recipients=many(ref("Recipient")),
        findings=many(ref("Finding")), environment=TEXT,
    ),
    "DryRun": shape(
        "outcome findings recipients", subject=TEXT, revision=WHOLE, outcome={"enum": ["would be accepted", "refused"]}, rule=MAYBE_TEXT,
        findings=many(ref("Finding")), recipients=many(ref("Recipient")), denied=many(OPEN),
    ),
    "Item": shape(
        "cursor kind message_id family originator subject", cursor=TEXT,
        kind={
            "enum": ["delivery", "taken_back", "withheld", "erased"],
            "description": "a verified delivery; the owner's word that it goes; not shown for the purpose; gone since",
        },
        message_id=TEXT, family=TEXT, originator=TEXT, subject=TEXT, revision=WHOLE, issued_at=TIME, admitted_at=TIME, header=OPEN,
        sections=OPEN, withheld=many(TEXT), withheld_by=OPEN, verified=FLAG, taken_back=FLAG, reason=MAYBE_TEXT, proof=ref("Proof"),
    ),
    "Proof": shape(
        "signer relay leaf rule given shard counter policy_version directory_version",
        signer=HEX | {"description": "the originator's key, as the directory names it; empty where it cannot be read"},
        relay=HEX | {"description": "the relay's key that signed what it gave"},
        leaf=HEX | {"description": "SHA-256 of what the originator signed: its place in the journal"},
        rule=TEXT | {"description": "the rule by which it was delivered"},
        given={"type": "object", "additionalProperties": TEXT, "description": "each section that was disclosed, with the rule"},
        shard=WHOLE, counter=WHOLE, policy_version=WHOLE, directory_version=WHOLE,
    ),
    "Inbox": shape("items next more", items=many(ref("Item")), next=TEXT, more=FLAG, **_WHERE),
    "Withheld": shape("message_id family originator subject withheld_here purpose reason", withheld_here=TEXT, reason=TEXT),
    "Alerts": shape("alerts withheld as_of", alerts=many(OPEN), withheld=many(ref("Withheld")), **_AGE, **_WHERE),
    "Licence": shape(
        "licence_no known licences withheld as_of", licence_no=TEXT, known=FLAG, licences=many(OPEN), withheld=many(ref("Withheld")),
        **_AGE, **_WHERE,
    ),
    "Numbers": form("numbers", numbers={"type": "array", "minItems": 1, "maxItems": 1000, "items": NUMBER}),
    "LicenceStatus": shape(
        "results withheld as_of", results=many(shape("licence_no known licences", licences=many(OPEN))), **_AGE, **_WHERE
    ),
    "Shipments": {"description": "a shipment, or a list of them, as docs/screening.md has it; other formats under their own media types"},
    "Screened": shape(
        "results more counts withheld as_of", results=many(shape("type", type={"enum": ["hit", "bad_row", "finding"]})), more=FLAG,
        counts=shape("rows shipments hits", rows=WHOLE, shipments=WHOLE, hits=WHOLE), withheld=many(ref("Withheld")), **_AGE, **_WHERE,
    ),
    "Mappings": shape("mappings", mappings=many(shape("kind name", kind={"enum": ["import", "screen"]}, name=TEXT)), **_WHERE),
    "Mapping": shape("kind name text", kind=TEXT, name=TEXT, text=TEXT, **_WHERE),
    "MappingText": {"type": "string", "description": "TOML, as docs/screening.md and docs/bulk.md have it"},
    "MappingKept": shape("kind name new", kind=TEXT, name=TEXT, new=FLAG, **_WHERE),
    "MappingRemoved": shape("kind name removed", kind=TEXT, name=TEXT, removed=FLAG, **_WHERE),
    "Table": {"type": "string", "description": "CSV, or a workbook (.xlsx): docs/bulk.md"},
    "Import": shape(
        "id mapping phase size reached rows outcomes findings", id=TEXT, mapping=TEXT,
        phase={"enum": ["checking", "checked", "running", "done", "failed"]}, size=WHOLE, reached=WHOLE, rows=WHOLE, outcomes=OPEN,
        findings=OPEN, error=MAYBE_TEXT, made_at=TIME, results=many(OPEN), **_WHERE,
        who={"type": ["object", "null"], "description": "by agency: messages, and of each section how often it is given (`gets`) or not"},
    ),
    "ExportSummary": shape(
        "export view format purpose at state records left_out", export=TEXT, view=TEXT, format=TEXT, purpose=TEXT, at=TIME,
        state={"enum": ["under_way", "whole", "broken"]}, records=WHOLE,
        left_out={
            "type": ["object", "null"], "required": ["messages", "messages_by_rule", "sections", "sections_by_rule"],
            "properties": {"messages": WHOLE, "sections": WHOLE, "messages_by_rule": OPEN, "sections_by_rule": OPEN},
            "description": "what the agency holds and is not in it for the purpose, by rule; null before it is whole",
        }, **_WHERE,
    ),
    "Imports": shape("imports", imports=many(ref("Import")), **_WHERE),
    "ImportRemoved": shape("id removed", id=TEXT, removed=FLAG, **_WHERE),
    "Trace": shape(
        "subject recipients withheld as_of", subject=TEXT, recipients=many(OPEN), withheld=many(ref("Withheld")), **_AGE, **_WHERE
    ),
    "Acknowledgement": form("target target_revision core", **_ABOUT),
    "Feedback": form("target target_revision core", **_ABOUT, detail=OPEN),
    "Rfi": form("core", **_ABOUT, questions=OPEN, parties=OPEN),
    "Consent": form("family target core", **_ABOUT, family={"enum": ["consent_request", "consent_reply"]}, detail=OPEN),
    "Recall": form(
        "subject reason", subject=TEXT, reason={"enum": ["ERROR", "WITHDRAWN", "COMPROMISED", "LAW", "EXPIRED"]},
        action={"enum": ["STOP_USE", "DELETE", "RETURN"]}, due={"type": "string", "format": "date-time"}, replaced_by=TEXT,
        revision=REVISION,
    ),
    "AttachedFile": shape(
        "file digest size chunk_size chunks media_type name key", file=TEXT, digest=TEXT, size=WHOLE, chunk_size=WHOLE, chunks=WHOLE,
        media_type=TEXT, name=TEXT, description=MAYBE_TEXT, key=TEXT,
    ),
    "AttachedFiles": shape(
        "subject files withheld", subject=TEXT, withheld=FLAG, **_WHERE, files=many(
            shape(
                "digest size media_type name chunks chunks_here whole", digest=TEXT, size=WHOLE, media_type=TEXT, name=TEXT,
                description=MAYBE_TEXT, chunks=WHOLE, chunks_here=WHOLE, whole=FLAG,
            )
        ),
    ),
    "Health": shape("status", status={"enum": ["ok", "failed"]}, **_WHERE),
    "Ready": shape(
        "status", status={"enum": ["ready", "degraded", "not-ready"]}, exchange_reachable={"type": ["boolean", "null"]}, **_WHERE
    ),
}  # fmt: skip
"""Every shape that the document names."""
PURPOSE: Final[Schema] = {"type": "string", "enum": list(PURPOSES)}
