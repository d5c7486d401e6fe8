"""Letting go of old results once a day, beside the visits."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from mxprobe.configuration.quiet_hours import DAY
from mxprobe.errors import StoreError
from mxprobe.schedule.claims import Ledger
from mxprobe.schedule.clock import Clock, moment_of
from mxprobe.schedule.settled import Settled
from mxprobe.schedule.telling import Teller, counted

FORGOTTEN = timedelta(days=30)
"""How long visits are overdue that nobody will make: their group is in no configuration. A service that was away for
longer plans them anew, so that nothing is lost where somebody has it after all."""


class Pruning:
    """Lets go of what is older than the configuration says, and of plans that are nobody's."""

    def __init__(self, store: Ledger, settled: Settled, clock: Clock, teller: Teller) -> None:
        self._store = store
        self._settled = settled
        self._clock = clock
        self._teller = teller
        self._at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def begin_if_due(self) -> None:
        """Begin, if that was a day ago."""
        now = self._clock.now().steady
        if (self._task is None or self._task.done()) and (self._at is None or now - self._at >= DAY):
            self._at = now
            self._task = asyncio.create_task(self.prune())

    async def end(self) -> None:
        """Break off what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def prune(self) -> None:
        """Let go, now; what fails is told."""
        configuration = self._settled.configuration
        now = moment_of(self._clock.now().wall)
        try:
            gone = await self._store.prune(now, keep_days=configuration.keep_days, keep_scans=configuration.keep_scans)
            await self._store.forget_plans([group.name for group in self._settled.groups], now - FORGOTTEN)
        except StoreError as error:
            self._teller.store_failed(error)
            return
        if gone.targets or gone.probes:
            words = f"{counted(gone.targets, 'old result')} let go"
            self._teller.tell("info", "pruned", words, results=gone.targets)
