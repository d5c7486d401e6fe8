"""Visits that somebody else keeps the time of, and hands over one by one: the book of a worker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping

from mxprobe.schedule.timetable import LONGEST_NAP, PUT_OFF, Reading, Timetable
from mxprobe.schedule.visits import Visit


class Handed:
    """The part of a `Timetable` that a service goes by, for visits that are handed over by `hand`. When those that
    nobody has planned yet are due, it knows like one. `is_news` is set when more is due than was, and reset by whoever
    hands out."""

    def __init__(self, visits: Iterable[Visit], last: Mapping[str, float], now: Reading) -> None:
        self._visits: dict[str, Visit] = {}
        self._plan = Timetable((), {}, now)
        self._waiting: deque[str] = deque()
        self._ends: dict[str, asyncio.Future[float | None]] = {}
        self._closed = False
        self.is_news = False
        self.change(visits, last, now)

    def __contains__(self, next_hop: str) -> bool:
        """Whether a visit was handed over that has not come to its end."""
        return next_hop in self._ends

    async def hand(self, next_hop: str) -> float | None:
        """Have a visit made; None once it has come to its end, or the seconds after which it is to be tried again."""
        if self._closed:
            return 0.0
        assert next_hop not in self._ends, "it is handed over once"
        end: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._ends[next_hop] = end
        self._waiting.append(next_hop)
        return await end

    def close(self) -> None:
        """Take nothing more; who waits is to try elsewhere."""
        self._closed = True
        while self._waiting:
            self._end(self._waiting.popleft(), 0.0)

    def abandon(self) -> None:
        """Nobody makes visits any more, nor those that were begun."""
        self.close()
        for next_hop in tuple(self._ends):
            self._end(next_hop, 0.0)

    def change(self, visits: Iterable[Visit], last: Mapping[str, float], now: Reading) -> None:
        """From now on these visits."""
        self._visits = {visit.next_hop.text: visit for visit in visits}
        self._plan.change(self._visits.values(), last, now)

    def take(self, now: Reading, at_most: int) -> tuple[Visit, ...]:
        """Visits to begin now. One in its quiet hours is let go: who hands out sees it again when they are over."""
        taken: list[Visit] = []
        while self._waiting and len(taken) < at_most:
            text = self._waiting.popleft()
            visit = self._visits.get(text)
            if visit is None:
                self._end(text, PUT_OFF)
            elif visit.rhythm.quiet.at(now.wall):
                self._end(text, None)
            else:
                taken.append(visit)
        return tuple(taken)

    def done(self, next_hop: str, begun: Reading, now: Reading) -> None:
        """A visit has a result, by whomever."""
        self._end(next_hop, None)

    def put_off(self, next_hop: str, now: Reading, seconds: float = PUT_OFF) -> None:
        """A visit has come to nothing."""
        self._end(next_hop, 0.0 if self._closed else seconds)

    def hasten(self, next_hops: Iterable[str], now: Reading) -> None:
        """Next-hops are due now, as the store knows; who hands out has to look."""
        self.is_news = True

    def nap(self, now: Reading) -> float:
        """The seconds to wait before `take` may have something; 0 if it has."""
        return 0.0 if self._waiting else LONGEST_NAP

    def under_way(self) -> frozenset[str]:
        """The next-hops of the visits that were taken and have not come to an end."""
        return frozenset(self._ends.keys() - set(self._waiting))

    def due_at(self, next_hop: str) -> float | None:
        """When a next-hop is due that nobody has planned yet."""
        return self._plan.due_at(next_hop)

    def overdue(self, now: Reading) -> int:
        """How many visits were handed over and have not begun."""
        return len(self._waiting)

    def _end(self, next_hop: str, seconds: float | None) -> None:
        end = self._ends.pop(next_hop, None)
        if end is not None and not end.done():
            end.set_result(seconds)
