"""What policy would see of a message that nobody has sent: for explaining and comparing rules, away from any exchange."""

from __future__ import annotations

from broker import ids
from broker.errors import Refusal
from broker.exchange.admit import AUDIENCE
from broker.families.catalogue import FAMILIES, check
from broker.families.message import Message
from broker.policy.model import Labels
from broker.schema.catalogue import Catalogue
from broker.schema.codec import FieldError


def unsent_labels(message: Message, catalogue: Catalogue) -> Labels | Refusal:
    """The labels of a message as its owner would publish it. Refuses what publishing would refuse see
    :func:`broker.families.catalogue.check`, and BAD_FIELD. Its sections are records of the current schemas."""
    refusal = _encodes(message, catalogue)
    if refusal is not None:
        return refusal
    found = check(message)
    if isinstance(found, Refusal):
        return found
    routing = FAMILIES[message.family].routing(message.sections)
    return Labels(
        family=message.family, originator=ids.owner_of(message.subject), tlp=message.tlp, handling=message.handling, pap=message.pap,
        urgency=message.urgency, onward=message.onward, purposes=message.purposes, legal_basis=message.legal_basis,
        countries=routing.countries, hs_chapters=routing.hs_chapters, category=routing.category, free_zone=routing.free_zone,
        sections=tuple(sorted(message.sections)), audience_agencies=message.audience.agencies,
        audience_communities=message.audience.communities, audience_countries=message.audience.countries,
        valid_until_ms=message.valid_until_ms, embargo_until_ms=message.embargo_until_ms,
        source_grade=message.evaluation.source if message.evaluation else None,
        information_grade=message.evaluation.information if message.evaluation else None,
        evidential_use=message.evidential_use, retention=message.retention,
    )  # fmt: skip


def _encodes(message: Message, catalogue: Catalogue) -> Refusal | None:
    """Whether every section is a record of its schema."""
    for name, record in message.sections.items():
        schema = None if name == AUDIENCE else catalogue.current(message.family, name)
        if schema is None:
            continue  # no section of this family: the check says so
        try:
            schema.codec.encode(record)
        except FieldError as error:
            return Refusal("BAD_FIELD", error.reason, f"{name}.{error.path}" if error.path else name)
    return None
