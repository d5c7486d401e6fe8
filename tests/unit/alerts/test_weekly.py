"""The moment of each week at which the week is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.alerts.weekly import WEEK, parse_weekly


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(0, 6), st.integers(0, 23), st.integers(0, 59)
)
def test_the_last_moment_is_within_the_week_before_and_of_that_day(
    naive: datetime, day: int, hour: int, minute: int
) -> None:
    now = naive.replace(tzinfo=UTC)
    found = parse_weekly(f"{('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')[day]} {hour:02}:{minute:02}").last(now)
    assert timedelta(0) <= now - found < WEEK
    assert (found.weekday(), found.hour, found.minute) == (day, hour, minute)


@pytest.mark.parametrize("text", ["", "mon", "monday 07:00", "mon 24:00", "mon 7", "mon 07:60", "mon 07:00 UTC", "٣"])
def test_what_is_no_moment_of_a_week_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no day and time"):
        parse_weekly(text)
