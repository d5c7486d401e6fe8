"""The clocks that a service goes by, and waiting: all that it knows of time comes through here."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol as Interface

from mxprobe.schedule.timetable import Reading

_LAST = 253_402_300_799.0
"""The last second of the year 9999: a clock that says more is read as saying this."""


class Clock(Interface):
    """Two clocks at once, and a way to let time pass."""

    def now(self) -> Reading:
        """What the clocks show."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait until the event is set, for so many seconds at the most."""
        ...


class SystemClock:
    """The clocks of this machine. The steady one counts on while the machine sleeps, where the system has such a one
    (CLOCK_BOOTTIME, clock_gettime(2))."""

    def __init__(self) -> None:
        self._steady: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> Reading:
        """What the clocks show."""
        return Reading(wall=time.time(), steady=time.clock_gettime(self._steady))

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait until the event is set, for so many seconds at the most."""
        # Not wait_for: before Python 3.12 it loses a cancellation that comes with the event (gh-86296).
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await event.wait()


def moment_of(wall: float) -> datetime:
    """A moment on the wall, in UTC."""
    return datetime.fromtimestamp(min(max(wall, 0.0), _LAST), UTC)
