"""An agency that has not upgraded yet: a program without the second version of the alert's route, and what its builder makes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from broker.families.message import Message
from broker.storage.schemas import schema_texts

Texts = dict[tuple[str, str, int], str]
TODAY: Final[Texts] = schema_texts()
NAME: Final = ("alert", "route", 2)
YESTERDAY: Final[Texts] = {name: text for name, text in TODAY.items() if name != NAME}
BEFORE_RULES: Final[Texts] = {name: text for name, text in TODAY.items() if name != ("receipt", "receipt", 2)}
"""A program whose receipts name no rules."""
BEFORE_BINDING: Final[Texts] = {name: text for name, text in TODAY.items() if name != ("slip", "slip", 2)}
"""A program whose slips bind nothing to purposes."""
ADDED: Final[dict[str, Any]] = {
    "free_zone_role": "STORAGE",
    "free_zone_operator": "Example Zone Authority",
    "free_zone_entered_at": datetime(2026, 11, 20, tzinfo=UTC),
}
"""The fields that version 2 added."""
ZONE: Final[dict[str, Any]] = {"free_zone_code": "SGSIN-03"}


def with_route(message: Message, **changes: Any) -> Message:
    """The alert with its route changed."""
    return replace(message, sections={**message.sections, "route": {**message.sections["route"], **changes}})


def of_today(message: Message) -> Message:
    """An alert that says everything that version 2 can say."""
    return with_route(message, **ZONE, **ADDED)


def of_yesterday(message: Message) -> Message:
    """An alert as the builder of yesterday makes it: without the fields that version 2 added."""
    route = {name: value for name, value in message.sections["route"].items() if name not in ADDED}
    return replace(message, sections={**message.sections, "route": {**route, **ZONE}})
