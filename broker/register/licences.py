"""Licences in the register: what a decision makes of a licence, what was written off, what is left.

The authority's revision orders its decisions (domain dictionary 4): the newest one says what the licence is, whatever order they
came in. Quantities are whole millionths of a unit, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from broker import ids
from broker.families.rules import instant_ms, rows
from broker.register.keys import comparable, control_code
from broker.register.rows import MILLIONTHS, Delivered, LicenceItemRow, LicenceRow, UsageRow

STATUS: Final[Mapping[str, str]] = {
    "GRANT": "VALID", "AMEND": "VALID", "REINSTATE": "VALID", "SUBSTANTIALLY_LIMIT": "LIMITED", "SUSPEND": "SUSPENDED",
    "REVOKE": "REVOKED", "ANNUL": "ANNULLED", "EXPIRE": "EXPIRED", "EXHAUST": "EXHAUSTED", "SURRENDER": "SURRENDERED", "DENY": "DENIED",
    "DENY_REVIEW": "DENIED", "CATCHALL_IMPOSE": "CATCHALL_IMPOSED", "CATCHALL_LIFT": "CATCHALL_LIFTED", "DETERMINATION": "DETERMINED",
}  # fmt: skip
"""Decision to the status it leaves. A suspension is never the same as a revocation: the one may end, the other may not."""

STOPPED: Final = ("SUSPENDED", "REVOKED", "ANNULLED", "EXPIRED", "EXHAUSTED", "SURRENDERED", "DENIED")
"""A shipment may not rely on a licence with one of these."""
CURRENT: Final = ("VALID", "LIMITED")
"""A licence with one of these ends by itself at ``expires_at``."""


def millionths(quantity: Any) -> int | None:
    """A decimal quantity as whole millionths; None stays None."""
    return None if quantity is None else int(Decimal(quantity) * MILLIONTHS)


def quantity_text(value: int | None) -> str | None:
    """Millionths as a decimal number without trailing zeros."""
    if value is None:
        return None
    whole, part = divmod(abs(value), MILLIONTHS)
    return ("-" if value < 0 else "") + (f"{whole}.{part:06d}".rstrip("0") if part else str(whole))


def licence_of(delivered: Delivered) -> LicenceRow | None:
    """The licence that a decision is about; None where it is no decision, or one on somebody else's licence."""
    core = delivered.sections.get("core")
    if delivered.family != "licence" or core is None or core["authority"] != ids.owner_of(delivered.subject):
        return None
    section = delivered.sections.get("items")
    return LicenceRow(
        number=comparable(core["licence_no"]),
        authority=core["authority"],
        licence_no=core["licence_no"],
        licence_type=core["licence_type"],
        decision=core["decision_type"],
        status=STATUS.get(core["decision_type"], "UNKNOWN"),
        instruction=core.get("shipments_in_transit_instruction"),
        effective_at=instant_ms(core["effective_at"]) or 0,
        published_at=instant_ms(core["published_at"]) or 0,
        expires_at=instant_ms(core.get("expires_at")),
        destinations=tuple(core["destinations"]),
        items=None if section is None else tuple(_item(item) for item in rows(section, "items")),
    )


def _item(item: Mapping[str, Any]) -> LicenceItemRow:
    return LicenceItemRow(
        line=item["line"],
        unit=item.get("unit"),
        granted=millionths(item.get("quantity_granted")),
        stated=millionths(item.get("quantity_remaining")),
        control_codes=tuple(control_code(entry["code"]) for entry in rows(item, "control_codes")),
        hs_codes=tuple(rows(item, "hs_codes")),
        description=item.get("description"),
    )


def usages_of(delivered: Delivered) -> tuple[UsageRow, ...]:
    """What a customs service wrote off a licence; lines that it cancelled count for nothing."""
    if delivered.family != "licence_usage":
        return ()
    core = delivered.sections["core"]
    return tuple(
        UsageRow(comparable(core["licence_no"]), core["authority"], row["line"], row["unit"], millionths(row["quantity"]) or 0)
        for row in rows(core, "lines")
        if not row.get("cancelled")
    )


def status_at(licence: LicenceRow, now_ms: int) -> str:
    """The status at a time: a licence that ends by itself needs no message for it."""
    ended = licence.expires_at is not None and licence.expires_at <= now_ms
    return "EXPIRED" if ended and licence.status in CURRENT else licence.status


class Balance(NamedTuple):
    """An item and what is left of it. ``used`` is the sum of the write-offs seen here; ``remaining`` is granted less used, or what the
    authority says is left where that is less; None for not limited. Below 0: more was written off than granted."""

    item: LicenceItemRow
    used: int
    remaining: int | None


Used = Mapping[tuple[int, str], int]
"""Written off a licence by line and unit, in millionths."""


def balances(licence: LicenceRow, used: Used) -> tuple[Balance, ...]:
    """The items with what was written off them."""
    found: list[Balance] = []
    for item in licence.items or ():
        taken = used.get((item.line, item.unit or ""), 0)
        left = None if item.granted is None else item.granted - taken
        if item.stated is not None:
            left = item.stated if left is None else min(left, item.stated)
        found.append(Balance(item, taken, left))
    return tuple(found)


def unmatched(licence: LicenceRow, used: Used) -> tuple[tuple[int, str, int], ...]:
    """Write-offs that no item of the licence takes: another unit, a line that it does not have. Sorted by line and unit."""
    if licence.items is None:
        return ()
    known = {(item.line, item.unit or "") for item in licence.items}
    return tuple(sorted((line, unit, quantity) for (line, unit), quantity in used.items() if quantity and (line, unit) not in known))


def overdrawn(found: Sequence[Balance]) -> tuple[Balance, ...]:
    """The items of which more was written off than granted."""
    return tuple(each for each in found if each.item.granted is not None and each.used > each.item.granted)
