"""One pass over all that is due, as cron starts it: each visit once, in place of a timetable that goes on for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from mxprobe.schedule.due import due_now
from mxprobe.schedule.timetable import LONGEST_NAP, PUT_OFF, Reading
from mxprobe.schedule.visits import Visit


class OnePass:
    """The visits of one pass, with the part of `Timetable` that a service goes by. `put_off_for_good` has those that
    could not be made."""

    def __init__(self, visits: Iterable[Visit], last: Mapping[str, float], now: Reading) -> None:
        self._visits = {visit.next_hop.text: visit for visit in visits}
        due = (
            visit
            for visit in self._visits.values()
            if due_now(visit.next_hop.text, visit.rhythm, _last(visit, last), now.wall)
        )
        self._waiting = deque(due)
        self._under_way: set[str] = set()
        self.put_off_for_good: list[str] = []

    @property
    def over(self) -> bool:
        """Whether each visit has come to its end."""
        return not self._waiting and not self._under_way

    def take(self, now: Reading, at_most: int) -> tuple[Visit, ...]:
        """Visits to begin now."""
        taken = tuple(self._waiting.popleft() for _ in range(min(at_most, len(self._waiting))))
        self._under_way.update(visit.next_hop.text for visit in taken)
        return taken

    def done(self, next_hop: str, begun: Reading, now: Reading) -> None:
        """A visit has a result."""
        self._under_way.discard(next_hop)

    def put_off(self, next_hop: str, now: Reading, seconds: float = PUT_OFF) -> None:
        """A visit has come to nothing; the next pass makes it."""
        self._under_way.discard(next_hop)
        self.put_off_for_good.append(next_hop)

    def hasten(self, next_hops: Iterable[str], now: Reading) -> None:
        """Make these visits in this pass too, as far as they are not in their quiet hours."""
        waiting = {visit.next_hop.text for visit in self._waiting} | self._under_way
        wanted = (self._visits[text] for text in next_hops if text not in waiting)
        self._waiting.extend(visit for visit in wanted if not visit.rhythm.quiet.at(now.wall))

    def nap(self, now: Reading) -> float:
        """The seconds to wait before `take` may have something; 0 if it has."""
        return 0.0 if self._waiting else LONGEST_NAP

    def under_way(self) -> frozenset[str]:
        """The next-hops of the visits that were taken and have not come to an end."""
        return frozenset(self._under_way)

    def due_at(self, next_hop: str) -> float | None:
        """Nothing is planned beyond this pass."""
        return None

    def overdue(self, now: Reading) -> int:
        """How many visits have not begun."""
        return len(self._waiting)


def _last(visit: Visit, last: Mapping[str, float]) -> float | None:
    return last.get(visit.next_hop.text)
