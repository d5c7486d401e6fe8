"""The one place that says whether another connection may be opened: in all, and to one address."""

from __future__ import annotations

import asyncio

from mxprobe.network.settings import Limits


class Gate:
    """Keeps a whole run within its limits, whatever endpoints share an address. `opened` counts all connections."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.opened = 0
        self._total = asyncio.Semaphore(limits.connections)
        self._addresses: dict[str, asyncio.Semaphore] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def turn(self, address: str) -> asyncio.Lock:
        """Whose turn it is at an address: endpoints that share one are probed one after another.

        Side by side each would wait for the others' connections on its own time.
        """
        return self._turns.setdefault(address, asyncio.Lock())

    async def acquire(self, address: str) -> None:
        """Wait for a place for one connection to an address.

        The address comes before the total, so that those who wait for a busy address hold up nobody else.
        """
        place = self._addresses.setdefault(address, asyncio.Semaphore(self.limits.per_address))
        await place.acquire()
        try:
            await self._total.acquire()
        except asyncio.CancelledError:
            place.release()
            raise
        self.opened += 1

    def release(self, address: str) -> None:
        """Give the place of one closed connection back."""
        self._total.release()
        self._addresses[address].release()
