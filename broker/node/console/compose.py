"""Writing a message: ``GET /console/compose``, ``GET`` and ``POST /console/compose/{kind}``.

Nothing goes out that was not shown first: with what is remarked on it, and who will see which sections by which rule. What is sent is what
was shown, bit for bit, its files by their digests; a form that was changed since is shown again. Where the family needs it, an officer's
message waits for a supervisor, with its files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from broker.app.agency_node import AgencyNode
from broker.app.message_forms import message_of, previewed_json
from broker.errors import BrokerError, Refusal, RefusedError
from broker.families.attachment import MEDIA_TYPES
from broker.families.licence import LicenceCore, LicenceReason
from broker.families.message import PURPOSES
from broker.families.shipment import RiskCategory, TransportMode
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console import file_fields
from broker.node.console.composing import ALERT_ROWS, DECISIONS, KINDS, Json, fresh
from broker.node.console.pages import page, see
from broker.node.console.repeated import changed_rows, rows_of
from broker.node.console.sending import sent
from broker.node.console.session import KEY, TOKEN, new_key, one, posted
from broker.node.console.uploads import BODY, FileFinding, Posted, posted_with_files
from broker.node.console.words import WORDS
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.storage.drafts import RETURNED, SENDING, Draft, Drafts
from broker.storage.drafts import WAITING as WAITS
from broker.storage.node_folder import User

WAITING: Final = 50
"""Most drafts of the list."""
DRAFT: Final = "draft"
"""The hidden field with the draft that a form changes."""
NOT_KEPT: Final = frozenset({TOKEN, KEY, DRAFT, "seen", "do"})
"""Fields that are of one rendered form alone."""
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "urgency": tuple(WORDS["urgency"]), "tlp": ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"), "purposes": PURPOSES,
    "alert_type": ("SHIPMENT", "ROUTE", "COMMODITY", "CONVEYANCE", "ENTITY_PATTERN"), "risk_category": get_args(RiskCategory),
    "requested_actions": tuple(WORDS["action"]), "deadline_anchor": ("LOADING", "DEPARTURE", "ARRIVAL", "PRESENTATION"),
    "transport_mode": get_args(TransportMode), "party_role": ("CONSIGNEE", "CONSIGNOR", "END_USER", "CARRIER", "NOTIFY"),
    "decision_type": DECISIONS, "licence_type": get_args(LicenceCore.__annotations__["licence_type"]),
    "place_role": tuple(WORDS["place_role"]),
    "instruction": tuple(WORDS["instruction"]), "reason_code": get_args(LicenceReason.__annotations__["reason_code"]),
}  # fmt: skip


FILE_TYPES: Final = ",".join((*MEDIA_TYPES, ".dcm"))
"""What a browser offers when files are chosen; what comes is judged by its content."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a dry run says of a message: remarks and recipients, and the digest of what was shown."""

    told: Json
    digest: str


def digest_of(value: Json) -> str:
    """Of a message as it would be sent."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def shown(node: AgencyNode, value: Json) -> Shown | Refusal:
    """The dry run of a message. Raises NotDone while the rules of the exchange are not known."""
    message = message_of(value, node.outbox.catalogue)
    if isinstance(message, Refusal):
        return message
    publisher = node.outbox.publisher
    if publisher is None:
        raise NotDone("EXCHANGE_UNREACHABLE", "who would see it follows from the rules of the exchange, which were not read yet")
    try:
        publisher.check(message)
        return Shown(previewed_json(message, *publisher.preview(message), publisher.findings(message)), digest_of(value))
    except RefusedError as error:
        return error.refusal


def drafts_of(state: State) -> Drafts:
    """The drafts of the node."""
    drafts: Drafts = state["drafts"]
    return drafts


def sending_of(state: State) -> set[str]:
    """The drafts that the outbox is about to take."""
    sending: set[str] = state["sending"]
    return sending


def draft_of(state: State, draft_id: str) -> Draft | None:
    """A draft by its id."""
    settled(state, draft_id)
    return drafts_of(state).get(draft_id)


def approved_digest(draft: Draft) -> bytes:
    """What the outbox keeps with its answer to a draft that was approved: of what it said then."""
    return hashlib.sha256(b"draft\0" + draft.body.encode()).digest()


def settled(state: State, draft_id: str) -> None:
    """Note what became of a draft that was approved: the outbox has it under the draft's id, or it waits again. So it is also where the
    process ended in between; not while the outbox is about to take it. An answer to something else that came under the same key is none."""
    drafts, node = drafts_of(state), node_of(state)
    found = drafts.get(draft_id)
    if found is None or found.state != SENDING or draft_id in sending_of(state):
        return
    answered = node.outbox.answered(found.decided_by, draft_id)
    if answered is None or answered.digest != approved_digest(found):
        drafts.wait(draft_id)
    else:
        drafts.sent(draft_id, found.decided_by, msgspec.json.decode(answered.answer)["message_id"], node.now_ms())


@get("/compose", opt={"roles": access.STAFF, "content": True}, operation_id="consoleCompose")
async def start(request: AnyRequest, state: State) -> Response[str]:
    """What can be written, and what waits for a supervisor."""
    for each in drafts_of(state).waiting(WAITING):
        if each.state == SENDING:
            settled(state, each.id)
    returned = drafts_of(state).returned(access.user_of(request).name, WAITING)
    return page(request, state, "compose.html", kinds=tuple(KINDS), drafts=drafts_of(state).waiting(WAITING), returned=returned)


@get("/compose/{kind:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleComposeForm")
async def form(request: AnyRequest, state: State, kind: FromPath[str]) -> Response[str]:
    """An empty form."""
    return _page(request, state, _kind(kind), fresh(node_of(state), kind, access.purpose_of(request)), new_key())


@post(
    "/compose/{kind:str}", opt={"roles": access.STAFF, "content": True}, request_max_body_size=BODY, operation_id="consoleComposePost"
)  # fmt: skip
async def post_form(request: AnyRequest, state: State, kind: FromPath[str]) -> Response[Any]:
    """Show who will see it; or send it, if that was shown. Files that come with it are taken in, and shown before they are sent."""
    user, node = access.user_of(request), node_of(state)
    access.check_family(user, _kind(kind))
    given = await posted_with_files(request, state)
    key = one(given.fields, KEY)
    before = node.outbox.answered(user.name, key) if key else None
    if before is not None or not key or (given.files and not file_fields.attaching(kind)):
        node.attaching.staged.drop([each.file for each in given.files])
    if before is not None:  # it was sent already: a second click, or a page that was gone back to
        return see(f"/console/outbox/{msgspec.json.decode(before.answer)['message_id']}")
    if not key or (given.files and not file_fields.attaching(kind)):
        raise NotDone("BAD_REQUEST", "the form has lost its key, or takes no files: open it again")
    fields, wrong = file_fields.with_files(request, state, given)
    again = changed_rows(fields, ALERT_ROWS) if kind == "alert" else None
    if again is not None or wrong or one(fields, "do").startswith(("attach", "detach-")):
        return _page(request, state, kind, again or fields, key, findings=wrong)
    value = KINDS[kind](node, fields)
    seen = value if isinstance(value, Refusal) else shown(node, value)
    if isinstance(value, Refusal) or isinstance(seen, Refusal):
        return _page(request, state, kind, fields, key, refusal=seen if isinstance(seen, Refusal) else None)
    if one(fields, "do") != "send" or one(fields, "seen") != seen.digest:
        return _page(request, state, kind, fields, key, preview=seen, changed=one(fields, "do") == "send")
    if _waits(user, state, kind, fields):
        return see(f"/console/drafts/{_handed_over(state, user, kind, value, fields, node.now_ms())}")
    done = await sent(request, state, value, fields, body=msgspec.json.encode(fields, order="deterministic"))
    return _page(request, state, kind, fields, key, refusal=done) if isinstance(done, Refusal) else done


def _waits(user: User, state: State, kind: str, fields: Mapping[str, Sequence[str]]) -> bool:
    """Whether somebody else is to approve it. What changes a draft is that draft, whatever its author may do by now: sent beside it, it
    would go out twice."""
    return bool(fields.get(DRAFT, [""])[0]) or (user.role == "officer" and kind in state["approving"])


def _handed_over(state: State, user: User, kind: str, value: Json, fields: Mapping[str, list[str]], now_ms: int) -> str:
    """Keep a draft for a supervisor, or what became of one that was changed: its id. Raises NotDone."""
    text, draft_id = msgspec.json.encode(value).decode(), one(fields, DRAFT)
    kept = msgspec.json.encode({name: values for name, values in fields.items() if name not in NOT_KEPT}).decode()
    file_fields.hold(state, text)
    try:
        if not draft_id:
            drafts_of(state).keep(Draft(one(fields, KEY), kind, value["subject"], text, user.name, now_ms), kept)
            found = drafts_of(state).get(one(fields, KEY))
            if found is not None and found.body not in ("", text):
                raise NotDone("KEY_REUSED", "this form was handed over before, and said something else: change the draft")
            return one(fields, KEY)
        if not drafts_of(state).amend(draft_id, user.name, subject=value["subject"], body=text, fields=kept, at=now_ms):
            raise NotDone("ROLE_MAY_NOT", "a draft is changed by its author, until it is sent")
    finally:
        file_fields.settle(state)
    return draft_id


@get("/drafts/{draft_id:str}/edit", opt={"roles": access.STAFF, "content": True}, operation_id="consoleEditDraft")
async def edit(request: AnyRequest, state: State, draft_id: FromPath[str]) -> Response[str]:
    """The form of a draft, as its author left it."""
    found = draft_of(state, draft_id)
    if found is None or found.author != access.user_of(request).name or found.state not in (WAITS, RETURNED):
        raise NotDone("ROLE_MAY_NOT", "a draft is changed by its author, until it is sent")
    fields: dict[str, list[str]] = msgspec.json.decode(drafts_of(state).fields(draft_id) or b"{}", type=dict[str, list[str]])
    return _page(request, state, _kind(found.family), {**fields, DRAFT: [draft_id]}, new_key())


@post("/compose/{kind:str}/findings", status_code=200, opt={"roles": access.STAFF, "content": True}, operation_id="consoleFindings")
async def findings(request: AnyRequest, state: State, kind: FromPath[str]) -> Response[str]:
    """The part of the form's page that says who will see what was typed so far, and what is wrong with it. Nothing is kept or sent."""
    fields, _ = file_fields.with_files(request, state, Posted({**await posted(request, state["tokens"]), "do": [""]}))
    node = node_of(state)
    value = KINDS[_kind(kind)](node, fields)
    seen = value if isinstance(value, Refusal) else shown(node, value)
    refusal, preview = (seen, None) if isinstance(seen, Refusal) else (None, seen)
    return _page(request, state, kind, fields, "", refusal=refusal, preview=preview, live=True)


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise NotDone("NOT_FOUND", "there is no such form")
    return kind


def _page(
    request: AnyRequest,
    state: State,
    kind: str,
    fields: Mapping[str, list[str]],
    key: str,
    *,
    refusal: Refusal | None = None,
    preview: Shown | None = None,
    changed: bool = False,
    live: bool = False,
    findings: Sequence[FileFinding] = (),
) -> Response[str]:
    waits = _waits(access.user_of(request), state, kind, fields)
    return page(
        request, state, "seen.html" if live else "compose_form.html", status=422 if (refusal or findings) and not live else 200, kind=kind,
        fields=fields, key=key, refusal=refusal, preview=preview, changed=changed, choices=CHOICES, waits=waits, live=live,
        attaching=file_fields.attaching(kind), files=file_fields.shown_files(request, state, fields), file_findings=findings,
        file_types=FILE_TYPES, title_limit=file_fields.TITLE_LIMIT,
        rows={group: rows_of(fields, names) for group, names in ALERT_ROWS.items()} if kind == "alert" else {},
    )  # fmt: skip


def readable(draft: Draft, node: AgencyNode) -> tuple[Json, Shown | Refusal | None]:
    """A draft's message, and its dry run by the rules of now; None where these are not known."""
    value: Json = msgspec.json.decode(draft.body) if draft.body else {}
    try:
        return value, shown(node, value) if value else None
    except (NotDone, BrokerError):
        return value, None
