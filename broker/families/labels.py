"""What a header's labels must say, whatever the family (domain dictionary 2.1 and 3.1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Final

from broker import ids
from broker.errors import Refusal
from broker.families.message import (
    HANDLING,
    INFORMATION_GRADES,
    ONWARD,
    PAP,
    PURPOSES,
    RETENTION,
    SOURCE_GRADES,
    TLP,
    URGENCIES,
    Audience,
    Message,
)  # fmt: skip
from broker.families.routing import COUNTRY
from broker.values import Correlation, Evaluation

EARLIEST_MS: Final = 631_152_000_000
LATEST_MS: Final = 4_102_444_800_000
"""1990-01-01 and 2100-01-01 UTC: a time outside is a slip of the pen or an attack on date arithmetic."""

CAVEAT_LIMIT: Final = 1000
CASE_REF_LIMIT: Final = 35
_LEGAL_BASIS = re.compile(r"[A-Z][A-Z0-9]{1,15}(?:/[0-9]{1,4})?(?::[A-Za-z0-9][A-Za-z0-9._/-]{0,39})?")
_LANGUAGE = re.compile(r"[a-z]{2}")
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_KEPT = "\n\u200c\u200d"
"""Line breaks, and the joiners that Persian and Indic scripts are spelt with."""

AUDIENCE_LIMIT: Final = 1000
"""Longest list of an audience: deciding takes time with it, and nobody may hold up the relay with one message."""


REMEMBERED: Final = 1024
"""Most combinations of labels of one kind that are remembered."""
SHORT_AUDIENCE: Final = 32
"""Most names of an audience that is remembered."""

Check = Callable[..., Refusal | None]


def _remembering(check: Check) -> Check:
    """Remember which labels passed: the few combinations that an agency uses come again and again.

    What is refused is not kept: labels that pass are as short as the rules say, and others may have a megabyte each.
    """
    passed: set[tuple[object, ...]] = set()

    @wraps(check)
    def asked(*labels: object) -> Refusal | None:
        if labels in passed:
            return None
        refusal = check(*labels)
        if refusal is None:
            if len(passed) >= REMEMBERED:
                passed.clear()
            passed.add(labels)
        return refusal

    return asked


def _bad(path: str, reason: str) -> Refusal:
    return Refusal("BAD_LABELS", reason, path)


def check_labels(message: Message) -> Refusal | None:
    """The first rule that the message's labels break, as a Refusal with code BAD_LABELS and a path such as ``header.tlp``."""
    named = message.audience
    return (
        _check_subject(message)
        or _check_vocabularies(
            message.urgency, message.handling, message.tlp, message.pap, message.onward, message.retention, message.evaluation
        )
        or _check_purposes(tuple(message.purposes), message.legal_basis, message.language)
        or _check_handling(message.handling, message.handling_caveat, message.onward, message.evidential_use)
        or _check_times(message)
        or _check_named(message.tlp, named)
        or _check_correlation(message.correlation)
    )


def _problem(parse: Callable[[str], str], text: str) -> str | None:
    """Why an identifier is malformed, or None."""
    try:
        parse(text)
    except ids.InvalidId as error:
        return f"{error}: {error.advice}"
    return None


def _check_subject(message: Message) -> Refusal | None:
    problem = _problem(ids.subject_id, message.subject)
    if problem is not None:
        return _bad("subject", problem)
    if not 1 <= message.revision < 1 << 31:
        return _bad("revision", "a revision is a whole number from 1 to 2147483647")
    return None


def _one_of(value: str | None, known: tuple[str, ...], path: str) -> Refusal | None:
    if value in known:
        return None
    return _bad(path, f"use one of {', '.join(known).replace('AMBER_STRICT', 'AMBER+STRICT')}")


@_remembering
def _check_vocabularies(
    urgency: str, handling: str, tlp: str, pap: str | None, onward: str, retention: str, grades: Evaluation | None
) -> Refusal | None:
    return (
        _one_of(urgency, URGENCIES, "header.urgency")
        or _one_of(handling, HANDLING, "header.handling")
        or _one_of(tlp, TLP, "header.tlp")
        or (None if pap is None else _one_of(pap, PAP, "header.pap"))
        or _one_of(onward, ONWARD, "header.onward")
        or _one_of(retention, RETENTION, "header.retention")
        or (None if grades is None else _one_of(grades.source, SOURCE_GRADES, "header.evaluation.source"))
        or (None if grades is None else _one_of(grades.information, INFORMATION_GRADES, "header.evaluation.information"))
    )


@_remembering
def _check_purposes(purposes: tuple[str, ...], legal_basis: str, language: str | None) -> Refusal | None:
    if not purposes:
        return _bad("header.purposes", "name at least one purpose: nobody may use the content for none")
    for number, purpose in enumerate(purposes):
        if purpose not in PURPOSES:
            return _bad(f"header.purposes[{number}]", f"use codes out of {', '.join(PURPOSES)}")
    if len(set(purposes)) != len(purposes):
        return _bad("header.purposes", "name each purpose once")
    if not _LEGAL_BASIS.fullmatch(legal_basis):
        return _bad("header.legal_basis", "give a code and, after a colon, a reference: CMAA:SG-AE, EU2021/821, UNSCR1540")
    if language is not None and not _LANGUAGE.fullmatch(language):
        return _bad("header.language", "give the language as two small letters of ISO 639-1, such as en")
    return None


@_remembering
def _check_handling(handling: str, caveat: str | None, onward: str, evidential_use: bool) -> Refusal | None:
    if handling == "H3" and not (caveat and caveat.strip()):
        return _bad("header.handling_caveat", "H3 means limits in words: write them")
    if caveat is not None and not readable(caveat, CAVEAT_LIMIT):
        return _bad("header.handling_caveat", f"write at most {CAVEAT_LIMIT} visible characters, without control signs")
    if handling == "H2" and onward not in ("NONE", "CONSENT"):
        return _bad("header.onward", "H2 forbids dissemination without leave: use NONE or CONSENT")
    if handling == "H1" and evidential_use:
        return _bad("header.evidential_use", "H1 forbids use in court without leave: use false")
    return None


def _check_times(message: Message) -> Refusal | None:
    named = (("valid_from", message.valid_from_ms), ("valid_until", message.valid_until_ms), ("embargo_until", message.embargo_until_ms))
    for name, value in named:
        if value is not None and not EARLIEST_MS <= value < LATEST_MS:
            return _bad(f"header.{name}", "the time is before 1990 or after 2099")
    if message.valid_until_ms is None:
        return _bad("header.valid_until", "an alert must end: say when") if message.family == "alert" else None
    if message.valid_from_ms is not None and message.valid_from_ms > message.valid_until_ms:
        return _bad("header.valid_until", "the end is before valid_from")
    if message.embargo_until_ms is not None and message.embargo_until_ms >= message.valid_until_ms:
        return _bad("header.embargo_until", "the embargo lasts as long as the message is valid: nobody would ever see it in force")
    return None


def _check_named(tlp: str, named: Audience) -> Refusal | None:
    """A short audience from memory, a long one each time."""
    lists = tuple(named.agencies), tuple(named.communities), tuple(named.countries)
    check = _check_audience if sum(map(len, lists)) > SHORT_AUDIENCE else _check_short_audience
    return check(tlp, *lists)


def _check_audience(
    tlp: str, agencies: tuple[str, ...], communities: tuple[str, ...], countries: tuple[str, ...]
) -> Refusal | None:  # fmt: skip
    audience = Audience(agencies, communities, countries)
    if tlp == "RED" and not audience.agencies:
        return _bad("header.audience.agencies", "TLP RED is for named recipients: name the agencies")
    if tlp == "RED" and (audience.communities or audience.countries):
        group = "communities" if audience.communities else "countries"
        return _bad(f"header.audience.{group}", "TLP RED is for named recipients: name agencies, not groups")
    for name, listed in (("agencies", audience.agencies), ("communities", audience.communities), ("countries", audience.countries)):
        if len(listed) > AUDIENCE_LIMIT:
            return _bad(f"header.audience.{name}", f"an audience lists at most {AUDIENCE_LIMIT}: name a community instead")
    return (
        _check_ids(audience.agencies, ids.agency_id, "header.audience.agencies")
        or _check_ids(audience.communities, ids.community_id, "header.audience.communities")
        or _check_ids(audience.countries, _country, "header.audience.countries")
    )


_check_short_audience = _remembering(_check_audience)


def _country(text: str) -> str:
    if not COUNTRY.fullmatch(text):
        raise ids.InvalidId("not a country code", advice="use two ASCII capitals of ISO 3166-1, such as SG")
    return text


def _check_ids(values: Iterable[str], parse: Callable[[str], str], path: str) -> Refusal | None:
    for number, value in enumerate(values):
        problem = _problem(parse, value)
        if problem is not None:
            return _bad(f"{path}[{number}]", problem)
    return None


def _check_correlation(links: Correlation) -> Refusal | None:
    if links.causation is not None and len(links.causation) != 16:
        return _bad("header.correlation.causation", "a message id has 16 bytes")
    if links.target is not None:
        problem = _problem(ids.subject_id, links.target)
        if problem is not None:
            return _bad("header.correlation.target", problem)
    if links.target_revision is not None and links.target is None:
        return _bad("header.correlation.target", "a target_revision needs its target")
    if links.target_revision is not None and not 1 <= links.target_revision < 1 << 31:
        return _bad("header.correlation.target_revision", "a revision is a whole number from 1 to 2147483647")
    if links.case_ref is not None and not readable(links.case_ref, CASE_REF_LIMIT):
        return _bad("header.correlation.case_ref", f"a case reference has 1 to {CASE_REF_LIMIT} visible characters")
    return None


def readable(text: str, limit: int) -> bool:
    """Whether a text is 1 to ``limit`` characters, NFC, and free of control, direction-changing, private and unassigned ones.

    Line breaks are allowed. Direction overrides would show an officer another text than the one that was signed.
    """
    if not 1 <= len(text) <= limit or not unicodedata.is_normalized("NFC", text):
        return False
    return (text.isascii() and text.isprintable()) or not any(unicodedata.category(c) in _UNSEEN and c not in _KEPT for c in text)
