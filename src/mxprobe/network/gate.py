"""The one place that says whether another connection may be opened: to one address, to one provider, and in all."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from mxprobe.network.admission import Ticket
from mxprobe.network.budget import Budget
from mxprobe.network.provider import is_loopback, provider_of
from mxprobe.network.settings import Limits
from mxprobe.network.sharing import Share, SharedBudgets, address_share, provider_share
from mxprobe.network.turns import Turns
from mxprobe.network.waiting import Clock, Door
from mxprobe.terms import Endpoint


class Gate:
    """Keeps a whole run within its limits, whatever endpoints share an address or a provider.

    `opened` counts all connections. Without a `clock` it is that of the running event loop. With `shared`, the limits
    of addresses and providers hold for all processes that share them; those in all are of this one.
    """

    def __init__(self, limits: Limits, clock: Clock | None = None, shared: SharedBudgets | None = None) -> None:
        self.limits = limits
        self.opened = 0
        self._clock = clock
        self._shared = shared
        self._door: Door | None = None
        self._turns: Turns | None = None
        self._total = Budget(limits.connections, limits.connections_per_minute)
        self._addresses: dict[str, Budget] = {}
        self._providers: dict[str, Budget] = {}

    def turn(self, endpoint: Endpoint) -> AbstractAsyncContextManager[None]:
        """Hold an endpoint's turn to be probed (`Turns`)."""
        if self._turns is None:
            self._turns = Turns(self.limits, self.clock)
        return self._turns.turn(endpoint)

    def visit(self, endpoint: Endpoint) -> Visit:
        """The connections of one probe to an endpoint, which this gate lets through one by one."""
        return Visit(self, self._budgets(endpoint), () if self._shared is None else self._shares(endpoint))

    def free(self, endpoint: Endpoint) -> int:
        """How many connections to an endpoint could be opened at this moment."""
        return min(budget.free(self.clock.time()) for budget in self._budgets(endpoint))

    @property
    def in_use(self) -> int:
        """How many connections are open, or have a place to be opened."""
        return self._total.used

    @property
    def waiting(self) -> int:
        """How many connections wait for a place."""
        return 0 if self._door is None else self._door.waiting

    @property
    def shared(self) -> SharedBudgets | None:
        """Who keeps count for all processes, if somebody does."""
        return self._shared

    @property
    def clock(self) -> Clock:
        """The clock that the limits per minute go by."""
        if self._clock is None:
            self._clock = asyncio.get_running_loop()
        return self._clock

    @property
    def door(self) -> Door:
        """Where all connections wait."""
        if self._door is None:
            self._door = Door(self.clock)
        return self._door

    def _budgets(self, endpoint: Endpoint) -> tuple[Budget, ...]:
        """What a connection costs, narrowest first."""
        limits, loopback = self.limits, is_loopback(endpoint.address)
        address = self._addresses.get(endpoint.address)
        if address is None:
            address = Budget(limits.per_address, limits.address_rate(loopback=loopback))
            self._addresses[endpoint.address] = address
        places, rate = limits.provider_places(loopback=loopback), limits.provider_rate(loopback=loopback)
        if places is None and rate is None:
            return (address, self._total)
        provider = provider_of(endpoint)
        named = tuple(name for name in (provider.domain, provider.network) if name is not None)
        for name in named:
            if name not in self._providers:
                self._providers[name] = Budget(places, rate)
        return (address, *(self._providers[name] for name in named), self._total)

    def _shares(self, endpoint: Endpoint) -> tuple[Share, ...]:
        """What of it is shared with other processes."""
        limits, loopback = self.limits, is_loopback(endpoint.address)
        shares = [address_share(endpoint.address, limits.per_address, limits.address_rate(loopback=loopback))]
        places, rate = limits.provider_places(loopback=loopback), limits.provider_rate(loopback=loopback)
        if places is not None or rate is not None:
            provider = provider_of(endpoint)
            shares += [
                provider_share(name, places, rate) for name in (provider.domain, provider.network) if name is not None
            ]
        return tuple(shares)


class Visit:
    """The connections of one probe to one endpoint, as the gate lets them through."""

    def __init__(self, gate: Gate, budgets: tuple[Budget, ...], shares: tuple[Share, ...] = ()) -> None:
        self._gate = gate
        self._budgets = budgets
        self._shares = shares
        self._inside: list[Ticket] = []
        self._waiting = 0
        self._held_up = 0.0
        self._idle_since: float | None = None

    async def enter(self) -> None:
        """Wait until one more connection may be opened. Who is cancelled while waiting has spent nothing."""
        self._waiting += 1
        self._note()
        try:
            ticket = await self._gate.door.enter(self._budgets)
            if self._gate.shared is not None:
                try:
                    await self._gate.shared.enter(self._shares)
                except BaseException:
                    self._gate.door.leave(ticket, unused=True)
                    raise
            self._inside.append(ticket)
        finally:
            self._waiting -= 1
            self._note()
        self._gate.opened += 1

    def leave(self) -> None:
        """Give the place of one closed connection back."""
        self._gate.door.leave(self._inside.pop())
        if self._gate.shared is not None:
            self._gate.shared.leave(self._shares)
        self._note()

    @property
    def held_up_seconds(self) -> float:
        """How long it had no connection at all because the gate let none through: no fault of the endpoint."""
        running = 0.0 if self._idle_since is None else self._gate.clock.time() - self._idle_since
        return self._held_up + running

    def _note(self) -> None:
        now = self._gate.clock.time()
        if self._idle_since is not None:
            self._held_up += now - self._idle_since
        self._idle_since = now if self._waiting and not self._inside else None
