"""How often a next-hop is visited: its interval, how far a visit strays from its place in it, and its quiet hours."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mxprobe.configuration.quiet_hours import DAY, HOUR, NEVER_QUIET, QuietHours

LEAST_EVERY = 60.0
MOST_EVERY = 365.0 * DAY
"""Seconds between two visits: a minute is sooner than any mail server changes, a year later than most certificates."""

MOST_JITTER = 0.5
"""Of the interval: with more, two visits could be less than half an interval apart."""

ALLOWED_EVERY = "a duration from 1m to 365d, like 90m, 24h, 7d, 1d12h"
ALLOWED_SPAN = "a duration from 1m to 3650d, like 36h, 7d, 2w"
MOST_SPAN = 3650.0 * DAY
"""Seconds for which something is waited for, or kept in mind: longer than anybody means."""

ALLOWED_JITTER = "a part of the interval from 0% to 50%, like 10%, or a duration up to half of it, like 30m"

_UNITS = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d{{1,9}}){unit})?" for unit in _UNITS), re.ASCII)
_PART = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often a next-hop is visited: once in every `every` seconds. `jitter` is the width, in seconds and at most
    half of that, of the time around its place in the interval in which a visit is begun."""

    every: float
    jitter: float = 0.0
    quiet: QuietHours = NEVER_QUIET


def duration(text: str) -> float:
    """The seconds of ``90m``, ``24h``, ``7d``, ``1d12h``: units w, d, h, m and s, the longest first.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text[:80]!r} is no duration")
    return float(sum(int(number) * _UNITS[unit] for unit, number in found.groupdict().items() if number))


def interval(text: str) -> float:
    """The seconds of an interval.

    Raises:
        ValueError: it is no duration, or one that is not allowed.
    """
    seconds = duration(text)
    if not LEAST_EVERY <= seconds <= MOST_EVERY:
        raise ValueError(f"{text[:80]!r} is {'more than a year' if seconds > MOST_EVERY else 'less than a minute'}")
    return seconds


def span(text: str) -> float:
    """The seconds for which something is waited for, or kept in mind.

    Raises:
        ValueError: it is no duration, or one that is not allowed.
    """
    seconds = duration(text)
    if not LEAST_EVERY <= seconds <= MOST_SPAN:
        raise ValueError(f"{text[:80]!r} is {'more than ten years' if seconds > MOST_SPAN else 'less than a minute'}")
    return seconds


def jitter(text: str, every: float) -> float:
    """The seconds of a jitter: a part of the interval in per cent, or a duration.

    Raises:
        ValueError: it is neither, or more than half of the interval.
    """
    part = _PART.fullmatch(text.strip())
    seconds = every * float(part[1]) / 100 if part else duration(text)
    if seconds > every * MOST_JITTER:
        raise ValueError(f"{text[:80]!r} is more than half of the interval")
    return seconds
