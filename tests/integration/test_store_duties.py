"""Due work, and a target in one piece: each turn has one result, whoever dies, and whoever else wants it."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from examples.stored import DER, ENDPOINT, FINGERPRINT, NOW, OTHER, facts, route
from mxprobe.errors import StoreError
from mxprobe.store import KeptEvent, Probed, TargetResult, Work, open_store

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

EVENT = KeptEvent(
    next_hop="a.example",
    kind="version-gone",
    endpoint="mx.example[192.0.2.1]:25",
    item="TLSv1.2",
    severity="warning",
    state="seen",
    at=NOW,
    before="accepted",
    after=b"caf\xe9\x00".decode("utf-8", "surrogateescape"),
    summary="TLSv1.2 is no longer accepted",
    evidence={"suites": ("AES128-SHA", '"\\'), "hellos": 3, "ratio": 0.5, "weak": True, "reason": None},
    source="RFC 8996",
)
RESULT = TargetResult(
    next_hop="a.example",
    started_at=NOW,
    finished_at=NOW + MINUTE,
    settings_digest="digest",
    route=route("192.0.2.1", "2001:db8::1"),
    endpoints=(
        Probed(endpoint=ENDPOINT, facts=facts(connections=3), certificates={FINGERPRINT: DER}),
        Probed(endpoint=OTHER, facts=None),
    ),
    memory={"starttls": {"value": "yes", "at": "2026-03-01T12:00:00Z"}, "words": "\udce9\x00"},
    events=(EVENT,),
)


async def test_a_target_is_kept_with_its_memory_and_events(store_url: str) -> None:
    async with open_store(store_url) as store:
        assert await store.memory_of("a.example") is None
        assert await store.save_target(RESULT)
    async with open_store(store_url, read_only=True) as store:
        (past,) = [each async for each in store.past("a.example")]
        assert (past.started_at, past.finished_at, past.complete) == (NOW, NOW + MINUTE, False)
        assert past.target.endpoints == (facts(connections=3),)
        assert await store.certificate(FINGERPRINT) == DER
        assert await store.memory_of("a.example") == RESULT.memory
        assert await store.events("a.example") == (replace(EVENT, id=1),)


async def test_what_was_remembered_is_replaced_and_events_are_added(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.save_target(RESULT)
        later = replace(EVENT, at=NOW + DAY, state="confirmed")
        await store.save_target(replace(RESULT, started_at=NOW + DAY, memory={"new": 1}, events=(later,)))
        await store.save_target(replace(RESULT, started_at=NOW + 2 * DAY, memory=None, events=()))
        assert await store.memory_of("a.example") == {"new": 1}
        assert [each.state for each in await store.events()] == ["seen", "confirmed"]
        assert [each.state for each in await store.events(since=NOW + MINUTE)] == ["confirmed"]
        (first,) = await store.events(limit=1)
        assert [each.state for each in await store.events(after=first.id or 0)] == ["confirmed"]
        assert await store.events("b.example") == ()
        await store.add_events([replace(EVENT, next_hop="b.example", before=None, after=None)])
        assert [(each.before, each.after) for each in await store.events("b.example")] == [(None, None)]


async def test_a_target_of_which_a_part_cannot_be_kept_is_not_kept_at_all(store_url: str) -> None:
    naive = replace(EVENT, at=NOW.replace(tzinfo=None))
    async with open_store(store_url) as store:
        with pytest.raises(StoreError, match="without its time zone"):
            await store.save_target(replace(RESULT, events=(naive,)))
        assert await store.latest() is None
        assert await store.memory_of("a.example") is None
        assert await store.certificate(FINGERPRINT) is None


async def test_work_is_claimed_when_it_is_due_and_the_longest_due_first(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW + 2 * MINUTE, "b.example": NOW + MINUTE, "c.example": NOW + DAY})
        assert await store.next_due() == NOW + MINUTE
        assert await store.claim(NOW, NOW + DAY, by="me", limit=9) == ()
        (first,) = await store.claim(NOW + DAY / 2, NOW + DAY, by="me", limit=1)
        assert first == Work(
            next_hop="b.example", group="g", due_at=NOW + MINUTE, leased_by="me", lease_until=NOW + DAY
        )
        assert [each.next_hop for each in await store.claim(NOW + DAY / 2, NOW + DAY, by="me", limit=9)] == [
            "a.example"
        ]
        assert await store.claim(NOW + DAY / 2, NOW + DAY, by="me", limit=9) == ()
        assert await store.next_due() == NOW + DAY


async def test_a_lease_that_has_run_out_frees_the_work(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW})
        (died,) = await store.claim(NOW, NOW + MINUTE, by="one", limit=1)
        assert await store.claim(NOW + MINUTE / 2, NOW + DAY, by="two", limit=1) == ()
        (taken,) = await store.claim(NOW + MINUTE, NOW + DAY, by="two", limit=1)
        # The one that was thought dead comes back: what it found is not kept, and the other goes on.
        assert await store.renew(died, NOW + DAY) is None
        assert not await store.release(died)
        assert not await store.done(died, NOW + DAY)
        assert not await store.save_target(RESULT, work=died, next_due=NOW + DAY)
        assert await store.latest() is None
        assert await store.save_target(RESULT, work=taken, next_due=NOW + DAY)
        assert not await store.save_target(RESULT, work=taken, next_due=NOW + DAY)
        assert len([each async for each in store.past("a.example")]) == 1
        assert await store.planned("g") == {"a.example": NOW + DAY}


async def test_work_can_be_kept_for_longer_given_back_and_ended(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW})
        (work,) = await store.claim(NOW, NOW + MINUTE, by="one", limit=1)
        longer = await store.renew(work, NOW + DAY)
        assert longer == replace(work, lease_until=NOW + DAY)
        assert await store.claim(NOW + 2 * MINUTE, NOW + DAY, by="two", limit=1) == ()
        assert await store.release(longer)
        (again,) = await store.claim(NOW, NOW + MINUTE, by="two", limit=1)
        assert await store.done(again, None)
        assert await store.planned("g") == {}
        assert await store.next_due() is None


async def test_a_plan_adds_what_is_new_and_drops_what_is_no_more(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW, "b.example": NOW})
        await store.plan("other", {"a.example": NOW + DAY})
        await store.plan("g", {"b.example": NOW + DAY, "c.example": NOW + MINUTE})
        assert await store.planned("g") == {"b.example": NOW, "c.example": NOW + MINUTE}
        assert await store.planned("other") == {"a.example": NOW + DAY}


async def test_plans_of_groups_that_nobody_has_are_let_go_of_when_they_are_long_overdue(store_url: str) -> None:
    async with open_store(store_url) as store:
        for name in ("ours", "gone", "held", "ahead"):
            await store.plan(name, {"a.example": NOW - timedelta(days=40) if name != "ahead" else NOW})
        await store.take("held", await store.planned("held"), NOW, NOW + timedelta(minutes=2), by="somebody else")
        assert await store.forget_plans(["ours"], NOW - timedelta(days=30)) == 1
        left = [name for name in ("ours", "gone", "held", "ahead") if await store.planned(name)]
        assert left == ["ours", "held", "ahead"]


async def test_those_who_claim_at_once_never_get_the_same(store_url: str) -> None:
    names = [f"d{number}.example" for number in range(120)]
    claimed: Counter[str] = Counter()
    async with open_store(store_url) as one, open_store(store_url) as two:
        await one.plan("g", dict.fromkeys(names, NOW))

        async def worker(number: int) -> None:
            store = (one, two)[number % 2]
            while work := await store.claim(NOW, NOW + DAY, by=f"worker {number}", limit=7):
                claimed.update(each.next_hop for each in work)

        await asyncio.gather(*(worker(number) for number in range(6)))
    assert claimed == Counter(names)


async def test_those_who_save_the_same_at_once_have_it_once(store_url: str) -> None:
    endpoints = [replace(ENDPOINT, address=f"192.0.2.{number}") for number in range(12)]
    async with open_store(store_url) as one, open_store(store_url) as two:

        async def save(number: int) -> None:
            chosen = random.Random(number).sample(endpoints, 6)
            certificates = {f"{each:064x}": bytes([each]) for each in random.Random(number).sample(range(9), 5)}
            probed = tuple(
                Probed(endpoint=each, facts=facts(each, connections=number), certificates=certificates)
                for each in chosen
            )
            result = replace(RESULT, next_hop=f"d{number}.example", endpoints=probed)
            assert await (one, two)[number % 2].save_target(result)

        pruning = [one.prune(NOW + DAY, keep_scans=1) for _ in range(5)]
        await asyncio.gather(*(save(number) for number in range(40)), *pruning)
        for number in range(40):
            report = await one.latest((f"d{number}.example",))
            assert report is not None
            assert {each.connections for each in report.targets[0].endpoints} == {number}
            assert len(report.targets[0].endpoints) == 6
        for number in range(9):
            assert await one.certificate(f"{number:064x}") == bytes([number])


_WORKER = """
import asyncio, sys
from datetime import datetime, timedelta, UTC
from mxprobe.routing.route import Route
from mxprobe.store import KeptEvent, TargetResult, open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

async def main():
    lease = timedelta(hours=int(sys.argv[2]))
    async with open_store(sys.argv[1]) as store:
        print("ready", flush=True)
        while works := await store.claim(NOW + lease, NOW + lease + timedelta(minutes=30), by=sys.argv[2], limit=3):
            for work in works:
                event = KeptEvent(next_hop=work.next_hop, kind="k", severity="info", state="seen", at=NOW)
                result = TargetResult(
                    next_hop=work.next_hop, started_at=NOW, finished_at=NOW, settings_digest="d",
                    route=Route(kind="null-mx"), events=(event,), memory={"by": sys.argv[2]},
                )
                await store.save_target(result, work=work, next_due=NOW + timedelta(days=7))
                print(work.next_hop, flush=True)

asyncio.run(main())
"""


async def test_a_worker_that_is_killed_loses_nothing_and_doubles_nothing(store_url: str) -> None:
    names = [f"d{number}.example" for number in range(60)]
    async with open_store(store_url) as store:
        await store.plan("g", dict.fromkeys(names, NOW))
    chance = random.Random(5)
    # Each is killed after some results, in the middle of whatever it does; the next comes when the leases have run out.
    for number in range(6):
        command = [sys.executable, "-W", "error", "-c", _WORKER, store_url, str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            for _ in range(chance.randint(1, 9) if number < 5 else 999):
                if not worker.stdout.readline():
                    break
            worker.send_signal(signal.SIGKILL)
    async with open_store(store_url) as store:
        results = Counter([each.target.next_hop async for each in store.everything()])
        events = Counter(each.next_hop for each in await store.events())
        planned = await store.planned("g")
    assert results == events == Counter(names)
    assert set(planned.values()) == {NOW.replace(microsecond=0) + 7 * DAY}
