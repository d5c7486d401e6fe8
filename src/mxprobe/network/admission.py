"""Who is let through next, where several budgets limit: fair, and without anybody holding up those who could go. Pure:
time is an argument.

A ticket needs one unit of each of its budgets, narrowest first. It waits at the first that has none, and keeps nothing
meanwhile, so that whoever waits for an exhausted provider takes no place from others. The one exception keeps it from
waiting for ever: the first in line at a budget has units of the narrower ones held for it, or those might always be
gone when this one comes, and the other way round. The order of budgets is the same for all, so that these holds never
wait for each other in a circle.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import count
from operator import attrgetter

from mxprobe.network.budget import Budget


class Ticket:
    """A wish for one unit of each of its budgets. `order` decides who comes first, where a unit is lacking."""

    __slots__ = ("admitted", "budgets", "holding", "lacks", "order")

    def __init__(self, budgets: Sequence[Budget], order: tuple[int, int]) -> None:
        self.budgets = tuple(budgets)
        self.order = order
        self.admitted = False
        self.lacks: int | None = None
        """Which of its budgets it waits for."""
        self.holding = False
        """Whether units of the narrower ones are held for it."""


class Admission:
    """The tickets of all who wait, and who is next.

    Where units are scarce, those with the same narrowest budget share one turn in each round, however many tickets they
    have (start-time fair queueing: a ticket's turn is one after the latest of its own, or after the one now served).
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._turn = 0
        self._changed: dict[Budget, None] = {}
        self._waited_for: dict[Budget, None] = {}
        self._admitted: list[Ticket] = []

    def enter(self, budgets: Sequence[Budget], now: float) -> Ticket:
        """Ask for a unit of each. Whether they were there at once says the ticket; if not, `settle` will give it."""
        own = budgets[0]
        own.latest_turn = max(self._turn, own.latest_turn) + 1
        ticket = Ticket(budgets, (own.latest_turn, next(self._numbers)))
        if self._advance(ticket, now):
            self._admitted.pop()
        return ticket

    def leave(self, ticket: Ticket, now: float, *, unused: bool = False) -> None:
        """Give the places of a ticket back, or give up waiting; `unused`: it was admitted, and nothing was opened."""
        if ticket.admitted:
            ticket.admitted = False
            for budget in ticket.budgets:
                if unused:
                    budget.refund(now)
                else:
                    budget.release()
                self._look_at(budget)
        elif ticket.lacks is not None:
            self._stop_waiting(ticket, now)

    def settle(self, now: float) -> list[Ticket]:
        """Those who are let through now, after places were given back, or time has passed."""
        for budget in self._waited_for:
            if budget.bucket is not None:
                self._changed[budget] = None
        while self._changed:
            budget, _ = self._changed.popitem()
            while budget.waiting and budget.free(now) > 0:
                first = budget.waiting[0]
                self._stop_waiting(first, now)
                self._advance(first, now)
        admitted, self._admitted = self._admitted, []
        return admitted

    def wake_at(self, now: float) -> float | None:
        """When time alone may let somebody through: `settle` is due then. None: only when a place is given back."""
        waits = (budget.seconds_until_free(now) for budget in self._waited_for)
        soonest = min((seconds for seconds in waits if seconds is not None), default=None)
        return None if soonest is None else now + soonest

    def _advance(self, ticket: Ticket, now: float) -> bool:
        """Let a ticket through, or to the first budget that it lacks."""
        for position, budget in enumerate(ticket.budgets):
            if budget.free(now) < 1 or (budget.waiting and budget.waiting[0].order < ticket.order):
                self._wait(ticket, position, now)
                return False
        for budget in ticket.budgets:
            budget.take(now)
        ticket.admitted = True
        self._turn = max(self._turn, ticket.order[0])
        self._admitted.append(ticket)
        return True

    def _wait(self, ticket: Ticket, position: int, now: float) -> None:
        budget = ticket.budgets[position]
        ticket.lacks = position
        insort(budget.waiting, ticket, key=_ORDER)
        if budget.bucket is not None:
            self._waited_for[budget] = None
        if budget.waiting[0] is ticket:
            if len(budget.waiting) > 1:
                self._let_go(budget.waiting[1])
            self._hold(ticket, now)
        else:
            self._look_at(budget)

    def _stop_waiting(self, ticket: Ticket, now: float) -> None:
        assert ticket.lacks is not None, "it waits"
        budget = ticket.budgets[ticket.lacks]
        self._let_go(ticket)
        was_first = budget.waiting[0] is ticket
        del budget.waiting[bisect_left(budget.waiting, ticket.order, key=_ORDER)]
        ticket.lacks = None
        if not budget.waiting:
            self._waited_for.pop(budget, None)
        elif was_first:
            self._hold(budget.waiting[0], now)

    def _hold(self, ticket: Ticket, now: float) -> None:
        """Hold units of the narrower budgets for the first in line, if they are there."""
        narrower = ticket.budgets[: ticket.lacks]
        if narrower and all(budget.free(now) > 0 for budget in narrower):
            ticket.holding = True
            for budget in narrower:
                budget.held += 1

    def _let_go(self, ticket: Ticket) -> None:
        if ticket.holding:
            ticket.holding = False
            for budget in ticket.budgets[: ticket.lacks]:
                budget.held -= 1
                self._look_at(budget)

    def _look_at(self, budget: Budget) -> None:
        if budget.waiting:
            self._changed[budget] = None


_ORDER = attrgetter("order")
