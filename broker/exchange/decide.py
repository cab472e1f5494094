"""From a message to what policy sees of it: header labels and the audience, never anything of another section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.envelope.header import Header
from broker.exchange.admit import AUDIENCE
from broker.policy.model import Consent, Labels


def labels_of(header: Header, audience: Mapping[str, Any], consents: tuple[Consent, ...] = ()) -> Labels:
    """The labels of a signed message; ``audience`` is the decoded section of that name, ``consents`` its owner's for the subject."""
    routing = header.routing
    return Labels(
        family=header.family,
        originator=header.originator,
        tlp=header.tlp,
        handling=header.handling,
        pap=header.pap,
        urgency=header.urgency,
        onward=header.onward,
        purposes=tuple(header.purposes),
        legal_basis=header.legal_basis,
        countries=tuple(routing.countries),
        hs_chapters=tuple(routing.hs_chapters),
        category=routing.category,
        free_zone=routing.free_zone,
        sections=tuple(c.section for c in header.commitments if c.section != AUDIENCE),
        audience_agencies=tuple(audience["agencies"]),
        audience_communities=tuple(audience["communities"]),
        audience_countries=tuple(audience["countries"]),
        valid_until_ms=header.valid_until,
        embargo_until_ms=header.embargo_until,
        consents=consents,
        source_grade=header.evaluation.source if header.evaluation else None,
        information_grade=header.evaluation.information if header.evaluation else None,
        evidential_use=header.evidential_use,
        retention=header.retention,
    )
