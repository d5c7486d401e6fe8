"""Waiting for a unit of each of several budgets: tasks and timers around `mxprobe.network.admission`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from mxprobe.network.admission import Admission, Ticket
from mxprobe.network.budget import Budget


class Timer(Protocol):
    """Something that was to happen at a time."""

    def cancel(self) -> None:
        """Let it not happen."""


class Clock(Protocol):
    """A steady clock, in seconds, with timers: an event loop is one."""

    def time(self) -> float:
        """The time now."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call back at a time."""


class Door:
    """Where tickets are waited for: `Admission`, with tasks that wait and a clock that goes on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._admission = Admission()
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._timer: Timer | None = None

    @property
    def waiting(self) -> int:
        """How many tickets wait."""
        return len(self._waiting)

    async def enter(self, budgets: Sequence[Budget]) -> Ticket:
        """Wait for a unit of each budget."""
        ticket = self._admission.enter(budgets, self._clock.time())
        if ticket.admitted:
            return ticket
        let_in = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._settle()
        try:
            await let_in
        except asyncio.CancelledError:
            self._waiting.pop(ticket, None)
            # It may have been let in by now, and not have heard of it.
            self._admission.leave(ticket, self._clock.time(), unused=True)
            self._settle()
            raise
        return ticket

    def leave(self, ticket: Ticket, *, unused: bool = False) -> None:
        """Give the places of a ticket back; `unused`: nothing was opened, and what it spent comes back too."""
        self._admission.leave(ticket, self._clock.time(), unused=unused)
        if self._waiting:
            self._settle()

    def _settle(self) -> None:
        now = self._clock.time()
        for ticket in self._admission.settle(now):
            let_in = self._waiting.pop(ticket)
            if not let_in.done():
                let_in.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        when = self._admission.wake_at(now) if self._waiting else None
        if when is not None:
            self._timer = self._clock.call_at(when, self._time_has_come)

    def _time_has_come(self) -> None:
        self._timer = None
        self._settle()
