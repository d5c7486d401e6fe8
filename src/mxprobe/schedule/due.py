"""When a next-hop is due. Nothing here knows what time it is: moments are arguments, seconds since 1970 in UTC.

Time is cut into intervals of `every` seconds, counted from 1970. Each next-hop has a place in them, from a hash of its
name: the same after a restart, on any machine, and for many next-hops spread evenly. Quiet hours take no part in an
interval: places are spread over what is left of it. One with nothing left has no visits, nor one that has less than
half as much left as its neighbour, where all visits would come at once.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

from mxprobe.configuration.quiet_hours import QuietHours
from mxprobe.configuration.rhythm import Rhythm

CATCH_UP = 3600.0
"""Seconds over which visits are spread that are due at once at the most: after a downtime, or for new next-hops."""

CATCH_UP_EACH = 2.0
"""Seconds that each of them adds to that: a handful is seen within a minute, thousands come one after another."""


def place(next_hop: str) -> float:
    """Where in its intervals a next-hop has its place, from 0 to less than 1."""
    return _share(next_hop)


def catch_up_window(waiting: int, every: float) -> float:
    """The seconds over which to spread so many visits that are due at once; at most a quarter of the interval."""
    return max(1.0, min(waiting * CATCH_UP_EACH, CATCH_UP, every / 4))


def first_due(next_hop: str, rhythm: Rhythm, since: float, window: float = CATCH_UP) -> float:
    """When a next-hop is due that was never visited, or should have been before `since`, the moment when that was seen.

    Within `window` seconds that are not quiet, at the place of the next-hop in windows that are counted from 1970: so a
    service that is restarted all the time puts nothing off for ever.
    """
    ahead = (_share(next_hop) * window - since) % window
    return rhythm.quiet.after(since, ahead)


def next_due(next_hop: str, rhythm: Rhythm, last: float | None, now: float, window: float = CATCH_UP) -> float:
    """When a next-hop is due whose last visit began at `last` (None: there was none).

    As `planned` says; where that is nothing, as `first_due` does: once, however many visits were missed.
    """
    due = planned(next_hop, rhythm, last, now)
    return first_due(next_hop, rhythm, now, window) if due is None else due


def planned(next_hop: str, rhythm: Rhythm, last: float | None, now: float) -> float | None:
    """When the next visit has its place, if the last one began at `last`; None where it should have been before `now`.

    That is in the first interval where it comes half an interval after the last visit, or later. A last visit that lies
    in the future by more than half an interval tells that the clock was wrong then or is now, and nothing else.
    """
    if last is None or last > now + rhythm.every / 2:
        return None
    due = _first_visit(next_hop, rhythm, last + rhythm.every / 2)
    return due if due >= now else None


def due_now(next_hop: str, rhythm: Rhythm, last: float | None, now: float) -> bool:
    """Whether one pass over all that is due, as cron starts it, visits this next-hop.

    It does once its place has come since the last visit, if that was half an interval ago or more: so a pass a day
    with an interval of a day visits all, and a pass an hour each at its hour. Jitter is for services: it would move
    places from one pass to another. Nothing is begun in quiet hours.
    """
    if rhythm.quiet.at(now):
        return False
    if last is None or last > now + rhythm.every / 2:
        return True
    return last + rhythm.every / 2 <= now and _first_visit(next_hop, replace(rhythm, jitter=0.0), last) <= now


def stands(asked: float, every: float, now: float) -> bool:
    """Whether what an endpoint was asked at `asked` is good for another next-hop that leads there too, at `now`.

    It is for the rest of that interval, and for half of one: so an endpoint is asked once in an interval, whichever
    and however many next-hops lead to it.
    """
    if asked > now + every / 2:
        return False
    return now - asked < every / 2 or math.floor(asked / every) == math.floor(now / every)


def _share(text: str) -> float:
    """A number from 0 to less than 1 that stands for a text, the same everywhere and at all times."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)


def _first_visit(next_hop: str, rhythm: Rhythm, since: float) -> float:
    """The first visit of any interval that comes at this moment or later."""
    share = _share(next_hop)
    number = math.floor((since - rhythm.jitter) / rhythm.every - share) - 1
    if not rhythm.quiet:
        while (visit := _visit(next_hop, share, rhythm, number)) is None or visit < since:
            number += 1
        return visit
    number = math.floor((since - rhythm.jitter) / rhythm.every) - 1
    # Of a few intervals in a row one has visits, unless they are quiet; those that are, are gone over at once.
    while (visit := _visit(next_hop, share, rhythm, number)) is None or visit < since:
        number += 1
        opens = rhythm.quiet.after(number * rhythm.every)
        number = max(number, math.floor(opens / rhythm.every))
    return visit


def _visit(next_hop: str, share: float, rhythm: Rhythm, number: int) -> float | None:
    """When the interval of this number has its visit of a next-hop; None where it has none."""
    width = rhythm.jitter
    stray = _share(f"{next_hop}\0{number}") if width else 0.0
    if not rhythm.quiet:
        return (number + share) * rhythm.every + (stray - 0.5) * width
    if not _has_visits(rhythm.quiet, rhythm.every, number):
        return None
    moment = _open_time(rhythm.quiet, rhythm.every, number).moment(share)
    if not width:
        return moment
    # The time in which it may stray keeps its width, and does not go over quiet hours.
    opens, closes = _open_around(rhythm.quiet, moment, width)
    begin = max(opens, min(moment - width / 2, closes - width))
    return min(begin + stray * min(width, closes - begin), math.nextafter(closes, begin))


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenTime:
    """What of an interval is not quiet: its spans, and how many open seconds are before each."""

    spans: tuple[tuple[float, float], ...]
    before: tuple[float, ...]
    total: float

    def moment(self, share: float) -> float:
        """The moment when this share of the open time has passed."""
        seconds = share * self.total
        index = bisect_right(self.before, seconds) - 1
        opens, closes = self.spans[index]
        return min(opens + seconds - self.before[index], math.nextafter(closes, opens))


@lru_cache(maxsize=1024)
def _open_time(quiet: QuietHours, every: float, number: int) -> _OpenTime:
    spans = tuple(quiet.open_spans(number * every, (number + 1) * every))
    before = tuple(accumulate((closes - opens for opens, closes in spans), initial=0.0))
    return _OpenTime(spans=spans, before=before[:-1], total=before[-1])


@lru_cache(maxsize=1024)
def _has_visits(quiet: QuietHours, every: float, number: int) -> bool:
    own = _open_time(quiet, every, number).total
    beside = max(_open_time(quiet, every, number - 1).total, _open_time(quiet, every, number + 1).total)
    return own > 0 and beside <= 2 * own


def _open_around(quiet: QuietHours, moment: float, width: float) -> tuple[float, float]:
    """The span around a moment that is not quiet, no further than `width` to both sides."""
    for opens, closes in quiet.open_spans(moment - width, moment + width):
        if opens <= moment < closes:
            return opens, closes
    return moment, math.nextafter(moment, math.inf)
