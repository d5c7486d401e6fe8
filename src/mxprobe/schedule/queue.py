"""The queue of the workers: procrastinate on our PostgreSQL, and what it is to do when that is away for a while.

Left alone, a worker of procrastinate ends when its database fails. Here every call is made until the database does it:
a job that was taken while the answer was lost is put back, one whose end could not be written is ended later, and a
worker that others have taken for dead registers again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import psycopg
from procrastinate import PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback
from psycopg_pool import AsyncConnectionPool

from mxprobe.errors import StoreError
from mxprobe.store.postgresql import Postgresql, error_words

T = TypeVar("T")

POOL = 3
"""Connections of one worker to the queue at the most, beside the one that listens."""

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""When a job is to be tried again that need not wait, whatever the clocks of workers and database show."""

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
"""Seconds between two attempts at a database that fails: twice as long each time, and each time another length."""

_REGISTER = """
INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (%(worker_id)s)
ON CONFLICT (id) DO UPDATE SET last_heartbeat = now()
"""


def connector(url: str) -> PsycopgConnector:
    """The way to the queue in the database at a URL."""
    return PsycopgConnector(
        pool_factory=_pool, kwargs=Postgresql(url, read_only=False).arguments(), configure=_configure, min_size=1
    )


async def opened(way: PsycopgConnector) -> None:
    """Open the way to the queue.

    Raises:
        StoreError: the database does not answer.
    """
    try:
        await way.open_async()
    except (ConnectorException, psycopg.Error, OSError) as error:
        raise _as_ours(error) from error


class Jobs(JobManager):
    """The jobs of one worker. `tell` is called with an error when the database fails, and with None when it works
    again; once `closing` is set, nothing is waited for."""

    def __init__(
        self, connector: PsycopgConnector, *, tell: Callable[[StoreError | None], None], closing: asyncio.Event
    ) -> None:
        super().__init__(connector)
        self._tell = tell
        self._closing = closing
        self._failed = False
        self._mine: set[int] = set()
        self._notify: NotificationCallback | None = None

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        while True:
            try:
                job = await super().fetch_job(queues, worker_id)
            except UniqueViolation:
                continue  # another worker has taken one with the same lock at the same moment
            except ConnectorException as error:
                if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                    await self.update_heartbeat(worker_id)
                    continue
                if not _is_passing(error):
                    raise
                self._has_failed(error)
                await self._insist(partial(self._put_back, worker_id))
            else:
                if job is not None and job.id is not None:
                    self._mine.add(job.id)
                return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        await self._settle(job, partial(super().finish_job, job, status, delete_job))

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        again = partial(super().retry_job, job, retry_at, priority, queue, lock)
        try:
            await self._settle(job, again)
        except UniqueViolation:  # it waits a second time already
            await self._settle(job, partial(super().finish_job, job, Status.SUCCEEDED, True))

    async def update_heartbeat(self, worker_id: int) -> None:
        await self._insist(partial(self.connector.execute_query_async, query=_REGISTER, worker_id=worker_id))

    async def defer_periodic_job(self, job: Job, periodic_id: str, defer_timestamp: int) -> int | None:
        try:
            return await super().defer_periodic_job(job, periodic_id, defer_timestamp)
        except ConnectorException as error:
            if isinstance(error, UniqueViolation) or not _is_passing(error):
                raise
            self._has_failed(error)
            return None  # the next time is soon

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        self._notify = on_notification
        await self._insist(partial(super().listen_for_jobs, on_notification=on_notification, queues=queues))

    async def defer(self, jobs: list[Job]) -> int:
        """Put these jobs into the queue, but for those that wait there; how many were new."""
        if not jobs:
            return 0
        try:
            return len(await self.batch_defer_jobs_async(jobs))
        except AlreadyEnqueued:
            if len(jobs) == 1:
                return 0
            half = len(jobs) // 2
            return await self.defer(jobs[:half]) + await self.defer(jobs[half:])
        except ConnectorException as error:
            raise _as_ours(error) from error

    async def has_grown(self) -> None:
        """Have the database look at the queue, which has many more jobs than it knows: it would go through all of them
        for each that is taken, until it comes to look by itself.

        Raises:
            StoreError: the database fails.
        """
        try:
            await self.connector.execute_query_async("ANALYZE procrastinate_jobs")
        except ConnectorException as error:
            raise _as_ours(error) from error

    async def put_back_stalled(self, seconds: float) -> int:
        """Put back the jobs of workers that have said nothing for so long; how many.

        Raises:
            StoreError: the database fails.
        """
        try:
            stalled = list(await self.get_stalled_jobs(seconds_since_heartbeat=seconds))
        except ConnectorException as error:
            raise _as_ours(error) from error
        for job in stalled:
            try:
                await super().retry_job(job, AT_ONCE)
            except UniqueViolation:  # it waits a second time already
                await self._settle(job, partial(super().finish_job, job, Status.SUCCEEDED, True))
            except ConnectorException as error:
                if _is_passing(error):
                    raise _as_ours(error) from error
                # else it has come to its end meanwhile
        return len(stalled)

    async def _settle(self, job: Job, call: Callable[[], Awaitable[None]]) -> None:
        """Write what has become of a job; whoever has taken it for lost, and ended it, is right too."""
        try:
            await self._insist(call)
        except UniqueViolation:
            raise
        except ConnectorException as error:
            if not (self._closing.is_set() or isinstance(error.__cause__, psycopg.errors.RaiseException)):
                raise
        self._mine.discard(job.id or 0)
        if self._notify is not None and job.lock is not None:
            # The next one with this lock can be taken: nobody else says so.
            await self._notify(channel="", notification={"type": "job_inserted", "job_id": job.id or 0})

    async def _put_back(self, worker_id: int) -> None:
        """Put back what was taken, as the database says, when its answer was lost."""
        for job in await self.list_jobs_async(worker_id=worker_id, status="doing"):
            if job.id not in self._mine:
                await super().retry_job(job, AT_ONCE)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        pause = _FIRST_PAUSE
        while True:
            try:
                done = await call()
            except ConnectorException as error:
                if not _is_passing(error) or self._closing.is_set():
                    raise
                self._has_failed(error)
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                if self._failed:
                    self._failed = False
                    self._tell(None)
                return done

    def _has_failed(self, error: ConnectorException) -> None:
        if not self._failed:
            self._failed = True
            self._tell(_as_ours(error))


def _as_ours(error: Exception) -> StoreError:
    return StoreError(f"the queue of the workers: {error_words(error.__cause__ or error)}")


def _is_passing(error: ConnectorException) -> bool:
    """Whether the database may do it later: it is away, or was made read-only."""
    cause = error.__cause__
    passing = psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction, OSError
    return isinstance(cause, passing)


def _pool(**options: Any) -> AsyncConnectionPool:
    # To check each connection before each use would take a round trip more; one that is dead is noticed when used.
    return AsyncConnectionPool(**{**options, "check": None, "max_size": POOL, "timeout": 5.0})


async def _configure(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)  # a statement is a transaction, in one round trip
