"""What services on PostgreSQL have in common: the budgets that they share, and `mxprobe worker`, which adds hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from mxprobe.errors import InvalidSetting, StoreError
from mxprobe.network.sharing import SharedBudgets
from mxprobe.schedule.handed import Handed
from mxprobe.schedule.owners import has_ended
from mxprobe.schedule.service import Service
from mxprobe.schedule.telling import Line
from mxprobe.schedule.timetable import Reading
from mxprobe.schedule.visits import Visit
from mxprobe.store import Store
from mxprobe.store.location import is_postgresql, without_password


def require_queue(url: str) -> None:
    """See that workers can have a queue there.

    Raises:
        InvalidSetting: the store is no PostgreSQL.
        StoreError: procrastinate is not installed.
    """
    if not is_postgresql(url):
        allowed = "postgresql://USER@HOST/DATABASE; on one machine mxprobe run does without a worker"
        raise InvalidSetting("store.url", f"workers share no {without_password(url)}", allowed)
    try:
        import procrastinate  # noqa: F401
        import psycopg_pool  # noqa: F401
    except ImportError as error:
        raise StoreError(f"workers need procrastinate: pip install 'mxprobe[worker]' ({error})") from error


@asynccontextmanager
async def shared_budgets(url: str, owner: str, tell: Callable[[Line], None]) -> AsyncIterator[SharedBudgets | None]:
    """The budgets that all on a PostgreSQL database share, for the time of the context; None on another."""
    if not is_postgresql(url):
        yield None
        return
    from mxprobe.store.shared_budgets import PostgresqlBudgets

    def said(error: StoreError | None) -> None:
        if error is None:
            tell(Line(level="info", what="budgets", text="connections are counted again, and opened"))
        else:
            words = f"{error}; no connection is opened until they can be counted again"
            tell(Line(level="error", what="budgets", text=words))

    budgets = PostgresqlBudgets(url, owner=owner, tell=said, has_ended=has_ended)
    async with budgets.running():
        yield budgets


class Book:
    """The book of a worker's service, which is made when the service begins."""

    def __init__(self) -> None:
        self._handed: Handed | None = None

    def make(self, visits: Iterable[Visit], last: Mapping[str, float], now: Reading) -> Handed:
        """Make it."""
        self._handed = Handed(visits, last, now)
        return self._handed

    def __call__(self) -> Handed:
        """The book, once there is one."""
        assert self._handed is not None, "the service has begun"
        return self._handed


async def work(
    service: Service,
    book: Book,
    store: Store,
    url: str,
    groups: tuple[str, ...],
    at_once: int,
    tell: Callable[[Line], None],
) -> None:
    """Make visits from the queue until the service is stopped."""
    from mxprobe.schedule.worker import Worker
    from mxprobe.store.queue_tables import make_queue_tables

    await asyncio.to_thread(make_queue_tables, url)
    await Worker(service, book, store, url, groups=groups, tell=tell).run(at_once)
