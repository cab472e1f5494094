"""Making a page: Jinja templates with everything escaped, in the language of the session, with headers that let nothing else in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import State
from markupsafe import Markup

from broker import ids
from broker.families.message import PURPOSES
from broker.node.answers import AnyRequest
from broker.node.console.assets import HTMX
from broker.node.console.languages import BY_CODE, LANGUAGES, translations
from broker.node.console.session import Tokens, session_of
from broker.node.console.words import WORDS
from broker.node.messages import node_of
from broker.node.problems import NotDone
from broker.node.scope import known
from broker.values import iso

FOLDER: Final = Path(__file__).with_name("templates")
HTML: Final = "text/html; charset=utf-8"
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",  # with no-referrer browsers send `Origin: null` with a form, and it could not be told whose it is
}
SPOKEN_AS_LETTERS: Final = frozenset({"mrn", "ucr", "lei", "cas", "cus", "eori", "imo"})
"""Fields that are called by their letters in every language."""
_KINDS: Final = (
    "code",
    "alert_type",
    "party_role",
    "mode",
    "anchor",
    "licence_type",
    "decision",
    "result",
    "examination",
    "category",
    "action",
    "instruction",
)
"""Whose codes are known in words wherever they stand; where two have the same code, the later one says what it is."""
_CODES: Final = {code: text for kind in _KINDS for code, text in WORDS[kind].items()}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_UNSEEN: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Characters that are not seen, or turn what is read around: they are shown by their numbers."""
MINUTE_MS: Final = 60_000


@lru_cache(maxsize=len(LANGUAGES))
def environment(language: str) -> Environment:
    """The templates in one language. A name that is not given is a bug, and everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"], finalize=visible,
    )  # fmt: skip
    texts = translations(language)
    made.install_gettext_translations(texts, newstyle=True)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]

    def said(code: object, kind: str) -> str:
        text = WORDS[kind].get(str(code))
        if text is None:
            if kind != "field":
                return str(code)
            return str(code).upper() if code in SPOKEN_AS_LETTERS else str(code).replace("_", " ").capitalize()
        return texts.gettext(text)

    def away(at_ms: int, now_ms: int) -> str:
        """How long until then, or how long it is over."""
        minutes = abs(at_ms - now_ms) // MINUTE_MS
        days, hours = minutes // 1440, minutes // 60 % 24
        if days:
            long = texts.gettext("%(days)s d %(hours)s h") % {"days": days, "hours": hours}
        elif hours:
            long = texts.gettext("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes % 60}
        else:
            long = texts.gettext("%(minutes)s min") % {"minutes": minutes}
        return (texts.gettext("late by %(time)s") if at_ms <= now_ms else texts.gettext("in %(time)s")) % {"time": long}

    def coded(value: object) -> str:
        """A value of a section; a code of a list that the console knows in words as well, a time as people read it."""
        if isinstance(value, bool):
            return texts.gettext("yes") if value else texts.gettext("no")
        if isinstance(value, str) and _TIME.fullmatch(value):
            return clock(int(datetime.fromisoformat(value).timestamp() * 1000))
        text = _CODES.get(str(value)) if isinstance(value, str) else None
        return str(value) if text is None else f"{texts.gettext(text)} ({value})"

    patterns = {
        "days": "%(days)s d %(hours)s h", "hours": "%(hours)s h %(minutes)s min", "minutes": "%(minutes)s min", "in": "in %(time)s",
        "late": "late by %(time)s",
    }  # fmt: skip
    shared: Any = made.globals  # the types of what they hold are those of Jinja's own
    filters: Any = made.filters
    shared["clock_words"] = msgspec.json.encode({name: texts.gettext(text) for name, text in patterns.items()}).decode()
    filters |= {"coded": coded, "said": said, "away": away, "clock": clock, "stamp": iso, "segment": segment}
    return made


def visible(value: object) -> object:
    """Text in which everything can be seen; other values as they are."""
    if not isinstance(value, str) or not _UNSEEN.search(value):
        return value
    return type(value)(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", value))


def segment(text: str) -> str:
    """Text as one segment of a path: a subject's slashes are escaped."""
    return quote(text, safe="")


def subject_named(text: str) -> str:
    """The id of a subject as it stands in a path. Raises NotDone."""
    try:
        return ids.subject_id(unquote(text))
    except ids.InvalidId as error:
        raise NotDone("NOT_FOUND", "this is no subject") from error


def clock(at_ms: int | None) -> str:
    """A time as people read it, in UTC; from left to right also among what is written the other way."""
    if at_ms is None:
        return ""
    return Markup('<bdi dir="ltr">{}</bdi>').format(f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC")


def common(request: AnyRequest, state: State) -> dict[str, Any]:
    """What every page needs: who looks, for what, where, and how old the answers are."""
    node = node_of(state)
    return session_values(request, state) | {
        "agency": node.agency, "environment_name": node.settings.environment, "exchange": node.settings.exchange_id,
        "purposes": PURPOSES, "now": node.now_ms(), "freshness": node.freshness(), "approving": state["approving"],
    }  # fmt: skip


def session_values(request: AnyRequest, state: State) -> dict[str, Any]:
    """What every page needs, whosever pages they are: who looks, in which language, and where."""
    user, session = known(request), session_of(dict(request.headers))
    tokens: Tokens = state["tokens"]
    return {
        "language": BY_CODE[session.language], "languages": LANGUAGES, "session": session, "user": user,
        "unit": session.unit if user and session.unit in user.units else user.units[0] if user else "",
        "token": tokens.token(user.sha256) if user else "", "here": request.url.path, "htmx": HTMX in assets_of(state),
    }  # fmt: skip


def assets_of(state: State) -> Mapping[str, Path]:
    """The files that pages may fetch, by name."""
    found: Mapping[str, Path] = state["assets"]
    return found


def text_of(request: AnyRequest, state: State, template: str, values: Mapping[str, Any]) -> str:
    """A page or a part of one, as text."""
    session = session_of(dict(request.headers))
    return environment(session.language).get_template(template).render({**common(request, state), **values})


def page(request: AnyRequest, state: State, template: str, *, status: int = 200, **values: Any) -> Response[str]:
    """A page."""
    return Response(text_of(request, state, template, values), media_type=HTML, headers=HEADERS, status_code=status)


def see(path: str) -> Response[None]:
    """On to another page, by a GET (303)."""
    return Response(None, status_code=303, headers={"location": path, **HEADERS})
