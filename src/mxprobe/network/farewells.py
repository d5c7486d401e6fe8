"""How long a server still counts a connection after we have closed our side of it."""

from __future__ import annotations

import math
from collections import deque

REMEMBERED = 8
"""The latest endings that count: what a server takes for them changes with its load."""

KNOWN_FROM = 4
"""Endings after which it is known how long they take."""

MARGIN_SECONDS = 0.005
"""How much longer a place is held than the slowest of them took: a mail server needs a moment to count again."""

SHORTEST_WAY_SECONDS = 0.01
"""Round trips below this are not worth it: the news that a server has closed is here as soon."""


class Farewells:
    """What was seen of how one server ends connections. Time is an argument, in seconds.

    We hear of its end one round trip after ours, but it has closed, and counts one less, half a round trip before that.
    A connection that we begin cannot be there sooner than our end of the last one.
    """

    def __init__(self) -> None:
        self._round_trip = math.inf
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    def answered(self, seconds: float) -> None:
        """An answer has taken so long: a round trip at the most."""
        self._round_trip = min(self._round_trip, seconds)

    def closed(self, seconds: float) -> None:
        """So long after our end its own has come."""
        self._took.append(max(0.0, seconds - self._round_trip))

    def hold_seconds(self) -> float | None:
        """For how long after our end a place is held. None to wait for the server's own end."""
        if len(self._took) < KNOWN_FROM or not SHORTEST_WAY_SECONDS <= self._round_trip < math.inf:
            return None
        return max(self._took) + MARGIN_SECONDS
