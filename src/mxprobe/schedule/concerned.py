"""Who else is concerned by what befell an endpoint: those next-hops are visited soon, so that it is told of all
together, and not of each when its time comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol as Interface

from mxprobe.schedule.clock import Clock, moment_of
from mxprobe.terms import Endpoint

ASKED_EVERY = 10.0
"""Seconds between two questions to the store: what happens to a provider happens at many endpoints."""

ENDPOINTS_AT_ONCE = 50
MOST_ENDPOINTS = 1000
"""Endpoints that wait to be asked for; where more are struck, it is hardly they, and all is seen in its time."""

MOST_NEXT_HOPS = 10_000
"""Next-hops that are brought forward at a time: more would stand in the way of what is due."""


class Neighbourhood(Interface):
    """The store, as far as it knows who else is concerned (`store/neighbours.py`)."""

    async def neighbours(self, struck: Mapping[Endpoint, str], now: datetime, limit: int) -> tuple[str, ...]: ...


class Concerned:
    """The endpoints that were struck, and whom that concerns."""

    def __init__(self, store: Neighbourhood, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._struck: dict[Endpoint, str] = {}
        self._at: float | None = None

    def note(self, next_hop: str, struck: Iterable[Endpoint]) -> None:
        """Take notice of endpoints where the last look of a next-hop found something that is told."""
        for endpoint in struck:
            if len(self._struck) < MOST_ENDPOINTS or endpoint in self._struck:
                self._struck[endpoint] = next_hop

    @property
    def waiting(self) -> bool:
        """Whether the store is to be asked."""
        return bool(self._struck)

    async def next_hops(self, *, at_once: bool = False) -> Iterable[str]:
        """Those who are concerned and do not know it, of some of the endpoints; none, where that was asked a moment
        ago.

        Raises:
            StoreError: the store fails; it is asked again later.
        """
        now = self._clock.now()
        if not self._struck or (self._at is not None and now.steady - self._at < ASKED_EVERY and not at_once):
            return ()
        self._at = now.steady
        some = dict(list(self._struck.items())[:ENDPOINTS_AT_ONCE])
        found = await self._store.neighbours(some, moment_of(now.wall), MOST_NEXT_HOPS)
        for endpoint, next_hop in some.items():
            if self._struck.get(endpoint) == next_hop:
                del self._struck[endpoint]
        return found
