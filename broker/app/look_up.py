"""What an alert is looked for by, in words of the caller's, as conditions of the register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from broker.errors import UsageError
from broker.storage import register_reader as look

KEYS: Final[Mapping[str, Callable[[str], look.Condition]]] = {
    "container": look.container_is, "document": look.document_is, "conveyance": look.conveyance_is, "party": look.party_is,
    "licence": look.cites_licence, "hs": look.hs_is, "control": look.control_is,
}  # fmt: skip
"""By what an alert can be found, and how each is compared."""


def conditions_of(given: Mapping[str, str | None], *, advice: str) -> list[look.Condition]:
    """Conditions that all have to hold, by the names of :data:`KEYS`. Raises UsageError, with this advice, where there are none, or where
    one has no letter and no digit."""
    found = [form(text) for name, form in KEYS.items() if (text := given.get(name)) is not None]
    if not found or not all(any(value for _, value in condition) for condition in found):
        raise UsageError("nothing to look for was given", advice=advice)
    return found
