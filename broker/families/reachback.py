"""Reach-back (domain dictionary 2.5): an officer asks experts what the goods in front of him are."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import rows
from broker.families.shipment import ControlCode, Detail, Images, RiskCategory, RouteCountry
from broker.families.targets import aimed, owner_only

ReachbackQuestion = Literal["CLASSIFY", "LICENCE_NEEDED", "HAZARD"]


class ReachbackCore(TypedDict):
    """A question to experts about goods that an officer has in front of him, without personal data."""

    questions: list[ReachbackQuestion]
    laboratory: NotRequired[str | None]
    due: datetime
    risk_category: NotRequired[RiskCategory | None]
    countries: NotRequired[list[RouteCountry]]
    samples: NotRequired[str | None]


class Specification(TypedDict):
    """A technical value."""

    name: str
    value: str
    unit: NotRequired[str | None]


class ReachbackItem(TypedDict):
    """An item of goods."""

    line: int
    description: str
    hs_code: NotRequired[str | None]
    hs_edition: NotRequired[int | None]
    make: NotRequired[str | None]
    model: NotRequired[str | None]
    serial: NotRequired[str | None]
    cas: NotRequired[str | None]
    cus: NotRequired[str | None]
    un_number: NotRequired[str | None]
    quantity: NotRequired[Decimal | None]
    unit: NotRequired[str | None]
    control_codes: NotRequired[list[ControlCode]]
    specifications: NotRequired[list[Specification]]


class ReachbackGoods(TypedDict):
    """The goods, with what their papers and plates say."""

    items: list[ReachbackItem]


def _routing(sections: Sections) -> RoutingLabels:
    core = sections.get("core", {})
    countries = [(row["country"], row["role"]) for row in rows(core, "countries")]
    codes = [item["hs_code"] for item in rows(sections.get("goods"), "items") if item.get("hs_code")]
    return routing_labels(countries, codes, core.get("risk_category"), None)


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


REACHBACK = Family(
    name="reachback",
    sections=("core", "goods", "images", "detail", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": ReachbackCore,
        "goods": ReachbackGoods,
        "images": Images,
        "detail": Detail,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
    about="MAY_TARGET",
    own_target=True,
)


def reachback(
    *,
    subject: str,
    target: str | None = None,
    target_revision: int | None = None,
    core: ReachbackCore,
    audience: Audience | None = None,
    goods: ReachbackGoods | None = None,
    images: Images | None = None,
    detail: Detail | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A question to experts; ``target`` is the seizure or alert that it belongs to, if any."""
    labels.setdefault("urgency", "PRIORITY")
    labels["correlation"] = aimed(labels, target, target_revision)
    sections = complete_sections(REACHBACK.types, {"core": core, "goods": goods, "images": images, "detail": detail})
    return Message("reachback", subject, sections, audience or owner_only(target, subject), valid_until_ms=valid_until_ms, **labels)
