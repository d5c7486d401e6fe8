"""Which visits are due, which are under way, and when to look again: kept in memory, and right whatever the clock does.

It reads no clock itself. Each call is told what two clocks show: the one on the wall, by which visits are planned, and
one that only ever runs forward, by which it is seen that the other one was set.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mxprobe.schedule.due import catch_up_window, first_due, planned
from mxprobe.schedule.visits import Visit

JUMP = 60.0
"""Seconds by which the clocks may part before the one on the wall was set: corrections of less are just time."""

LONGEST_NAP = 60.0
"""Seconds after which to look again although nothing is due, so that a clock that was set is soon noticed."""

PUT_OFF = 60.0
"""Seconds before a visit that could not be made, through no fault of the next-hop, is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What two clocks show at once: `wall` in seconds since 1970, `steady` in seconds since anything.

    `steady` should count while the machine sleeps, or a sleep looks like a clock that was set.
    """

    wall: float
    steady: float


def jump(before: Reading, now: Reading) -> float:
    """The seconds by which the clock on the wall was set between two readings, back if negative; else 0."""
    apart = (now.wall - before.wall) - (now.steady - before.steady)
    return apart if abs(apart) > JUMP else 0.0


class Timetable:
    """The visits of a service.

    What it is given and tells is in the time on the wall. Where that is set while the service runs, the last visits
    move along, so that they are as long ago as they really are.
    """

    def __init__(self, visits: Iterable[Visit], last: Mapping[str, float], now: Reading) -> None:
        """`last` says when each next-hop was visited last, by its text; whoever is not in it never was."""
        self._visits: dict[str, Visit] = {}
        self._last: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []
        self._under_way: set[str] = set()
        self._now = now
        self.change(visits, last, now)

    def change(self, visits: Iterable[Visit], last: Mapping[str, float], now: Reading) -> None:
        """From now on these visits, as after a configuration or a file of next-hops was read again.

        `last` is needed only for next-hops that are new. What is due already, stays due; what is under way goes on,
        and is forgotten afterwards if it is no longer among them.
        """
        self._look_at(now)
        old = self._visits
        self._visits = {visit.next_hop.text: visit for visit in visits}
        changed: list[str] = []
        for text, visit in self._visits.items():
            if text not in old:
                if text in last:
                    self._last.setdefault(text, last[text])
                changed.append(text)
            elif visit.rhythm != old[text].rhythm and not self._due.get(text, now.wall) < now.wall:
                changed.append(text)
        for text in old.keys() - self._visits.keys():
            self._due.pop(text, None)
            if text not in self._under_way:
                self._last.pop(text, None)
        self._plan(changed)

    def take(self, now: Reading, at_most: int) -> tuple[Visit, ...]:
        """Visits to begin now, those that are due the longest first. They are under way until `done` or `put_off`.

        None is in its quiet hours: what they overtook is due after them, spread as after a downtime.
        """
        self._look_at(now)
        taken: list[Visit] = []
        overtaken: list[str] = []
        while self._queue and self._queue[0][0] <= now.wall and len(taken) < at_most:
            due, text = heapq.heappop(self._queue)
            if self._due.get(text) != due:
                continue  # planned anew since
            visit = self._visits[text]
            if visit.rhythm.quiet.at(now.wall):
                overtaken.append(text)
                continue
            del self._due[text]
            self._under_way.add(text)
            taken.append(visit)
        self._catch_up(overtaken)
        return tuple(taken)

    def done(self, next_hop: str, begun: Reading, now: Reading) -> None:
        """A visit that was begun then has come to its end, with a result."""
        self._look_at(now)
        self._under_way.discard(next_hop)
        if next_hop in self._visits:
            self._last[next_hop] = now.wall - (now.steady - begun.steady)
            self._plan([next_hop])
        else:
            self._last.pop(next_hop, None)

    def put_off(self, next_hop: str, now: Reading, seconds: float = PUT_OFF) -> None:
        """A visit has come to nothing, and not by the next-hop: nothing can be dialled here, the store is away."""
        self._look_at(now)
        self._under_way.discard(next_hop)
        if next_hop in self._visits:
            self._put(next_hop, self._visits[next_hop].rhythm.quiet.after(now.wall + seconds))

    def hasten(self, next_hops: Iterable[str], now: Reading) -> None:
        """Have next-hops visited now that would be later, each outside its quiet hours."""
        self._look_at(now)
        for text in next_hops:
            if self._due.get(text, now.wall) > now.wall:
                self._put(text, self._visits[text].rhythm.quiet.after(now.wall))

    def nap(self, now: Reading) -> float:
        """The seconds to wait before `take` may have something; 0 if it has. At most `LONGEST_NAP`."""
        self._look_at(now)
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return min(max(self._queue[0][0] - now.wall, 0.0), LONGEST_NAP) if self._queue else LONGEST_NAP

    def due_at(self, next_hop: str) -> float | None:
        """When a next-hop is due; None while it is under way, or where there is none of that name."""
        return self._due.get(next_hop)

    def under_way(self) -> frozenset[str]:
        """The next-hops of the visits that were taken and have not come to an end."""
        return frozenset(self._under_way)

    def overdue(self, now: Reading) -> int:
        """How many visits are due, and not begun."""
        return sum(due <= now.wall for due in self._due.values())

    def _look_at(self, now: Reading) -> None:
        """Take notice of the time, and of a clock that was set."""
        by = jump(self._now, now)
        before, self._now = self._now, now
        if not by:
            return
        self._last = {text: last + by for text, last in self._last.items()}
        waiting = {text for text, due in self._due.items() if due <= before.wall}
        self._queue.clear()
        for text in waiting:
            self._put(text, now.wall)
        self._plan([text for text in self._due if text not in waiting])

    def _plan(self, next_hops: list[str]) -> None:
        """Say when these are due; those that are already, within a time that depends on how many they are."""
        now = self._now.wall
        late: list[str] = []
        for text in next_hops:
            if text in self._under_way:
                continue
            due = planned(text, self._visits[text].rhythm, self._last.get(text), now)
            if due is None:
                late.append(text)
            else:
                self._put(text, due)
        self._catch_up(late)

    def _catch_up(self, late: list[str]) -> None:
        for text in late:
            rhythm = self._visits[text].rhythm
            self._put(text, first_due(text, rhythm, self._now.wall, catch_up_window(len(late), rhythm.every)))

    def _put(self, next_hop: str, due: float) -> None:
        self._due[next_hop] = due
        heapq.heappush(self._queue, (due, next_hop))
