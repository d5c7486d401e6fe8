"""When the week is told: a day and an hour, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = timedelta(days=7)
ALLOWED_DIGEST = 'a day and a time in UTC, like "mon 07:00"'

_TEXT = re.compile(rf"({'|'.join(DAYS)}) ([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """A moment of every week: `day` 0 is Monday."""

    day: int
    hour: int
    minute: int

    def last(self, now: datetime) -> datetime:
        """The last such moment that is not later than `now`."""
        here = now.astimezone(UTC)
        day = (here - timedelta(days=(here.weekday() - self.day) % 7)).replace(
            hour=self.hour, minute=self.minute, second=0, microsecond=0
        )
        return day if day <= here else day - WEEK


def parse_weekly(text: str) -> Weekly:
    """The moment that a text like ``mon 07:00`` names.

    Raises:
        ValueError: it names none.
    """
    found = _TEXT.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text[:60]!r} is no day and time")
    day, hour, minute = found.groups()
    return Weekly(day=DAYS.index(day), hour=int(hour), minute=int(minute))
