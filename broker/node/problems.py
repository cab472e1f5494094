"""What a request is answered with when it is not done: problem details (RFC 9457), with our codes and what to do next."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from broker.errors import ExchangeUnreachable, Refusal, RefusedError, StoreError, UsageError
from broker.node.scope import request_id_of

MEDIA: Final = "application/problem+json"
CODES: Final[dict[str, tuple[int, str]]] = {
    "BAD_REQUEST": (400, "correct what `detail` and `errors` name, as the OpenAPI document says"),
    "BAD_JSON": (400, "send one JSON value in UTF-8, each key once"),
    "BAD_MULTIPART": (400, "send the part `mapping` and after it the part `file`, as a library or `curl --form` writes them"),
    "PURPOSE_NEEDED": (400, "say what it is read for: the header Broker-Purpose, such as STC_ENFORCEMENT"),
    "BAD_PURPOSE": (400, "use one of the purposes that the OpenAPI document lists"),
    "BAD_KEY": (400, "give an Idempotency-Key of 1 to 128 printable ASCII characters"),
    "USAGE": (400, "correct the request"),
    "CERTIFICATE_NEEDED": (401, "connect with a client certificate: `broker node user add` (or `broker operator user add`) makes one"),
    "CERTIFICATE_UNKNOWN": (401, "have the certificate let in: `broker node user add NAME --certificate FILE`"),
    "TOKEN_MALFORMED": (401, "send one header `Authorization: Bearer TOKEN`, with a JSON Web Token of at most 8 KiB"),
    "TOKEN_INVALID": (401, "get a token of the issuer that this node takes, for this node as its audience"),
    "TOKEN_EXPIRED": (401, "get a new token"),
    "TOKEN_KEY_UNKNOWN": (401, "try again in a minute: the issuer's keys are read meanwhile; then have the operator look at them"),
    "TOKEN_SUBJECT_UNKNOWN": (401, "have the subject let in: `broker node user add NAME --issuer ISSUER --subject SUBJECT`"),
    "TOKEN_OF_ANOTHER": (401, "connect with the certificate of the token's user, or with none"),
    "TOKENS_NOT_TAKEN": (401, "connect with a client certificate, and send no Authorization header"),
    "CERTIFICATE_ONLY": (403, "open the console with a client certificate in the browser, and without a token"),
    "ROLE_MAY_NOT": (403, "ask somebody with one of the roles that the reason names"),
    "UNIT_MAY_NOT": (403, "leave Broker-Unit out, or name a unit that you belong to"),
    "CROSS_SITE": (403, "send it from a page of this node, or from a program, which sets no Origin"),
    "BAD_FILE": (422, "correct what the reason names, and send the file again"),
    "NOT_SHOWN": (403, "ask for it for a purpose that the message is for, or ask its owner"),
    "ATTACHMENT_INCOMPLETE": (409, "wait: the other chunks are on their way"),
    "ATTACHMENT_DAMAGED": (409, "tell the owner of the message: what came is not the file that it cited"),
    "NOT_FOUND": (404, "see the OpenAPI document for what there is"),
    "NO_MAPPING": (404, "keep it first: PUT /mappings/{kind}/{name}; GET /mappings lists those that there are"),
    "METHOD_NOT_ALLOWED": (405, "see the OpenAPI document for the methods of this path"),
    "TOO_SLOW": (408, "send the whole request within its time"),
    "CURSOR_LOST": (410, "read from the beginning, without a cursor; what you have already comes again, by the same message ids"),
    "TOO_LONG": (413, "send less at a time; pictures and documents do not go inside sections"),
    "BAD_MEDIA_TYPE": (415, "send application/json, or application/jsonl for many messages"),
    "KEY_REUSED": (422, "use a new Idempotency-Key for another request; with the same key send the very same bytes"),
    "TOO_MANY": (429, "wait as long as Retry-After says"),
    "HEAD_TOO_LONG": (431, "send shorter headers"),
    "INTERNAL": (500, "report it with its request id: it is a bug"),
    "STORE": (503, "see that the node's disk has room and its files can be written, then send it again"),
    "BUSY": (503, "send it again in a moment, over fewer connections"),
    "EXCHANGE_UNREACHABLE": (503, "try again when the exchange is up; what was accepted is kept"),
    "STOPPING": (503, "send it again in a moment"),
}  # fmt: skip
"""Each code that is not a refusal of the exchange's: its status, and the advice that goes with it."""
_BY_STATUS: Final = {
    400: "BAD_REQUEST", 401: "CERTIFICATE_NEEDED", 403: "ROLE_MAY_NOT", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "TOO_LONG",
    415: "BAD_MEDIA_TYPE", 429: "TOO_MANY",
}  # fmt: skip

_log = structlog.get_logger("node")


class Problem(msgspec.Struct, omit_defaults=True):
    """Problem details (RFC 9457). ``code`` is stable; ``advice`` says what to do; ``path`` names the field of a message; ``step`` is the
    admission step that refuses it."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    advice: str = ""
    request_id: str = ""
    path: str = ""
    step: int | None = None
    errors: list[dict[str, Any]] = []


class NotDone(Exception):
    """Ends a request with this problem."""

    def __init__(self, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.headers = code, detail, headers or {}


def problem(code: str, detail: str, *, errors: list[dict[str, Any]] | None = None) -> Problem:
    """The problem of one of :data:`CODES`."""
    status, advice = CODES[code]
    return Problem(f"urn:xb:problem:{code}", HTTPStatus(status).phrase, status, code, detail, advice, errors=errors or [])


def refused(refusal: Refusal) -> Problem:
    """The problem of a message that is refused."""
    title = f"refused at step {refusal.step}"
    return Problem(
        f"urn:xb:problem:{refusal.code}", title, 422, refusal.code, refusal.reason, refusal.advice, path=refusal.path, step=refusal.step
    )


def body_of(found: Problem, request_id: str) -> bytes:
    """Its bytes."""
    found.request_id = request_id
    return msgspec.json.encode(found)


def answer(request: Request[Any, Any, Any], found: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """As a response."""
    return Response(body_of(found, request_id_of(request)), status_code=found.status, media_type=MEDIA, headers=headers or {})


def on_not_done(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Handler of :class:`NotDone`."""
    if not isinstance(error, NotDone):
        return on_bug(request, error)
    return answer(request, problem(error.code, error.detail), error.headers)


def on_http(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What the framework refuses: no such path, no such method, parameters that are none."""
    if not isinstance(error, HTTPException):
        return on_bug(request, error)
    code = _BY_STATUS.get(error.status_code)
    if code is None:
        return on_bug(request, error)
    errors: list[dict[str, Any]] = []
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        errors = [{"key": str(each.get("key", "")), "message": str(each.get("message", ""))} for each in error.extra]
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in ("allow", "retry-after")}
    detail = "no such thing here" if code == "NOT_FOUND" else "the request is not what this path takes"
    return answer(request, problem(code, detail, errors=errors), headers)


def on_broker(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What the project raises on purpose."""
    if isinstance(error, RefusedError):
        return answer(request, refused(error.refusal))
    if isinstance(error, ExchangeUnreachable):
        return answer(request, problem("EXCHANGE_UNREACHABLE", str(error)), {"Retry-After": "5"})
    if isinstance(error, StoreError):
        return answer(request, problem("STORE", "a store of this node cannot be used"), {"Retry-After": "5"})
    if isinstance(error, UsageError):
        found = problem(error.code if error.code in CODES else "USAGE", str(error))
        found.advice = error.advice or found.advice
        return answer(request, found)
    return on_bug(request, error)


def on_late(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A client that was too slow."""
    return answer(request, problem("TOO_SLOW", str(error) or "the body took too long"), {"Connection": "close"})


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Everything else is a bug of ours: nothing of it is told but the request id, under which it is in the log."""
    _log.error("a request failed", exc_info=error)
    return answer(request, problem("INTERNAL", "this is a bug"))
