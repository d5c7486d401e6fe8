"""Waiting with a limit: one timer for all the waits of an endpoint's connections."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

SHORTEST_SECONDS = 0.001
"""Timers of event loops are a millisecond coarse; a shorter one might ring before its time again and again."""


class Waiting(Protocol):
    """Who waits for something that may not come."""

    def out_of_patience(self) -> None:
        """It has not come."""


class Patience:
    """Who waits until when.

    A connection waits six times, nearly always for less than a second, and with a limit of many: a timer for each wait
    would be made to be cancelled. Here there is one, which rings at the earliest time or before it.
    """

    def __init__(self) -> None:
        self._until: dict[Waiting, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    def wait(self, who: Waiting, seconds: float) -> float:
        """Let somebody wait so long from now on, and no longer as was said before. Returns the time now."""
        now = time.monotonic()
        until = self._until[who] = now + seconds
        if until < self._rings_at:
            self._set(until, now)
        return now

    def forget(self, who: Waiting) -> None:
        """It has come, or is waited for no longer."""
        self._until.pop(who, None)

    def close(self) -> None:
        """Nobody waits any more."""
        self._until.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = None, math.inf

    def _set(self, until: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = until
        self._timer = asyncio.get_running_loop().call_later(max(SHORTEST_SECONDS, until - now), self._ring)

    def _ring(self) -> None:
        self._timer, self._rings_at = None, math.inf
        now = time.monotonic()
        for who in [who for who, until in self._until.items() if until <= now]:
            if self._until.pop(who, None) is not None:  # the one before it may have ended this wait
                who.out_of_patience()
        if self._until:
            earliest = min(self._until.values())
            if earliest < self._rings_at:
                self._set(earliest, time.monotonic())
