"""The visits that this process has taken: claimed in the store, renewed while they last, and ended with their result.

A visit is known by when it was due. Whoever ends it says when it is due again, in the transaction that keeps the
result: so one that another process has made is seen as such, whatever the clocks of both show.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol as Interface

from mxprobe.errors import StoreError
from mxprobe.schedule.clock import Clock, moment_of
from mxprobe.schedule.due import next_due
from mxprobe.schedule.leases import RENEW_AFTER, lease_until
from mxprobe.schedule.owners import has_ended
from mxprobe.schedule.telling import Teller
from mxprobe.schedule.timetable import Reading
from mxprobe.schedule.visits import Visit
from mxprobe.store import Pruned, TargetResult, Work
from mxprobe.terms import Endpoint

MOST_OWED = 10_000
"""Visits to be given back once the store works again: as many as may be under way. What is more, runs out."""


class Ledger(Interface):
    """The store, as far as the loop of a service needs it (`store/duties.py`). All of it raises `StoreError`."""

    async def plan(self, group: str, due: Mapping[str, datetime]) -> None: ...

    async def forget_plans(self, groups: Iterable[str], before: datetime) -> int: ...

    async def planned(self, group: str, next_hops: Iterable[str] | None = None) -> dict[str, datetime]: ...

    async def visited(self, next_hops: Iterable[str] | None = None) -> dict[str, datetime]: ...

    async def leased(self, group: str, next_hops: Iterable[str] | None = None) -> tuple[Work, ...]: ...

    async def take(
        self, group: str, due: Mapping[str, datetime], now: datetime, until: datetime, *, by: str
    ) -> tuple[Work, ...]: ...

    async def renew(self, work: Work, until: datetime) -> Work | None: ...

    async def release(self, work: Work) -> bool: ...

    async def save_target(
        self, result: TargetResult, *, work: Work | None = None, next_due: datetime | None = None
    ) -> bool: ...

    async def neighbours(self, struck: Mapping[Endpoint, str], now: datetime, limit: int) -> tuple[str, ...]: ...

    async def hasten(self, group: str, next_hops: Iterable[str], at: datetime) -> tuple[str, ...]: ...

    async def prune(self, now: datetime, *, keep_days: int | None = None, keep_scans: int | None = None) -> Pruned: ...


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """A visit that this process has. Whoever renews or ends it holds `turn`, because its work is known by the end of
    its lease. `kept` once it has its result; `task` makes it."""

    visit: Visit
    work: Work
    begun: Reading
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[None] | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What came of claiming visits: those that are `ours`, those that another process has made (`elsewhere`), those
    that another one has (`taken`), and those of which the store knows nothing (`unplanned`)."""

    ours: tuple[Held, ...] = ()
    elsewhere: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    unplanned: tuple[str, ...] = ()


class Claims:
    """The visits that one process has. A next-hop is planned under the first of its groups, so that services of other
    groups leave its plan alone."""

    def __init__(self, store: Ledger, clock: Clock, teller: Teller, *, owner: str) -> None:
        self._store = store
        self._clock = clock
        self._teller = teller
        self._owner = owner
        self._groups: dict[str, str] = {}
        self._due: dict[str, datetime] = {}
        self._held: set[Held] = set()
        self._owed: deque[Work] = deque(maxlen=MOST_OWED)

    async def start(self, visits: Mapping[str, Visit]) -> None:
        """Learn what is planned, and take back what was held by a process that has ended. To be called before the store
        is asked when each next-hop was visited: whoever ends a visit in between is noticed by what is planned then.
        """
        self._groups = _groups_of(visits)
        self._due = await self._planned(visits)
        for group in dict.fromkeys(self._groups.values()):
            await self._free(group)

    async def plan(self, visits: Mapping[str, Visit], due: Mapping[str, datetime]) -> None:
        """These are the visits from now on, due then; what is planned already, stays as it is."""
        before, self._groups = self._groups, _groups_of(visits)
        plans: dict[str, dict[str, datetime]] = {group: {} for group in before.values()}
        for text, group in self._groups.items():
            plans.setdefault(group, {})[text] = due[text]
        for group, planned in plans.items():
            await self._store.plan(group, planned)
        known = {text: at for text, at in self._due.items() if before.get(text) == self._groups.get(text)}
        self._due = {text: known.get(text, at) for text, at in (await self._planned(visits)).items()}

    def expect(self, next_hop: str, due_at: datetime) -> None:
        """Take a visit for the one that is due then: what other processes make is known to whoever hands it out."""
        self._due[next_hop] = due_at

    async def hasten(self, next_hops: Iterable[str]) -> tuple[str, ...]:
        """Have these due now, as far as nobody has them and they are not; which ones."""
        now = moment_of(self._clock.now().wall)
        plans: dict[str, list[str]] = {}
        for text in next_hops:
            if text in self._groups:
                plans.setdefault(self._groups[text], []).append(text)
        moved: list[str] = []
        for group, names in plans.items():
            moved += await self._store.hasten(group, names, now)
        self._due.update(dict.fromkeys(moved, now))
        return tuple(moved)

    async def take(self, visits: Mapping[str, Visit]) -> Claimed:
        """Claim visits that are due."""
        known = {text: self._due[text] for text in visits if text in self._due}
        now = self._clock.now()
        until = moment_of(lease_until(now.wall))
        works: list[Work] = []
        for group in sorted({self._groups[text] for text in known}):
            due = {text: at for text, at in known.items() if self._groups[text] == group}
            works += await self._store.take(group, due, moment_of(now.wall), until, by=self._owner)
            left = due.keys() - {work.next_hop for work in works}
            if left and (freed := await self._free(group, left)):
                again = {text: due[text] for text in freed}
                works += await self._store.take(group, again, moment_of(now.wall), until, by=self._owner)
        missing = visits.keys() - {work.next_hop for work in works}
        planned = await self._planned(missing, few=True)
        elsewhere = {text for text in missing & planned.keys() if text in known and planned[text] != known[text]}
        self._due.update((text, planned[text]) for text in elsewhere)
        begun = self._clock.now()
        held = tuple(Held(visit=visits[work.next_hop], work=work, begun=begun) for work in works)
        self._held.update(held)
        return Claimed(
            ours=held,
            elsewhere=tuple(sorted(elsewhere)),
            taken=tuple(sorted((missing & planned.keys() & known.keys()) - elsewhere)),
            unplanned=tuple(sorted(missing - (planned.keys() & known.keys()))),
        )

    async def keep(self, held: Held, result: TargetResult) -> bool:
        """Keep the result of a visit and say when it is due again; False, and nothing is kept, if it is not ours any
        more."""
        visit = held.visit
        async with held.turn:
            now = self._clock.now()
            begun = now.wall - (now.steady - held.begun.steady)  # by today's clock, whatever was set meanwhile
            again = moment_of(next_due(visit.next_hop.text, visit.rhythm, begun, now.wall))
            held.kept = await self._store.save_target(result, work=held.work, next_due=again)
            if held.kept:
                self._due[visit.next_hop.text] = again
        return held.kept

    async def end(self, held: Held) -> None:
        """Have done with a visit; without a result it is given back, where the store is away as soon as it works
        again, if its lease has not run out by then."""
        async with held.turn:
            try:
                if not held.kept:
                    await self._store.release(held.work)
            except StoreError:
                self._owed.append(held.work)
                raise
            finally:
                self._held.discard(held)

    @property
    def held(self) -> tuple[Held, ...]:
        """The visits that this process has now."""
        return tuple(self._held)

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[None]:
        """Renew all leases for the time of the context. A visit whose lease was lost is cancelled."""
        task = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _free(self, group: str, next_hops: Iterable[str] | None = None) -> tuple[str, ...]:
        """Take back what processes of this machine held that have ended; the next-hops of that."""
        freed: list[str] = []
        for work in await self._store.leased(group, next_hops):
            if has_ended(work.leased_by) and await self._store.release(work):
                words = "was under way in a process that has ended"
                self._teller.tell("info", "taken-up", words, about=work.next_hop)
                freed.append(work.next_hop)
        return tuple(freed)

    async def _planned(self, next_hops: Iterable[str], *, few: bool = False) -> dict[str, datetime]:
        """When these next-hops are due by the store, each in its group; a `few`, or all that there are."""
        wanted = [text for text in next_hops if text in self._groups]
        groups: dict[str, list[str]] = {}
        for text in wanted:
            groups.setdefault(self._groups[text], []).append(text)
        plans = {group: await self._store.planned(group, some if few else None) for group, some in groups.items()}
        return {text: plans[self._groups[text]][text] for text in wanted if text in plans[self._groups[text]]}

    async def _renew(self) -> None:
        never = asyncio.Event()
        while True:
            await self._clock.wait(never, RENEW_AFTER)
            for held in self.held:
                try:
                    await self._renewed(held)
                except StoreError as error:
                    self._teller.store_failed(error)
                    break
            try:
                while self._owed:
                    await self._store.release(self._owed[0])
                    self._owed.popleft()
            except StoreError as error:
                self._teller.store_failed(error)

    async def _renewed(self, held: Held) -> None:
        async with held.turn:
            if held.kept or held not in self._held:
                return
            renewed = await self._store.renew(held.work, moment_of(lease_until(self._clock.now().wall)))
            if renewed is not None:
                held.work = renewed
            elif held.task is not None:
                held.task.cancel()


def _groups_of(visits: Mapping[str, Visit]) -> dict[str, str]:
    """The group under which each next-hop is planned."""
    return {text: visit.groups[0].name for text, visit in visits.items()}
