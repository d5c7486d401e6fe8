"""What is put into the queue of the workers, when, and beside whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from procrastinate.jobs import Job

from examples.played_service import configured, group, next_hops
from mxprobe.configuration.quiet_hours import DAY, HOUR, quiet_hours
from mxprobe.configuration.rhythm import Rhythm
from mxprobe.schedule.handed import Handed
from mxprobe.schedule.handing_out import AHEAD, QUEUED, HandsOut, lock_of, queue_of, short
from mxprobe.schedule.timetable import PUT_OFF, Reading
from mxprobe.schedule.visits import Visit, visits
from mxprobe.terms import Endpoint, parse_next_hop

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday."""

QUIET, _ = quiet_hours(("mon 10:00-14:00",), "UTC", where="group[0].quiet", where_timezone="group[0].timezone")

CHANNEL_BYTES = 63
"""What PostgreSQL takes as the name of a channel (NAMEDATALEN); before it comes `procrastinate_queue_v1#`."""


class Rota:
    """What the store promises to those who hand out, in memory."""

    def __init__(self, due: dict[str, datetime]) -> None:
        self.due = due
        self.queued: set[str] = set()
        self.leads: dict[str, tuple[Endpoint, ...]] = {}
        self.last: dict[str, datetime] = {}
        self.now = NOW

    async def clock(self) -> datetime:
        return self.now

    async def unqueued(
        self, group: str, until: datetime, *, after: tuple[datetime, str] | None = None, limit: int
    ) -> tuple[tuple[str, datetime], ...]:
        rows = sorted((at, text) for text, at in self.due.items() if at <= until and text not in self.queued)
        return tuple((text, at) for at, text in rows if after is None or (at, text) > after)[:limit]

    async def led_to(self, next_hops: Iterable[str]) -> dict[str, tuple[Endpoint, ...]]:
        return {text: self.leads[text] for text in next_hops if text in self.leads}

    async def replan(self, group: str, due: Mapping[str, tuple[datetime, datetime]]) -> None:
        for text, (then, instead) in due.items():
            assert self.due[text] == then
            self.due[text] = instead

    async def visited(self, next_hops: Iterable[str] | None = None) -> dict[str, datetime]:
        return self.last

    async def planned(self, group: str, next_hops: Iterable[str] | None = None) -> dict[str, datetime]:
        return dict(self.due)


class Queue:
    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.grown = 0

    async def defer(self, jobs: list[Job]) -> int:
        self.jobs += jobs
        return len(jobs)

    async def has_grown(self) -> None:
        self.grown += 1


def some(number: int, **more: object) -> dict[str, Visit]:
    return dict(visits(configured(group(next_hops(number), **more)).groups))  # type: ignore[arg-type]


def handed_out(rota: Rota, wanted: Mapping[str, Visit]) -> Queue:
    queue = Queue()
    asyncio.run(HandsOut(rota, queue).hand_out("all", wanted))
    return queue


def soon(job: Job) -> float:
    assert job.scheduled_at is not None
    return (job.scheduled_at - NOW).total_seconds()


def test_what_is_due_within_the_next_minute_is_queued_for_its_time() -> None:
    wanted = some(3)
    one, two, three = wanted
    rota = Rota({one: NOW + timedelta(seconds=40), two: NOW - timedelta(seconds=5), three: NOW + timedelta(hours=1)})
    jobs = handed_out(rota, wanted).jobs
    assert [(job.task_kwargs["next_hop"], soon(job)) for job in jobs] == [(two, 0), (one, 40)]
    assert {job.task_kwargs["due_at"] for job in jobs} == {rota.due[one].isoformat(), rota.due[two].isoformat()}
    assert len({job.queueing_lock for job in jobs}) == 2


def test_next_hops_with_the_same_servers_have_the_same_lock_and_unknown_ones_none() -> None:
    wanted = some(4)
    mx = tuple(Endpoint(host=f"mx{number}.example", address=f"192.0.2.{number}", port=25) for number in range(3))
    rota = Rota(dict.fromkeys(wanted, NOW))
    first, second, third, fourth = sorted(wanted)
    rota.leads = {first: (mx[0], mx[1]), second: (mx[1], mx[0]), third: (mx[1], mx[2])}
    locks = {str(job.task_kwargs["next_hop"]): job.lock for job in handed_out(rota, wanted).jobs}
    assert locks[first] == locks[second] == lock_of((mx[0], mx[1]))
    assert locks[third] not in (locks[first], None)
    assert locks[fourth] is None


def test_what_was_missed_is_spread_over_an_hour_and_all_of_it_comes() -> None:
    wanted = some(5000)
    rota = Rota(dict.fromkeys(wanted, NOW - timedelta(days=3)))
    jobs = handed_out(rota, wanted).jobs
    # A minute and a quarter of an hour.
    assert 50 <= len(jobs) <= 5000 / 48 * 1.5
    assert all(0 <= soon(job) <= AHEAD for job in jobs)
    queue = Queue()
    handing = HandsOut(rota, queue)
    for minute in range(60):
        rota.now = NOW + timedelta(minutes=minute)
        asyncio.run(handing.hand_out("all", wanted))
        rota.queued = {str(job.task_kwargs["next_hop"]) for job in queue.jobs}
    assert len(queue.jobs) == len(rota.queued) == 5000


def test_a_crowd_that_was_missed_is_queued_in_bounded_parts() -> None:
    wanted = some(12_000, every=60.0)
    queue = handed_out(Rota(dict.fromkeys(wanted, NOW - timedelta(days=3))), wanted)
    assert len(queue.jobs) == QUEUED
    assert queue.grown == 1


def test_nothing_is_queued_in_quiet_hours() -> None:
    wanted = some(10, rhythm=Rhythm(every=DAY, quiet=QUIET))
    assert handed_out(Rota(dict.fromkeys(wanted, NOW)), wanted).jobs == []


def test_what_this_worker_does_not_know_is_left_to_others() -> None:
    wanted = some(2)
    assert handed_out(Rota({"other.example": NOW, next(iter(wanted)): NOW}), wanted).jobs[0].task_kwargs[
        "next_hop"
    ] == next(iter(wanted))


def test_visits_that_were_planned_by_a_longer_interval_are_brought_forward() -> None:
    wanted = some(50, every=HOUR)
    rota = Rota(dict.fromkeys(wanted, NOW + timedelta(hours=20)))
    rota.last = dict.fromkeys(wanted, NOW - timedelta(minutes=40))
    asyncio.run(HandsOut(rota, Queue()).replan(wanted, NOW.timestamp()))
    assert all(NOW <= at <= NOW + timedelta(minutes=91) for at in rota.due.values())
    before = dict(rota.due)
    asyncio.run(HandsOut(rota, Queue()).replan(wanted, NOW.timestamp()))
    assert rota.due == before


def test_the_name_of_a_queue_says_what_can_be_seen_and_fits() -> None:
    mx, other, address = (parse_next_hop(text) for text in ("mx.example", "mx.example:587", "[192.0.2.1]"))
    assert len({queue_of("all", each) for each in (mx, other, address)}) == 3
    assert queue_of("all", mx) == queue_of("all", parse_next_hop("other.example"))
    for name in ("x" * 200, "ä" * 100, "all"):
        assert len(f"procrastinate_queue_v1#{queue_of(name, address)}".encode()) <= CHANNEL_BYTES
    assert short("x" * 200, 30) != short("x" * 201, 30)


async def test_a_handed_visit_ends_as_it_ends() -> None:
    wanted = some(4)
    texts = list(wanted)
    now = Reading(wall=NOW.timestamp(), steady=0.0)
    book = Handed(wanted.values(), {}, now)
    ends = [asyncio.create_task(book.hand(text)) for text in texts]
    await asyncio.sleep(0)
    assert (book.overdue(now), book.nap(now)) == (4, 0.0)
    assert [visit.next_hop.text for visit in book.take(now, 3)] == texts[:3]
    assert book.under_way() == set(texts[:3])
    assert all(text in book for text in texts)
    book.done(texts[0], now, now)
    book.put_off(texts[1], now, 7.0)
    book.close()
    book.put_off(texts[2], now)
    assert await asyncio.gather(*ends) == [None, 7.0, 0.0, 0.0]
    assert await book.hand(texts[0]) == 0.0, "nothing more is taken"


async def test_when_nobody_makes_visits_any_more_each_that_was_begun_is_for_others() -> None:
    wanted = some(2)
    now = Reading(wall=NOW.timestamp(), steady=0.0)
    book = Handed(wanted.values(), {}, now)
    ends = [asyncio.create_task(book.hand(text)) for text in wanted]
    await asyncio.sleep(0)
    book.take(now, 1)
    book.abandon()
    assert await asyncio.gather(*ends) == [0.0, 0.0]


async def test_a_handed_visit_that_is_no_more_or_quiet_is_not_begun() -> None:
    wanted = some(2, rhythm=Rhythm(every=DAY, quiet=QUIET))
    now = Reading(wall=NOW.timestamp(), steady=0.0)
    book = Handed(wanted.values(), {}, now)
    ends = [asyncio.create_task(book.hand(text)) for text in (*wanted, "gone.example")]
    await asyncio.sleep(0)
    assert book.take(now, 10) == ()
    assert await asyncio.gather(*ends) == [None, None, PUT_OFF]
