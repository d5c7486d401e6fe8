"""Handing out: which visits are put into the queue of the workers, when, and beside whom.

A job is only who is to look at what; that it is due, and that each visit has one result, the store says alone. So what
the queue loses is handed out again, and what is handed out twice comes to nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol as Interface

from procrastinate.jobs import Job

from mxprobe.schedule.clock import moment_of
from mxprobe.schedule.due import CATCH_UP, catch_up_window, first_due, planned
from mxprobe.schedule.visits import Visit
from mxprobe.store.handing_out import NAMED
from mxprobe.terms import Endpoint, NextHop

VISIT = "mxprobe.visit"
"""The task of a visit."""

AHEAD = 75.0
"""Seconds before it is due that a visit is put into the queue: a minute, and what may be lost of one."""

LATE = 180.0
"""Seconds after which a visit that nobody has put into the queue was missed, and not just seen late."""

PAGE = 1000
"""Visits in one statement."""

LOOKED_AT = 200_000
"""Visits of a group that are looked at in one round; where more are due, the rest is seen in the next."""

QUEUED = 10_000
"""Visits of a group that are put into the queue in one round, each minute: fourteen million a day."""

MANY = 500
"""Jobs that are so many more than before that the database has to be told."""

CROWD_WINDOW = 600.0
"""Seconds over which visits are spread that were missed and are more than can be looked at."""

CHANNEL = 40
"""Bytes of a queue's name: PostgreSQL has 63 for that of a channel, and procrastinate puts 23 before it."""


class Rota(Interface):
    """The store, as far as work is handed out by it (`store/handing_out.py`). All of it raises `StoreError`."""

    async def clock(self) -> datetime: ...

    async def unqueued(
        self, group: str, until: datetime, *, after: tuple[datetime, str] | None = None, limit: int
    ) -> tuple[tuple[str, datetime], ...]: ...

    async def led_to(self, next_hops: Iterable[str]) -> dict[str, tuple[Endpoint, ...]]: ...

    async def replan(self, group: str, due: Mapping[str, tuple[datetime, datetime]]) -> None: ...

    async def visited(self, next_hops: Iterable[str] | None = None) -> dict[str, datetime]: ...

    async def planned(self, group: str, next_hops: Iterable[str] | None = None) -> dict[str, datetime]: ...


class Queue(Interface):
    """The queue, as far as it is filled (`schedule/queue.py`). All of it raises `StoreError`."""

    async def defer(self, jobs: list[Job]) -> int: ...

    async def has_grown(self) -> None: ...


class HandsOut:
    """Who puts visits into a queue, for the groups of one service. All of it raises `StoreError`."""

    def __init__(self, store: Rota, jobs: Queue) -> None:
        self._store = store
        self._jobs = jobs
        self._missed: dict[str, int] = {}

    async def replan(self, visits: Mapping[str, Visit], now: float) -> None:
        """Have visits made sooner that are planned for later than their interval says, because it was longer then.
        `now` is by the clock that visits are planned by, that of this machine."""
        last = {text: at.timestamp() for text, at in (await self._store.visited()).items()}
        for group in groups_of(visits):
            sooner: dict[str, tuple[datetime, datetime]] = {}
            for text, due_at in (await self._store.planned(group)).items():
                visit = visits.get(text)
                if visit is None or visit.groups[0].name != group or text not in last:
                    continue
                if last[text] > now + visit.rhythm.every / 2:
                    continue  # by another clock, which is wrong, or this one is
                at = planned(text, visit.rhythm, last[text], now)
                if at is None:
                    at = first_due(text, visit.rhythm, now, catch_up_window(len(visits), visit.rhythm.every))
                if at + LATE < due_at.timestamp():
                    sooner[text] = due_at, moment_of(at)
            await self._store.replan(group, sooner)

    async def hand_out(self, group: str, visits: Mapping[str, Visit]) -> None:
        """Put what of a group is due soon into the queue, each once; what was missed is spread as after a downtime."""
        clock = await self._store.clock()
        now = clock.timestamp()
        chosen: list[tuple[float, str, datetime]] = []
        missed: list[tuple[Visit, datetime]] = []
        after: tuple[datetime, str] | None = None
        for _ in range(LOOKED_AT // PAGE):
            rows = await self._store.unqueued(group, clock + timedelta(seconds=AHEAD), after=after, limit=PAGE)
            for text, due_at in rows:
                visit = visits.get(text)
                if visit is None or visit.groups[0].name != group:
                    continue
                at = max(due_at.timestamp(), now)
                if due_at.timestamp() < now - LATE or visit.rhythm.quiet.at(at):
                    missed.append((visit, due_at))
                else:
                    chosen.append((at, text, due_at))
            if len(rows) < PAGE:
                break
            text, due_at = rows[-1]
            after = due_at, text
        # All of them at their place in the same time, and not the rest in less and less of it.
        crowd = max(len(missed), self._missed.get(group, 0)) if missed else 0
        self._missed[group] = crowd
        most = CROWD_WINDOW if len(missed) + len(chosen) >= LOOKED_AT - PAGE else CATCH_UP
        for visit, due_at in missed:
            window = min(catch_up_window(crowd, visit.rhythm.every), most)
            at = first_due(visit.next_hop.text, visit.rhythm, now, window)
            if at <= now + AHEAD:
                chosen.append((at, visit.next_hop.text, due_at))
        chosen.sort()
        new = 0
        for first in range(0, min(len(chosen), QUEUED), PAGE):
            new += await self._put(group, visits, chosen[first : min(first + PAGE, QUEUED)])
        if new >= MANY:
            await self._jobs.has_grown()

    async def _put(self, group: str, visits: Mapping[str, Visit], chosen: list[tuple[float, str, datetime]]) -> int:
        led_to = await self._store.led_to(text for _, text, _ in chosen)
        jobs = [
            Job(
                id=None,
                task_name=VISIT,
                queue=queue_of(group, visits[text].next_hop),
                lock=lock_of(led_to[text]) if text in led_to else None,
                queueing_lock=NAMED.format(next_hop=text, group=group),
                scheduled_at=datetime.fromtimestamp(at, UTC),
                task_kwargs={"next_hop": text, "group": group, "due_at": due_at.isoformat()},
            )
            for at, text, due_at in chosen
        ]
        return await self._jobs.defer(jobs)


def groups_of(visits: Mapping[str, Visit]) -> tuple[str, ...]:
    """The groups under which these visits are planned."""
    return tuple(sorted({visit.groups[0].name for visit in visits.values()}))


def lock_of(endpoints: Iterable[Endpoint]) -> str:
    """The lock of those who lead to just these endpoints."""
    named = sorted(f"{each.service} {each.host} {each.address} {each.port}" for each in endpoints)
    return f"servers {hashlib.sha256(chr(10).join(named).encode()).hexdigest()[:40]}"


def queue_of(group: str, next_hop: NextHop) -> str:
    """The queue of a visit: those that can be seen, or not, from the same places have the same."""
    kind = f" {next_hop.port}" + ("" if next_hop.address is None else " address")
    return short(group, CHANNEL - len(kind)) + kind


def short(text: str, size: int) -> str:
    """A text of so many bytes at the most, another one for each other text."""
    if text.isascii() and text.isprintable() and len(text) <= size:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return "".join(each for each in text if each.isascii() and each.isalnum())[: size - 13] + "-" + digest
