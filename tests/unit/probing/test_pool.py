"""Who waits for whose sweep, and which sweeps are looked at."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.probing.pool import Pools
from mxprobe.smtp.replies import Reply
from mxprobe.terms import Endpoint

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (Endpoint(host="mx.example", address=f"192.0.2.{n}", port=25) for n in (1, 2, 3))
OTHER = Endpoint(host="mx.example.net", address="192.0.2.9", port=25)


def facts(endpoint: Endpoint, greeting: str = "mx.example ESMTP") -> EndpointFacts:
    return EndpointFacts(
        host=endpoint.host,
        address=endpoint.address,
        port=endpoint.port,
        started_at=NOW,
        greeting=Reply(code=220, lines=(greeting,)),
        starttls=Starttls(state="works"),
    )


async def waiting(pools: Pools, *endpoints: Endpoint) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(pools.wait(endpoint)) for endpoint in endpoints]
    await asyncio.sleep(0)
    return tasks


async def test_all_but_the_first_of_an_mx_host_wait_until_that_is_settled() -> None:
    pools = Pools()
    first, second, third = await waiting(pools, FIRST, SECOND, THIRD)
    assert (first.done(), second.done(), third.done()) == (True, False, False)
    pools.keep(FIRST, facts(FIRST))
    pools.settled(FIRST)
    await asyncio.gather(second, third)


async def test_nobody_waits_across_mx_hosts() -> None:
    pools = Pools()
    _, other = await waiting(pools, FIRST, OTHER)
    assert other.done()


async def test_who_waits_settles_nothing_for_the_others() -> None:
    pools = Pools()
    _, second, third = await waiting(pools, FIRST, SECOND, THIRD)
    pools.settled(SECOND)
    await asyncio.sleep(0)
    assert not third.done()
    pools.keep(FIRST, facts(FIRST))
    pools.settled(FIRST)
    await asyncio.gather(second, third)


async def test_one_more_takes_the_place_of_a_first_that_brought_no_sweep() -> None:
    pools = Pools()
    _, second, third = await waiting(pools, FIRST, SECOND, THIRD)
    pools.settled(FIRST)
    await second
    await asyncio.sleep(0)
    assert not third.done()
    pools.settled(FIRST)  # is the first no longer
    await asyncio.sleep(0)
    assert not third.done()
    pools.settled(SECOND)
    await third


async def test_the_first_may_ask_again_and_whoever_is_late_does_not_wait() -> None:
    pools = Pools()
    await pools.wait(FIRST)
    await pools.wait(FIRST)
    pools.settled(FIRST)
    await pools.wait(SECOND)


def test_a_sweep_is_offered_to_endpoints_with_the_same_host_or_greeting_and_not_to_its_own() -> None:
    pools = Pools()
    swept = facts(FIRST)
    pools.keep(FIRST, swept)
    assert list(pools.twins(SECOND, None, None)) == [swept]
    assert list(pools.twins(OTHER, None, Reply(code=220, lines=("MX.example ready",)))) == [swept]
    assert list(pools.twins(OTHER, None, Reply(code=220, lines=("other.example ready",)))) == []
    assert list(pools.twins(FIRST, None, swept.greeting)) == []


def test_a_greeting_that_names_no_host_makes_no_twins() -> None:
    pools = Pools()
    pools.keep(FIRST, facts(FIRST, greeting="ESMTP"))
    assert list(pools.twins(OTHER, None, Reply(code=220, lines=("ESMTP",)))) == []
