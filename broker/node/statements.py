"""Thin forms over publishing: ``POST /acks``, ``/feedback``, ``/rfis``, ``/consents``, ``/recalls``.

The sections have the families' own field names (docs/messages.md). Each form makes the same message as ``POST /messages`` would take, and
is answered in the same way, under the same Idempotency-Key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from litestar.datastructures import State
from litestar.params import HeaderParameter

from broker.app.agency_node import AgencyNode
from broker.app.statements import acknowledgement, feedback_on, json_of, statement
from broker.errors import Refusal
from broker.families.recall import RecallAction, RecallReason
from broker.node import access
from broker.node.answers import AnyRequest, form_of
from broker.node.messages import KEY_TOLD, keep, node_of
from broker.storage.register_reader import RegisterReader

Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", description=KEY_TOLD)]
Object = dict[str, Any]
Revision = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Form(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What all forms have: labels of the header where the defaults do not fit, and the message's own subject and revision."""

    header: Object | None = None
    subject: str | None = None
    revision: Revision = 1


class Acknowledgement(Form, kw_only=True, forbid_unknown_fields=True):
    """How far this agency has taken one revision of another's message, or why it could not."""

    target: str
    target_revision: Revision
    core: Object


class Feedback(Form, kw_only=True, forbid_unknown_fields=True):
    """What came of another agency's message."""

    target: str
    target_revision: Revision
    core: Object
    detail: Object | None = None


class Rfi(Form, kw_only=True, forbid_unknown_fields=True):
    """A request for information."""

    target: str | None = None
    target_revision: Revision | None = None
    core: Object
    questions: Object | None = None
    parties: Object | None = None


class Consent(Form, kw_only=True, forbid_unknown_fields=True):
    """A request for the owner's leave, or the owner's answer to one."""

    family: Literal["consent_request", "consent_reply"]
    target: str
    target_revision: Revision | None = None
    core: Object
    detail: Object | None = None


class Recall(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """That this agency takes back a subject of its own. ``revision``: by default the one after the last that was published here."""

    subject: str
    reason: RecallReason
    action: RecallAction = "STOP_USE"
    due: datetime | None = None
    replaced_by: str | None = None
    revision: Revision | None = None


async def _keep(request: AnyRequest, node: AgencyNode, value: object, key: str | None) -> Response[bytes]:
    return await keep(request, node, access.user_of(request), [value], await request.body(), key)


def _reader(node: AgencyNode) -> RegisterReader | None:
    return node.reader() if node.member.files.register_store.exists() else None


@post("/acks", status_code=202, opt={"roles": access.STAFF}, tags=["publish"], operation_id="acknowledge")
async def acks(request: AnyRequest, state: State, idempotency_key: Key = None) -> Response[bytes]:
    """Acknowledge one revision of a message. Saying the same twice is refused by the exchange as STALE_REVISION, and does no harm."""
    node, form = node_of(state), await form_of(request, Acknowledgement)
    value: object = acknowledgement(
        node.agency,
        _reader(node),
        node.now_ms(),
        target=form.target,
        target_revision=form.target_revision,
        core=form.core,
        header=form.header,
    )
    return await _keep(request, node, value, idempotency_key)


@post("/feedback", status_code=202, opt={"roles": access.STAFF}, tags=["publish"], operation_id="giveFeedback")
async def feedback(request: AnyRequest, state: State, idempotency_key: Key = None) -> Response[bytes]:
    """Say what came of another agency's message."""
    node, form = node_of(state), await form_of(request, Feedback)
    value = feedback_on(
        node.agency, form.target, form.target_revision, form.core, form.detail, header=form.header, subject=form.subject,
        revision=form.revision,
    )  # fmt: skip
    return await _keep(request, node, value, idempotency_key)


@post("/rfis", status_code=202, opt={"roles": access.STAFF}, tags=["publish"], operation_id="askForInformation")
async def rfis(request: AnyRequest, state: State, idempotency_key: Key = None) -> Response[bytes]:
    """Ask another agency for information, about a subject of theirs or about parties."""
    node, form = node_of(state), await form_of(request, Rfi)
    sections = {"core": form.core, "questions": form.questions, "parties": form.parties}
    value = _of(node, "rfi", form, sections)
    value["header"] = {"urgency": "PRIORITY", **value["header"]}
    return await _keep(request, node, value, idempotency_key)


@post("/consents", status_code=202, opt={"roles": access.STAFF}, tags=["publish"], operation_id="consent")
async def consents(request: AnyRequest, state: State, idempotency_key: Key = None) -> Response[bytes]:
    """Ask the owner of a subject for leave, or answer such a request (supervisors and integrators)."""
    node, form = node_of(state), await form_of(request, Consent)
    return await _keep(request, node, _of(node, form.family, form, {"core": form.core, "detail": form.detail}), idempotency_key)


@post("/recalls", status_code=202, opt={"roles": access.DECIDING}, tags=["publish"], operation_id="recall")
async def recalls(request: AnyRequest, state: State, idempotency_key: Key = None) -> Response[bytes]:
    """Take back a subject of this agency's own: everyone who was given any revision of it is told."""
    node, form = node_of(state), await form_of(request, Recall)
    return await _keep(request, node, _recall(node, form), idempotency_key)


def _recall(node: AgencyNode, form: Recall) -> object:
    last = node.outbox.last_revision(form.subject)
    revision = form.revision or (None if last is None else last + 1)
    if form.due is not None and form.due.tzinfo is None:
        return Refusal("BAD_FIELD", "give the time with its zone, such as 2026-12-20T00:00:00Z", "core.due")
    try:
        due = None if form.due is None else form.due.astimezone(UTC).replace(microsecond=form.due.microsecond // 1000 * 1000)
    except OverflowError:
        return Refusal("BAD_FIELD", "this is no time in UTC that can be written", "core.due")
    message = node.recalls.recall(
        form.subject, form.reason, action=form.action, due=due, replaced_by=form.replaced_by, revision=revision
    )  # fmt: skip
    return json_of(message, node.outbox.catalogue)


def _of(node: AgencyNode, family: str, form: Rfi | Consent, sections: Object) -> Object:
    return statement(
        node.agency, family, target=form.target, target_revision=form.target_revision, sections=sections, header=form.header,
        subject=form.subject, revision=form.revision,
    )  # fmt: skip
