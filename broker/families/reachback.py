"""Reach-back (domain dictionary 2.5): an officer asks experts what the goods in front of him are."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.attachment import Attachments, check_attachments
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import (
    bad,
    check_edition,
    check_filled,
    check_future,
    check_lines,
    check_measure,
    check_row_countries,
    first,
    rows,
)
from broker.families.shipment import ControlCode, Detail, Images, RiskCategory, RouteCountry
from broker.families.targets import about_another

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
    core, items = sections["core"], rows(sections.get("goods"), "items")
    if not rows(core, "questions"):
        return bad("core.questions", "ask at least one question: CLASSIFY, LICENCE_NEEDED or HAZARD")
    if len(set(rows(core, "questions"))) != len(rows(core, "questions")):
        return bad("core.questions", "ask each question once")
    if not {"goods", "images", "attachments"} & set(sections):
        return bad("goods", "describe the goods or show pictures: experts judge what they are given")
    refusal = first(
        check_lines(items, "goods.items"),
        *(check_measure(item, f"goods.items[{number}]") for number, item in enumerate(items)),
        *(check_edition(item, f"goods.items[{number}]") for number, item in enumerate(items)),
        check_row_countries(rows(core, "countries"), "core.countries"),
        check_filled(sections.get("goods"), "items", "goods.items"),
        check_filled(sections.get("images"), "images", "images.images"),
        check_attachments(sections.get("attachments")),
    )
    return refusal or []


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_future(message.sections["core"].get("due"), issued_ms, "core.due") or []


REACHBACK = Family(
    name="reachback",
    sections=("core", "goods", "images", "detail", "attachments", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": ReachbackCore,
        "goods": ReachbackGoods,
        "images": Images,
        "detail": Detail,
        "attachments": Attachments,
    },
    routing=_routing,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
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
    attachments: Attachments | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A question to experts; ``target`` is the seizure or alert that it belongs to, if any."""
    labels.setdefault("urgency", "PRIORITY")
    sections = {"core": core, "goods": goods, "images": images, "detail": detail, "attachments": attachments}
    return about_another(REACHBACK, sections, subject, target, target_revision, audience, valid_until_ms, labels)
