"""Names that travel: agencies, subjects, streams, messages, topics, shards. Parsed once at an edge, then trusted.

Everything here is ASCII by rule. A Cyrillic letter that looks like a Latin one, a full-width digit or ``..`` in a path would
otherwise give two agencies the same face; see :class:`InvalidId`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NewType

from broker.errors import UsageError

AgencyId = NewType("AgencyId", str)
"""A member of the exchange, for example ``SG-CUSTOMS``. International bodies begin with ``XX-``."""

SubjectId = NewType("SubjectId", str)
"""The thing a message is about, ``<owner's agency id>/<the owner's own reference>``: ownership needs no look-up."""

KINDS: Final = (
    "customs", "licensing", "police", "coastguard", "zone", "fiu", "regulator", "international", "auditor",
)  # fmt: skip
"""What an agency can be. Policies speak of kinds, never of single agencies."""

ENVIRONMENTS: Final = ("production", "test", "exercise")
"""An exchange is made for exactly one; it is signed into every message, so exercise traffic can never pass for real."""

_AGENCY = re.compile(r"[A-Z]{2}-[A-Z0-9]{2,12}")
_SUBJECT = re.compile(r"[A-Z]{2}-[A-Z0-9]{2,12}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,47}){1,4}")
_COMMUNITY = re.compile(r"[A-Z0-9][A-Z0-9-]{1,31}")
_EXCHANGE = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}")
SUBJECT_LIMIT: Final = 64
"""Longest subject id in characters (domain dictionary 2.1: an..64)."""


class InvalidId(UsageError):
    """An identifier breaks its rule. The message names the rule and shows the offending characters escaped."""

    code = "INVALID_ID"


def _shown(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")[:80]


def agency_id(text: str) -> AgencyId:
    """Parse an agency id: two capitals (ISO 3166 country or ``XX``), a hyphen, 2 to 12 capitals or digits. Raises InvalidId."""
    if not _AGENCY.fullmatch(text):
        raise InvalidId(
            f"`{_shown(text)}` is not an agency id",
            advice="use two ASCII capitals for the country, a hyphen, then 2 to 12 ASCII capitals or digits: SG-CUSTOMS",
        )
    return AgencyId(text)


def subject_id(text: str) -> SubjectId:
    """Parse a subject id such as ``SG-CUSTOMS/2026/000123``, at most 64 characters. Raises InvalidId."""
    if len(text) > SUBJECT_LIMIT or not _SUBJECT.fullmatch(text):
        raise InvalidId(
            f"`{_shown(text)}` is not a subject id",
            advice="use the owner's agency id, then 1 to 4 parts of ASCII letters, digits, dot, hyphen or underscore, "
            "each after a slash and 64 characters in all: SG-CUSTOMS/2026/000123",
        )
    return SubjectId(text)


def community_id(text: str) -> str:
    """Parse a community's name such as ``STCE-ASEAN``: 2 to 32 ASCII capitals, digits or hyphens. Raises InvalidId."""
    if not _COMMUNITY.fullmatch(text):
        raise InvalidId(
            f"`{_shown(text)}` is not a community name",
            advice="use 2 to 32 ASCII capitals, digits or hyphens: STCE-ASEAN",
        )
    return text


def exchange_id(text: str) -> str:
    """Parse an exchange's name such as ``stce.asean``: lower case ASCII, digits, dot, hyphen. Raises InvalidId."""
    if not _EXCHANGE.fullmatch(text):
        raise InvalidId(
            f"`{_shown(text)}` is not an exchange name",
            advice="use 2 to 63 ASCII lower-case letters, digits, dots or hyphens: stce.asean",
        )
    return text


def kind(text: str) -> str:
    """Parse an agency's kind. Raises InvalidId."""
    if text not in KINDS:
        raise InvalidId(f"`{_shown(text)}` is not a kind of agency", advice=f"use one of {', '.join(KINDS)}")
    return text


def country_of(agency: str) -> str:
    """The country an agency belongs to: the first two letters of its id."""
    return agency[:2]


def owner_of(subject: str) -> AgencyId:
    """The only agency that may revise or recall a subject."""
    return AgencyId(subject.partition("/")[0])


def outbox(agency: str) -> str:
    """The topic that only this agency writes."""
    return f"out.{agency}"


def inbox(agency: str) -> str:
    """The topic that only this agency reads."""
    return f"in.{agency}"


def inbox_group(agency: str) -> str:
    """The consumer group under which an agency tells how far it has read its inbox."""
    return f"g.{agency}.inbox"


def principal(agency: str, generation: int) -> str:
    """The Kafka principal of one generation of an agency's certificates: rotation and suspension drop the old one's rights."""
    return f"{agency}#{generation}"


def shard_of(agency: str, shards: int) -> int:
    """The shard (0 to ``shards`` - 1) whose relay worker reads this agency's outbox. Stable for the life of an exchange."""
    return int.from_bytes(hashlib.sha256(agency.encode("ascii")).digest()[:8], "big") % shards


def message_id(now_ms: int, random: bytes) -> bytes:
    """A UUIDv7 (RFC 9562 section 5.7) as 16 bytes, from Unix milliseconds and 10 random bytes given by the caller."""
    number = int.from_bytes(now_ms.to_bytes(6, "big") + random[:10], "big")
    number = number & ~(0xF << 76) | (0x7 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return number.to_bytes(16, "big")


def uuid_text(value: bytes) -> str:
    """The 8-4-4-4-12 form of a 16-byte id."""
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
