"""Letting go of old results: what may go, what stays whatever is asked, and what goes with it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, func, select

from examples.stored import DER, ENDPOINT, FINGERPRINT, NOW, OTHER, facts, route
from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.routing.route import Route, RouteError
from mxprobe.store import Pruned, Store, open_store, tables
from mxprobe.terms import Endpoint
from mxprobe.trust.certificate import Certificate

DAY = timedelta(days=1)
SILENT = Starttls(state="unknown", reason="no answer within 30 s")
SERVFAIL = Route(kind="error", error=RouteError(status="servfail", text="SERVFAIL", temporary=True))


async def scanned(
    store: Store,
    day: float,
    seen: Mapping[Endpoint, EndpointFacts | None],
    *,
    next_hop: str = "a.example",
    led: Route | None = None,
    finished: bool = True,
) -> None:
    """A scan of one next-hop; an endpoint with None is one that it did not come to."""
    at = NOW + day * DAY
    scan = await store.start_scan(at, (next_hop,), "digest")
    resolved = led or route(*(endpoint.address for endpoint in seen))
    await store.save_route(scan, next_hop, resolved, seen)
    for endpoint, found in seen.items():
        if found is not None:
            await store.save_endpoint(scan, endpoint, replace(found, started_at=at), {})
    if finished:
        await store.finish_scan(scan, at)


async def days(store: Store, next_hop: str = "a.example") -> list[int]:
    """On which days there is a result."""
    return [(each.started_at - NOW).days async for each in store.past(next_hop)]


def rows(url: str, *names: str) -> list[int]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        counted = [
            connection.execute(select(func.count()).select_from(tables.metadata.tables[name])).scalar_one()
            for name in names
        ]
    engine.dispose()
    return counted


async def test_nothing_goes_unless_it_is_asked_for(store_url: str) -> None:
    async with open_store(store_url) as store:
        await scanned(store, 0, {ENDPOINT: facts()})
        await scanned(store, 1, {ENDPOINT: facts()})
        assert await store.prune(NOW + 9999 * DAY) == Pruned()
        assert await days(store) == [0, 1]


async def test_what_is_too_old_goes(store_url: str) -> None:
    async with open_store(store_url) as store:
        for day in range(6):
            await scanned(store, day, {ENDPOINT: facts()})
        gone = await store.prune(NOW + 5 * DAY, keep_days=2)
        assert gone == Pruned(targets=3, probes=3)
        assert await days(store) == [3, 4, 5]
        assert await store.prune(NOW + 5 * DAY, keep_days=2) == Pruned()


async def test_what_is_too_much_goes_of_each_next_hop(store_url: str) -> None:
    async with open_store(store_url) as store:
        for day in range(4):
            await scanned(store, day, {ENDPOINT: facts()})
        for day in range(2):
            await scanned(store, day, {OTHER: facts(OTHER)}, next_hop="b.example")
        await store.prune(NOW + 9 * DAY, keep_scans=2)
        assert (await days(store), await days(store, "b.example")) == ([2, 3], [0, 1])
    assert rows(store_url, "scan", "target", "probe") == [4, 4, 4]


async def test_the_last_state_stays_however_old_it_is(store_url: str) -> None:
    async with open_store(store_url) as store:
        await scanned(store, 0, {ENDPOINT: facts(reason="old")})
        await scanned(store, 1, {ENDPOINT: facts(reason="last known")})
        for day in range(2, 5):
            await scanned(store, day, {ENDPOINT: facts(starttls=SILENT)})
        await store.prune(NOW + 999 * DAY, keep_days=1, keep_scans=1)
        assert await days(store) == [1, 4]
        (known, silent) = [each.target.endpoints[0] async for each in store.past("a.example")]
        assert (known.starttls.reason, silent.starttls) == ("last known", SILENT)


async def test_a_dns_that_fails_does_not_make_the_last_route_forgotten(store_url: str) -> None:
    async with open_store(store_url) as store:
        await scanned(store, 0, {ENDPOINT: facts()})
        await scanned(store, 1, {}, led=Route(kind="null-mx"), next_hop="b.example")
        for day in (2, 3):
            for name in ("a.example", "b.example"):
                await scanned(store, day, {}, led=SERVFAIL, next_hop=name)
        await store.prune(NOW + 999 * DAY, keep_scans=1)
        assert (await days(store), await days(store, "b.example")) == ([0, 3], [1, 3])


async def test_the_newest_complete_result_stays_because_it_is_what_is_shown(store_url: str) -> None:
    async with open_store(store_url) as store:
        await scanned(store, 0, {ENDPOINT: facts(), OTHER: facts(OTHER)})
        await scanned(store, 1, {ENDPOINT: facts(), OTHER: None})
        await scanned(store, 2, {ENDPOINT: facts(), OTHER: None})
        before = await store.latest()
        await store.prune(NOW + 999 * DAY, keep_scans=1)
        assert await days(store) == [0, 2]
        assert await store.latest() == before


async def test_of_an_endpoint_that_is_gone_the_last_known_facts_stay(store_url: str) -> None:
    async with open_store(store_url) as store:
        for day in range(3):
            await scanned(store, day, {OTHER: facts(OTHER, reason=f"day {day}")})
        for day in range(3, 6):
            await scanned(store, day, {ENDPOINT: facts()})
        await store.prune(NOW + 999 * DAY, keep_scans=1)
        assert await days(store) == [5]
        assert [each.starttls.reason for each in await store.since_sweep(OTHER, 9)] == ["day 2"]


async def test_a_full_sweep_stays_with_all_since_so_that_the_next_is_due_in_time(store_url: str) -> None:
    async with open_store(store_url) as store:
        sweeps = ("confirmed", "swept", "confirmed", None, "confirmed")
        for day, sweep in enumerate(sweeps):
            await scanned(store, day, {ENDPOINT: facts(sweep=sweep)})
        await store.prune(NOW + 999 * DAY, keep_scans=1)
        assert await days(store) == [4]
        assert [each.sweep for each in await store.since_sweep(ENDPOINT, 9)] == [
            "confirmed",
            None,
            "confirmed",
            "swept",
        ]


async def test_facts_and_certificates_go_with_the_last_result_that_has_them(store_url: str) -> None:
    shown = Certificate(sha256=FINGERPRINT, key="RSA 2048", chain=(FINGERPRINT,))
    async with open_store(store_url) as store:
        for day, (next_hop, endpoint) in enumerate((("a.example", ENDPOINT), ("b.example", OTHER))):
            scan = await store.start_scan(NOW + day * DAY, (next_hop,), "digest")
            await store.save_route(scan, next_hop, route(endpoint.address), (endpoint,))
            await store.save_endpoint(scan, endpoint, facts(endpoint, certificates=(shown,)), {FINGERPRINT: DER})
            await store.finish_scan(scan, NOW)
        await scanned(store, 5, {ENDPOINT: facts(reason="another certificate")})
        assert await store.prune(NOW + 9 * DAY, keep_scans=1) == Pruned(targets=1, probes=1)
        assert await store.certificate(FINGERPRINT) == DER
        await scanned(store, 6, {OTHER: facts(OTHER, reason="another too")}, next_hop="b.example")
        gone = await store.prune(NOW + 9 * DAY, keep_scans=1)
        assert gone == Pruned(targets=1, probes=1, facts=1, certificates=1)
        assert await store.certificate(FINGERPRINT) is None
    assert rows(store_url, "facts", "facts_certificate", "certificate", "route") == [2, 0, 0, 2]


async def test_an_endpoint_stays_in_a_scan_as_long_as_another_next_hop_of_it_does(store_url: str) -> None:
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("a.example", "b.example"), "digest")
        for name in scan.targets:
            await store.save_route(scan, name, route("192.0.2.1"), (ENDPOINT,))
        await store.save_endpoint(scan, ENDPOINT, facts(reason="of both"), {})
        await store.finish_scan(scan, NOW)
        await scanned(store, 1, {ENDPOINT: facts()})
        await store.prune(NOW + 9 * DAY, keep_scans=1)
        report = await store.latest(("b.example",))
        assert report is not None
        assert report.targets[0].endpoints[0].starttls.reason == "of both"


async def test_a_scan_that_may_be_resumed_stays_as_it_is(store_url: str) -> None:
    async with open_store(store_url) as store:
        await scanned(store, 0, {ENDPOINT: facts()}, finished=False)
        for hours in (1, 2):
            await scanned(store, hours / 24, {ENDPOINT: facts()})
        await store.prune(NOW + DAY / 2, keep_scans=1)
        assert len(await days(store)) == 2
        scan = await store.unfinished_scan("digest", since=NOW)
        assert scan is not None
        assert len(await store.endpoints_of(scan)) == 1
        await store.prune(NOW + 2 * DAY, keep_scans=1)
        assert len(await days(store)) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happened_the_last_that_is_known_stays(store_url: str, seed: int) -> None:
    chance = random.Random(seed)
    endpoints = [replace(ENDPOINT, address=f"192.0.2.{number}") for number in range(4)]
    last_known: dict[Endpoint, str] = {}
    async with open_store(store_url) as store:
        for day in range(40):
            name = chance.choice(("a.example", "b.example"))
            seen: dict[Endpoint, EndpointFacts | None] = {}
            for endpoint in chance.sample(endpoints, chance.randint(0, 3)):
                known = chance.random() < 0.6
                found = facts(endpoint, reason=f"day {day}") if known else facts(endpoint, starttls=SILENT)
                seen[endpoint] = None if chance.random() < 0.1 else found
                if known and seen[endpoint]:
                    last_known[endpoint] = f"day {day}"
            await scanned(store, day, seen, next_hop=name, led=None if seen else SERVFAIL)
            before = await store.latest()
            await store.prune(NOW + day * DAY, keep_days=chance.randint(1, 9), keep_scans=chance.randint(1, 9))
            assert await store.latest() == before
            for endpoint, reason in last_known.items():
                kept = {each.starttls.reason for each in await store.since_sweep(endpoint, 99)}
                assert reason in kept
