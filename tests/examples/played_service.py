"""A service whose time, store and mail servers are played: weeks pass in a moment, and all that it does is seen."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path

from mxprobe.configuration.probes_toml import Configuration, Group
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.configuration.sections import LimitsSection, ProbeSection, ServiceSection
from mxprobe.errors import StoreError
from mxprobe.routing.route import Route
from mxprobe.schedule.clock import Clock, moment_of
from mxprobe.schedule.lookout import Lookout
from mxprobe.schedule.service import Service
from mxprobe.schedule.telling import Line, Progress
from mxprobe.schedule.timetable import Reading
from mxprobe.schedule.vantage import Vantage
from mxprobe.schedule.visit_run import Keep, Outcome, World
from mxprobe.schedule.visits import Visit
from mxprobe.store import Probed, Pruned, TargetResult, Work
from mxprobe.terms import Endpoint, NextHop, parse_next_hop

MONDAY = 1_780_272_000.0
"""2026-06-01, a Monday, 00:00 in UTC."""

FINE = Vantage(state="fine", summary="mail servers are reached from here")
BLOCKED = Vantage(state="blocked", summary="port 25 is blocked here", ports=(25,))


class PlayedClock:
    """Two clocks that run only when a test lets time pass. What is played waits for nothing else."""

    def __init__(self) -> None:
        self._now = Reading(wall=MONDAY, steady=0.0)
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()

    def now(self) -> Reading:
        return self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        if event.is_set() or seconds <= 0:
            await asyncio.sleep(0)
            return
        late = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._now.steady + seconds, next(self._number), late))
        early = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({late, early}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            late.cancel()
            early.cancel()

    async def pass_time(self, seconds: float) -> None:
        end = self._now.steady + seconds
        await settled()
        while self._waiting and self._waiting[0][0] <= end:
            at, _, late = heapq.heappop(self._waiting)
            if not late.done():
                self._advance(at - self._now.steady)
                late.set_result(None)
                await settled()
        self._advance(end - self._now.steady)

    def set_by(self, seconds: float) -> None:
        """Set the clock on the wall."""
        self._now = replace(self._now, wall=self._now.wall + seconds)

    def _advance(self, seconds: float) -> None:
        self._now = Reading(wall=self._now.wall + seconds, steady=self._now.steady + seconds)


async def settled() -> None:
    """Until every task waits for something that only the test can bring."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    while ready:
        await asyncio.sleep(0)


class PlayedStore:
    """What `store/duties.py` promises, in memory. `away` is raised by all of it; `kept` has every result."""

    def __init__(self) -> None:
        self.due: dict[tuple[str, str], tuple[datetime, datetime | None, str | None]] = {}
        self.kept: list[TargetResult] = []
        self.pruned: list[datetime] = []
        self.away: StoreError | None = None

    async def plan(self, group: str, due: Mapping[str, datetime]) -> None:
        self._look()
        for key in [key for key in self.due if key[1] == group and key[0] not in due]:
            del self.due[key]
        for text, at in due.items():
            self.due.setdefault((text, group), (at, None, None))

    async def forget_plans(self, groups: Iterable[str], before: datetime) -> int:
        self._look()
        kept = set(groups)
        gone = [key for key, (at, lease, _) in self.due.items() if key[1] not in kept and at < before and lease is None]
        for key in gone:
            del self.due[key]
        return len(gone)

    async def planned(self, group: str, next_hops: Iterable[str] | None = None) -> dict[str, datetime]:
        self._look()
        wanted = None if next_hops is None else set(next_hops)
        return {
            text: row[0] for (text, of), row in self.due.items() if of == group and (wanted is None or text in wanted)
        }

    async def visited(self, next_hops: Iterable[str] | None = None) -> dict[str, datetime]:
        self._look()
        wanted = None if next_hops is None else set(next_hops)
        found: dict[str, datetime] = {}
        for result in self.kept:
            if wanted is None or result.next_hop in wanted:
                found[result.next_hop] = max(result.started_at, found.get(result.next_hop, result.started_at))
        return found

    async def leased(self, group: str, next_hops: Iterable[str] | None = None) -> tuple[Work, ...]:
        self._look()
        wanted = None if next_hops is None else set(next_hops)
        return tuple(
            Work(next_hop=text, group=of, due_at=at, leased_by=by, lease_until=until)
            for (text, of), (at, until, by) in self.due.items()
            if of == group and until is not None and by is not None and (wanted is None or text in wanted)
        )

    async def take(
        self, group: str, due: Mapping[str, datetime], now: datetime, until: datetime, *, by: str
    ) -> tuple[Work, ...]:
        self._look()
        taken = []
        for text, at in due.items():
            found, lease, holder = self.due.get((text, group), (None, None, None))
            free = lease is None or lease <= now or lease > now + 2 * (until - now) or holder == by
            if found == at and free:
                self.due[text, group] = (at, until, by)
                taken.append(Work(next_hop=text, group=group, due_at=at, leased_by=by, lease_until=until))
        return tuple(taken)

    async def renew(self, work: Work, until: datetime) -> Work | None:
        self._look()
        if not self._is_held(work):
            return None
        self.due[work.next_hop, work.group] = (work.due_at, until, work.leased_by)
        return replace(work, lease_until=until)

    async def release(self, work: Work) -> bool:
        self._look()
        if held := self._is_held(work):
            self.due[work.next_hop, work.group] = (work.due_at, None, None)
        return held

    async def save_target(
        self, result: TargetResult, *, work: Work | None = None, next_due: datetime | None = None
    ) -> bool:
        self._look()
        assert work is not None
        assert next_due is not None
        if not self._is_held(work):
            return False
        self.due[work.next_hop, work.group] = (next_due, None, None)
        self.kept.append(result)
        return True

    async def neighbours(self, struck: Mapping[Endpoint, str], now: datetime, limit: int) -> tuple[str, ...]:
        self._look()
        last: dict[str, TargetResult] = {result.next_hop: result for result in self.kept}
        return tuple(
            text
            for text, result in last.items()
            if any(
                each.endpoint in struck and result.settings_digest != last[struck[each.endpoint]].settings_digest
                for each in result.endpoints
            )
            and any(row[0] > now for (of, _), row in self.due.items() if of == text)
        )[:limit]

    async def hasten(self, group: str, next_hops: Iterable[str], at: datetime) -> tuple[str, ...]:
        self._look()
        later = [text for text in next_hops if self.due[text, group][0] > at and self.due[text, group][1] is None]
        self.due.update(((text, group), (at, None, None)) for text in later)
        return tuple(later)

    async def prune(self, now: datetime, *, keep_days: int | None = None, keep_scans: int | None = None) -> Pruned:
        self._look()
        self.pruned.append(now)
        return Pruned()

    def times(self) -> dict[str, list[float]]:
        """When each next-hop was visited with a result."""
        found: dict[str, list[float]] = defaultdict(list)
        for result in self.kept:
            found[result.next_hop].append(result.started_at.timestamp())
        return found

    def held_by(self, text: str, by: str, until: float, group: str = "all") -> None:
        """Let somebody else have work."""
        at = self.due.get((text, group), (moment_of(MONDAY), None, None))[0]
        self.due[text, group] = (at, moment_of(until), by)

    def _is_held(self, work: Work) -> bool:
        held = (work.due_at, work.lease_until, work.leased_by)
        return self.due.get((work.next_hop, work.group)) == held

    def _look(self) -> None:
        if self.away is not None:
            raise self.away


class PlayedVisits:
    """Visits that take `seconds` each, of some other times in `slow`, and meet what is in `failing`."""

    def __init__(self, clock: Clock, seconds: float = 5.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.slow: dict[str, float] = {}
        self.failing: dict[str, Exception] = {}
        self.behind: dict[str, Endpoint] = {}
        self.struck: dict[Endpoint, float] = {}
        self.begun: list[tuple[str, float]] = []
        self.steady: dict[str, list[float]] = defaultdict(list)
        self.at_once = self.most_at_once = 0

    async def visit(self, visit: Visit, keep: Keep, stopping: asyncio.Event, /) -> Outcome:
        text, begun = visit.next_hop.text, self.clock.now()
        self.begun.append((text, begun.wall))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if text in self.failing:
                raise self.failing[text]
            await self.clock.wait(asyncio.Event(), self.slow.get(text, self.seconds))
        finally:
            self.at_once -= 1
        behind = self.behind.get(text)
        is_struck = behind in self.struck and begun.wall >= self.struck[behind]
        result = TargetResult(
            next_hop=text,
            started_at=moment_of(begun.wall),
            finished_at=moment_of(self.clock.now().wall),
            settings_digest="struck" if is_struck else "",  # what is found there, in a word
            route=Route(kind="null-mx"),
            endpoints=() if behind is None else (Probed(endpoint=behind, facts=None),),
        )
        if not await keep(result):
            return Outcome(state="lost", reason="somebody else has made this visit")
        self.steady[text].append(begun.steady)
        return Outcome(state="kept", struck=(behind,) if is_struck and behind is not None else ())

    async def close(self) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class Played:
    """A service that runs, and all that it met."""

    service: Service
    visits: PlayedVisits
    lines: list[Line]
    progress: list[Progress]
    looks: list[tuple[NextHop, ...]]
    task: asyncio.Task[object]

    def told(self, what: str) -> list[str]:
        return [line.text for line in self.lines if line.what == what]

    async def stop(self, clock: PlayedClock) -> None:
        """Stop as SIGTERM does, and see it end."""
        self.service.stop()
        await clock.pass_time(120)
        await self.task

    async def die(self, store: PlayedStore) -> None:
        """End as kill -9 does: the store hears nothing more of it."""
        store.away = StoreError("nobody speaks any more")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await settled()
        store.away = None


def next_hops(number: int) -> tuple[NextHop, ...]:
    return tuple(parse_next_hop(f"{each}.example") for each in range(number))


def group(hops: tuple[NextHop, ...], *, name: str = "all", every: float = 86400.0, **more: object) -> Group:
    rhythm = more.pop("rhythm", Rhythm(every=every))
    return Group(name=name, next_hops=hops, listed=hops, rhythm=rhythm, **more)  # type: ignore[arg-type]


def configured(*groups: Group, at_once: int = 200, stop_within: float = 60.0) -> Configuration:
    return Configuration(
        path=Path("probes.toml"),
        probe=ProbeSection(),
        limits=LimitsSection(),
        profiles=(),
        groups=groups,
        store_url="sqlite:///played.db",
        service=ServiceSection(at_once=at_once, stop_within=stop_within),
    )


def played(
    clock: PlayedClock,
    store: PlayedStore,
    configuration: Configuration,
    *,
    once: bool = False,
    owner: str = "one",
    read: Callable[[], Configuration] | None = None,
    place: Callable[[], Vantage] = lambda: FINE,
    seconds: float = 5.0,
) -> Played:
    """Start a service."""
    visits = PlayedVisits(clock, seconds)
    lines: list[Line] = []
    progress: list[Progress] = []
    looks: list[tuple[NextHop, ...]] = []

    async def look(asked: tuple[NextHop, ...]) -> Vantage:
        looks.append(asked)
        return place()

    service = Service(
        configuration,
        store,
        make_world=lambda _configuration, now: World(
            visitor=visits, lookout=Lookout(look, lambda: [each.next_hop for each in now().values()], clock)
        ),
        read=read or (lambda: configuration),
        clock=clock,
        owner=owner,
        tell=lines.append,
        show=progress.append,
    )
    task: asyncio.Task[object] = asyncio.create_task(service.once() if once else service.run())
    return Played(service=service, visits=visits, lines=lines, progress=progress, looks=looks, task=task)


@asynccontextmanager
async def running(
    clock: PlayedClock, store: PlayedStore, configuration: Configuration, **more: object
) -> AsyncIterator[Played]:
    """A service for the time of the context; stopped afterwards."""
    found = played(clock, store, configuration, **more)  # type: ignore[arg-type]
    try:
        yield found
    finally:
        await found.stop(clock)
