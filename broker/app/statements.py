"""What an agency says about a subject, as the JSON form of a message: acknowledgements, feedback, requests, consents, recalls.

The forms fill in what follows from the target: whom it goes to, a subject of its own, and for an acknowledgement the purposes and the
legal basis of what it acknowledges. Whether the message is right is judged where every message is (:mod:`broker.app.outbox`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from broker import ids
from broker.app.acknowledging import ack_subject
from broker.errors import Refusal, StoreError
from broker.families.message import Message
from broker.families.message_json import message_to_json
from broker.families.targets import owner_only
from broker.schema import json_form
from broker.schema.catalogue import Catalogue
from broker.storage.register_reader import RegisterReader
from broker.values import iso

Json = dict[str, Any]
KINDS: Final = ("ack", "feedback", "rfi", "consent_request", "consent_reply")
"""Families whose messages speak of a target."""


def statement(
    agency: str,
    family: str,
    *,
    target: str | None,
    target_revision: int | None,
    sections: Mapping[str, Any],
    header: Mapping[str, Any] | None = None,
    subject: str | None = None,
    revision: int = 1,
) -> Json:
    """A message about a target. ``header`` may hold any label; ``subject`` is by default a new one of this agency's."""
    labels: Json = {"audience": audience_of(agency, target, header), **(header or {})}
    links = labels.get("correlation")
    own = {"target": target, "target_revision": target_revision}
    labels["correlation"] = {
        **(links if isinstance(links, dict) else {}),
        **{name: value for name, value in own.items() if value is not None},
    }
    return {
        "family": family, "subject": subject or f"{agency}/{family}/{secrets.token_hex(16)}", "revision": revision, "header": labels,
        "sections": {name: value for name, value in sections.items() if value is not None},
    }  # fmt: skip


def feedback_on(
    agency: str,
    target: str,
    target_revision: int,
    core: Mapping[str, Any],
    detail: Mapping[str, Any] | None = None,
    *,
    header: Mapping[str, Any] | None = None,
    subject: str | None = None,
    revision: int = 1,
) -> Json:
    """What came of one revision of another agency's message; the sections have the family's own fields."""
    return statement(
        agency, "feedback", target=target, target_revision=target_revision, sections={"core": dict(core), "detail": detail},
        header=header, subject=subject, revision=revision,
    )  # fmt: skip


def audience_of(agency: str, target: str | None, header: Mapping[str, Any] | None) -> Json:
    """Whom it goes to where nobody is named: the owner of the target."""
    named = (header or {}).get("audience")
    if isinstance(named, dict):
        return dict[str, Any](named)  # pyright: ignore[reportUnknownArgumentType] - untrusted JSON, judged with the message
    return {"agencies": list(owner_only(target, f"{agency}/x").agencies)}


def acknowledgement(
    agency: str,
    reader: RegisterReader | None,
    now_ms: int,
    *,
    target: str,
    target_revision: int,
    core: Mapping[str, Any],
    header: Mapping[str, Any] | None = None,
) -> Json | Refusal:
    """An acknowledgement: one for each revision and level, however often it is said."""
    level = core.get("level") or core.get("refusal_code") or ""
    try:
        subject = ack_subject(agency, ids.subject_id(target), target_revision, str(level))
    except ids.InvalidId as error:
        return Refusal("BAD_LABELS", str(error), "header.correlation.target")
    labels = {"retention": "R30D", **_labels_of(reader, target), **(header or {})}
    said = {"reached_at": iso(now_ms), **core}
    return statement(
        agency, "ack", target=target, target_revision=target_revision, sections={"core": said}, header=labels, subject=subject
    )  # fmt: skip


def answer_to(
    agency: str, family: str, reader: RegisterReader | None, *, target: str, target_revision: int, sections: Mapping[str, Any]
) -> Json:
    """An answer to a request: for the purposes and on the legal basis that the request names, to the agency that asked."""
    return statement(
        agency, family, target=target, target_revision=target_revision, sections=sections, header=_labels_of(reader, target)
    )  # fmt: skip


def _labels_of(reader: RegisterReader | None, target: str) -> Json:
    """Purposes and legal basis of what is held under a subject."""
    try:
        row = reader.row(target) if reader is not None else None
    except StoreError:
        row = None
    kept: Json = json.loads(row.labels) if row is not None and row.labels else {}
    return {name: kept[name] for name in ("purposes", "legal_basis") if kept.get(name)}


def json_of(message: Message, catalogue: Catalogue) -> Json:
    """The JSON form of a message whose sections are records of the current schemas."""

    def write(family: str, name: str, record: Mapping[str, Any]) -> object:
        schema = catalogue.current(family, name)
        return dict(record) if schema is None else json_form.to_json(schema, record)

    return message_to_json(message, write)
