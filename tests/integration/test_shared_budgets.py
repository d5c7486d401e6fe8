"""Budgets that processes share on PostgreSQL: the limits of `mxprobe.network.budget`, whoever asks and dies."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mxprobe.errors import StoreError
from mxprobe.network.budget import TokenBucket
from mxprobe.network.gate import Gate
from mxprobe.network.settings import Limits
from mxprobe.network.sharing import Share
from mxprobe.store import open_store
from mxprobe.store.shared_budgets import PostgresqlBudgets
from mxprobe.terms import Endpoint
from servers.postgresql import Postgresql

NAMES = count()


@pytest.fixture(scope="module")
def url(postgresql_server: Postgresql) -> str:
    found = postgresql_server.url(postgresql_server.new_database())

    async def make() -> None:
        async with open_store(found):
            pass

    asyncio.run(make())
    return found


@pytest.fixture(scope="module")
def connection(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as found:
        yield found


@pytest.fixture
def name() -> str:
    """A budget that no other test has touched."""
    return f"provider {next(NAMES)}.example"


def spend(
    connection: psycopg.Connection, share: Share, at: float, n: int = 1, *, owner: str = "one", used: int | None = None
) -> int:
    """The units that are given at a time."""
    bucket = None if share.per_minute is None else TokenBucket(share.per_minute)
    wanted = {
        "name": share.name,
        "places": share.places,
        "burst": None if bucket is None else bucket.burst,
        "per_second": None if bucket is None else bucket.per_second,
    }
    now = [] if used is None else [{"name": share.name, "used": used, "waits": False}]
    values = owner, json.dumps(now), json.dumps([{"n": n, "shares": [wanted]}] if n else []), at
    row = connection.execute("SELECT mxprobe_spend(%s, %s, '[]', %s, %s)", values).fetchone()
    assert row is not None
    return sum(each["n"] for each in row[0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    per_minute=st.integers(1, 600),
    asks=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 12), st.sampled_from(["one", "two"])), max_size=25),
)
def test_tokens_are_those_of_one_bucket_whoever_asks(
    connection: psycopg.Connection, per_minute: int, asks: list[tuple[float, int, str]]
) -> None:
    share = Share(name=f"provider {next(NAMES)}.example", places=None, per_minute=per_minute)
    bucket, now = TokenBucket(per_minute), 1_800_000_000.0
    for seconds, n, owner in asks:
        now += seconds
        expected = min(n, int(bucket.tokens(now) + 1e-6))
        for _ in range(expected):
            bucket.take(now)
        # A turn that somebody waits for is another matter: all of them have given up by then.
        connection.execute("UPDATE budget_place SET waits_since = NULL WHERE name = %s", (share.name,))
        assert spend(connection, share, now, n, owner=owner) == expected


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    per_minute=st.integers(1, 300),
    asks=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 40), st.integers(0, 3)), max_size=40),
)
def test_in_no_minute_are_more_than_the_limit_given(
    connection: psycopg.Connection, per_minute: int, asks: list[tuple[float, int, int]]
) -> None:
    share = Share(name=f"provider {next(NAMES)}.example", places=None, per_minute=per_minute)
    now, given_at = 1_800_000_000.0, []
    for seconds, n, owner in asks:
        now += seconds
        given_at += [now] * spend(connection, share, now, n, owner=str(owner))
    for begin in given_at:
        assert sum(begin <= at < begin + 60 for at in given_at) <= per_minute


def test_places_are_shared_and_come_back(connection: psycopg.Connection, name: str) -> None:
    share = Share(name=name, places=5, per_minute=None)
    assert spend(connection, share, 1000.0, 3, owner="one") == 3
    assert spend(connection, share, 1000.0, 3, owner="two") == 2
    assert spend(connection, share, 1001.0, 1, owner="one") == 0
    assert spend(connection, share, 1009.0, 4, owner="one", used=0) == 3


def test_who_has_waited_longer_comes_first(connection: psycopg.Connection, name: str) -> None:
    share = Share(name=name, places=1, per_minute=None)
    assert spend(connection, share, 1000.0, owner="one") == 1
    assert spend(connection, share, 1000.5, owner="two") == 0
    assert spend(connection, share, 1001.0, owner="one", used=0) == 0, "the other one waits"
    assert spend(connection, share, 1001.5, owner="two") == 1


def test_the_turn_of_one_that_does_not_come_is_not_kept(connection: psycopg.Connection, name: str) -> None:
    share = Share(name=name, places=1, per_minute=None)
    assert spend(connection, share, 1000.0, owner="one") == 1
    assert spend(connection, share, 1000.5, owner="two") == 0
    assert spend(connection, share, 1004.0, owner="one", used=0) == 1


def test_places_of_a_process_that_says_nothing_are_free_within_two_minutes(
    connection: psycopg.Connection, name: str
) -> None:
    share = Share(name=name, places=2, per_minute=None)
    assert spend(connection, share, 1000.0, 2, owner="killed") == 2
    assert spend(connection, share, 1060.0, 1, owner="other") == 0
    assert spend(connection, share, 1120.0, 2, owner="other") == 2


def test_a_process_that_says_what_it_has_keeps_it(connection: psycopg.Connection, name: str) -> None:
    share = Share(name=name, places=2, per_minute=None)
    assert spend(connection, share, 1000.0, 2, owner="alive") == 2
    for at in range(1030, 1300, 30):
        assert spend(connection, share, at, 0, owner="alive", used=2) == 0
    assert spend(connection, share, 1310.0, 1, owner="other") == 0


@pytest.mark.parametrize("by", [-86400.0, 86400.0])
def test_a_clock_that_is_set_gives_no_more_than_a_burst_and_goes_on(
    connection: psycopg.Connection, name: str, by: float
) -> None:
    share = Share(name=name, places=None, per_minute=60)
    now = 1_800_000_000.0
    assert spend(connection, share, now, 100) == 30
    assert spend(connection, share, now + by, 100) <= 30
    # The flow of a minute, but for what a clock that went back has cost: not a day's waiting.
    assert spend(connection, share, now + by + 61, 100) + spend(connection, share, now + by + 122, 100) >= 30


@asynccontextmanager
async def processes(url: str, number: int) -> AsyncIterator[list[PostgresqlBudgets]]:
    async with AsyncExitStack() as stack:
        found = [PostgresqlBudgets(url, owner=f"process {next(NAMES)}") for _ in range(number)]
        for each in found:
            await stack.enter_async_context(each.running())
        yield found


async def test_three_processes_never_have_more_places_than_there_are(url: str, name: str) -> None:
    shares = (Share(name=f"{name} address", places=3, per_minute=None), Share(name=name, places=4, per_minute=None))
    others = (Share(name=f"{name} other", places=3, per_minute=None), Share(name=name, places=4, per_minute=None))
    inside, most = 0, 0
    served: list[int] = []

    async def one(number: int, budgets: PostgresqlBudgets, wanted: tuple[Share, ...]) -> None:
        nonlocal inside, most
        for _ in range(8):
            await budgets.enter(wanted)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            budgets.leave(wanted)
            served.append(number)

    async with asyncio.timeout(60), processes(url, 3) as found, asyncio.TaskGroup() as group:
        for number, each in enumerate(found):
            for wanted in (shares, others):
                group.create_task(one(number, each, wanted))
                group.create_task(one(number, each, wanted))
    assert most <= 4
    assert len(served) == 96


async def test_a_process_that_is_known_to_have_ended_is_not_waited_for(
    url: str, name: str, connection: psycopg.Connection
) -> None:
    share = Share(name=name, places=1, per_minute=None)
    assert spend(connection, share, time.time(), owner="killed") == 1
    assert spend(connection, replace(share, name=f"{name} too"), time.time(), owner="elsewhere") == 1
    budgets = PostgresqlBudgets(url, owner="started again", has_ended=lambda owner: owner == "killed")
    async with asyncio.timeout(30), budgets.running():
        await budgets.enter((share,))
        other = asyncio.create_task(budgets.enter((replace(share, name=f"{name} too"),)))
        trips = budgets.round_trips
        while budgets.round_trips < trips + 2:
            await asyncio.sleep(0.01)
        assert not other.done(), "of that one nothing is known"
        other.cancel()


async def test_who_is_cancelled_while_waiting_has_taken_nothing(url: str, name: str) -> None:
    shares = (Share(name=name, places=1, per_minute=None),)
    async with asyncio.timeout(30), processes(url, 2) as (one, two):
        await one.enter(shares)
        waiting = asyncio.create_task(two.enter(shares))
        while two.round_trips < 2:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        one.leave(shares)
        await one.enter(shares)


async def test_while_the_database_is_away_nobody_is_let_in_and_that_is_told(
    postgresql_server: Postgresql, name: str
) -> None:
    own = postgresql_server.url(postgresql_server.new_database())
    async with open_store(own):
        pass
    told: list[StoreError | None] = []
    failed, works = asyncio.Event(), asyncio.Event()

    def tell(error: StoreError | None) -> None:
        told.append(error)
        (works if error is None else failed).set()

    shares = (Share(name=name, places=2, per_minute=None),)
    budgets = PostgresqlBudgets(own, owner="one", tell=tell)
    async with asyncio.timeout(60), budgets.running():
        await budgets.enter(shares)
        await asyncio.to_thread(postgresql_server.stop)
        waiting = asyncio.create_task(budgets.enter(shares))
        await failed.wait()
        assert not waiting.done()
        await asyncio.to_thread(postgresql_server.start)
        await waiting
        await works.wait()
        # What it had before counts on.
        third = asyncio.create_task(budgets.enter(shares))
        trips = budgets.round_trips
        while budgets.round_trips < trips + 2:
            await asyncio.sleep(0.01)
        assert not third.done()
        budgets.leave(shares)
        await third
    assert [error is None for error in told] == [False, True]


async def test_two_gates_on_one_database_share_an_address(url: str) -> None:
    endpoint = Endpoint(host="mx.example", address="192.0.2.77", port=25)
    async with asyncio.timeout(30), processes(url, 2) as (one, two):
        first = Gate(Limits(per_address=1), shared=one).visit(endpoint)
        second = Gate(Limits(per_address=1), shared=two).visit(endpoint)
        await first.enter()
        waiting = asyncio.create_task(second.enter())
        while two.round_trips < 2:
            await asyncio.sleep(0.01)
        assert not waiting.done()
        first.leave()
        await waiting
