"""The file of dated facts, ``entities.json``, that a bundle has beside its rules.

::

    {"agreements": [{"id": "CMAA:TH-SG", "title", "basis", "from", "until",
                     "countries": ["SG", "TH"], "agencies": [...], "communities": [...],    who is party to it
                     "kinds": ["customs"],                    agencies of which kinds act under it; without: of every kind
                     "families": [...], "purposes": [...], "chapters": [...],    what it covers; without: everything
                     "personal": true,                        whether it covers data about persons and firms
                     "assurance": false}],                    whether an agency needs an assurance on file to be party
     "assurances": [{"agency", "agreement", "basis", "from", "until"}],
     "operations": [{"id", "title", "basis", "from", "until", "members": {agency: {"from", "until"}}}],
     "regimes":    [{the same}]}

All names are ASCII: letters that only look alike are refused, as are keys that are not known, facts without a basis, and dates without a
time zone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from broker import ids
from broker.errors import UsageError
from broker.policy.facts import NO_FACTS, Agreement, Assurance, Circle, Facts, Span

FACTS_FILE: Final = "entities.json"
FACT_LIMIT: Final = 2000
"""Most facts of one kind."""
_ID: Final = re.compile(r"[A-Z0-9][A-Za-z0-9:_.-]{1,63}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_WORD: Final = re.compile(r"[a-z_]{2,30}|[A-Z_]{2,30}")
_CHAPTER: Final = re.compile(r"[0-9]{2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ADVICE: Final = "see docs/policy.md, Agreements and other dated facts"


def read_facts(text: str) -> Facts:
    """Read ``entities.json``. Raises UsageError naming the fact and what is wrong with it."""
    if not text.strip():
        return NO_FACTS
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{FACTS_FILE} is no JSON: {error}", advice=_ADVICE) from error
    values = _object(content, FACTS_FILE, ("agreements", "assurances", "operations", "regimes"))
    agreements = [_agreement(each) for each in _list(values, "agreements")]
    assurances = [_assurance(each) for each in _list(values, "assurances")]
    operations = [_circle(each, "operation") for each in _list(values, "operations")]
    regimes = [_circle(each, "regime") for each in _list(values, "regimes")]
    for names in ([each.id for each in agreements], [each.id for each in (*operations, *regimes)]):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"{FACTS_FILE}: `{twice[0]}` is there twice", advice="give each fact an id of its own")
    known = {each.id for each in agreements}
    for each in assurances:
        if each.agreement not in known:
            raise UsageError(f"{FACTS_FILE}: {each.agency} gives an assurance under `{each.agreement}`, which is not among the agreements")
    found = Facts(tuple(agreements), tuple(assurances), tuple(operations), tuple(regimes))
    return NO_FACTS.joined(found)


def read_operation(value: object) -> Circle:
    """One operation in the form that the file has it in, for example a confidential one. Raises UsageError, saying what is wrong."""
    try:
        found = _circle(value, "operation")
        operation_json(found)
    except UsageError as error:
        raise UsageError(str(error).removeprefix(f"{FACTS_FILE}: "), advice=error.advice) from error
    except OverflowError as error:
        raise UsageError("a date of the operation is outside the years 1 to 9999 in UTC", advice="write 2026-01-01T00:00:00Z") from error
    if len(found.members) > FACT_LIMIT:
        raise UsageError(f"{found.id} has over {FACT_LIMIT:,} members", advice="name a community of the directory instead")
    return found


def operation_json(operation: Circle) -> dict[str, Any]:
    """The inverse of :func:`read_operation`: the same operation always gives the same value. Dates in UTC; what is open is left out."""
    members = {agency: _dates(own, since=0) for agency, own in sorted(operation.members.items())}
    named = {"id": operation.id, "title": operation.title, "basis": operation.basis}
    return {**named, **_dates(operation.span), "members": members}


def _dates(span: Span, since: int | None = None) -> dict[str, str]:
    dates = {} if span.from_ms == since else {"from": _written(span.from_ms)}
    return dates if span.until_ms is None else {**dates, "until": _written(span.until_ms)}


def _written(at_ms: int) -> str:
    found = _EPOCH + timedelta(milliseconds=at_ms)
    return found.replace(tzinfo=None).isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds") + "Z"


def _agreement(value: Any) -> Agreement:
    limits = ("countries", "agencies", "communities", "kinds", "families", "purposes", "chapters")
    values = _object(value, "an agreement", ("id", "title", "basis", "from", "until", *limits, "personal", "assurance"))
    name, title, basis = _named(values, "agreement")
    found = Agreement(
        name, title, basis, _span(values, name),
        _names(values, "countries", name, _COUNTRY), frozenset(ids.agency_id(each) for each in _texts(values, "agencies", name)),
        frozenset(ids.community_id(each) for each in _texts(values, "communities", name)),
        frozenset(ids.kind(each) for each in _texts(values, "kinds", name)),
        _names(values, "families", name, _WORD), _names(values, "purposes", name, _WORD), _names(values, "chapters", name, _CHAPTER),
        _flag(values, "personal", name), _flag(values, "assurance", name),
    )  # fmt: skip
    if not (found.countries or found.agencies or found.communities):
        raise UsageError(f"{FACTS_FILE}: nobody is party to `{name}`", advice="name countries, agencies or communities")
    return found


def _assurance(value: Any) -> Assurance:
    values = _object(value, "an assurance", ("agency", "agreement", "basis", "from", "until"))
    agency = ids.agency_id(str(values.get("agency", "")))
    return Assurance(agency, str(values.get("agreement", "")), _text(values, "basis", agency), _span(values, agency))


def _circle(value: Any, kind: str) -> Circle:
    values = _object(value, f"an {kind}", ("id", "title", "basis", "from", "until", "members"))
    name, title, basis = _named(values, kind)
    ids.community_id(name)
    members: dict[str, Span] = {}
    for agency, own in _object(values.get("members"), name, None).items():
        members[ids.agency_id(agency)] = _span(_object(own, agency, ("from", "until")), f"{name}, {agency}", since=0)
    return Circle(name, title, basis, _span(values, name), dict(sorted(members.items())))


def _named(values: Mapping[str, Any], kind: str) -> tuple[str, str, str]:
    name = values.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        shown = ascii(name)[:70]
        advice = "use 2 to 64 ASCII letters, digits and : _ . -: CMAA:TH-SG"
        raise UsageError(f"{FACTS_FILE}: {shown} is no id of an {kind}", advice=advice)
    return name, _text(values, "title", name), _text(values, "basis", name)


def _object(value: Any, where: str, known: tuple[str, ...] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{FACTS_FILE}: {where} is no object", advice=_ADVICE)
    values = cast("dict[str, Any]", value)
    if known is not None and (odd := sorted(values.keys() - set(known))):
        raise UsageError(f"{FACTS_FILE}: {where} has `{_quoted(odd[0])}`", advice=f"use {', '.join(known)}")
    return values


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    found = values.get(name, [])
    if not isinstance(found, list) or len(cast("list[Any]", found)) > FACT_LIMIT:
        raise UsageError(f"{FACTS_FILE}: `{name}` is no list of at most {FACT_LIMIT:,}", advice=_ADVICE)
    return cast("list[Any]", found)


def _text(values: Mapping[str, Any], name: str, where: str) -> str:
    found = values.get(name)
    if not isinstance(found, str) or not found.strip():
        raise UsageError(f"{FACTS_FILE}: {where} has no `{name}`", advice="say in a sentence what it is, and the clause that it comes from")
    return found.strip()


def _texts(values: Mapping[str, Any], name: str, where: str) -> list[str]:
    found = values.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in cast("list[Any]", found)):
        raise UsageError(f"{FACTS_FILE}: `{name}` of {where} is no list of texts", advice=_ADVICE)
    return cast("list[str]", found)


def _names(values: Mapping[str, Any], name: str, where: str, form: re.Pattern[str]) -> frozenset[str]:
    found = _texts(values, name, where)
    for each in found:
        if not form.fullmatch(each):
            raise UsageError(f"{FACTS_FILE}: `{_quoted(each)}` is none of the {name} that {where} could name", advice=_ADVICE)
    return frozenset(found)


def _flag(values: Mapping[str, Any], name: str, where: str) -> bool:
    found = values.get(name, False)
    if not isinstance(found, bool):
        raise UsageError(f"{FACTS_FILE}: `{name}` of {where} is neither true nor false", advice=_ADVICE)
    return found


def _span(values: Mapping[str, Any], where: str, since: int | None = None) -> Span:
    begins = since if values.get("from") is None else _date(values["from"], where)
    if begins is None:
        raise UsageError(f"{FACTS_FILE}: {where} has no `from`", advice="say from when it holds: 2026-01-01T00:00:00Z")
    ends = None if values.get("until") is None else _date(values["until"], where)
    if ends is not None and ends <= begins:
        raise UsageError(
            f"{FACTS_FILE}: {where} ends before it begins", advice="`until` is the moment from which it does not hold any more"
        )
    return Span(begins, ends)


def _date(value: Any, where: str) -> int:
    try:
        found = datetime.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{FACTS_FILE}: `{_quoted(value)}` of {where} is no date", advice="write 2026-01-01T00:00:00Z") from error
    if found.tzinfo is None:
        raise UsageError(f"{FACTS_FILE}: `{value}` of {where} has no time zone", advice="write 2026-01-01T00:00:00Z: UTC")
    return (found - _EPOCH) // timedelta(milliseconds=1)


def _quoted(value: object) -> str:
    """What somebody wrote, in ASCII and not too long, to be put between quotation marks."""
    return (ascii(value)[1:-1] if isinstance(value, str) else ascii(value))[:40]
