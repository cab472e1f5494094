"""What a console remembers of a session: purpose, unit, language, keys, sound. Cookies that no script reads and no other site sends.

The purpose of the cookie becomes the header ``Broker-Purpose`` of the request before any guard sees it: pages and API are held to the same
purpose by the same code. Who it is comes from the client certificate alone, so there is nothing to log in to and nothing to steal.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl

from litestar.datastructures import Cookie
from litestar.types import ASGIApp, Receive, Scope, Send

from broker.families.message import PURPOSES
from broker.node import access
from broker.node.answers import AnyRequest, media_of
from broker.node.console.languages import BY_CODE, preferred
from broker.node.problems import NotDone

FORM: Final = "application/x-www-form-urlencoded"
FIELDS: Final = 1200
"""Most fields of one form."""
TOKEN: Final = "token"  # noqa: S105 - the name of a field
"""The hidden field that shows that a form was rendered by this node for this user."""
KEY: Final = "key"
"""The hidden field with the idempotency key of a rendered form."""
_PREFIX: Final = "__Host-console-"
"""A name that browsers bind to this very host and to TLS (RFC 6265bis, section 4.1.3.2)."""
_NAMES: Final = ("purpose", "unit", "language", "keys", "sound")


class Session(NamedTuple):
    """What was chosen; ``purpose`` None: not yet."""

    purpose: str | None
    unit: str | None
    language: str
    keys: bool
    sound: bool = False


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: cookies[_PREFIX + name].value for name in _NAMES if _PREFIX + name in cookies}


def session_of(headers: Mapping[str, str]) -> Session:
    """The session of a request, by its headers (names in lower case). What is no such purpose or language is as if it were not there."""
    kept = _kept(headers)
    purpose, language = kept.get("purpose"), kept.get("language")
    return Session(
        purpose if purpose in PURPOSES else None,
        kept.get("unit"),
        language if language in BY_CODE else preferred(headers.get("accept-language", "")),
        kept.get("keys") != "off",
        kept.get("sound") == "on",
    )


def cookies(session: Session) -> list[Cookie]:
    """What remembers it, until the browser is closed."""
    values = {
        "purpose": session.purpose, "unit": session.unit, "language": session.language, "keys": "on" if session.keys else "off",
        "sound": "on" if session.sound else "off",
    }  # fmt: skip
    return [
        Cookie(key=_PREFIX + name, value=value, path="/", secure=True, httponly=True, samesite="strict")
        for name, value in values.items()
        if value is not None
    ]


def purpose_as_header(app: ASGIApp) -> ASGIApp:
    """A layer that puts purpose and unit of the session where the guards look for them; headers of that name are not taken here."""
    own = {access.PURPOSE.encode(), access.UNIT.encode()}

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        whole = cast("dict[str, Any]", scope)
        headers: list[tuple[bytes, bytes]] = [(name, value) for name, value in whole["headers"] if name.lower() not in own]
        session = session_of({name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers})
        if session.purpose is not None:
            headers.append((access.PURPOSE.encode(), session.purpose.encode()))
        user = whole.get("user")
        if user is not None and session.unit is not None and session.unit in user.units:
            headers.append((access.UNIT.encode(), session.unit.encode()))
        whole["headers"] = headers
        await app(scope, receive, send)

    return layer


class Tokens:
    """Tokens against posts that no page of this node made: a MAC over the user's certificate, with a key of this process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def token(self, user_sha256: str) -> str:
        """The token of a user."""
        return hmac.new(self._secret, user_sha256.encode(), hashlib.sha256).hexdigest()

    def holds(self, user_sha256: str, given: str) -> bool:
        """Whether it is."""
        return hmac.compare_digest(self.token(user_sha256).encode(), given.encode())


async def posted(request: AnyRequest, tokens: Tokens) -> dict[str, list[str]]:
    """The fields of a form that one of this node's pages posted. Raises NotDone for any other."""
    from_own_page(request)
    if media_of(request) != FORM:
        raise NotDone("BAD_MEDIA_TYPE", "a form is sent as the page sends it")
    return checked(request, tokens, fields_of(await request.body()))


def from_own_page(request: AnyRequest) -> None:
    """Without an ``Origin`` that is this node's own nothing is taken (the gate judges one that is there); browsers send it with every post.
    Raises NotDone."""
    access.user_of(request)
    if request.headers.get("origin") is None:
        raise NotDone("CROSS_SITE", "a form comes with the origin of its page")


def fields_of(body: bytes) -> dict[str, list[str]]:
    """The fields of a form without files. Raises NotDone."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError as error:
        raise NotDone("BAD_REQUEST", "this is no form of a page") from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\r\n", "\n").strip())
    return fields


def checked(request: AnyRequest, tokens: Tokens, fields: dict[str, list[str]]) -> dict[str, list[str]]:
    """The fields, if their token is the one that this node gave to this user. Raises NotDone."""
    if not tokens.holds(access.user_of(request).sha256, one(fields, TOKEN)):
        raise NotDone("CROSS_SITE", "this form is not of a page that this node made for you, or the node was started again since")
    return fields


def one(fields: Mapping[str, list[str]], name: str) -> str:
    """The value of a field; empty where it was left out."""
    return fields.get(name, [""])[0]


def new_key() -> str:
    """An idempotency key for a form that is being rendered."""
    return f"console-{secrets.token_hex(16)}"
