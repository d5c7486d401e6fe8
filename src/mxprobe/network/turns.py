"""Whose turn it is to be probed: how many endpoints are under way, at an address, of a provider and in all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mxprobe.network.budget import Budget
from mxprobe.network.provider import is_loopback, provider_of
from mxprobe.network.settings import Limits
from mxprobe.network.waiting import Clock, Door
from mxprobe.terms import Endpoint


class Turns:
    """Endpoints that share an address are probed one after another, and no more endpoints are under
    way, of a provider and in all, than its connections suffice for.

    More of them would wait for each other's connections on their own time, and a provider that is slow, or whose limit
    is spent, would take up all the places with endpoints that get nowhere.
    """

    def __init__(self, limits: Limits, clock: Clock | None = None) -> None:
        self._limits = limits
        self._clock = clock
        self._door: Door | None = None
        self._total = Budget(max(1, limits.connections // limits.per_address))
        self._addresses: dict[str, Budget] = {}
        self._providers: dict[str, Budget] = {}

    def turn(self, endpoint: Endpoint) -> AbstractAsyncContextManager[None]:
        """Hold an endpoint's turn, for as long as the context lasts."""
        return self._hold(self._budgets(endpoint))

    @asynccontextmanager
    async def _hold(self, budgets: tuple[Budget, ...]) -> AsyncIterator[None]:
        if self._door is None:
            self._door = Door(self._clock or asyncio.get_running_loop())
        ticket = await self._door.enter(budgets)
        try:
            yield
        finally:
            self._door.leave(ticket)

    def _budgets(self, endpoint: Endpoint) -> tuple[Budget, ...]:
        address = self._addresses.setdefault(endpoint.address, Budget(1))
        places = self._limits.provider_places(loopback=is_loopback(endpoint.address))
        if places is None:
            return (address, self._total)
        provider = provider_of(endpoint)
        shared = (
            self._providers.setdefault(name, Budget(max(1, places // self._limits.per_address)))
            for name in (provider.domain, provider.network)
            if name is not None
        )
        return (address, *shared, self._total)
