"""Use of licences (domain dictionary 2.3): what customs wrote off, reported back to the authority that issued the licence."""

from datetime import date
from decimal import Decimal
from typing import NotRequired, TypedDict, Unpack

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.targets import aimed, owner_only


class UsageLine(TypedDict):
    """What was written off one item."""

    line: int
    quantity: Decimal
    unit: str
    amount: NotRequired[Decimal | None]
    currency: NotRequired[str | None]
    cancelled: NotRequired[bool]


class LicenceUsageCore(TypedDict):
    """What customs wrote off a licence at one declaration. The header names the licence's subject."""

    authority: str
    licence_no: str
    mrn: NotRequired[str | None]
    declaration_no: NotRequired[str | None]
    declared_on: date
    office: NotRequired[str | None]
    lines: list[UsageLine]


def _routing(sections: Sections) -> RoutingLabels:
    authority = sections.get("core", {}).get("authority")
    return routing_labels([(ids.country_of(authority), "LICENCE_ISSUER")] if authority else (), (), None, None)


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


LICENCE_USAGE = Family(
    name="licence_usage",
    sections=("core", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": LicenceUsageCore,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
    about="TARGET",
)


def licence_usage(
    *,
    subject: str,
    target: str,
    target_revision: int | None = None,
    core: LicenceUsageCore,
    audience: Audience | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A write-off: ``target`` is the licence's subject. It goes to the licensing authority."""
    labels.setdefault("purposes", ("LICENSING",))
    labels["correlation"] = aimed(labels, target, target_revision)
    sections = complete_sections(LICENCE_USAGE.types, {"core": core})
    return Message("licence_usage", subject, sections, audience or owner_only(target, subject), valid_until_ms=valid_until_ms, **labels)
