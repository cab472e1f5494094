"""Step 10 of admission: what the sections say, judged by their family's own rules, and labels that a stranger may have invented.

The publisher runs the same rules before it sends; the relay runs them because a publisher can be anybody's program.
"""

from __future__ import annotations

from broker.envelope.header import Header
from broker.errors import Finding, Refusal
from broker.exchange.admit import AUDIENCE, Authentic
from broker.exchange.rules import Rules
from broker.exchange.shard import SubjectState
from broker.exchange.topology import DAY_MS
from broker.families import catalogue
from broker.families.message import Message, Sections, audience_of
from broker.families.routing import RoutingLabels, check_routing


def message_of(header: Header, sections: Sections, audience: dict[str, object]) -> Message:
    """The message as its publisher typed it, from what was signed."""
    return Message(
        family=header.family,
        subject=header.subject,
        sections=sections,
        audience=audience_of(audience),
        revision=header.revision,
        urgency=header.urgency,
        handling=header.handling,
        handling_caveat=header.handling_caveat,
        tlp=header.tlp,
        pap=header.pap,
        evaluation=header.evaluation,
        purposes=header.purposes,
        legal_basis=header.legal_basis,
        onward=header.onward,
        evidential_use=header.evidential_use,
        retention=header.retention,
        valid_from_ms=header.valid_from,
        valid_until_ms=header.valid_until,
        embargo_until_ms=header.embargo_until,
        language=header.language,
        correlation=header.correlation,
    )


def check_content(authentic: Authentic, rules: Rules) -> list[Finding] | Refusal:
    """Findings on a whole message that passed steps 1 to 9, or the refusal of a rule that it breaks."""
    header = authentic.header
    family = catalogue.FAMILIES.get(header.family)
    if family is None:
        return Refusal("UNKNOWN_FAMILY", f"this relay has no rules for the family `{header.family[:40]}` yet", "header.family")
    decoded = dict(authentic.records)
    audience = decoded.pop(AUDIENCE)
    routing = header.routing
    labels = RoutingLabels(routing.countries, routing.hs_chapters, routing.category, routing.free_zone)
    refusal = check_routing(labels)
    if refusal is not None:
        return refusal
    if labels != family.routing(decoded):
        return Refusal("BAD_LABELS", "the routing labels are not those that follow from the sections", "header.routing")
    return catalogue.check(message_of(header, decoded, audience), rules.codelists, issued_ms=header.issued_at)


def timely(header: Header, known: SubjectState | None, at_ms: int) -> tuple[Finding, ...]:
    """Remarks that never refuse: late, past its validity, a revision left out. ``at_ms`` is when the message reached its outbox."""
    findings: list[Finding] = []
    if at_ms - header.issued_at > DAY_MS:
        findings.append(Finding("INFO", "LATE", "header.issued_at", "issued more than 24 hours before it reached the exchange"))
    if header.valid_until is not None and header.valid_until < at_ms:
        findings.append(Finding("INFO", "EXPIRED", "header.valid_until", "its validity was over when it reached the exchange: history"))
    expected = known.revision + 1 if known else 1
    if header.revision != expected:
        findings.append(Finding("WARN", "REVISION_GAP", "header.revision", f"revision {expected} was expected"))
    return tuple(findings)
