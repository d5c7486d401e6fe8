"""One visit, end to end: the route, the endpoints, what is noticed and asked again, and all of it kept in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from typing import Protocol as Interface

from mxprobe.errors import InvalidMemory
from mxprobe.facts import Target
from mxprobe.network.provider import provider_of
from mxprobe.routing.route import Route, endpoints_behind
from mxprobe.schedule.clock import Clock, moment_of
from mxprobe.schedule.lookout import Came, Lookout
from mxprobe.schedule.observing import Endpoints, Found, Known, Prober
from mxprobe.schedule.own_lack import lack_at
from mxprobe.schedule.vantage import contact_of, question_of
from mxprobe.schedule.visits import Visit
from mxprobe.store import KeptEvent, NewDelivery, Probed, TargetResult
from mxprobe.terms import Endpoint, NextHop
from mxprobe.verdict.aspects import aspects
from mxprobe.verdict.events import Event, corroborated
from mxprobe.verdict.memory import Memory, remember
from mxprobe.verdict.memory_document import memory_document, read_memory
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings, Seen

ALERTING = ("warning", "critical")
"""Severities of events that are asked again before they are told, whoever is told of them."""

Keep = Callable[[TargetResult], Awaitable[bool]]
"""Keeps a result, and ends the visit, in one transaction; False when the visit was somebody else's by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a visit.

    `kept` it has a result; `lost` somebody else has made it meanwhile; `put-off` it could not be made, for a `reason`,
    or for a `lack` of this machine. `struck` are endpoints at which something was found that concerns all who lead
    there.
    """

    state: Literal["kept", "lost", "put-off"]
    reason: str = ""
    lack: str = ""
    endpoints: int = 0
    events: tuple[KeptEvent, ...] = ()
    struck: tuple[Endpoint, ...] = ()
    told: tuple[str, ...] = ()


class MakesVisits(Interface):
    """Who makes visits; `schedule/visit_run.py` has the real one."""

    async def visit(self, visit: Visit, keep: Keep, stopping: asyncio.Event, /) -> Outcome:
        """Look at a next-hop and keep the result."""
        ...

    async def close(self) -> None:
        """End what is still under way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a configuration comes to: who makes visits, who says whether anybody can be seen from here, and who knows
    where a next-hop leads."""

    visitor: MakesVisits
    lookout: Lookout
    resolve: Callable[[NextHop], Awaitable[Route]] | None = None


class Memories(Known, Interface):
    """What the store says of a target."""

    async def memory_of(self, next_hop: str) -> Mapping[str, Any] | None:
        """What was last remembered of a next-hop."""
        ...


class Alerts(Interface):
    """Who is told of events, as far as a visit needs to know."""

    def wants(self, event: Event, /) -> bool:
        """Whether anybody is told of an event, which then has to be asked again first."""
        ...

    def deliveries(self, events: Iterable[Event], /) -> tuple[NewDelivery, ...]:
        """The messages that are to be kept together with these events."""
        ...

    def kept(self, events: Iterable[Event], /) -> None:
        """These events, and their messages, have been kept."""
        ...


class NoAlerts:
    """Nobody is told of anything."""

    def wants(self, _event: Event) -> bool:
        """Nobody does."""
        return False

    def deliveries(self, _events: Iterable[Event]) -> tuple[NewDelivery, ...]:
        """There are none."""
        return ()

    def kept(self, _events: Iterable[Event]) -> None:
        """Nothing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One observation of a target; `at` is when it was begun, on the wall."""

    at: float
    route: Route
    found: tuple[tuple[Endpoint, Found], ...]

    def came(self, next_hop: NextHop) -> Came:
        """How it went."""
        contacts = (contact_of(facts, provider_of(endpoint)) for endpoint, (facts, _) in self.found)
        return Came(
            contacts=tuple(contact for contact in contacts if contact is not None),
            question=question_of(next_hop, self.route),
        )


class Visitor:
    """Makes visits under one configuration. `digest` stands for the settings by which it asks."""

    def __init__(
        self,
        prober: Prober,
        store: Memories,
        lookout: Lookout,
        clock: Clock,
        *,
        digest: str,
        confirm_after: float,
        notice: NoticeSettings = DEFAULTS,
        alerts: Alerts | None = None,
    ) -> None:
        self._prober = prober
        self._store = store
        self._lookout = lookout
        self._clock = clock
        self._digest = digest
        self._confirm_after = confirm_after
        self._notice = notice
        self._alerts = NoAlerts() if alerts is None else alerts
        self.endpoints = Endpoints(prober, store, clock)

    async def visit(self, visit: Visit, keep: Keep, stopping: asyncio.Event) -> Outcome:
        """Look at a next-hop, and keep what came of it, unless it is this place from where nothing can be seen.

        When `stopping` is set, nothing is asked again: what would alert comes up again with the next visit.

        Raises:
            MxprobeError: what could not be done without, such as the store; nothing was kept.
        """
        next_hop = visit.next_hop
        if visit.rhythm.quiet.at(self._clock.now().wall):
            return Outcome(state="put-off", reason="quiet hours have begun")
        look = await self._observe(visit)
        came = look.came(next_hop)
        self._lookout.note(next_hop, came)
        if lack := next((lack for _, (facts, _) in look.found if (lack := lack_at(facts))), ""):
            self.endpoints.forget(endpoint for endpoint, _ in look.found)
            return Outcome(state="put-off", lack=lack)
        if not came.reached and (hindrance := await self._lookout.hinders(next_hop, came)):
            self.endpoints.forget(endpoint for endpoint, _ in look.found)
            return Outcome(state="put-off", reason=hindrance.summary)
        told: tuple[str, ...] = ()
        document: Mapping[str, object] | None = None
        noticed: tuple[Event, ...] = ()
        events: tuple[KeptEvent, ...] = ()
        try:
            old = await self._memory(next_hop.text)
        except InvalidMemory as error:
            # Facts are kept all the same, and the memory is left as it is: a newer mxprobe may have written it.
            told = (str(error),)
        else:
            memory, noticed, state = await self._notice_of(visit, look, old, stopping)
            document, events = memory_document(memory), tuple(_kept(event, state) for event in noticed)
        result = TargetResult(
            next_hop=next_hop.text,
            started_at=moment_of(look.at),
            finished_at=moment_of(max(self._clock.now().wall, look.at)),
            settings_digest=self._digest,
            route=look.route,
            endpoints=tuple(
                Probed(endpoint=endpoint, facts=facts, certificates=certificates)
                for endpoint, (facts, certificates) in look.found
            ),
            memory=document,
            events=events,
            deliveries=self._alerts.deliveries(noticed),
        )
        if not await keep(result):
            return Outcome(
                state="lost", reason="it is not ours any more: made by another process, or not planned any longer"
            )
        self._alerts.kept(noticed)
        return Outcome(
            state="kept", endpoints=len(look.found), events=events, struck=self._struck(look, noticed), told=told
        )

    async def close(self) -> None:
        """End what is still under way."""
        await self.endpoints.close()

    async def _observe(self, visit: Visit, since: float | None = None) -> _Look:
        at = self._clock.now().wall
        route = await self._prober.resolve(visit.next_hop)
        endpoints = endpoints_behind(visit.next_hop, route)
        answers = [asyncio.ensure_future(self.endpoints.facts(each, visit, since=since)) for each in endpoints]
        try:
            found = await asyncio.gather(*answers)
        finally:
            for answer in answers:
                answer.cancel()
        return _Look(at=at, route=route, found=tuple(zip(endpoints, found, strict=True)))

    async def _memory(self, next_hop: str) -> Memory:
        document = await self._store.memory_of(next_hop)
        return Memory(next_hop=next_hop) if document is None else read_memory(document)

    async def _notice_of(
        self, visit: Visit, look: _Look, old: Memory, stopping: asyncio.Event
    ) -> tuple[Memory, tuple[Event, ...], str]:
        """The memory after this look, its events, and whether they were asked again (`confirmed`, else `seen`)."""
        seen = self._aspects(visit, look)
        at = moment_of(look.at)
        memory, events = remember(old, seen, at, self._notice)
        if not any(event.severity in ALERTING or self._alerts.wants(event) for event in events):
            return memory, events, "seen"
        await self._clock.wait(stopping, self._confirm_after)
        again: Iterable[Seen] = ()
        if not stopping.is_set():
            since = self._clock.now().steady
            again = self._aspects(visit, await self._observe(visit, since))
        memory, events = remember(old, corroborated(seen, again, events), at, self._notice)
        return memory, events, "confirmed"

    def _struck(self, look: _Look, noticed: Iterable[Event]) -> tuple[Endpoint, ...]:
        """The endpoints at which something was noticed that is told."""
        named = {event.endpoint for event in noticed if event.severity in ALERTING or event.recovers}
        return tuple(endpoint for endpoint, _ in look.found if str(endpoint) in named)

    def _aspects(self, visit: Visit, look: _Look) -> tuple[Seen, ...]:
        endpoints = tuple(facts for _, (facts, _) in look.found)
        target = Target(next_hop=visit.next_hop.text, route=look.route, endpoints=endpoints)
        return aspects(target, moment_of(look.at), self._notice)


def _kept(event: Event, state: str) -> KeptEvent:
    return KeptEvent(
        next_hop=event.next_hop,
        kind=event.kind,
        endpoint=event.endpoint,
        item=str(event.aspect),
        severity=event.severity,
        state=state,
        at=event.at,
        before=event.before,
        after=event.after,
        summary=event.summary,
        evidence=event.evidence,
        source=event.source,
    )
