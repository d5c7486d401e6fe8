"""Quiet hours: the times of a week, on the clock of some place, in which nothing is begun.

Moments are seconds since 1970 in UTC. What is quiet is decided by what a clock there shows, so an hour that daylight
saving time leaves out is not missed, and one that comes twice is quiet twice.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mxprobe.errors import InvalidSetting

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

LEAST_OPEN = HOUR
"""Seconds of a week that are never quiet: what is due has to be begun at last."""

ALLOWED_QUIET = "22:00-06:00, sat 12:00-18:00, mon-fri 08:00-17:00, sat-sun, sat 00:00-sun 24:00"

ALLOWED_TIMEZONE = "an IANA name like Europe/Berlin, or UTC"

_LAST = 253_370_000_000
"""A moment of the year 9998, beyond which a calendar ends: a clock that says more is read as saying this."""

_EPOCH_IN_WEEK = 3 * DAY  # 1970-01-01 was a Thursday

_DAY = "|".join(DAYS)
_TIME = r"(\d\d):(\d\d)"
_DAILY = re.compile(rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))? )?{_TIME}-{_TIME}", re.ASCII)
_WEEKLY = re.compile(rf"({_DAY}) {_TIME}-({_DAY}) {_TIME}", re.ASCII)
_WHOLE = re.compile(rf"({_DAY})(?:-({_DAY}))?", re.ASCII)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """Quiet spans of a week on the clock of a time zone: seconds since Monday 00:00, in order and apart."""

    timezone: str
    quiet: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """What is quiet by any of these weeks. Without any, nothing is."""

    weeks: tuple[Week, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.weeks)

    def at(self, moment: float) -> bool:
        """Whether this moment is quiet."""
        return not any(start <= moment < end for start, end in self.open_spans(moment, moment + 1))

    def open_spans(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        """The times that are not quiet between two moments, in order, cut at them."""
        if not self.weeks:
            yield start, end
            return
        before: tuple[float, float] | None = None
        for day in range(int(start // DAY), int(end // DAY) + 1):
            for opens, closes in _open_on(self, day):
                found = (max(float(opens), start), min(float(closes), end))
                if found[0] >= found[1]:
                    continue
                if before is not None and before[1] == found[0]:
                    before = (before[0], found[1])  # over midnight in UTC
                    continue
                if before is not None:
                    yield before
                before = found
        if before is not None:
            yield before

    def after(self, start: float, seconds: float = 0.0) -> float:
        """The moment when `seconds` that are not quiet have passed since `start`; itself never quiet."""
        if not self.weeks:
            return start + seconds
        left = seconds
        begin = start
        barren = 0
        while barren < 60:  # weeks; every year has one that is not quiet all the time
            opened = False
            for opens, closes in self.open_spans(begin, begin + WEEK):
                opened = True
                if opens + left < closes:
                    return opens + left
                left -= closes - opens
            begin += WEEK
            barren = 0 if opened else barren + 1
        return begin

    def with_those_of(self, other: QuietHours) -> QuietHours:
        """What is quiet by either; only what is by this one, if both together would leave no time to begin anything."""
        both = QuietHours(weeks=tuple(dict.fromkeys((*self.weeks, *other.weeks))))
        return both if _leaves_time(both) else self


NEVER_QUIET = QuietHours()


def quiet_hours(
    spans: tuple[str, ...], timezone: str, *, where: str, where_timezone: str
) -> tuple[QuietHours, tuple[InvalidSetting, ...]]:
    """The quiet hours that a group names, and all that is wrong with them; `where` with ``[0]`` and so on is the place.

    A span is ``22:00-06:00`` (every day; one that ends before it begins goes on over midnight), ``mon-fri
    08:00-17:00`` (on each of these days), ``sat-sun`` (whole days), or ``sat 00:00-sun 24:00`` (from one time of the
    week to another).
    """
    mistakes: list[InvalidSetting] = []
    found: list[Span] = []
    for index, text in enumerate(spans):
        try:
            found += _spans(" ".join(text.lower().split()))
        except ValueError as error:
            mistakes.append(InvalidSetting(f"{where}[{index}]", str(error), ALLOWED_QUIET))
    if not _known_zone(timezone):
        problem = f"{timezone[:80]!r} is no time zone that this machine knows"
        mistakes.append(InvalidSetting(where_timezone, problem, ALLOWED_TIMEZONE))
    week = Week(timezone=timezone, quiet=_joined(found))
    if sum(end - start for start, end in week.quiet) > WEEK - LEAST_OPEN:
        mistakes.append(InvalidSetting(where, "they leave less than an hour of the week to begin anything"))
    if mistakes or not found:
        return NEVER_QUIET, tuple(mistakes)
    return QuietHours(weeks=(week,)), ()


def _spans(text: str) -> list[Span]:
    """The parts of a week that a text names; ValueError says what is wrong with it."""
    if whole := _WHOLE.fullmatch(text):
        return [span for day in _days(*whole.groups()) for span in _around(day * DAY, (day + 1) * DAY)]
    if daily := _DAILY.fullmatch(text):
        first, last, *times = daily.groups()
        start, end = _time(times[0], times[1]), _time(times[2], times[3])
        if start == end:
            raise ValueError(f"{text!r} ends when it begins; a whole day is 00:00-24:00")
        length = end - start if end > start else end + DAY - start
        days = _days(first, last) if first else tuple(range(7))
        return [span for day in days for span in _around(day * DAY + start, day * DAY + start + length)]
    if weekly := _WEEKLY.fullmatch(text):
        first, *since, last, hour, minute = weekly.groups()
        start = DAYS.index(first) * DAY + _time(since[0], since[1])
        end = DAYS.index(last) * DAY + _time(hour, minute)
        if start % WEEK == end % WEEK:
            raise ValueError(f"{text!r} ends when it begins")
        return list(_around(start, end if end > start else end + WEEK))
    raise ValueError(f"{text[:80]!r} is no span of hours")


def _days(first: str, last: str | None) -> tuple[int, ...]:
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return tuple(day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1))


def _time(hour: str, minute: str) -> int:
    if int(minute) > 59 or int(hour) * 60 + int(minute) > 24 * 60:
        raise ValueError(f"{hour}:{minute} is no time of day, from 00:00 to 24:00")
    return int(hour) * HOUR + int(minute) * 60


def _around(start: int, end: int) -> Iterator[Span]:
    """A span of at most a week, with what goes on after Sunday put to the week's beginning."""
    start, end = start % WEEK, start % WEEK + end - start
    yield start, min(end, WEEK)
    if end > WEEK:
        yield 0, end - WEEK


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    # UTC is there even where a machine has no data of time zones.
    return UTC if name == "UTC" else ZoneInfo(name)


def _known_zone(name: str) -> bool:
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # what is no zone may be a path, or a directory of zones
        return False
    return True


@lru_cache(maxsize=256)
def _leaves_time(quiet: QuietHours) -> bool:
    """Whether each week of two years has an hour that is not quiet, as the clocks of several places shift."""
    start = 20_454 * DAY  # 2026-01-01; any two years with today's rules of daylight saving time would do
    return all(
        sum(end - begin for begin, end in quiet.open_spans(week, week + WEEK)) >= LEAST_OPEN
        for week in range(start, start + 104 * WEEK, WEEK)
    )


@lru_cache(maxsize=8192)
def _open_on(quiet: QuietHours, day: int) -> tuple[Span, ...]:
    """The spans of a day in UTC that are not quiet."""
    start = day * DAY
    closed: list[Span] = []
    for week in quiet.weeks:
        for begin, end, offset in _stretches(_zone(week.timezone), start):
            closed += _quiet_in(week, begin, end, offset)
    spans: list[Span] = []
    at = start
    for begin, end in _joined(closed):
        if begin > at:
            spans.append((at, begin))
        at = end
    if at < start + DAY:
        spans.append((at, start + DAY))
    return tuple(spans)


def _stretches(zone: tzinfo, start: int) -> Iterator[tuple[int, int, int]]:
    """A day in UTC, cut where the offset of the zone changes, each part with its offset in seconds.

    Such changes fall on whole minutes since 1972.
    """
    begin, offset = start, _offset(zone, start)
    for hour in range(start, start + DAY, HOUR):
        if _offset(zone, hour + HOUR - 60) == offset == _offset(zone, hour):
            continue
        for minute in range(hour, hour + HOUR, 60):
            now = _offset(zone, minute)
            if now != offset:
                if minute > begin:
                    yield begin, minute, offset
                begin, offset = minute, now
    yield begin, start + DAY, offset


def _offset(zone: tzinfo, moment: int) -> int:
    shown = datetime.fromtimestamp(min(max(moment, 0), _LAST), zone).utcoffset()
    return int(shown.total_seconds()) if shown else 0


def _quiet_in(week: Week, begin: int, end: int, offset: int) -> Iterator[Span]:
    """The quiet parts of a stretch of at most a day in which the clock runs evenly."""
    shown = (begin + offset + _EPOCH_IN_WEEK) % WEEK
    shift = begin - shown
    last = shown + end - begin
    starts = [start for start, _ in week.quiet]
    for turn in (0, WEEK):  # the stretch may go over the end of the week
        for start, until in week.quiet[max(0, bisect_right(starts, shown - turn) - 1) :]:
            if start + turn >= last:
                break
            if until + turn > shown:
                yield max(start + turn, shown) + shift, min(until + turn, last) + shift
