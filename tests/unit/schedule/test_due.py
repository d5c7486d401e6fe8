"""When a next-hop is due: once an interval, spread evenly, never in quiet hours, at last whatever the clock does."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.configuration.quiet_hours import DAY, HOUR, WEEK, QuietHours, quiet_hours
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.schedule.due import CATCH_UP, catch_up_window, due_now, first_due, next_due, place, planned, stands

NOW = 1_780_272_000.0
"""2026-06-01, a Monday, 00:00 in UTC."""

MINUTE = 60.0


def quiet(*spans: str, timezone: str = "Europe/Berlin") -> QuietHours:
    found, mistakes = quiet_hours(spans, timezone, where="", where_timezone="")
    assert mistakes == ()
    return found


NIGHTS = quiet("22:00-06:00")
OFFICE = quiet("mon-fri 08:00-18:00")
NEARLY_ALWAYS = quiet("10:00-08:00")
SOME_QUIET = (QuietHours(), NIGHTS, OFFICE, NEARLY_ALWAYS, quiet("22:00-06:00", "sat-sun"), quiet("11:50-12:10"))

names = st.integers(0, 10**6).map("{}.example".format)
intervals = st.sampled_from((MINUTE, 7 * MINUTE, 90 * MINUTE, 12 * HOUR, DAY, 36.0 * HOUR, WEEK, 30.0 * DAY))
rhythms = st.builds(
    lambda every, part, found: Rhythm(every=float(every), jitter=every * part, quiet=found),
    intervals,
    st.sampled_from((0.0, 0.1, 0.5)),
    st.sampled_from(SOME_QUIET),
)
moments = st.floats(1e9, 4e9)


def visits(next_hop: str, rhythm: Rhythm, since: float, count: int) -> list[float]:
    """So many visits, each begun when it is due."""
    found = [first_due(next_hop, rhythm, since)]
    while len(found) < count:
        found.append(next_due(next_hop, rhythm, found[-1], found[-1]))
    return found


@given(names, rhythms, moments)
def test_two_visits_are_half_an_interval_apart_and_none_is_in_quiet_hours(
    next_hop: str, rhythm: Rhythm, since: float
) -> None:
    found = visits(next_hop, rhythm, since, 8)
    assert found[0] >= since
    for before, after in pairwise(found):
        assert after - before >= rhythm.every / 2
        # The next interval or the one after it, and what is quiet in between.
        assert after <= rhythm.quiet.after(before + 2.5 * rhythm.every) + 2 * rhythm.every
    assert not any(rhythm.quiet.at(moment) for moment in found)


@given(names, intervals, st.sampled_from((0.0, 0.1, 0.5)), moments)
def test_an_interval_has_one_visit_on_average(next_hop: str, every: float, part: float, since: float) -> None:
    found = visits(next_hop, Rhythm(every=every, jitter=every * part), since, 21)
    assert found[20] - found[1] == pytest.approx(19 * every, abs=every)


@given(names, st.sampled_from((DAY, 2 * DAY, WEEK)), st.sampled_from((NIGHTS, NEARLY_ALWAYS)), moments)
def test_so_it_has_around_quiet_hours(next_hop: str, every: float, found: QuietHours, since: float) -> None:
    dates = visits(next_hop, Rhythm(every=every, jitter=every / 10, quiet=found), since, 21)
    assert dates[20] - dates[1] == pytest.approx(19 * every, abs=every)


def test_days_that_are_quiet_have_no_visit_and_all_others_have_one() -> None:
    weekdays = Rhythm(every=DAY, quiet=quiet("sat-sun", timezone="UTC"))
    for number in range(50):
        # From Monday on; the first visit is a catch-up.
        days = [int((moment - NOW) // DAY) for moment in visits(f"{number}.example", weekdays, NOW, 25)]
        assert days[3:23] == [day for day in range(days[3], days[3] + 28) if day % 7 < 5]


def spread(moments: list[float], begin: float, width: float, count: int) -> Counter[int]:
    return Counter(int((moment - begin) // width) for moment in moments if begin <= moment < begin + width * count)


def chi_square(counts: Counter[int], buckets: int) -> float:
    expected = counts.total() / buckets
    return sum((counts[bucket] - expected) ** 2 / expected for bucket in range(buckets))


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("every", [90 * MINUTE, float(DAY), float(WEEK)])
def test_visits_are_spread_evenly_over_the_interval(every: float, part: float) -> None:
    rhythm = Rhythm(every=every, jitter=every * part)
    found = [moment for n in range(4800) for moment in visits(f"{n}.example", rhythm, NOW - every, 6)]
    # 24 buckets of 200 each. Chi-square with 23 degrees of freedom is above 49.7 once in a thousand times.
    assert chi_square(spread(found, NOW + 2 * every, every / 24, 24), 24) < 49.7


def test_visits_are_spread_evenly_over_what_is_not_quiet() -> None:
    rhythm = Rhythm(every=DAY, quiet=quiet("22:00-06:00", timezone="UTC"))
    found = [moment for n in range(4800) for moment in visits(f"{n}.example", rhythm, NOW - DAY, 5)]
    counts = spread(found, NOW + 2 * DAY + 6 * HOUR, HOUR, 16)
    assert counts.total() == 4800
    # 15 degrees of freedom: above 37.7 once in a thousand times.
    assert chi_square(counts, 16) < 37.7
    # And soon after the quiet hours, not all at once.
    assert max(spread(found, NOW + 2 * DAY + 6 * HOUR, MINUTE, 60).values()) < 20


def test_no_interval_that_is_nearly_all_quiet_has_all_visits_at_once() -> None:
    # An hour each: that from 06:00 has five minutes.
    rhythm = Rhythm(every=HOUR, quiet=quiet("00:00-06:55", timezone="UTC"))
    found = [moment for n in range(600) for moment in visits(f"{n}.example", rhythm, NOW - DAY, 60)]
    per_hour = spread(found, NOW + DAY, HOUR, 24)
    assert per_hour[6] == 0
    assert all(per_hour[hour] == 600 for hour in range(7, 24))


@given(names)
def test_a_place_is_the_same_for_ever(next_hop: str) -> None:
    assert 0 <= place(next_hop) < 1
    assert place(next_hop) == place(next_hop)


def test_a_place_is_the_same_in_another_process() -> None:
    text = "from mxprobe.schedule.due import place; print(place('example.com'))"
    other = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    # The first 53 bits of SHA-256: `printf example.com | sha256sum` begins with a379a6f6eeafb9a5.
    assert float(other.stdout) == place("example.com") == (0xA379A6F6EEAFB9A5 >> 11) / 2**53


@given(names, rhythms, moments, st.floats(0, 400 * DAY))
def test_a_visit_that_was_missed_is_made_once_within_the_window(
    next_hop: str, rhythm: Rhythm, last: float, down: float
) -> None:
    now = last + 4 * rhythm.every + down
    window = catch_up_window(1000, rhythm.every)
    due = next_due(next_hop, rhythm, last, now, window)
    if planned(next_hop, rhythm, last, now) is None:
        assert now <= due <= rhythm.quiet.after(rhythm.quiet.after(now, window)) + 1
    assert next_due(next_hop, rhythm, due, due) >= due + rhythm.every / 2


def test_what_was_missed_is_spread_over_the_window() -> None:
    rhythm = Rhythm(every=DAY)
    found = [next_due(f"{n}.example", rhythm, NOW - 9 * DAY, NOW + 1234, CATCH_UP) for n in range(2400)]
    assert min(found) >= NOW + 1234
    assert max(found) <= NOW + 1234 + CATCH_UP
    assert chi_square(spread(found, NOW + 1234, CATCH_UP / 24, 24), 24) < 49.7


def test_after_a_downtime_places_are_what_they_were() -> None:
    rhythm = Rhythm(every=DAY)
    for number in range(100):
        name = f"{number}.example"
        late = next_due(name, rhythm, NOW - 9 * DAY, NOW)
        later = next_due(name, rhythm, late, late)
        assert later % DAY == pytest.approx(place(name) * DAY, abs=0.01)


@pytest.mark.parametrize(("waiting", "window"), [(0, 1), (1, 2), (30, 60), (10**6, 3600)])
def test_a_handful_is_seen_within_a_minute_and_thousands_one_after_another(waiting: int, window: float) -> None:
    assert catch_up_window(waiting, DAY) == window


def test_the_window_is_a_part_of_a_short_interval() -> None:
    assert catch_up_window(10**6, 20 * MINUTE) == 5 * MINUTE


def test_a_service_that_is_restarted_all_the_time_visits_all_at_last() -> None:
    rhythm = Rhythm(every=DAY)
    waiting = {f"{n}.example" for n in range(200)}
    for minute in range(0, 70, 10):
        now = NOW + minute * MINUTE
        waiting -= {name for name in waiting if first_due(name, rhythm, now, CATCH_UP) < now + 10 * MINUTE}
    assert not waiting


@given(names, rhythms, moments, st.floats(-400 * DAY, 400 * DAY))
def test_a_clock_that_was_set_makes_nothing_wait_for_ever(
    next_hop: str, rhythm: Rhythm, last: float, by: float
) -> None:
    now = last + by
    due = next_due(next_hop, rhythm, last, now)
    # What is caught up is spread over time that is not quiet.
    assert now <= due <= rhythm.quiet.after(rhythm.quiet.after(now + 3 * rhythm.every), rhythm.every + CATCH_UP)
    assert not rhythm.quiet.at(due)


def test_a_visit_in_the_far_future_is_no_news_and_one_in_the_near_future_is() -> None:
    rhythm = Rhythm(every=DAY)
    assert planned("a.example", rhythm, NOW + 13 * HOUR, NOW) is None
    due = planned("a.example", rhythm, NOW + HOUR, NOW)
    assert due is not None
    assert due >= NOW + 13 * HOUR


@given(names, moments, intervals, intervals)
def test_a_changed_interval_counts_from_the_last_visit(next_hop: str, last: float, before: float, after: float) -> None:
    due = next_due(next_hop, Rhythm(every=float(after)), last, last + 1)
    assert after / 2 <= due - last <= 1.5 * after + 1


def passes(rhythm: Rhythm, period: float, count: int, next_hop: str) -> list[float]:
    """When a pass over what is due, once in `period` seconds, visits a next-hop."""
    found: list[float] = []
    for number in range(count):
        now = NOW + 100 + number * period + (number * 7 % 5)  # cron is some seconds late now and then
        if due_now(next_hop, rhythm, found[-1] if found else None, now):
            found.append(now)
    return found


@pytest.mark.parametrize(
    ("every", "period"),
    [(DAY, DAY), (DAY, HOUR), (DAY, 20 * MINUTE), (WEEK, DAY), (HOUR, DAY), (DAY, WEEK), (90 * MINUTE, HOUR)],
)
def test_a_pass_by_cron_visits_once_an_interval_whatever_its_period(every: float, period: float) -> None:
    rhythm = Rhythm(every=float(every), jitter=every / 10)
    expected = 30 * DAY / max(every, period)
    total = 0
    for number in range(100):
        # The first pass visits all; only then do they take turns.
        later = passes(rhythm, period, int(30 * DAY // period), f"{number}.example")[1:]
        assert all(after - before >= every / 2 for before, after in pairwise(later))
        total += len(later)
    assert expected - 1.3 <= total / 100 <= expected + 0.1


def test_a_pass_begins_nothing_in_quiet_hours_and_makes_up_for_it() -> None:
    rhythm = Rhythm(every=DAY, quiet=quiet("22:00-06:00", timezone="UTC"))
    found = passes(rhythm, HOUR, 24 * 10, "a.example")
    assert len(found) in (9, 10, 11)
    assert all(6 <= (moment - NOW) % DAY / HOUR < 22 for moment in found)


def test_a_pass_visits_what_never_was_and_what_was_in_a_wrong_future() -> None:
    rhythm = Rhythm(every=DAY)
    assert due_now("a.example", rhythm, None, NOW)
    assert due_now("a.example", rhythm, NOW + 365 * DAY, NOW)
    assert not due_now("a.example", rhythm, NOW + HOUR, NOW)
    assert not due_now("a.example", rhythm, NOW - HOUR, NOW)


def test_an_endpoint_is_asked_once_an_interval_however_many_lead_to_it() -> None:
    rhythm = Rhythm(every=DAY, jitter=2.0 * HOUR)
    due = sorted(moment for n in range(100) for moment in visits(f"{n}.example", rhythm, NOW, 12))
    asked: list[float] = []
    for moment in due:
        if not asked or not stands(asked[-1], DAY, moment):
            asked.append(moment)
    span = (due[-1] - due[0]) / DAY
    assert span - 2 <= len(asked) <= span + 2
    assert all(after - before >= DAY / 2 for before, after in pairwise(asked))


def test_facts_of_an_endpoint_from_the_future_stand_for_nothing() -> None:
    assert not stands(NOW + 2 * DAY, DAY, NOW)
    assert stands(NOW + 60, DAY, NOW)
