"""The queue of the workers on a real PostgreSQL: what is lost on the way to it is neither missed nor done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from procrastinate.jobs import Job, Status

from examples.stored import ENDPOINT, OTHER, facts, route
from mxprobe.errors import StoreError
from mxprobe.schedule.queue import AT_ONCE, Jobs, connector
from mxprobe.store import Probed, TargetResult, open_store
from mxprobe.store.handing_out import NAMED
from mxprobe.store.queue_tables import make_queue_tables
from servers.postgresql import Postgresql

QUEUES = ["all 25"]


@dataclass(slots=True, kw_only=True)
class Queue:
    """The queue of one worker, and what it told."""

    server: Postgresql
    database: str
    jobs: Jobs
    told: list[StoreError | None]

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        return self.server.execute(statement, self.database)

    def states(self) -> list[object]:
        return [state for (state,) in self.ask("SELECT status FROM procrastinate_jobs ORDER BY id")]

    def cut(self) -> None:
        """End all connections of the worker."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
async def queue(postgresql_server: Postgresql) -> AsyncIterator[Queue]:
    name = postgresql_server.new_database()
    url = postgresql_server.url(name)
    make_queue_tables(url)
    way = connector(url)
    told: list[StoreError | None] = []
    jobs = Jobs(way, tell=told.append, closing=asyncio.Event())
    await way.open_async()
    async with asyncio.timeout(60):
        yield Queue(server=postgresql_server, database=name, jobs=jobs, told=told)
    await way.close_async()


def job(name: str, lock: str | None = None) -> Job:
    return Job(
        id=None,
        task_name="mxprobe.visit",
        queue=QUEUES[0],
        lock=lock,
        queueing_lock=name,
        task_kwargs={"next_hop": name},
    )


async def test_a_visit_waits_in_the_queue_once(queue: Queue) -> None:
    assert await queue.jobs.defer([job("a"), job("b"), job("c")]) == 3
    assert await queue.jobs.defer([job("b"), job("d"), job("a"), job("e")]) == 2
    assert len(queue.states()) == 5


async def test_of_those_with_a_lock_one_is_taken_at_a_time(queue: Queue) -> None:
    worker = await queue.jobs.register_worker()
    await queue.jobs.defer([job("a", "servers"), job("b", "servers"), job("c")])
    first = await queue.jobs.fetch_job(QUEUES, worker)
    second = await queue.jobs.fetch_job(QUEUES, worker)
    assert first is not None
    assert second is not None
    assert [first.queueing_lock, second.queueing_lock] == ["a", "c"]
    assert await queue.jobs.fetch_job(QUEUES, worker) is None
    await queue.jobs.finish_job(first, Status.SUCCEEDED, True)
    third = await queue.jobs.fetch_job(QUEUES, worker)
    assert third is not None
    assert third.queueing_lock == "b"


async def test_jobs_of_a_worker_that_says_nothing_are_put_back(queue: Queue) -> None:
    dead, alive = await queue.jobs.register_worker(), await queue.jobs.register_worker()
    await queue.jobs.defer([job("a"), job("b"), job("c")])
    for worker in (dead, dead, alive):
        await queue.jobs.fetch_job(QUEUES, worker)
    queue.ask(f"UPDATE procrastinate_workers SET last_heartbeat = now() - interval '21 s' WHERE id = {dead}")
    assert await queue.jobs.put_back_stalled(20.0) == 2
    assert sorted(map(str, queue.states())) == ["doing", "todo", "todo"]


async def test_a_worker_that_was_taken_for_dead_goes_on(queue: Queue) -> None:
    worker = await queue.jobs.register_worker()
    await queue.jobs.defer([job("a")])
    queue.ask("DELETE FROM procrastinate_workers")
    assert await queue.jobs.fetch_job(QUEUES, worker) is not None
    assert queue.ask("SELECT id FROM procrastinate_workers") == [(worker,)]


async def test_what_others_have_ended_meanwhile_is_ended(queue: Queue) -> None:
    worker = await queue.jobs.register_worker()
    await queue.jobs.defer([job("a"), job("b")])
    one, two = [await queue.jobs.fetch_job(QUEUES, worker) for _ in range(2)]
    assert one is not None
    assert two is not None
    queue.ask("DELETE FROM procrastinate_jobs")
    await queue.jobs.finish_job(one, Status.SUCCEEDED, True)
    await queue.jobs.retry_job(two, AT_ONCE)
    assert queue.told == []


async def test_one_that_is_put_off_while_another_of_its_name_waits_is_no_more(queue: Queue) -> None:
    worker = await queue.jobs.register_worker()
    await queue.jobs.defer([job("a")])
    taken = await queue.jobs.fetch_job(QUEUES, worker)
    assert taken is not None
    await queue.jobs.defer([job("a")])
    await queue.jobs.retry_job(taken, AT_ONCE)
    assert queue.states() == ["todo"]


async def test_when_connections_are_cut_all_calls_are_made_in_the_end_and_it_is_told_once(queue: Queue) -> None:
    worker = await queue.jobs.register_worker()
    await queue.jobs.defer([job("a"), job("b")])
    taken = await queue.jobs.fetch_job(QUEUES, worker)
    assert taken is not None
    queue.cut()
    await queue.jobs.finish_job(taken, Status.SUCCEEDED, True)
    queue.cut()
    await queue.jobs.update_heartbeat(worker)
    assert queue.states() == ["todo"]
    assert [error is None for error in queue.told] in ([False, True], [False, True] * 2)


async def test_a_job_whose_answer_was_lost_is_taken_after_all(queue: Queue) -> None:
    worker = await queue.jobs.register_worker()
    await queue.jobs.defer([job("a")])
    # It is taken as the database says, and nobody here has heard of it.
    queue.ask(f"UPDATE procrastinate_jobs SET status = 'doing', worker_id = {worker}")
    assert await queue.jobs.fetch_job(QUEUES, worker) is None
    queue.cut()
    assert await queue.jobs.fetch_job(QUEUES, worker) is not None


def test_workers_that_start_at_once_make_the_tables_once(postgresql_server: Postgresql) -> None:
    url = postgresql_server.url(postgresql_server.new_database())
    with ThreadPoolExecutor() as pool:
        list(pool.map(make_queue_tables, [url] * 4))


def test_tables_of_an_older_procrastinate_are_refused(postgresql_server: Postgresql) -> None:
    name = postgresql_server.new_database()
    make_queue_tables(postgresql_server.url(name))
    postgresql_server.execute("DROP FUNCTION procrastinate_fetch_job_v2", name)
    with pytest.raises(StoreError, match=r"another version of procrastinate \(procrastinate_fetch_job_v2 is missing\)"):
        make_queue_tables(postgresql_server.url(name))


@pytest.fixture
def url(postgresql_server: Postgresql) -> str:
    found = postgresql_server.url(postgresql_server.new_database())
    make_queue_tables(found)
    return found


async def test_what_is_due_and_nobody_has_is_handed_out_the_longest_due_first(url: str) -> None:
    async with open_store(url) as store:
        now = await store.clock()
        names = [f"{number}.example" for number in range(6)]
        await store.plan("all", {name: now - timedelta(minutes=9 - n) for n, name in enumerate(names[:5])})
        await store.plan("others", {names[0]: now})
        await store.plan("all", {**await store.planned("all"), names[5]: now + timedelta(hours=1)})
        until = now + timedelta(minutes=1)
        assert [name for name, _ in await store.unqueued("all", until, limit=9)] == names[:5]
        first = await store.unqueued("all", until, limit=2)
        after = first[-1][1], first[-1][0]
        assert [name for name, _ in await store.unqueued("all", until, after=after, limit=2)] == names[2:4]
        planned = await store.planned("all")
        await store.take("all", {names[1]: planned[names[1]]}, now, now + timedelta(minutes=2), by="somebody")
        way = connector(url)
        await way.open_async()
        queued = NAMED.format(next_hop=names[2], group="all"), NAMED.format(next_hop=names[0], group="others")
        await Jobs(way, tell=lambda _: None, closing=asyncio.Event()).defer([job(name) for name in queued])
        await way.close_async()
        left = [name for name, _ in await store.unqueued("all", until, limit=9)]
        assert left == [names[0], *names[3:5]]
        await store.replan("all", {names[5]: (planned[names[5]], now), names[1]: (planned[names[1]], now)})
        after_that = await store.planned("all")
        assert (after_that[names[5]], after_that[names[1]]) == (now, planned[names[1]]), "who has it, keeps it"


async def test_where_a_next_hop_led_last_is_known(url: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    result = TargetResult(
        next_hop="a.example", started_at=now, finished_at=now, settings_digest="d", route=route("192.0.2.1")
    )
    seen = Probed(endpoint=ENDPOINT, facts=facts())
    async with open_store(url) as store:
        await store.save_target(replace(result, endpoints=(replace(seen, endpoint=OTHER, facts=None),)))
        await store.save_target(replace(result, endpoints=(seen, replace(seen, endpoint=OTHER, facts=None))))
        led_to = await store.led_to(["a.example", "b.example"])
    assert {name: set(endpoints) for name, endpoints in led_to.items()} == {"a.example": {ENDPOINT, OTHER}}
