"""The owner's consent: a message of its own that becomes a fact with an end, for one subject.

A ``consent_reply`` of decision GRANT or GRANT_WITH_LIMIT says which agencies get a subject of its author's, which sections of it (none
named: all), until when, and for which purposes (none named: those of the message); where it names no agencies, those it is addressed
to. The relay keeps that beside the subject (:class:`broker.exchange.shard.SubjectState`), policy reads it (``resource.consented``), and
the subject is decided again at once, and at the end of the consent: who is entitled by it is sent the owner's own parcel, signed by the
owner, never a copy by the one who asked.

What an agency gets by consent alone is *bound* to the purposes consented to: the slip on its delivery says so, and its program shows such a
section for one of these purposes and for no other (:mod:`broker.exchange.use`).

WITHDRAW ends the consent for the agencies named, or for all. Whoever held the subject by a consent that has ended, and is named by no
other rule, is told to erase it: a withdrawal (:mod:`broker.exchange.recall`), which the recipient's register answers like a recall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from broker import ids
from broker.errors import Finding
from broker.exchange.admit import AUDIENCE, CORE, Authentic, open_section
from broker.exchange.openings import Openings
from broker.exchange.rules import Rules
from broker.exchange.shard import ShardState, SubjectState
from broker.families.catalogue import FAMILIES
from broker.families.consent_reply import GRANTING
from broker.policy.decide import Decider
from broker.policy.model import Consent, Distribution, Labels, Release

FAMILY: Final = "consent_reply"
WITHDRAWN: Final = "WITHDRAW"
BINDING: Final = 2
"""The first version of slips that binds sections to purposes."""
CONSENT_LIMIT: Final = 50
"""Most consents in force of one subject: each agency is asked about by itself, and nobody may hold up the relay with one message."""


def take_consent(shard: ShardState, authentic: Authentic, rules: Rules, now_ms: int) -> tuple[Finding, ...]:
    """Keep what an accepted consent reply grants or withdraws, and have its subject decided again. Remarks for its author's receipt."""
    if authentic.header.family != FAMILY:
        return ()
    core = open_section(authentic, CORE)
    if core["decision"] not in (*GRANTING, WITHDRAWN):
        return ()
    subject = core["consented_subject"]
    known = shard.subjects.get(subject)
    if known is None or known.decided is None:
        reason = "this exchange does not know the subject, so nobody is sent it: publish it, then consent"
        return (Finding("WARN", "NOTHING_CONSENTED", "core.consented_subject", reason),)
    agencies = tuple(dict.fromkeys(core.get("recipients") or open_section(authentic, AUDIENCE)["agencies"]))
    named, sections = core.get("section_names") or (), _sections(known, core)
    if core["decision"] != WITHDRAWN and (not all(map(_is_agency, agencies)) or len(sections) != len(set(named))):
        reason = "it names an agency or a section that there is not, so nobody is sent anything: name sections of the subject's family"
        return (Finding("WARN", "NOTHING_CONSENTED", "core", reason),)
    if core["decision"] != WITHDRAWN and core.get("purposes") and rules.written("slip").version < BINDING:
        reason = "this exchange cannot say yet what it is for, so nobody is sent anything: its operator has to announce the newer slips"
        return (Finding("WARN", "NOTHING_CONSENTED", "core.purposes", reason),)
    if core["decision"] == WITHDRAWN:
        kept = _withdrawn(known, core.get("recipients") or (), now_ms)
    else:
        given = [_consent(agency, sections, core, now_ms) for agency in agencies]
        kept = (*(each for each in known.consents if each.agency not in agencies and each.until_ms > now_ms), *given)
    if len(kept) > CONSENT_LIMIT:
        reason = f"the subject has {CONSENT_LIMIT} consents in force: publish a revision with a wider audience"
        return (Finding("WARN", "NOTHING_CONSENTED", "core.recipients", reason),)
    shard.accept(subject, replace(known, consents=kept, decided=replace(known.decided, until_ms=now_ms)))
    return ()


def adopted(known: SubjectState, openings: Openings, subject: str, now_ms: int) -> SubjectState:
    """The subject with what was opened of it in an emergency; itself where nothing is new."""
    new = [each.consent for each in openings.of(subject, now_ms) if each.consent not in known.consents] if openings.known else []
    return replace(known, consents=(*known.consents, *new)) if new else known


def _is_agency(text: str) -> bool:
    try:
        ids.agency_id(text)
    except ids.InvalidId:
        return False
    return True


def _sections(known: SubjectState, core: Mapping[str, Any]) -> tuple[str, ...]:
    """The sections named that the subject's family has; what else is named would be kept for good, whatever its length."""
    family = FAMILIES.get(known.family)
    named: set[str] = set(core.get("section_names") or ())
    return tuple(name for name in family.sections if name in named) if family else ()


def _consent(agency: str, sections: tuple[str, ...], core: Mapping[str, Any], now_ms: int) -> Consent:
    begins = core.get("period_from")
    from_ms = now_ms if begins is None else max(begins, now_ms)
    purposes = tuple(dict.fromkeys(core.get("purposes") or ()))
    return Consent(agency, sections, from_ms, core["period_until"], bool(core.get("evidential_use")), purposes=purposes)


def _withdrawn(known: SubjectState, agencies: tuple[str, ...] | list[str], now_ms: int) -> tuple[Consent, ...]:
    """The consents, those of these agencies (none named: all) ended now. They stay until the subject was decided again."""
    return tuple(
        replace(each, until_ms=min(each.until_ms, now_ms)) if not agencies or each.agency in agencies else each for each in known.consents
    )


def bind(distribution: Distribution, labels: Labels, decider: Decider, now_ms: int) -> Distribution:
    """The distribution with what consent alone gives bound to the purposes consented to: what policy would not give without it."""
    purposes = {each.agency: each.purposes for each in labels.consents if each.purposes and each.holds(None, now_ms)}
    if not purposes:
        return distribution
    without = replace(labels, consents=tuple(each for each in labels.consents if not each.purposes))
    free = {release.agency: {section for section, _rule in release.given} for release in decider.distribute(without, now_ms).releases}
    releases = tuple(_bound(release, purposes.get(release.agency), free.get(release.agency, set())) for release in distribution.releases)
    return Distribution(releases, distribution.denials, distribution.until_ms)


def _bound(release: Release, purposes: tuple[str, ...] | None, free: set[str]) -> Release:
    if not purposes:
        return release
    return replace(release, bound=tuple((section, purposes) for section, _rule in release.given if section not in free))
