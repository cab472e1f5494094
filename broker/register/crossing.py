"""Rules across messages (domain dictionary 2.8): pure functions from rows to flags, so that the order of arrival cannot matter.

=====================  =====================================================================================================
code                   cause
=====================  =====================================================================================================
LICENCE_<STATUS>       a live alert or shipment cites a licence that is suspended, revoked, annulled, expired, exhausted ...
QUANTITY_OVERDRAWN     more was written off an item of a licence than its authority granted: told to the authority
USAGE_UNMATCHED        a write-off names a line or unit that the licence does not have: told to the authority
SAME_CONTAINER         live alerts of different owners name one container: told to both
ALERT_HIT              a seizure report says that this alert led to it
DWELL_OVER             a container is, or was, in a free zone for longer than it may be
=====================  =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.register.licences import CURRENT, STOPPED, Used, balances, overdrawn, quantity_text, unmatched
from broker.register.rows import Flag, LicenceRow
from broker.register.zones import Stay, limit_days

FLAGS: Final[dict[str, str]] = {
    "LICENCE_SUSPENDED": "a live alert or shipment cites a licence that is suspended: do what the in-transit instruction says",
    "LICENCE_REVOKED": "a live alert or shipment cites a licence that is revoked: do what the in-transit instruction says",
    "LICENCE_ANNULLED": "a live alert or shipment cites a licence that was annulled, as if it never was: do what the instruction says",
    "LICENCE_EXPIRED": "a live alert or shipment cites a licence that has expired",
    "LICENCE_EXHAUSTED": "a live alert or shipment cites a licence of which nothing is left",
    "LICENCE_SURRENDERED": "a live alert or shipment cites a licence that its holder gave back",
    "LICENCE_DENIED": "a live alert or shipment cites an application that was denied",
    "QUANTITY_OVERDRAWN": "more was written off a licence than was granted: tell its authority",
    "USAGE_UNMATCHED": "a write-off names a line or unit that the licence does not have: tell its authority",
    "SAME_CONTAINER": "live alerts of different owners name one container: both owners should know before either acts",
    "ALERT_HIT": "a seizure report says that this alert led to it",
    "DWELL_OVER": "a container is in a free zone for longer than the limit: a free-zone warning may follow",
}
"""Codes of flags, with what they mean and what to do."""

AT_ONCE: Final = 0
"""When a flag begins that waits for nothing: a clock here that is behind the relay's must not hold it back."""
NAMED: Final = 200
"""Most alerts or movements of one container that a rule looks at: the first in order of their ids or times."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A live subject as the rules see it. ``cited`` is the authority of the licence as its papers name it."""

    subject: str
    admitted_at: int
    valid_until: int | None
    cited: str = ""


def licence_flag(licence: LicenceRow, decided: Standing, citing: Standing) -> Flag | None:
    """The flag of one alert or shipment because of one licence that it cites, or None.

    A licence whose authority is cited by another agency's id is another licence of the same number; a name as on the paper may be
    anybody's, so the number counts. A licence that will end by itself gives a flag that begins then.
    """
    if of_another_authority(citing.cited, licence.authority):
        return None
    since, starts_at = max(decided.admitted_at, citing.admitted_at), AT_ONCE
    if licence.status in STOPPED:
        status = licence.status
    elif licence.status in CURRENT and licence.expires_at is not None:
        status, starts_at = "EXPIRED", licence.expires_at
    else:
        return None
    if citing.valid_until is not None and citing.valid_until <= starts_at:
        return None
    instruction = licence.instruction if status == licence.status else None
    told = f": {instruction} shipments in transit" if instruction else ""
    return Flag(
        code=f"LICENCE_{status}",
        about=licence.number,
        subject=citing.subject,
        others=(decided.subject,),
        addressees=(),
        text=f"cites licence {licence.licence_no} of {licence.authority}, which is {status.lower()}{told}",
        instruction=instruction,
        since=since,
        starts_at=starts_at,
        ends_at=citing.valid_until,
    )


def of_another_authority(cited: str, authority: str) -> bool:
    """Whether papers that cite a licence name another agency than its authority by its id; a name as on the paper may be anybody's."""
    try:
        return ids.agency_id(cited) != authority
    except ids.InvalidId:
        return False


def quantity_flags(licence: LicenceRow, decided: Standing, used: Used, last_usage_at: int) -> list[Flag]:
    """Findings about write-offs, for the authority. ``last_usage_at``: when the last of them came."""
    since = max(decided.admitted_at, last_usage_at)

    def flag(code: str, text: str) -> Flag:
        return Flag(code, licence.number, decided.subject, (), (licence.authority,), text, None, since, AT_ONCE, None)

    over = [
        f"line {each.item.line}: {quantity_text(each.used)} of {quantity_text(each.item.granted)} {each.item.unit or ''}".rstrip()
        for each in overdrawn(balances(licence, used))
    ]
    other = [f"line {line}: {quantity_text(quantity)} {unit or 'without unit'}" for line, unit, quantity in unmatched(licence, used)]
    found = [flag("QUANTITY_OVERDRAWN", f"written off licence {licence.licence_no}: {'; '.join(over)}")] if over else []
    if other:
        found.append(flag("USAGE_UNMATCHED", f"no item of licence {licence.licence_no} takes {'; '.join(other)}"))
    return found


def container_flag(container: str, alerts: Sequence[Standing]) -> Flag | None:
    """One flag for a container that live alerts of two or more owners name; it ends when only one owner's alerts are left."""
    ordered = sorted(alerts, key=lambda alert: alert.subject)[:NAMED]
    ends: dict[str, int | None] = {}
    begins: dict[str, int] = {}
    for alert in ordered:
        owner = ids.owner_of(alert.subject)
        known = ends.get(owner, 0)
        ends[owner] = None if known is None or alert.valid_until is None else max(known, alert.valid_until)
        begins[owner] = min(begins.get(owner, alert.admitted_at), alert.admitted_at)
    if len(ends) < 2:
        return None
    last = sorted(ends.values(), key=lambda end: float("inf") if end is None else end)[-2]
    since = sorted(begins.values())[1]
    if last is not None and last <= since:
        return None
    subjects = tuple(alert.subject for alert in ordered)
    return Flag(
        code="SAME_CONTAINER",
        about=container,
        subject=subjects[0],
        others=subjects[1:],
        addressees=tuple(sorted(ends)),
        text=f"{len(subjects)} live alerts of {len(ends)} owners name container {container}",
        instruction=None,
        since=since,
        starts_at=AT_ONCE,
        ends_at=last,
    )


def hit_flag(alert: Standing, seizures: Sequence[Standing]) -> Flag | None:
    """One flag for an alert that seizures name as what led to them."""
    if not seizures:
        return None
    ordered = sorted(seizures, key=lambda seizure: seizure.subject)
    since = max(alert.admitted_at, min(seizure.admitted_at for seizure in ordered))
    return Flag(
        code="ALERT_HIT",
        about=alert.subject,
        subject=alert.subject,
        others=tuple(seizure.subject for seizure in ordered[:NAMED]),
        addressees=(ids.owner_of(alert.subject),),
        text=f"led to {len(ordered)} seizure{'s' if len(ordered) > 1 else ''}",
        instruction=None,
        since=since,
        starts_at=AT_ONCE,
        ends_at=None,
    )


def dwell_flags(zone: str, container: str, stays: Sequence[Stay]) -> list[Flag]:
    """A flag for each stay in a zone that was too long, or will be unless the container leaves. The zone's own flag begins then."""
    found: list[Flag] = []
    for stay in stays:
        if stay.entered is None or (stay.left is not None and not stay.over):
            continue
        limit = limit_days(stay.mode)
        if stay.left is None:
            subject, others, since, starts_at = stay.entered.subject, (), stay.entered.admitted_at, stay.due or 0
            text = f"container {container} entered {zone} and has not left within {limit} days"
        else:
            subject, others = stay.left.subject, (stay.entered.subject,)
            since, starts_at = max(stay.entered.admitted_at, stay.left.admitted_at), AT_ONCE
            box = f", and left in {stay.left.left_in}" if stay.left.left_in else ""
            text = f"container {container} was in {zone} for {stay.days} days, over the limit of {limit}{box}"
        found.append(Flag("DWELL_OVER", f"{zone} {container}", subject, others, (), text, None, since, starts_at, None))
    return found
