"""Screenings: ``GET /console/screenings``, one of them, a file or a few numbers and names screened, and feedback about a hit by one click.

What was found is kept at the node for 30 days, and shown for the purpose for which it was screened. Hits of what was taken back since are
erased; those of what the rules do not open any more are not shown.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Final, cast

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State, UploadFile
from litestar.params import FromPath, QueryParameter

from broker import ids
from broker.app.agency_node import AgencyNode
from broker.app.purpose import Purposed
from broker.app.screening_json import Tally, records_of
from broker.app.statements import feedback_on
from broker.errors import Refusal, StoreError
from broker.node import access
from broker.node.answers import AnyRequest, media_of
from broker.node.console.pages import page, see
from broker.node.console.sending import sent
from broker.node.console.session import TOKEN, Tokens, new_key, one, posted
from broker.node.mappings import mappings_of, screen_mapping
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.node.screening import BODY, Asked, screenings_of
from broker.register.answers import SubjectAnswer
from broker.screening.mapping import ColumnMapping
from broker.screening.matching import PLACE, ROUTE, STATUS, ZONE
from broker.storage.kept_screenings import RESULTS, KeptScreenings, Screening

LIST: Final = "/console/screenings"
PAGE: Final = 100
"""Results of one page."""
PASTED: Final = 200
"""Most lines that are pasted."""
CLICKS: Final = ("NO_MATCH", "MATCH_NOT_ACTIONED", "NOT_LOCATED")
"""Feedback that needs nothing but its result; what was examined has a form on the alert's page."""
SWEEP_S: Final = 5.0
"""How often kept hits are compared with a register that changed."""
_CONTAINER: Final = re.compile(r"[A-Za-z]{4}[ -]?[0-9]{6}[ -]?[0-9]", re.ASCII)


def kept_of(state: State) -> KeptScreenings:
    """What is kept."""
    kept: KeptScreenings = state["screenings"]
    return kept


def forget_taken_back(node: AgencyNode, kept: KeptScreenings) -> None:
    """Erase the hits of subjects that were taken back, and screenings past their time."""
    with suppress(StoreError):
        reader = node.reader()
        gone = [subject for subject in kept.subjects() if (row := reader.row(subject)) is None or row.state != "LIVE"]
        kept.forget(gone, node.now_ms())


@asynccontextmanager
async def forgetting(node: AgencyNode, beside: Mapping[str, object]) -> AsyncGenerator[None]:
    """Do so whenever the register has changed, for as long as the block lasts; ``beside`` is what the console keeps."""
    task = asyncio.create_task(_sweep(node, cast("KeptScreenings", beside["screenings"])))
    try:
        yield
    finally:
        task.cancel()


async def _sweep(node: AgencyNode, kept: KeptScreenings) -> None:
    seen = -1
    while True:
        with suppress(StoreError):
            changes = node.reader().changes()
            if changes != seen:
                forget_taken_back(node, kept)
                seen = changes
        await asyncio.sleep(SWEEP_S)


def pasted(text: str) -> bytes:
    """Lines that somebody pasted, as shipments: each is looked for as whatever it can be."""
    found: list[bytes] = []
    for line in (each.strip()[:200] for each in text.splitlines()):
        if not line:
            continue
        shipment: dict[str, Any] = {"reference": line, "documents": [{"id": line}], "licence_refs": [{"licence_no": line}]}
        if _CONTAINER.fullmatch(line):
            shipment["units"] = [{"id": line}]
        elif any(sign.isalpha() for sign in line):
            shipment["parties"] = [{"name": line}]
        found.append(msgspec.json.encode(shipment))
    return b"\n".join(found[:PASTED])


async def screened(request: AnyRequest, state: State, name: str, body: bytes, mapping: ColumnMapping | None = None) -> str:
    """Screen a body, and keep what is found; the id under which it is."""
    node, shared, purpose = node_of(state), screenings_of(state), access.purpose_of(request)
    asked = Asked(node, shared, node.reader().changes(), purpose, mapping=mapping)
    async with shared.turns:
        tally, results = await asyncio.to_thread(_found, asked, body)
    made = Screening(
        secrets.token_hex(8), purpose, name[:120], access.user_of(request).name, node.now_ms(), tally.json(), len(results) > RESULTS
    )
    kept_of(state).keep(made, results[:RESULTS])
    return made.id


def _found(asked: Asked, body: bytes) -> tuple[Tally, list[dict[str, Any]]]:
    tally, use, results = Tally(), list[Purposed](), list[dict[str, Any]]()
    for each in asked.run([body], tally, use):
        results += records_of(each, findings=False)
        del results[RESULTS + 1 :]
    return tally, results


def _list(request: AnyRequest, state: State, problem: str = "") -> Response[str]:
    node, purpose = node_of(state), access.purpose_of(request)
    forget_taken_back(node, kept_of(state))
    return page(
        request, state, "screenings.html", status=422 if problem else 200, problem=problem, key=new_key(),
        screenings=kept_of(state).recent(purpose, node.now_ms()), mappings=mappings_of(node, "screen").names(),
    )  # fmt: skip


@get("/screenings", opt={"roles": access.STAFF, "content": True}, operation_id="consoleScreenings")
async def screenings(request: AnyRequest, state: State) -> Response[str]:
    """What was screened for the purpose, and the forms."""
    return _list(request, state)


@post("/screenings", opt={"roles": access.STAFF, "content": True}, operation_id="consoleScreen")
async def screen_pasted(request: AnyRequest, state: State) -> Response[Any]:
    """Screen what was pasted."""
    fields = await posted(request, state["tokens"])
    text = one(fields, "text")
    body = pasted(text)
    if not body:
        return _list(request, state, "EMPTY")
    return see(f"{LIST}/{await screened(request, state, text.strip().splitlines()[0], body)}")


@post(
    "/screenings/file", opt={"roles": access.STAFF, "content": True}, request_max_body_size=BODY + (1 << 16),
    operation_id="consoleScreenFile",
)  # fmt: skip
async def screen_file(request: AnyRequest, state: State) -> Response[Any]:
    """Screen a file."""
    user, tokens = access.user_of(request), cast("Tokens", state["tokens"])
    if request.headers.get("origin") is None:
        raise NotDone("CROSS_SITE", "a form comes with the origin of its page")
    if media_of(request) != "multipart/form-data":
        raise NotDone("BAD_MEDIA_TYPE", "a file is sent as the page sends it")
    form = await request.form()
    if not tokens.holds(user.sha256, str(form.get(TOKEN, ""))):
        raise NotDone("CROSS_SITE", "this form is not of a page that this node made for you, or the node was started again since")
    given = cast("object", form.get("file"))
    if not isinstance(given, UploadFile):
        return _list(request, state, "EMPTY")
    body, name = await given.read(), str(form.get("mapping", ""))
    if not body:
        return _list(request, state, "EMPTY")
    mapping = screen_mapping(node_of(state), name) if name else None
    return see(f"{LIST}/{await screened(request, state, given.filename or '-', body, mapping)}")


def _one(request: AnyRequest, state: State, screening_id: str) -> Screening:
    found = kept_of(state).get(screening_id, access.purpose_of(request), node_of(state).now_ms())
    if found is None:
        raise NotDone("NOT_FOUND", "no such screening is kept for this purpose")
    return found


def _page(request: AnyRequest, state: State, found: Screening, after: int, refusal: Refusal | None = None) -> Response[str]:
    node, kept = node_of(state), kept_of(state)
    forget_taken_back(node, kept)
    results = kept.results(found.id, after, PAGE + 1)
    use, reader, now_ms = node.purposed(found.purpose), node.reader(), node.now_ms()
    shown = [
        each for each in results[:PAGE] if each.body["type"] != "hit" or _may(use, reader.subject(each.body["subject"], now_ms), each.body)
    ]
    return page(
        request, state, "screening.html", status=200 if refusal is None else 422, screening=found, results=shown, clicks=CLICKS,
        hidden_hits=len(results[:PAGE]) - len(shown), next=results[PAGE - 1].number if len(results) > PAGE else None, after=after,
        key=new_key(), own=node.agency, refusal=refusal,
    )  # fmt: skip


def _may(use: Purposed, answer: SubjectAnswer | None, hit: Mapping[str, Any]) -> bool:
    """Whether a hit may be shown still: the subject is, and so is what it was found by. Its owner, the rules or a consent that ended may
    have taken a section since, and what the hit quotes of it with that."""
    kinds = {str(each["kind"]) for each in hit["evidence"]}
    shown = None if answer is None else use.subject(answer, found_by=kinds)
    if shown is None:
        return False
    here = {ZONE, STATUS, *(key.kind for key in shown.keys), *((ROUTE, PLACE) if "route" in shown.content else ())}
    return kinds <= here


@get("/screenings/{screening:str}", opt={"roles": access.STAFF, "content": True}, operation_id="consoleScreening")
async def screening(
    request: AnyRequest, state: State, screening: FromPath[str], after: Annotated[int, QueryParameter(name="after", ge=0)] = 0
) -> Response[str]:
    """One screening: each hit with the alert, why, and what is asked."""
    return _page(request, state, _one(request, state, screening), after)


@post("/screenings/{screening:str}/feedback", opt={"roles": access.STAFF, "content": True}, operation_id="consoleScreeningFeedback")
async def give_feedback(request: AnyRequest, state: State, screening: FromPath[str]) -> Response[Any]:
    """Tell the owner of an alert what came of a hit, by one click."""
    fields = await posted(request, state["tokens"])
    found, number, said = _one(request, state, screening), _number(fields), one(fields, "result")
    hit = next(iter(kept_of(state).results(found.id, number - 1, 1)), None)
    if hit is None or hit.number != number or hit.body["type"] != "hit" or said not in CLICKS:
        raise NotDone("BAD_REQUEST", "choose a result of a hit that is here")
    node, target = node_of(state), ids.subject_id(hit.body["subject"])
    value = feedback_on(node.agency, target, hit.body["revision"], {"result": said})
    done = await sent(request, state, value, fields)
    if isinstance(done, Refusal):
        return _page(request, state, found, max(number - 1, 0), done)
    kept_of(state).say(found.id, number, said)
    return see(f"{LIST}/{found.id}?after={number - 1 if number > PAGE else 0}#hit-{number}")


def _number(fields: Mapping[str, list[str]]) -> int:
    text = one(dict(fields), "number")
    if not text.isascii() or not text.isdigit() or not 0 < len(text) <= 6:
        raise NotDone("BAD_REQUEST", "the form names no hit")
    return int(text)


ROUTES: Final = (screenings, screen_pasted, screen_file, screening, give_feedback)
