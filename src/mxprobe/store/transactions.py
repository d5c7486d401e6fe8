"""How transactions run: side by side on a server, or where they share a connection one after the other in a thread.

SQLite has one writer at a time, and to begin and to commit costs it more than what most of ours do in between. So what
waits while another is under way goes into one transaction together: kept all of it, or where anything goes wrong, each
again by itself. What was asked for is told only when it is committed, as if it had been alone.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from typing import Protocol as Interface

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

Work = Callable[[Connection], T]
"""What is done in a transaction. It may be run more than once, when others were in its way; one of these counts."""

TOGETHER = 50
"""Pieces of work in one transaction, of a millisecond or two each: other processes wait for its end."""

GIVEN_WAY = 0.1
"""Of the time that a transaction of several pieces took, the part for which the lock is left alone afterwards: SQLite
keeps no queue, and another process looks only every tenth of a second whether it may."""

TRIES = 10
"""How often a transaction that loses a race with others is run before that is an error."""


class Transactions(Interface):
    """The one way to a database."""

    async def run(self, work: Work[T], /) -> T:
        """Run `work` in a transaction; when this returns, it is committed."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class SideBySide:
    """Transactions on several connections. One that loses a race, as `is_passing` says of its error, is run again."""

    def __init__(self, engine: AsyncEngine, is_passing: Callable[[BaseException], bool]) -> None:
        self._engine = engine
        self._is_passing = is_passing

    async def run(self, work: Work[T]) -> T:
        """Run `work` in a transaction; when this returns, it is committed."""
        for _ in range(TRIES - 1):
            try:
                return await self._once(work)
            except DBAPIError as error:
                if error.orig is None or not self._is_passing(error.orig):
                    raise
        return await self._once(work)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def _once(self, work: Work[T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)


class OneAfterTheOther:
    """Transactions in a thread of their own, over its one connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[tuple[Work[Any], Future[Any]]] = deque()
        self._turn = Lock()
        self._works = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mxprobe-store")

    async def run(self, work: Work[T]) -> T:
        """Run `work` in a transaction; when this returns, it is committed."""
        answer: Future[T] = Future()
        with self._turn:
            self._waiting.append((work, answer))
            works, self._works = self._works, True
        if not works:
            self._thread.submit(self._work)
        return await asyncio.wrap_future(answer)

    async def close(self) -> None:
        """End what is under way, and close the connection in the thread to which it belongs."""
        await asyncio.wrap_future(self._thread.submit(self._engine.dispose))
        self._thread.shutdown()

    def _work(self) -> None:
        """In the thread: until nothing waits any more."""
        while some := self._next():
            try:
                self._do(some)
            except BaseException as error:  # whatever it is: else all that comes later would wait for ever
                for _, answer in some:
                    if not answer.done():
                        answer.set_exception(error)

    def _do(self, some: list[tuple[Work[Any], Future[Any]]]) -> None:
        if len(some) > 1:
            began = time.monotonic()
            if self._together(some):
                # select(2) waits for a span of time, where sleeping and locks wait for a moment of a clock, which is
                # never reached where the clock is simulated (libfaketime).
                select.select((), (), (), GIVEN_WAY * max(time.monotonic() - began, 0.0))
                return
        for work, answer in some:
            self._alone(work, answer)

    def _next(self) -> list[tuple[Work[Any], Future[Any]]]:
        some: list[tuple[Work[Any], Future[Any]]] = []
        with self._turn:
            while self._waiting and len(some) < TOGETHER:
                work, answer = self._waiting.popleft()
                if answer.set_running_or_notify_cancel():
                    some.append((work, answer))
            self._works = bool(some)
        return some

    def _alone(self, work: Work[Any], answer: Future[Any]) -> None:
        try:
            with self._engine.begin() as connection:
                found = work(connection)
        except BaseException as error:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def _together(self, some: list[tuple[Work[Any], Future[Any]]]) -> bool:
        """Whether all of it has its answer by one transaction; where any of it fails, nothing of it is done."""
        has_begun = False
        try:
            with self._engine.begin() as connection:
                has_begun = True
                found = [work(connection) for work, _ in some]
        except Exception as error:
            if has_begun:
                return False
            for _, answer in some:  # each by itself would wait as long for another process, and in vain too
                answer.set_exception(error)
            return True
        for (_, answer), each in zip(some, found, strict=True):
            answer.set_result(each)
        return True
