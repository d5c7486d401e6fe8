"""A worker: a service to which visits are handed out by a queue that any number of machines share.

Each minute one of the workers puts what is due soon into the queue, by a periodic task of procrastinate; all take from
it. A job is only who is to look at what: what is due, and that each visit has one result, is said by the store alone,
as for every service. So a job that is lost is handed out again, and one that is handed out twice comes to nothing.

Next-hops that lead to the same servers have the same lock: one after the other is looked at, over all workers, and the
first of them asks the servers for all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from procrastinate import App, JobContext
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from mxprobe.errors import MxprobeError, StoreError
from mxprobe.routing.route import endpoints_behind
from mxprobe.schedule.handed import Handed
from mxprobe.schedule.handing_out import CHANNEL, VISIT, HandsOut, Rota, groups_of, lock_of, queue_of, short
from mxprobe.schedule.lookout import hindrance
from mxprobe.schedule.queue import AT_ONCE, Jobs, connector, opened
from mxprobe.schedule.service import PUT_OFF_ERROR, Service
from mxprobe.schedule.telling import Line, counted, in_one_line
from mxprobe.schedule.timetable import PUT_OFF
from mxprobe.schedule.visits import Visit
from mxprobe.terms import NextHop

HEARTBEAT = 5.0
STALLED = 20.0
"""Seconds after which a worker says that it is there, and after which it is dead who does not."""

POLL = 1.0
"""Seconds after which it is looked whether a job's time has come: nobody tells of that."""

LOOK_AFTER = 2.0
"""Seconds after which a worker looks what has changed of what it can do."""

CLOCK_AGAIN = 60.0
"""Seconds after which a worker compares its clock with that of the database."""

LAST_WORDS = 5.0
"""Seconds in which a worker that is stopped may still write what has become of its jobs."""

_ALONE = "alone: "
"""What the lock of a job begins with that nobody need wait for, because it was put off."""


class Worker:
    """The hands of one service, whose `book` is filled from the queue in the database at `url`. Workers of the same
    `groups` put visits into the queue for each other."""

    def __init__(
        self,
        service: Service,
        book: Callable[[], Handed],
        store: Rota,
        url: str,
        *,
        groups: tuple[str, ...] = (),
        tell: Callable[[Line], None],
    ) -> None:
        self._service = service
        self._book = book
        self._store = store
        self._tell = tell
        self._closing = asyncio.Event()
        self._connector = connector(url)
        self._jobs = Jobs(self._connector, tell=self._store_said, closing=self._closing)
        self._duties = Jobs(self._connector, tell=self._store_said, closing=self._closing)
        self._shared = f"mxprobe {short(' '.join(sorted(groups)) or '(all)', CHANNEL - 8)}"
        self._known: Mapping[str, Visit] = {}
        self._is_new = True
        self._handing = HandsOut(store, self._duties)
        self._queues: dict[str, NextHop] = {}
        self._listening: list[str] = []
        self._skew = timedelta()
        self._trouble = ""

    async def run(self, at_once: int) -> None:
        """Make visits until the service is stopped, so many at a time.

        Raises:
            StoreError: the store could not be used at the start.
        """
        for name in ("procrastinate", "psycopg.pool"):  # what there is to say of jobs and the database, we say
            logging.getLogger(name).addHandler(logging.NullHandler())
            logging.getLogger(name).propagate = False
        serving = asyncio.create_task(self._service.run())
        working = asyncio.create_task(self._work(at_once))
        try:
            await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                self._service.stop()
            await serving
        finally:
            if self._service.begun.is_set():
                self._book().abandon()
            # What it had under way has come to its end; a database that is away is not waited for.
            asyncio.get_running_loop().call_later(LAST_WORDS, self._closing.set)
            if not self._service.stopping.is_set():
                working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        if not working.cancelled() and (error := working.exception()) is not None:
            raise error

    async def _work(self, at_once: int) -> None:
        """Take from the queue until the service is stopped; what is under way comes to its end with it."""
        await self._service.begun.wait()
        await opened(self._connector)
        self._look_what_there_is()
        await self._hand_out_if_possible()
        tasks = [
            asyncio.create_task(self._take(self._visiting(), self._listening, at_once, listens=True)),
            # Those who hand out have places of their own, so that visits do not take them all.
            asyncio.create_task(self._take(self._planning(), [self._shared, "mxprobe"], 2, listens=False)),
            asyncio.create_task(self._look_after()),
        ]
        try:
            await self._service.stopping.wait()
        finally:
            self._book().close()
            for task in tasks:
                task.cancel()  # by this a worker of procrastinate is told to end what it has
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Exception):
                await self._connector.close_async()

    async def _take(self, app: App, queues: list[str], at_once: int, *, listens: bool) -> None:
        """Take jobs from these queues, which may change meanwhile; `listens`, as soon as they are there."""
        while True:
            try:
                await app.run_worker_async(
                    queues=queues,
                    concurrency=at_once,
                    fetch_job_polling_interval=POLL,
                    listen_notify=listens,
                    update_heartbeat_interval=HEARTBEAT,
                    stalled_worker_timeout=STALLED,
                    delete_jobs="always",
                    install_signal_handlers=False,
                )
            except Exception as error:
                self._tell(Line(level="error", what="program-error", text=in_one_line(error)))
            await asyncio.sleep(LOOK_AFTER)

    # Jobs

    def _visiting(self) -> App:
        app = self._app(self._jobs)

        @app.task(name=VISIT, pass_context=True, retry=_Again(self._now))
        async def visit(context: JobContext, *, next_hop: str, group: str, due_at: str) -> None:
            await self._visit(context.job.lock, next_hop, group, datetime.fromisoformat(due_at))

        return app

    def _planning(self) -> App:
        app = self._app(self._duties)

        @app.periodic(cron="* * * * *", periodic_id=self._shared)
        @app.task(name="mxprobe.hand-out", queue=self._shared, queueing_lock=self._shared, lock=self._shared)
        async def hand_out(timestamp: int) -> None:
            await self._hand_out_if_possible()

        @app.periodic(cron="* * * * * */10", periodic_id="all")
        @app.task(name="mxprobe.take-back", queue="mxprobe", queueing_lock="mxprobe.take-back")
        async def take_back(timestamp: int) -> None:
            try:
                if number := await self._duties.put_back_stalled(STALLED):
                    words = f"{counted(number, 'job')} of workers that have ended"
                    self._tell(Line(level="info", what="taken-up", text=words, details={"jobs": number}))
            except StoreError as error:
                self._store_said(error)

        return app

    def _app(self, jobs: Jobs) -> App:
        app = App(connector=self._connector)
        app.job_manager = jobs
        return app

    async def _visit(self, lock: str | None, next_hop: str, group: str, due_at: datetime) -> None:
        """One visit that was taken from the queue.

        Raises:
            Later: it is to be tried again.
        """
        try:
            visit = self._service.visits.get(next_hop)
            if visit is None or visit.groups[0].name != group:
                if not await self._store.planned(group, (next_hop,)):
                    return
                raise Later(PUT_OFF, lock=f"{_ALONE}{next_hop}")  # by somebody who knows of it
            if (lock is None or lock.startswith(_ALONE)) and (own := await self._lock(visit.next_hop)):
                raise Later(0.0, lock=own)
            if next_hop in self._book():
                raise Later(PUT_OFF, lock=f"{_ALONE}{next_hop}")  # it was handed out twice
            self._service.handed(next_hop, due_at)
            seconds = await self._book().hand(next_hop)
            found = self._service.world.lookout.last
            if seconds is not None and found is not None and hindrance(found, visit.next_hop):
                self._listen()  # no more of its kind
                seconds = 0.0  # for others there is nothing to wait for
        except StoreError as error:
            self._store_said(error)
            seconds = PUT_OFF
        except MxprobeError as error:
            self._tell(Line(level="warning", what="put-off", text=str(error), about=next_hop))
            seconds = PUT_OFF
        if seconds is not None:
            raise Later(seconds, lock=f"{_ALONE}{next_hop}")

    async def _lock(self, next_hop: NextHop) -> str | None:
        """The lock of those who lead where a next-hop leads at this moment; None where that cannot be told."""
        resolve = self._service.world.resolve
        if resolve is None:
            return None
        try:
            endpoints = endpoints_behind(next_hop, await resolve(next_hop))
        except MxprobeError:
            return None  # the visit will say why
        return lock_of(endpoints) if endpoints else None

    # Handing out

    async def _hand_out_if_possible(self) -> None:
        try:
            if self._is_new:
                await self._handing.replan(self._known, datetime.now(UTC).timestamp())
                self._is_new = False
            for group in groups_of(self._known):
                await self._handing.hand_out(group, self._known)
        except StoreError as error:
            self._store_said(error)

    # What a worker can do

    async def _look_after(self) -> None:
        """Listen to what is there, and can be seen from here."""
        loop = asyncio.get_running_loop()
        compared = -CLOCK_AGAIN
        while True:
            try:
                if loop.time() - compared >= CLOCK_AGAIN:
                    compared = loop.time()
                    self._skew = await self._store.clock() - datetime.now(UTC)
                await self._service.look_again()
            except MxprobeError as error:
                self._store_said(error)
            if self._service.visits is not self._known and self._service.is_planned:
                self._look_what_there_is()
                self._book().is_news = True
            if self._book().is_news:
                self._book().is_news = False
                await self._hand_out_if_possible()
            self._listen()
            await asyncio.sleep(LOOK_AFTER)

    def _look_what_there_is(self) -> None:
        self._known = self._service.visits
        self._is_new = True
        self._queues = {
            queue_of(visit.groups[0].name, visit.next_hop): visit.next_hop for visit in self._known.values()
        }
        self._listen()

    def _listen(self) -> None:
        """A worker from where nobody can be seen leaves the jobs to others."""
        found = self._service.world.lookout.last
        wanted = [name for name, one in self._queues.items() if found is None or not hindrance(found, one)]
        if wanted != self._listening:
            self._listening[:] = wanted

    def _now(self) -> datetime:
        """What the clock of the database shows, as far as is known."""
        return datetime.now(UTC) + self._skew

    def _store_said(self, error: MxprobeError | None) -> None:
        """Trouble with the database is told once, and that it is over."""
        words = "" if error is None else str(error)
        if words and words != self._trouble:
            self._tell(Line(level="error", what="store", text=f"{words}; it is tried until it works again"))
        elif self._trouble and not words:
            self._tell(Line(level="info", what="store", text="the queue of the workers works again"))
        self._trouble = words


class Later(Exception):
    """A job is to be tried again after so many seconds, with a lock (None: that which it has)."""

    def __init__(self, seconds: float, *, lock: str | None = None) -> None:
        super().__init__(f"to be tried again after {seconds:g} s")
        self.seconds = seconds
        self.lock = lock


class _Again(BaseRetryStrategy):
    """When a job is tried again: a visit is never given up, because it is due until somebody has made it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, Later):
            at = self._now() + timedelta(seconds=exception.seconds) if exception.seconds else AT_ONCE
            return RetryDecision(retry_at=at, lock=exception.lock)
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_at=AT_ONCE)
        # Others with its lock need not wait for it.
        lock = f"{_ALONE}{job.queueing_lock}"
        return RetryDecision(retry_at=self._now() + timedelta(seconds=PUT_OFF_ERROR), lock=lock)
