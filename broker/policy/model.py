"""Values that go into a decision and come out of it. A decision depends on these and on the bundle, on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from broker.values import immutable

DEFAULT_DENY: Final = "default-deny"
"""The rule of a deny that no ``forbid`` made: no ``permit`` applied."""

POLICY_ERROR: Final = "policy-error"
"""The rule of a deny because deciding failed. Cedar skips a rule that errors, even a ``forbid``, so an error denies here."""

AUDIENCE: Final = "audience"
"""The section that only the originator and the relay read. Code never releases it, whatever a policy says."""

CORE: Final = "core"
"""The section without which policy lets nothing be delivered: whoever may not read it gets no message."""


EVIDENCE: Final = "evidence"
"""The action of using a message in court."""


@dataclass(frozen=True, slots=True)
class Member:
    """What policy knows of an agency, from the directory. ``country`` is ISO 3166 alpha-2, ``kind`` one of ``ids.KINDS``.

    ``agreements`` are those it is party to at a moment; they follow from the bundle's facts (:mod:`broker.policy.facts`).
    """

    agency: str
    country: str
    kind: str
    communities: tuple[str, ...]
    suspended: bool
    agreements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """The owner's consent that an agency gets a subject: to these sections (empty: all of them), from and until (Unix milliseconds), for
    these purposes (empty: those of the message).

    ``evidential``: it may use it in court. ``emergency``: not the owner's, but opened by two officers (:mod:`broker.trust.opening`).
    """

    agency: str
    sections: tuple[str, ...]
    from_ms: int
    until_ms: int
    evidential: bool = False
    emergency: bool = False
    purposes: tuple[str, ...] = ()

    def holds(self, section: str | None, now_ms: int) -> bool:
        """Whether it holds now, for this section (None: to receive the message at all; :data:`EVIDENCE`: to use it in court)."""
        if section == EVIDENCE and not self.evidential:
            return False
        named = section is None or section == EVIDENCE or not self.sections or section in self.sections
        return named and self.from_ms <= now_ms < self.until_ms


@immutable
class Labels:
    """What policy knows of a message: header and audience, never content. Hashable. Times are Unix milliseconds.

    ``countries`` pairs a country with its role in the header's routing labels (``TRANSIT``); ``sections`` are those the message
    carries; enumerations have the names of the header's schema (``AMBER_STRICT``). ``consents`` are the owner's, given for this subject in
    messages of their own; the grades are those of the 4x4 evaluation (``A``, ``I1``).
    """

    family: str
    originator: str
    tlp: str
    handling: str
    pap: str | None
    urgency: str
    onward: str
    purposes: tuple[str, ...]
    legal_basis: str
    countries: tuple[tuple[str, str], ...]
    hs_chapters: tuple[str, ...]
    category: str | None
    free_zone: str | None
    sections: tuple[str, ...]
    audience_agencies: tuple[str, ...]
    audience_communities: tuple[str, ...]
    audience_countries: tuple[str, ...]
    valid_until_ms: int | None
    embargo_until_ms: int | None
    consents: tuple[Consent, ...] = ()
    source_grade: str | None = None
    information_grade: str | None = None
    evidential_use: bool | None = None
    retention: str | None = None


@immutable
class Release:
    """What one agency gets: the rule by which it receives, and for each section the rule that gave or withheld it.

    ``bound``: the sections that it gets by the owner's consent alone, with the purposes consented to.
    """

    agency: str
    rule: str
    given: tuple[tuple[str, str], ...]
    withheld: tuple[tuple[str, str], ...]
    bound: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Denial:
    """Why one agency gets nothing: a rule's id, :data:`DEFAULT_DENY` or :data:`POLICY_ERROR`, and a sentence for people."""

    agency: str
    rule: str
    reason: str


@immutable
class Distribution:
    """Who gets what of one message, every member but the originator once, in order of agency id.

    It holds until ``until_ms`` (Unix milliseconds, exclusive), the next date that the decision depends on; ``None``: for good.
    """

    releases: tuple[Release, ...]
    denials: tuple[Denial, ...]
    until_ms: int | None


@immutable
class Verdict:
    """The answer to one question.

    ``rules`` are the ids of the deciding rules in order, or :data:`DEFAULT_DENY` or :data:`POLICY_ERROR` alone. ``errors`` is
    empty unless deciding failed; ``reason`` is a sentence for people.
    """

    allowed: bool
    rules: tuple[str, ...]
    errors: tuple[str, ...]
    reason: str
