"""Calendar arithmetic in UTC: a month and a year are not numbers of days. Times are Unix milliseconds."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from broker.families.rules import instant_ms

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FRIDAY: Final = 4


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def months_later(at_ms: int, months: int) -> int:
    """The same day and time of another month; where that month is shorter, its last day: 31 January and a month is 28 February."""
    moment = _moment(at_ms)
    years, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return _ms(moment.replace(year=years, month=month + 1, day=min(moment.day, monthrange(years, month + 1)[1])))


def years_later(at_ms: int, years: int) -> int:
    """The same day and time of another year. A 29 February ends on 28 February: a right never lasts a day longer than others'."""
    return months_later(at_ms, 12 * years)


def working_days_later(at_ms: int, days: int) -> int:
    """So many days from Monday to Friday later, at the same time. Public holidays differ by country and are not known here."""
    moment = _moment(at_ms)
    while days:
        moment += timedelta(days=1)
        days -= moment.weekday() <= _FRIDAY
    return _ms(moment)


def midnight(at_ms: int) -> int:
    """The beginning of the day (UTC) of a moment."""
    return at_ms - at_ms % DAY_MS


def end_of(day: Any) -> int | None:
    """The end of a day (UTC), which is the beginning of the next: of a date, or of an Avro date (days since 1970). None for no day."""
    if isinstance(day, datetime):
        found = instant_ms(day)
        return None if found is None else midnight(found) + DAY_MS
    if isinstance(day, date):
        day = (day - _EPOCH.date()).days
    return (day + 1) * DAY_MS if isinstance(day, int) else None
