"""The free-zone clock: listed goods in transhipment are exempt from a permit only while they leave the zone in time.

Singapore's rule ([S67], [S68]; scenario P7): 45 days by water, 21 by air. The warning comes five days before, on day 40 or 16: a
box has to be found, opened and declared, or a permit applied for, and that takes working days even over a weekend; a warning on the
last day would only record the breach. The day of entry is day 0, days are UTC: goods that are in the zone on day 46 are in breach.
A zone with another limit says so in its message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.families.clocks.dates import DAY_MS, midnight
from broker.families.clocks.duty import Duty
from broker.families.heading import Heading
from broker.families.message import Sections
from broker.families.rules import instant_ms, rows

LIMIT_DAYS: Final[Mapping[str, int]] = {"SEA": 45, "INLAND_WATER": 45, "AIR": 21}
"""Mode of transport to the last day on which goods may be in the zone; other modes have no such exemption."""
WARNING_DAYS: Final = 5
"""How many days before that day the warning comes: day 40 by water, 16 by air."""


def limit_of(mode: str | None, stated: int | None = None) -> int | None:
    """Most days in the zone: what the zone states, or the rule for the mode; None where there is no limit."""
    return stated if stated is not None else LIMIT_DAYS.get(mode or "")


def dwell_day(entered_ms: int, left_ms: int) -> int:
    """The day, counted from the day of entry as 0, on which goods left or are looked at."""
    return (midnight(left_ms) - midnight(entered_ms)) // DAY_MS


def warns_at(entered_ms: int, limit_days: int) -> int:
    """When day ``limit - 5`` begins; the day of entry where the limit is shorter."""
    return midnight(entered_ms) + max(limit_days - WARNING_DAYS, 0) * DAY_MS


def breached_at(entered_ms: int, limit_days: int) -> int:
    """When the last day allowed is over."""
    return midnight(entered_ms) + (limit_days + 1) * DAY_MS


def dwell_duties(header: Heading, sections: Sections, recipient: str) -> Iterator[Duty]:
    """The warning and the limit of everything that a free-zone warning says is still in the zone.

    Owed by whoever warned, who knows when the goods leave and says so in the next revision. Escalation begins with the breach.
    """
    core = sections.get("core", {})
    limit = limit_of(core.get("transport_mode"), core.get("dwell_limit_days"))
    if limit is None:
        return
    for pair in rows(sections.get("movements"), "pairs"):
        inbound: Mapping[str, Any] = pair.get("inbound") or {}
        entered = instant_ms(inbound.get("moved_at"))
        if entered is None or pair.get("outbound") is not None:
            continue
        about = " ".join(unit["id"] for unit in rows(inbound, "units"))
        breach = breached_at(entered, limit)
        owed = header.subject, header.revision, header.originator, recipient
        yield Duty("WARN_OF_DWELL", *owed, warns_at(entered, limit), None, about)
        yield Duty("LEAVE_ZONE", *owed, breach, breach, about)
