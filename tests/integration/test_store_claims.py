"""Claiming visits by when they are due: what another has made since is not made again, whatever clocks show."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from examples.stored import NOW, route
from mxprobe.store import TargetResult, Work, open_store

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
RESULT = TargetResult(
    next_hop="a.example", started_at=NOW, finished_at=NOW + MINUTE, settings_digest="digest", route=route()
)


async def test_who_claims_says_when_it_was_due(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW, "b.example": NOW})
        wanted = {"a.example": NOW, "b.example": NOW + MINUTE, "c.example": NOW}
        (work,) = await store.take("g", wanted, NOW - DAY, NOW - DAY + MINUTE, by="me")
        assert work == Work(next_hop="a.example", group="g", due_at=NOW, leased_by="me", lease_until=NOW - DAY + MINUTE)
        assert await store.leased("g") == (work,)
        assert await store.leased("other") == ()
        assert await store.take("other", wanted, NOW, NOW + MINUTE, by="me") == ()


async def test_what_another_has_ended_is_not_claimed_again(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW})
        due = {"a.example": NOW}
        (work,) = await store.take("g", due, NOW, NOW + MINUTE, by="one")
        assert await store.save_target(RESULT, work=work, next_due=NOW + DAY)
        assert await store.take("g", due, NOW + 2 * DAY, NOW + 3 * DAY, by="two") == ()
        assert await store.planned("g") == {"a.example": NOW + DAY}


async def test_a_lease_holds_until_it_runs_out_but_not_against_oneself(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW})
        due = {"a.example": NOW}
        assert await store.take("g", due, NOW, NOW + 2 * MINUTE, by="one")
        assert await store.take("g", due, NOW + MINUTE, NOW + 3 * MINUTE, by="two") == ()
        assert await store.take("g", due, NOW + MINUTE, NOW + 3 * MINUTE, by="one")
        assert await store.take("g", due, NOW + 3 * MINUTE, NOW + 5 * MINUTE, by="two")


async def test_a_lease_from_before_the_clock_was_set_back_is_free(store_url: str) -> None:
    async with open_store(store_url) as store:
        await store.plan("g", {"a.example": NOW})
        due = {"a.example": NOW}
        assert await store.take("g", due, NOW, NOW + 2 * MINUTE, by="one")
        assert await store.take("g", due, NOW - DAY, NOW - DAY + 2 * MINUTE, by="two")


async def test_those_who_want_the_same_at_once_never_both_get_it(store_url: str) -> None:
    due = {f"d{number}.example": NOW for number in range(60)}
    async with open_store(store_url) as one, open_store(store_url) as two:
        await one.plan("g", due)
        found = await asyncio.gather(
            *((one, two)[number % 2].take("g", due, NOW, NOW + MINUTE, by=f"{number}") for number in range(6))
        )
    assert Counter(work.next_hop for works in found for work in works) == Counter(due.keys())


async def test_the_last_visit_is_the_last_that_came_to_a_result(store_url: str) -> None:
    async with open_store(store_url) as store:
        assert await store.visited() == {}
        await store.save_target(RESULT)
        await store.save_target(replace(RESULT, started_at=NOW + DAY))
        await store.save_target(replace(RESULT, next_hop="b.example"))
        await store.start_scan(NOW + 2 * DAY, ("a.example", "c.example"), "digest")
        assert await store.visited() == {"a.example": NOW + DAY, "b.example": NOW}
        assert await store.visited(["b.example", "x.example"]) == {"b.example": NOW}
        assert await store.visited([]) == {}
