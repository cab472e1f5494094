"""Looking up what is true now: ``GET /alerts``, ``GET /licences/{number}``, ``POST /licences/status``, ``GET /subjects/{subject}/trace``.

The answers are the register's, at once, with the exchange or without; ``as_of`` says how old they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, Final
from urllib.parse import unquote

import msgspec
from litestar import Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from broker import ids
from broker.app.agency_node import AgencyNode
from broker.app.look_up import KEYS, conditions_of
from broker.app.message_forms import withheld_json
from broker.app.purpose import Purposed
from broker.app.register_forms import freshness_json, licence_json, subject_json, trace_json
from broker.errors import UsageError
from broker.exchange.use import Withheld
from broker.node import access
from broker.node.answers import JSON, AnyRequest, form_of, tagged
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.node.scope import PURPOSE
from broker.register.answers import LicenceAnswer
from broker.register.keys import comparable

NUMBERS: Final = 1000
"""Most licences of one request."""
_TURN: Final = 50
"""Look-ups between two chances for others."""


def withheld_of(found: Iterable[Withheld], purpose: str) -> list[dict[str, Any]]:
    """What is there and not shown for the purpose."""
    return [withheld_json(each, purpose) for each in found]


@get("/alerts", opt={"roles": access.STAFF, "content": True}, tags=["read"], operation_id="findAlerts")
async def alerts(
    request: AnyRequest,
    state: State,
    container: Annotated[str | None, QueryParameter(name="container", max_length=200)] = None,
    document: Annotated[str | None, QueryParameter(name="document", max_length=200)] = None,
    conveyance: Annotated[str | None, QueryParameter(name="conveyance", max_length=200)] = None,
    party: Annotated[str | None, QueryParameter(name="party", max_length=200)] = None,
    licence: Annotated[str | None, QueryParameter(name="licence", max_length=200)] = None,
    hs: Annotated[str | None, QueryParameter(name="hs", max_length=200)] = None,
    control: Annotated[str | None, QueryParameter(name="control", max_length=200)] = None,
    ended: Annotated[bool, QueryParameter(name="ended", description="Take in alerts past their time.")] = False,
) -> Response[bytes]:
    """The live alerts that fit everything that is given."""
    node, purpose = node_of(state), access.purpose_of(request)
    values = (container, document, conveyance, party, licence, hs, control)
    conditions = conditions_of(dict(zip(KEYS, values, strict=True)), advice=f"give one or more of {', '.join(KEYS)}")
    use = node.purposed(purpose)
    found = node.reader().find(conditions, node.now_ms(), ended=ended)
    looked_for = {kind for condition in conditions for kind, _ in condition}
    shown = [each for answer in found if (each := use.subject(answer, found_by=looked_for)) is not None]
    told = {"alerts": [subject_json(each) for each in shown], "withheld": withheld_of(use.withheld.values(), purpose)}
    return tagged(request, told | freshness_json(node.freshness()) | node.environment())


@get("/licences/{number:str}", opt={"roles": access.STAFF, "content": True}, tags=["read"], operation_id="licence")
async def licence(request: AnyRequest, state: State, number: FromPath[str]) -> Response[bytes]:
    """The licences of this number, one for each authority that has it: status, in-transit instruction, quantities, what cites it."""
    node, purpose = node_of(state), access.purpose_of(request)
    number = _checked(unquote(number))
    use = node.purposed(purpose)
    found = node.reader().licence(number, node.now_ms())
    shown = [each for answer in found if (each := use.licence(answer)) is not None]
    told = {"licence_no": number, "known": bool(found), "licences": [licence_json(each) for each in shown]}
    told["withheld"] = withheld_of(use.withheld.values(), purpose)
    return tagged(request, told | freshness_json(node.freshness()) | node.environment())


class Numbers(msgspec.Struct, forbid_unknown_fields=True):
    """Which licences' status is asked."""

    numbers: Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=200)]], msgspec.Meta(min_length=1, max_length=NUMBERS)]


@post(
    "/licences/status", status_code=200, opt={"roles": access.STAFF, "content": True}, request_max_body_size=1 << 20, tags=["read"],
    operation_id="licenceStatus",
)  # fmt: skip
async def licence_status(request: AnyRequest, state: State) -> Response[bytes]:
    """The status of up to 1,000 licences, in the order in which they are asked for."""
    node, purpose = node_of(state), access.purpose_of(request)
    numbers = (await form_of(request, Numbers)).numbers
    use, results = node.purposed(purpose), list[dict[str, Any]]()
    for at, number in enumerate(numbers):
        if at % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        results.append(_status(node, use, number))
    told = {"results": results, "withheld": withheld_of(use.withheld.values(), purpose)}
    body = msgspec.json.encode(told | freshness_json(node.freshness()) | node.environment())
    return Response(body, media_type=JSON)


def _status(node: AgencyNode, use: Purposed, number: str) -> dict[str, Any]:
    found = node.reader().licence(number, node.now_ms()) if comparable(number) else []
    shown = [each for answer in found if (each := use.licence(answer)) is not None]
    return {"licence_no": number, "known": bool(found), "licences": [_status_json(each) for each in shown]}


def _status_json(answer: LicenceAnswer) -> dict[str, Any]:
    whole = licence_json(answer)
    names = ("authority", "status", "in_force", "instruction", "effective_at", "expires_at", "subject", "revision")
    return {name: whole[name] for name in names} | {"flags": [flag["code"] for flag in whole["flags"]]}


def _checked(number: str) -> str:
    if not comparable(number):
        raise UsageError("nothing to look for was given", advice="give the licence's number, such as 2026-0815")
    return number


@get("/subjects/{subject:str}/trace", opt={"roles": access.ALL}, tags=["read"], operation_id="trace")
async def trace(request: AnyRequest, state: State, subject: FromPath[str]) -> Response[bytes]:
    """Who received a subject of this agency's own: which sections, when, under which rule, and what each answered. The slashes of the
    subject's id are written `%2F`. Answers are content: without Broker-Purpose they are left out."""
    node = node_of(state)
    try:
        subject = ids.subject_id(unquote(subject))
    except ids.InvalidId as error:
        raise UsageError(str(error), advice=error.advice) from error
    if ids.owner_of(subject) != node.agency:
        raise NotDone("NOT_FOUND", "only the owner of a subject sees who received it")
    purpose = request.headers.get(PURPOSE)
    found = node.recalls.trace(node.reader(), subject)
    use = None if purpose is None else node.purposed(purpose)
    recipients: list[dict[str, Any]] = []
    for each in found:
        told = trace_json(subject, each if use is None else use.trace(each))
        if use is None:
            told |= {"acks": [], "feedback": [], "recall_answers": [], "other": []}
        recipients.append(told)
    withheld = withheld_of(use.withheld.values(), purpose) if use is not None and purpose is not None else []
    told = {"subject": subject, "recipients": recipients, "withheld": withheld}
    return tagged(request, told | freshness_json(node.freshness()) | node.environment())
