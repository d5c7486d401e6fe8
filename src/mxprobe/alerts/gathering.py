"""Holds events back for a little, so that what happens to many targets of a provider together is told as one.

What is held back is in the outbox already: a process that dies meanwhile loses nothing, its events are told one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice

from mxprobe.alerts.enqueueing import GroupsOf, enqueue, keys_of, parts_for, summary_row
from mxprobe.alerts.targets import AlertTarget
from mxprobe.store import NewDelivery, Store
from mxprobe.verdict.events import Event
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings
from mxprobe.verdict.summaries import ProviderOf, summaries

HOLD = timedelta(minutes=5)
"""How long an event waits for others of its kind before it is told."""

EARLY = timedelta(seconds=30)
"""Summaries are made so long before what they stand for would go out."""

MAX_EVENTS = 20_000
"""Events that wait for others at a time; those beyond are told one by one."""


class Gathering:
    """The events of the last minutes. A service makes one, and calls `summarise` every ten seconds or so."""

    def __init__(
        self,
        store: Store,
        targets: Iterable[AlertTarget],
        *,
        groups_of: GroupsOf,
        provider_of: ProviderOf,
        now: Callable[[], datetime],
        settings: NoticeSettings = DEFAULTS,
        hold: timedelta = HOLD,
    ) -> None:
        self._store = store
        self._targets = tuple(targets)
        self._groups_of = groups_of
        self._provider_of = provider_of
        self._now = now
        self._settings = settings
        self._hold = hold
        self._events: list[Event] = []
        self._until: datetime | None = None

    def deliveries(self, events: Iterable[Event]) -> tuple[NewDelivery, ...]:
        """The rows that are to be kept with these events (`TargetResult.deliveries`)."""
        events, now = tuple(events), self._now()
        if not events or not self._targets:
            return ()
        # All that is gathered goes out together, at the end of the time that the first of it began.
        if self._until is None or not now < self._until <= now + self._hold:
            self._until = now + self._hold
        return enqueue(events, (), self._targets, groups_of=self._groups_of, now=now, hold=self._until - now)

    def kept(self, events: Iterable[Event]) -> None:
        """These events have been kept, with their rows: they may be told together with others."""
        if self._targets:
            self._events += islice(events, max(MAX_EVENTS - len(self._events), 0))

    async def summarise(self, *, at_once: bool = False) -> int:
        """Put summaries in the place of what they stand for, if it is time for it, or `at_once`; how many.

        Raises:
            StoreError: the database fails; what is not in a summary yet is told one by one.
        """
        now = self._now()
        if not self._events or self._until is None or (now < self._until - EARLY and not at_once):
            return 0
        events, self._events, until, self._until = tuple(self._events), [], self._until, None
        made = 0
        for summary in summaries(events, self._provider_of, self._settings):
            for target in self._targets:
                for part in parts_for(target, summary, self._groups_of):
                    row = summary_row(target, part, self._groups_of, now, now if at_once else until)
                    made += await self._store.supersede(keys_of(part.events, (target,)), row)
        return made
