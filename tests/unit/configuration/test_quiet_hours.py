"""Quiet hours: spans of a week on the clock of some place, in which nothing is begun."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.configuration.quiet_hours import DAY, HOUR, WEEK, QuietHours, quiet_hours

BERLIN = ZoneInfo("Europe/Berlin")


def quiet(*spans: str, timezone: str = "UTC") -> QuietHours:
    found, mistakes = quiet_hours(spans, timezone, where="quiet", where_timezone="timezone")
    assert mistakes == ()
    return found


def mistakes(*spans: str, timezone: str = "UTC") -> list[str]:
    return [str(each) for each in quiet_hours(spans, timezone, where="quiet", where_timezone="timezone")[1]]


def moment(text: str, zone: ZoneInfo | None = None, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC, fold=fold).timestamp()


def quiet_moments(hours: QuietHours, day: str, every: int = 30) -> list[str]:
    """The times of a day in UTC, each half hour, that are quiet."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    times = [start + timedelta(minutes=minutes) for minutes in range(0, 24 * 60, every)]
    return [f"{time:%H:%M}" for time in times if hours.at(time.timestamp())]


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        # 2026-06-01 is a Monday.
        ("22:00-06:00", ("2026-06-01 22:00", "2026-06-02 05:59:59", "2026-06-07 23:00"), ("2026-06-01 06:00",)),
        ("08:00-17:00", ("2026-06-01 08:00", "2026-06-06 16:59"), ("2026-06-01 07:59:59", "2026-06-01 17:00")),
        ("mon-fri 08:00-17:00", ("2026-06-05 12:00",), ("2026-06-06 12:00", "2026-06-05 18:00")),
        ("sun 22:00-06:00", ("2026-06-07 23:00", "2026-06-08 05:00"), ("2026-06-07 05:00", "2026-06-08 22:30")),
        ("sat-sun", ("2026-06-06 00:00", "2026-06-07 23:59:59"), ("2026-06-08 00:00", "2026-06-05 23:59")),
        ("SAT 00:00-Sun  24:00", ("2026-06-06 00:00", "2026-06-07 23:59:59"), ("2026-06-08 00:00",)),
        ("fri 18:00-mon 06:00", ("2026-06-05 18:00", "2026-06-07 12:00", "2026-06-08 05:59"), ("2026-06-08 06:00",)),
        ("sun", ("2026-06-07 12:00",), ("2026-06-06 12:00", "2026-06-08 00:00")),
        ("fri-mon 00:00-01:00", ("2026-06-05 00:30", "2026-06-01 00:30"), ("2026-06-02 00:30",)),
        ("tue 00:00-24:00", ("2026-06-02 23:59",), ("2026-06-03 00:00",)),
    ],
)
def test_a_span_is_what_a_clock_shows(span: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    assert all(quiet(span).at(moment(text)) for text in inside)
    assert not any(quiet(span).at(moment(text)) for text in outside)
    there = quiet(span, timezone="Europe/Berlin")
    assert all(there.at(moment(text, BERLIN)) for text in inside)
    assert not any(there.at(moment(text, BERLIN)) for text in outside)


def test_an_hour_that_is_left_out_in_spring_is_not_missed() -> None:
    # Europe/Berlin, 2026-03-29: 01:59:59 CET is followed by 03:00 CEST, at 01:00 UTC.
    assert quiet_moments(quiet("02:00-03:00", timezone="Europe/Berlin"), "2026-03-29") == []
    # The third is the next night's: 01:30 CEST is 23:30 UTC.
    assert quiet_moments(quiet("01:30-03:30", timezone="Europe/Berlin"), "2026-03-29") == ["00:30", "01:00", "23:30"]


def test_an_hour_that_comes_twice_in_autumn_is_quiet_twice() -> None:
    # Europe/Berlin, 2026-10-25: 02:00 to 03:00 comes as CEST from 00:00 UTC, and as CET from 01:00 UTC.
    found = quiet_moments(quiet("02:00-03:00", timezone="Europe/Berlin"), "2026-10-25")
    assert found == ["00:00", "00:30", "01:00", "01:30"]


def test_half_an_hour_of_daylight_saving_time_counts_as_that() -> None:
    # Australia/Lord_Howe, 2026-04-05: at 15:00 UTC on the 4th, 02:00 becomes 01:30.
    assert quiet_moments(quiet("01:30-02:00", timezone="Australia/Lord_Howe"), "2026-04-04") == ["14:30", "15:00"]


@pytest.mark.parametrize(
    ("span", "line"),
    [
        ("22-06", "quiet[0]: '22-06' is no span of hours (allowed: 22:00-06:00, "),
        ("22:00 - 06:00", "quiet[0]: '22:00 - 06:00' is no span of hours"),
        ("25:00-06:00", "quiet[0]: 25:00 is no time of day, from 00:00 to 24:00"),
        ("24:01-06:00", "quiet[0]: 24:01 is no time of day"),
        ("22:60-23:00", "quiet[0]: 22:60 is no time of day"),
        ("22:00-22:00", "quiet[0]: '22:00-22:00' ends when it begins; a whole day is 00:00-24:00"),
        ("mon 00:00-sun 24:00", "quiet[0]: 'mon 00:00-sun 24:00' ends when it begins"),
        ("saturday", "quiet[0]: 'saturday' is no span of hours"),
        ("٢٢:00-06:00", "quiet[0]: "),
        ("x" * 1000, "quiet[0]: 'xxxx"),
        ("mon-sun", "quiet: they leave less than an hour of the week to begin anything"),
        ("00:05-24:00", "quiet: they leave less than an hour of the week"),
    ],
)
def test_a_mistake_has_its_line(span: str, line: str) -> None:
    (found,) = mistakes(span)
    assert found.startswith(line)
    assert len(found) < 300


@pytest.mark.parametrize(
    "zone", ["Europe/Berlín", "CEST2", "../../etc/passwd", "/etc/localtime", "Europe", "", "x" * 999]
)
def test_a_time_zone_that_is_none_is_told(zone: str) -> None:
    (found,) = mistakes("22:00-06:00", timezone=zone)
    assert found.startswith("timezone: ")
    assert "is no time zone that this machine knows (allowed: an IANA name like Europe/Berlin, or UTC)" in found


def test_all_mistakes_are_named_at_once() -> None:
    assert len(mistakes("x", "22:00-06:00", "y", timezone="z")) == 3


times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
days = st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
texts = st.one_of(
    st.builds("{}-{}".format, times, times),
    st.builds("{} {}-{}".format, days, times, times),
    st.builds("{}-{} {}-{}".format, days, days, times, times),
    st.builds("{} {}-{} {}".format, days, times, days, times),
    st.builds("{}-{}".format, days, days),
)
zones = st.sampled_from(("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"))
hours = st.builds(
    lambda spans, zone: quiet_hours(tuple(spans), zone, where="", where_timezone="")[0],
    st.lists(texts, min_size=1, max_size=3),
    zones,
).filter(bool)
moments = st.floats(0, 4e9)


@given(hours, moments, st.floats(0, 3 * WEEK))
def test_open_spans_are_in_order_and_apart_and_hold_what_is_not_quiet(
    found: QuietHours, start: float, length: float
) -> None:
    spans = list(found.open_spans(start, start + length))
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert len(set(edges)) == len(edges)
    assert all(start <= edge <= start + length for edge in edges)
    for opens, closes in spans:
        assert not found.at(opens)
        assert not found.at((opens + closes) / 2)
        assert closes == start + length or found.at(closes)


@given(hours, moments, st.floats(0, 2 * WEEK))
def test_after_so_many_open_seconds_it_is_not_quiet(found: QuietHours, start: float, seconds: float) -> None:
    moment = found.after(start, seconds)
    assert not found.at(moment)
    passed = sum(closes - opens for opens, closes in found.open_spans(start, moment))
    assert passed == pytest.approx(seconds, abs=0.01)


@given(moments, st.floats(0, WEEK))
def test_without_quiet_hours_nothing_is_quiet(start: float, seconds: float) -> None:
    assert not QuietHours().at(start)
    assert QuietHours().after(start, seconds) == start + seconds


@pytest.mark.parametrize("clock", [-1e9, -1.0, 0.0, 2.0**31, 2.0**33, 2.6e11, 1e12])
def test_a_clock_may_say_anything(clock: float) -> None:
    nights = quiet("22:00-06:00", timezone="America/New_York")
    opens = nights.after(clock)
    assert clock <= opens <= clock + 9 * HOUR
    assert not nights.at(opens)


def test_quiet_hours_of_two_groups_hold_both() -> None:
    both = quiet("22:00-06:00").with_those_of(quiet("12:00-13:00", timezone="Asia/Tokyo"))
    assert both.at(moment("2026-06-01 23:00"))
    assert both.at(moment("2026-06-01 03:30"))
    assert not both.at(moment("2026-06-01 12:30"))


def test_quiet_hours_that_leave_no_time_together_do_not_add_up() -> None:
    day, night = quiet("06:00-22:00"), quiet("22:00-06:00")
    assert day.with_those_of(night) == day
    assert night.with_those_of(QuietHours()) == night
    assert QuietHours().with_those_of(night) == night


def test_a_zone_without_offset_changes_and_utc_agree() -> None:
    one, other = quiet("22:00-06:00"), quiet("22:00-06:00", timezone="Etc/UTC")
    start = moment("2026-06-01 00:00")
    assert list(one.open_spans(start, start + 9 * DAY)) == list(other.open_spans(start, start + 9 * DAY))
