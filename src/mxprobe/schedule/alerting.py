"""Alerts of a service: who is to be told is kept with each result, and the outbox is emptied beside the visits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

from mxprobe.alerts.digests import enqueue_digests
from mxprobe.alerts.enqueueing import GroupsOf, concerns
from mxprobe.alerts.gathering import HOLD, Gathering
from mxprobe.alerts.sender import Sender
from mxprobe.alerts.targets import AlertTarget
from mxprobe.errors import StoreError
from mxprobe.network.provider import registrable_domain
from mxprobe.schedule.clock import Clock, moment_of
from mxprobe.schedule.telling import Level, Line
from mxprobe.store import NewDelivery, Store
from mxprobe.verdict.events import Event
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings

SUMMARISED_EVERY = 10.0
"""Seconds after which it is looked whether events have waited long enough for others of their kind."""

DIGESTS_EVERY = 3600.0
"""Seconds after which it is looked whether it is time for a digest."""


class Alerting:
    """The alerts of one service, whose targets may change while it runs (`settle`).

    With `hold`, events wait for others of their kind before they are told, so that many at one provider become one
    message; `flush` does without.
    """

    def __init__(self, store: Store, clock: Clock, tell: Callable[[Line], None], *, hold: bool = True) -> None:
        self._store = store
        self._clock = clock
        self._tell_line = tell
        self._hold = HOLD if hold else HOLD * 0
        self._targets: tuple[AlertTarget, ...] = ()
        self._notice = DEFAULTS
        self._groups_of: GroupsOf = lambda _next_hop: ()
        self._gathering = self._gather()
        self._changed = asyncio.Event()
        self._said: dict[str, str] = {}

    def settle(self, targets: tuple[AlertTarget, ...], groups_of: GroupsOf, notice: NoticeSettings = DEFAULTS) -> None:
        """From now on these are told; `groups_of` says in which groups a next-hop is at that moment."""
        self._groups_of = groups_of
        if (targets, notice) != (self._targets, self._notice):
            self._targets, self._notice = targets, notice
            self._gathering = self._gather()  # what the one before has gathered is told one by one
            self._changed.set()

    def wants(self, event: Event) -> bool:
        """Whether anybody is told of an event."""
        return any(concerns(target, event, self._groups) for target in self._targets)

    def deliveries(self, events: Iterable[Event]) -> tuple[NewDelivery, ...]:
        """The messages that are to be kept together with these events."""
        return self._gathering.deliveries(events)

    def kept(self, events: Iterable[Event]) -> None:
        """These events have been kept, and may be told together with others."""
        self._gathering.kept(events)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell what there is to tell, for the time of the context; nothing that fails ends it."""
        tasks = (asyncio.create_task(self._send()), asyncio.create_task(self._gather_and_digest()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._summarise(at_once=True)

    async def flush(self) -> None:
        """Make what is to be told together into one, and try each message that is due once; for a program that ends."""
        await self._summarise(at_once=True)
        await self._digest()
        if not self._targets:
            return
        try:
            await self._sender().once()
        except* StoreError as errors:
            self._tell("error", "", f"what is to be told waits for the database: {errors.exceptions[0]}")

    def _sender(self) -> Sender:
        return Sender(self._store, self._targets, now=self._now, tell=self._tell)

    def _gather(self) -> Gathering:
        return Gathering(
            self._store,
            self._targets,
            groups_of=self._groups,
            provider_of=registrable_domain,
            now=self._now,
            settings=self._notice,
            hold=self._hold,
        )

    async def _send(self) -> None:
        while True:
            self._changed.clear()
            sending = asyncio.create_task(self._sender().run()) if self._targets else None
            try:
                await self._changed.wait()
            finally:
                if sending is not None:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)

    async def _gather_and_digest(self) -> None:
        never = asyncio.Event()
        digested: float | None = None
        while True:
            now = self._clock.now().steady
            if digested is None or now - digested >= DIGESTS_EVERY:
                digested = now
                await self._digest()
            await self._clock.wait(never, SUMMARISED_EVERY)
            await self._summarise()

    async def _summarise(self, *, at_once: bool = False) -> None:
        try:
            await self._gathering.summarise(at_once=at_once)
        except StoreError as error:
            self._tell("error", "", f"what happened together is told one by one: {error}")

    async def _digest(self) -> None:
        if not any(target.digest is not None for target in self._targets):
            return
        try:
            await enqueue_digests(self._store, self._targets, self._now(), groups_of=self._groups)
        except StoreError as error:
            self._tell("error", "", f"the digest waits for the database: {error}")

    def _groups(self, next_hop: str) -> Iterable[str]:
        return self._groups_of(next_hop)

    def _now(self) -> datetime:
        return moment_of(self._clock.now().wall)

    def _tell(self, level: Level, alert: str, text: str) -> None:
        """A line of the log; what a target says again and again is told once."""
        if self._said.get(alert) == text:
            return
        self._said[alert] = text
        details = {"alert": alert} if alert else {}
        words = f"{alert}: {text}" if alert else text
        self._tell_line(Line(level=level, what="alert", text=words, details=details))
