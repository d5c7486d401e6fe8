"""What may be spent on connections to one address, one provider, or all together: places and tokens. No clock here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxprobe.network.admission import Ticket

WINDOW_SECONDS = 60.0
"""The minute that limits are about: mail servers count in it too (`postconf(5) anvil_rate_time_unit`)."""

_ROUNDING = 1e-6
"""Of a token: what floating-point arithmetic may lose on the way to a whole one."""


class TokenBucket:
    """A token bucket that never gives more than `per_minute` tokens in any minute, wherever that minute begins.

    Half of them may be taken at once (the burst); the other half flows in evenly, so that burst and flow together stay
    within the minute. Times are seconds of any steady clock.
    """

    def __init__(self, per_minute: int) -> None:
        self.burst = max(1, per_minute // 2)
        # The last token of a minute's flow comes as the next minute begins: hence the one more.
        self.per_second = (per_minute - self.burst + 1) / WINDOW_SECONDS
        self._level = float(self.burst)
        self._at: float | None = None

    def tokens(self, now: float) -> float:
        """How many there are; not always a whole number."""
        if self._at is not None and now > self._at:
            self._level = min(float(self.burst), self._level + (now - self._at) * self.per_second)
        self._at = now if self._at is None else max(self._at, now)
        return self._level

    def take(self, now: float) -> None:
        """Take one. Whoever takes has seen that there is one."""
        self._level = max(0.0, self.tokens(now) - 1)

    def give_back(self, now: float) -> None:
        """Put one back that was not used."""
        self._level = min(float(self.burst), self.tokens(now) + 1)

    def seconds_until(self, tokens: int, now: float) -> float:
        """How long it takes until there are so many, if nobody takes any; at most a burst's worth."""
        return max(0.0, (min(tokens, self.burst) - self.tokens(now)) / self.per_second)


class Budget:
    """Places, and tokens where connections per minute are limited too; None is no limit.

    A unit is one place and one token. `held` units are kept for those who wait for something else first: they are
    neither free nor spent. `waiting` are those who lack a unit of this budget, the next one first.
    """

    def __init__(self, places: int | None, per_minute: int | None = None) -> None:
        self.places = sys.maxsize if places is None else places
        self.bucket = None if per_minute is None else TokenBucket(per_minute)
        self.used = 0
        self.held = 0
        self.waiting: list[Ticket] = []
        self.latest_turn = 0

    def free(self, now: float) -> int:
        """How many units may be had now."""
        free = self.places - self.used - self.held
        if self.bucket is not None and free > 0:
            free = min(free, int(self.bucket.tokens(now) + _ROUNDING) - self.held)
        return free

    def take(self, now: float) -> None:
        """Take one unit. Whoever takes has seen that it is free."""
        self.used += 1
        if self.bucket is not None:
            self.bucket.take(now)

    def release(self) -> None:
        """Give a place back; its token is spent."""
        self.used -= 1

    def refund(self, now: float) -> None:
        """Give a whole unit back: no connection came of it."""
        self.used -= 1
        if self.bucket is not None:
            self.bucket.give_back(now)

    def seconds_until_free(self, now: float) -> float | None:
        """When to look again for a unit; None where time alone brings none."""
        if self.bucket is None or self.places - self.used - self.held < 1 or self.held >= self.bucket.burst:
            return None
        return self.bucket.seconds_until(self.held + 1, now)
