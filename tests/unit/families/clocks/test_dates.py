"""Calendar arithmetic in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.families.clocks.dates import DAY_MS, end_of, midnight, months_later, working_days_later, years_later
from tests.support.headings import at


@pytest.mark.parametrize(
    ("begin", "years", "end"),
    [
        ("2024-02-29T12:30:00", 1, "2025-02-28T12:30:00"),
        ("2024-02-29T12:30:00", 3, "2027-02-28T12:30:00"),
        ("2024-02-29T12:30:00", 4, "2028-02-29T12:30:00"),
        ("2023-02-28T00:00:00", 1, "2024-02-28T00:00:00"),
        ("2027-03-01T00:00:00", 3, "2030-03-01T00:00:00"),
        ("2096-02-29T00:00:00", 4, "2100-02-28T00:00:00"),
        ("2026-12-31T23:59:59", 10, "2036-12-31T23:59:59"),
    ],
)
def test_years(begin: str, years: int, end: str) -> None:
    """The same day of another year; a leap day ends on 28 February, and 2100 has none."""
    assert years_later(at(begin), years) == at(end)


@pytest.mark.parametrize(
    ("begin", "months", "end"),
    [("2026-01-31", 1, "2026-02-28"), ("2028-01-31", 1, "2028-02-29"), ("2026-11-30", 3, "2027-02-28"), ("2026-03-31", 1, "2026-04-30")],
)
def test_months(begin: str, months: int, end: str) -> None:
    """The last day where the month is shorter."""
    assert months_later(at(begin), months) == at(end)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.integers(0, 240))
def test_months_keep_the_day_or_shorten_it(moment: datetime, months: int) -> None:
    """So many months later by the calendar, at the same time of day, on that day or the month's last before it."""
    begin = int(moment.replace(tzinfo=UTC, microsecond=0).timestamp() * 1000)
    end = datetime.fromtimestamp(months_later(begin, months) / 1000, UTC)
    assert (end.year - moment.year) * 12 + end.month - moment.month == months
    assert (end.hour, end.minute, end.second) == (moment.hour, moment.minute, moment.second)
    assert end.day == moment.day or (end.day < moment.day and (end + timedelta(days=1)).day == 1)


@pytest.mark.parametrize(
    ("begin", "days", "end"), [("2026-01-02", 1, "2026-01-05"), ("2026-01-05", 10, "2026-01-19"), ("2026-01-03", 1, "2026-01-05")]
)
def test_working_days(begin: str, days: int, end: str) -> None:
    """Saturday and Sunday do not count, also where the time begins on one."""
    assert working_days_later(at(begin), days) == at(end)


def test_days() -> None:
    """A day ends where the next begins, whichever form the codec gave it in."""
    end = at("2026-06-02")
    assert end_of(date(2026, 6, 1)) == end_of(end // DAY_MS - 1) == end_of(datetime(2026, 6, 1, 13, tzinfo=UTC)) == end
    assert end_of(None) is None
    assert midnight(end + 5) == midnight(end) == end
