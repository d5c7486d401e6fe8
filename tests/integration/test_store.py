"""The store on both kinds of database: what was committed is there, and comes back as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, func, select

from examples.stored import DER, ENDPOINT, FINGERPRINT, NOW, OTHER, facts, route
from mxprobe.errors import StoreError
from mxprobe.facts import EndpointFacts, SweepState
from mxprobe.routing.route import Route, RouteError
from mxprobe.smtp.replies import Reply
from mxprobe.store import open_store, tables


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """The database beside the store that has it."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


async def test_a_scan_comes_back_as_it_was_saved(store_url: str) -> None:
    cut = Route(kind="error", error=RouteError(status="timeout", text="no answer in time", temporary=True))
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("b.example", "a.example", "b.example", "c.example"), "digest")
        assert scan.targets == ("b.example", "a.example", "c.example")
        await store.save_route(scan, "a.example", route("192.0.2.1", "2001:db8::1"), (ENDPOINT, OTHER))
        await store.save_route(scan, "b.example", cut, ())
        await store.save_endpoint(scan, OTHER, facts(OTHER), {FINGERPRINT: DER})
        await store.save_endpoint(scan, ENDPOINT, facts(), {FINGERPRINT: DER})
    async with open_store(store_url, read_only=True) as store:
        assert await store.unfinished_scan("digest", since=NOW) == scan
        assert await store.routes_of(scan) == {"a.example": route("192.0.2.1", "2001:db8::1"), "b.example": cut}
        assert await store.endpoints_of(scan) == {ENDPOINT: facts(), OTHER: facts(OTHER)}
        assert await store.certificate(FINGERPRINT) == DER
        assert await store.certificate("00") is None
        report = await store.report_of(scan)
        assert report is not None
        assert [target.next_hop for target in report.targets] == ["b.example", "a.example"]
        assert report.targets[0].route == cut
        assert report.targets[1].endpoints == (facts(), facts(OTHER))
        assert report.targets[1].verdicts == ()


async def test_an_endpoint_is_one_row_whichever_targets_lead_to_it(store_url: str) -> None:
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("a.example", "b.example"), "digest")
        for name in scan.targets:
            await store.save_route(scan, name, route("192.0.2.1"), (ENDPOINT,))
        await store.save_endpoint(scan, ENDPOINT, facts(connections=41), {FINGERPRINT: DER})
        report = await store.report_of(scan)
        assert report is not None
        assert [target.endpoints for target in report.targets] == [(facts(connections=41),)] * 2
        assert report.connections == 41
    with connected(store_url) as connection:
        for table in (tables.endpoint, tables.probe, tables.certificate):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 1


async def test_the_service_is_part_of_an_endpoint(store_url: str) -> None:
    lmtp = replace(ENDPOINT, service="lmtp")
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_route(scan, "a.example", route("192.0.2.1"), (ENDPOINT, lmtp))
        await store.save_endpoint(scan, lmtp, facts(reason="lmtp"), {})
        await store.save_endpoint(scan, ENDPOINT, facts(reason="smtp"), {})
        assert await store.endpoints_of(scan) == {lmtp: facts(reason="lmtp"), ENDPOINT: facts(reason="smtp")}


async def test_facts_once_saved_are_not_overwritten(store_url: str) -> None:
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_endpoint(scan, ENDPOINT, facts(reason="first"), {})
        await store.save_endpoint(scan, ENDPOINT, facts(reason="second"), {})
        assert await store.endpoints_of(scan) == {ENDPOINT: facts(reason="first")}


async def test_an_unfinished_scan_is_found_by_its_settings_and_age(store_url: str) -> None:
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        assert await store.unfinished_scan("digest", since=NOW - timedelta(hours=1)) == scan
        assert await store.unfinished_scan("another", since=NOW - timedelta(hours=1)) is None
        assert await store.unfinished_scan("digest", since=NOW + timedelta(seconds=1)) is None
        finished = await store.finish_scan(scan, NOW + timedelta(minutes=1))
        assert finished == replace(scan, finished_at=NOW + timedelta(minutes=1))
        assert await store.unfinished_scan("digest", since=NOW - timedelta(hours=1)) is None


async def test_the_latest_is_the_newest_scan_in_which_all_endpoints_are_known(store_url: str) -> None:
    async with open_store(store_url) as store:
        assert await store.latest() is None
        old = await store.start_scan(NOW, ("a.example", "b.example"), "digest")
        for name in old.targets:
            await store.save_route(old, name, route("192.0.2.1"), (ENDPOINT,))
        await store.save_endpoint(old, ENDPOINT, facts(reason="old"), {})
        await store.finish_scan(old, NOW + timedelta(seconds=5))

        new = await store.start_scan(NOW + timedelta(days=1), ("a.example", "c.example", "d.example"), "digest")
        await store.save_route(new, "a.example", route("192.0.2.1", "2001:db8::1"), (ENDPOINT, OTHER))
        await store.save_route(new, "c.example", route("192.0.2.1", "2001:db8::1"), (ENDPOINT, OTHER))
        await store.save_endpoint(new, ENDPOINT, facts(reason="new"), {})

        async def seen(*next_hops: str) -> dict[str, list[str]]:
            report = await store.latest(next_hops or None)
            targets = report.targets if report is not None else ()
            return {target.next_hop: [one.starttls.reason for one in target.endpoints] for target in targets}

        # a.example is complete in the old scan only; of c.example there is no more than the beginning.
        assert await seen() == {"a.example": ["old"], "b.example": ["old"], "c.example": ["new"]}
        await store.save_endpoint(new, OTHER, facts(OTHER, reason="new too"), {})
        assert await seen("a.example") == {"a.example": ["new", "new too"]}
        assert list(await seen("c.example", "nobody.example", "b.example")) == ["c.example", "b.example"]
        assert await store.latest(("nobody.example",)) is None

        report = await store.latest()
        assert report is not None
        assert (report.started_at, report.elapsed_seconds, report.connections) == (NOW, 5.0, 3)


async def test_more_targets_than_a_query_has_room_for(store_url: str) -> None:
    names = tuple(f"d{number}.example" for number in range(1201))
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, names, "digest")
        for name in names:
            await store.save_route(scan, name, route("192.0.2.1"), (ENDPOINT,))
        await store.save_endpoint(scan, ENDPOINT, facts(), {})
        report = await store.latest(names)
        assert report is not None
        assert tuple(target.next_hop for target in report.targets) == names
        assert all(target.endpoints == (facts(),) for target in report.targets)


async def test_a_moment_without_a_zone_is_refused(store_url: str) -> None:
    async with open_store(store_url) as store:
        with pytest.raises(Exception, match="without its time zone"):
            await store.start_scan(NOW.replace(tzinfo=None), (), "digest")


_TEXT = st.text(
    # What a charset does not explain is kept as the lone surrogates of PEP 383.
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.characters(categories=["Cs"], min_codepoint=0xDC80, max_codepoint=0xDCFF),
    ),
    max_size=20,
)


@pytest.fixture(scope="module")
def plain_values() -> Iterator[None]:
    """What the fields of the facts hold: aware moments, finite numbers, any text that bytes can become."""
    st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
    st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
    st.register_type_strategy(str, _TEXT)
    yield
    for kind, strategy in (
        (datetime, st.datetimes()),
        (float, st.floats()),
        (str, st.text()),
    ):
        st.register_type_strategy(kind, strategy)


@pytest.mark.usefixtures("plain_values")
def test_any_facts_and_any_route_survive_the_store(store_url: str) -> None:
    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.from_type(EndpointFacts), st.from_type(Route))
    def survive(seen: EndpointFacts, resolved: Route) -> None:
        async def there_and_back() -> None:
            async with open_store(store_url) as store:
                scan = await store.start_scan(NOW, ("a.example",), "digest")
                await store.save_route(scan, "a.example", resolved, (ENDPOINT,))
                await store.save_endpoint(scan, ENDPOINT, seen, {})
                assert await store.routes_of(scan) == {"a.example": resolved}
                assert await store.endpoints_of(scan) == {ENDPOINT: seen}

        asyncio.run(there_and_back())

    survive()


async def test_the_words_of_a_peer_come_back_to_the_byte(store_url: str) -> None:
    line = b"ESMTP caf\xe9 \xff\x00\x1b[2J".decode("utf-8", "surrogateescape")
    seen = replace(facts(), greeting=Reply(code=220, lines=(line,)), endings={line: 3})
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_endpoint(scan, ENDPOINT, seen, {})
        assert await store.endpoints_of(scan) == {ENDPOINT: seen}


async def test_the_migrations_make_the_tables_that_the_queries_mean(store_url: str) -> None:
    async with open_store(store_url):
        pass
    with connected(store_url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


async def test_a_store_opened_for_reading_cannot_write(store_url: str) -> None:
    async with open_store(store_url):
        pass
    async with open_store(store_url, read_only=True) as store:
        with pytest.raises(StoreError, match="cannot be written"):
            await store.start_scan(NOW, ("a.example",), "digest")


async def test_cancelled_while_it_writes_a_store_goes_on(store_url: str) -> None:
    async with open_store(store_url) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        for number in range(20):
            endpoint = replace(ENDPOINT, port=1000 + number)
            saving = asyncio.ensure_future(store.save_endpoint(scan, endpoint, facts(endpoint), {}))
            for _ in range(number):  # cancelled ever later in the course of a write
                await asyncio.sleep(0)
            saving.cancel()
            await asyncio.wait({saving})
        await store.save_endpoint(scan, ENDPOINT, facts(), {FINGERPRINT: DER})
        known = await store.endpoints_of(scan)
        assert known[ENDPOINT] == facts()
        assert all(seen == facts(endpoint) for endpoint, seen in known.items())


async def test_an_endpoint_is_known_back_to_its_last_full_sweep(store_url: str) -> None:
    sweeps: tuple[SweepState | None, ...] = ("swept", "swept", "confirmed", None, "confirmed")
    async with open_store(store_url) as store:
        assert await store.since_sweep(ENDPOINT, 7) == ()
        for day, sweep in enumerate(sweeps):
            scan = await store.start_scan(NOW + timedelta(days=day), ("a.example",), "digest")
            await store.save_endpoint(scan, ENDPOINT, replace(facts(), sweep=sweep, connections=day), {})
            await store.save_endpoint(scan, OTHER, replace(facts(OTHER), sweep="swept"), {})
        running = await store.start_scan(NOW + timedelta(days=9), ("a.example",), "digest")
        await store.save_route(running, "a.example", route("192.0.2.1"), (ENDPOINT,))
        known = await store.since_sweep(ENDPOINT, 7)
        assert [each.sweep for each in known] == ["confirmed", None, "confirmed", "swept"]
        assert [each.connections for each in known] == [4, 3, 2, 1]
        assert len(await store.since_sweep(ENDPOINT, 2)) == 2


async def test_what_many_next_hops_have_in_common_counts_once_in_what_is_known_of_an_endpoint(store_url: str) -> None:
    sweeps: tuple[SweepState | None, ...] = ("swept", "confirmed", None, None)
    async with open_store(store_url) as store:
        assert await store.last_known(ENDPOINT, 7) == ()
        for day, sweep in enumerate(sweeps):
            found = replace(facts(), sweep=sweep, connections=day, started_at=NOW + timedelta(days=day))
            for number in range(30):
                scan = await store.start_scan(NOW + timedelta(days=day), (f"{number}.example",), "digest")
                await store.save_endpoint(scan, ENDPOINT, found, {})
                await store.save_endpoint(scan, OTHER, replace(facts(OTHER), connections=number), {})
        known = await store.last_known(ENDPOINT, 7)
        assert [(each.connections, each.sweep) for each in known] == [(3, None), (2, None), (1, "confirmed")]
        assert len(await store.last_known(ENDPOINT, 2)) == 2
