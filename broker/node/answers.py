"""Reading requests and writing answers: JSON in, digit for digit; JSON out, with a tag where state is read (RFC 9110, section 8.8.3)."""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response

from broker.errors import UsageError
from broker.node.problems import NotDone
from broker.schema import json_form

T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]
JSON: Final = "application/json"
LINES: Final = frozenset({"application/jsonl", "application/x-ndjson", "application/x-jsonlines"})
"""What JSON Lines are called."""


def media_of(request: AnyRequest) -> str:
    """The media type of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def value_of(request: AnyRequest) -> object:
    """The JSON value of the body. Raises NotDone."""
    if media_of(request) != JSON:
        raise NotDone("BAD_MEDIA_TYPE", "this path takes application/json")
    return parsed(await request.body())


def parsed(body: bytes) -> object:
    """A JSON value, fractions digit for digit, each key once. Raises NotDone."""
    try:
        return json_form.read_json(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotDone("BAD_JSON", "the body is no UTF-8") from error
    except UsageError as error:
        raise NotDone("BAD_JSON", str(error)[:300]) from error


async def form_of(request: AnyRequest, kind: type[T]) -> T:
    """The body as a form. Raises NotDone."""
    try:
        return msgspec.convert(await value_of(request), kind)
    except msgspec.ValidationError as error:
        raise NotDone("BAD_REQUEST", str(error)[:300]) from error


def tagged(request: AnyRequest, content: Any, *, headers: dict[str, str] | None = None) -> Response[bytes]:
    """An answer with its tag; 304 without a body where the client has it already. No cache on the way or in a browser may keep it: who asks
    with its tag is a program that keeps it itself."""
    body = msgspec.json.encode(content)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    own = {"ETag": tag, **(headers or {})}
    if tag in known or "*" in known:
        return Response(b"", status_code=304, headers=own, media_type=JSON)
    return Response(body, headers=own, media_type=JSON)
