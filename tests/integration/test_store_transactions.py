"""Transactions that wait for each other: what is asked for at once is kept together, told as if it had been alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from mxprobe.store.transactions import TOGETHER, OneAfterTheOther


class Watched:
    """A database with one table, `kept`, and how many transactions were begun and committed."""

    def __init__(self, engine: Engine) -> None:
        self.transactions = OneAfterTheOther(engine)
        self.begun = self.committed = 0
        self.refuses = False
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "commit", self._commit)

    def _begin(self, _connection: Connection) -> None:
        self.begun += 1
        if self.refuses:
            raise OperationalError("BEGIN", None, Exception("database is locked"))

    def _commit(self, _connection: Connection) -> None:
        self.committed += 1

    async def numbers(self) -> list[int]:
        """What is in the table."""
        wanted = text("SELECT number FROM kept ORDER BY number")
        return await self.transactions.run(lambda connection: list(connection.execute(wanted).scalars()))


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    engine = create_engine("sqlite://")
    database = Watched(engine)
    await database.transactions.run(lambda connection: connection.execute(text("CREATE TABLE kept (number INTEGER)")))
    database.begun = database.committed = 0
    yield database
    await database.transactions.close()


def keep(number: int) -> Callable[[Connection], int]:
    """Work that keeps a number, and gives it."""

    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})
        return number

    return work


async def all_at_once(watched: Watched, *works: Callable[[Connection], int]) -> list[int | BaseException]:
    """Their answers, where all of them come while something else is under way."""
    begun, go_on = threading.Event(), threading.Event()

    def first(_connection: Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    under_way = asyncio.ensure_future(watched.transactions.run(first))
    await asyncio.to_thread(begun.wait, 10)
    waiting = asyncio.gather(*(watched.transactions.run(work) for work in works), return_exceptions=True)
    await asyncio.sleep(0)  # each of them has its place in the line
    go_on.set()
    await under_way
    return await waiting


async def test_what_waits_shares_one_transaction_and_each_has_its_answer(watched: Watched) -> None:
    assert await all_at_once(watched, *map(keep, range(20))) == list(range(20))
    assert watched.begun == watched.committed == 2
    assert await watched.numbers() == list(range(20))


async def test_a_transaction_has_an_end_however_many_wait(watched: Watched) -> None:
    await all_at_once(watched, *map(keep, range(3 * TOGETHER)))
    assert watched.committed == 1 + 3


async def test_one_that_fails_takes_nothing_from_the_others_and_leaves_nothing_behind(watched: Watched) -> None:
    def fails(connection: Connection) -> int:
        keep(99)(connection)
        raise ValueError("no")

    answers = await all_at_once(watched, keep(1), fails, keep(2))
    assert (answers[0], answers[2]) == (1, 2)
    assert isinstance(answers[1], ValueError)
    assert await watched.numbers() == [1, 2]


async def test_where_the_lock_is_not_to_be_had_all_are_told_after_one_wait(watched: Watched) -> None:
    def refuse_from_now_on(_connection: Connection) -> int:
        watched.refuses = True
        return 0

    await all_at_once(watched, refuse_from_now_on)
    watched.begun = 0
    answers = await asyncio.gather(*(watched.transactions.run(keep(n)) for n in range(20)), return_exceptions=True)
    assert all(isinstance(answer, OperationalError) for answer in answers)
    assert watched.begun <= 2  # the first may have begun before the others came
    watched.refuses = False
    assert await watched.numbers() == []


async def test_who_is_cancelled_while_he_waits_keeps_nobody_else_from_his_answer(watched: Watched) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def first(_connection: Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    under_way = asyncio.ensure_future(watched.transactions.run(first))
    await asyncio.to_thread(begun.wait, 10)
    given_up = asyncio.ensure_future(watched.transactions.run(keep(1)))
    other = asyncio.ensure_future(watched.transactions.run(keep(2)))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait({given_up})
    go_on.set()
    await under_way
    assert await other == 2
    assert await watched.numbers() == [2]


class Unheard(BaseException):
    """What no database and no program of ours raises."""


async def test_whatever_goes_wrong_what_comes_later_is_done(watched: Watched) -> None:
    def wrong(_connection: Connection) -> int:
        raise Unheard

    assert {type(answer) for answer in await all_at_once(watched, wrong, wrong)} == {Unheard}
    assert await asyncio.wait_for(watched.transactions.run(keep(7)), 10) == 7
    assert await watched.numbers() == [7]
