"""The store on a real SQLite file: what was committed is there, and what it cannot be is said in one line."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from mxprobe.errors import NewerDatabase, StoreError
from mxprobe.facts import EndpointFacts, Starttls, SweepState
from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.smtp.replies import Reply
from mxprobe.store import open_store
from mxprobe.store.tables import metadata
from mxprobe.terms import Endpoint

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ENDPOINT = Endpoint(host="mx.example", address="192.0.2.1", port=25)
OTHER = Endpoint(host="mx.example", address="2001:db8::1", port=25)
DER = b"0\x03\x02\x01\x05"
FINGERPRINT = hashlib.sha256(DER).hexdigest()


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def route(*addresses: str) -> Route:
    host = MxHost(name="mx.example", canonical_name="mx.example", preference=10, addresses=addresses)
    return Route(kind="mx", hosts=(host,))


def facts(endpoint: Endpoint = ENDPOINT, *, reason: str = "", connections: int = 1) -> EndpointFacts:
    return EndpointFacts(
        host=endpoint.host,
        address=endpoint.address,
        port=endpoint.port,
        started_at=NOW,
        starttls=Starttls(state="works", reason=reason),
        connections=connections,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mxprobe.db"


async def test_a_scan_comes_back_as_it_was_saved(path: Path) -> None:
    cut = Route(kind="error", error=RouteError(status="timeout", text="no answer in time", temporary=True))
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("b.example", "a.example", "b.example", "c.example"), "digest")
        assert scan.targets == ("b.example", "a.example", "c.example")
        await store.save_route(scan, "a.example", route("192.0.2.1", "2001:db8::1"), (ENDPOINT, OTHER))
        await store.save_route(scan, "b.example", cut, ())
        await store.save_endpoint(scan, OTHER, facts(OTHER), {FINGERPRINT: DER})
        await store.save_endpoint(scan, ENDPOINT, facts(), {FINGERPRINT: DER})
    async with open_store(url_of(path), read_only=True) as store:
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


async def test_an_endpoint_is_one_row_whichever_targets_lead_to_it(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example", "b.example"), "digest")
        for name in scan.targets:
            await store.save_route(scan, name, route("192.0.2.1"), (ENDPOINT,))
        await store.save_endpoint(scan, ENDPOINT, facts(connections=41), {FINGERPRINT: DER})
        report = await store.report_of(scan)
        assert report is not None
        assert [target.endpoints for target in report.targets] == [(facts(connections=41),)] * 2
        assert report.connections == 41
    with sqlite3.connect(path) as database:
        assert database.execute("select count(*) from endpoint").fetchone() == (1,)
        assert database.execute("select count(*) from certificate").fetchone() == (1,)
    database.close()


async def test_the_service_is_part_of_an_endpoint(path: Path) -> None:
    lmtp = replace(ENDPOINT, service="lmtp")
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_route(scan, "a.example", route("192.0.2.1"), (ENDPOINT, lmtp))
        await store.save_endpoint(scan, lmtp, facts(reason="lmtp"), {})
        await store.save_endpoint(scan, ENDPOINT, facts(reason="smtp"), {})
        assert await store.endpoints_of(scan) == {lmtp: facts(reason="lmtp"), ENDPOINT: facts(reason="smtp")}


async def test_facts_once_saved_are_not_overwritten(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_endpoint(scan, ENDPOINT, facts(reason="first"), {})
        await store.save_endpoint(scan, ENDPOINT, facts(reason="second"), {})
        assert await store.endpoints_of(scan) == {ENDPOINT: facts(reason="first")}


async def test_an_unfinished_scan_is_found_by_its_settings_and_age(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        assert await store.unfinished_scan("digest", since=NOW - timedelta(hours=1)) == scan
        assert await store.unfinished_scan("another", since=NOW - timedelta(hours=1)) is None
        assert await store.unfinished_scan("digest", since=NOW + timedelta(seconds=1)) is None
        finished = await store.finish_scan(scan, NOW + timedelta(minutes=1))
        assert finished == replace(scan, finished_at=NOW + timedelta(minutes=1))
        assert await store.unfinished_scan("digest", since=NOW - timedelta(hours=1)) is None


async def test_the_latest_is_the_newest_scan_in_which_all_endpoints_are_known(path: Path) -> None:
    async with open_store(url_of(path)) as store:
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


async def test_more_targets_than_a_query_has_room_for(path: Path) -> None:
    names = tuple(f"d{number}.example" for number in range(1201))
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, names, "digest")
        for name in names:
            await store.save_route(scan, name, route("192.0.2.1"), (ENDPOINT,))
        await store.save_endpoint(scan, ENDPOINT, facts(), {})
        report = await store.latest(names)
        assert report is not None
        assert tuple(target.next_hop for target in report.targets) == names
        assert all(target.endpoints == (facts(),) for target in report.targets)


async def test_a_moment_without_a_zone_is_refused(path: Path) -> None:
    async with open_store(url_of(path)) as store:
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
def test_any_facts_and_any_route_survive_the_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("facts") / "mxprobe.db"

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.from_type(EndpointFacts), st.from_type(Route))
    def survive(seen: EndpointFacts, resolved: Route) -> None:
        async def there_and_back() -> None:
            async with open_store(url_of(path)) as store:
                scan = await store.start_scan(NOW, ("a.example",), "digest")
                await store.save_route(scan, "a.example", resolved, (ENDPOINT,))
                await store.save_endpoint(scan, ENDPOINT, seen, {})
                assert await store.routes_of(scan) == {"a.example": resolved}
                assert await store.endpoints_of(scan) == {ENDPOINT: seen}

        asyncio.run(there_and_back())

    survive()


async def test_the_words_of_a_peer_come_back_to_the_byte(path: Path) -> None:
    line = b"ESMTP caf\xe9 \xff\x00\x1b[2J".decode("utf-8", "surrogateescape")
    seen = replace(facts(), greeting=Reply(code=220, lines=(line,)), endings={line: 3})
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
        await store.save_endpoint(scan, ENDPOINT, seen, {})
        assert await store.endpoints_of(scan) == {ENDPOINT: seen}


async def test_the_migrations_make_the_tables_that_the_queries_mean(path: Path) -> None:
    async with open_store(url_of(path)):
        pass
    engine = create_engine(url_of(path))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    async with open_store(url_of(path)):
        pass
    database = sqlite3.connect(path)
    database.execute("update alembic_version set version_num = '9999'")
    database.commit()
    database.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(
            NewerDatabase, match=r"^sqlite:.*the database has schema 9999, this mxprobe knows up to \d+"
        ):
            async with open_store(url_of(path), read_only=read_only):
                pass
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


async def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("create table moz_places (id integer)")
    database.commit()
    database.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreError, match="this is a database, but not one of mxprobe"):
            async with open_store(url_of(path), read_only=read_only):
                pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("sqlite:///{}/none/mxprobe.db", r"the directory /.*/none does not exist|there is no such database"),
        ("sqlite:///{}", r"/.* is a directory"),
        ("sqlite:///{}/text", "the file is not a database"),
        # /proc refuses new files, even to root.
        ("sqlite:////proc/mxprobe.db", r"the database cannot be opened: no permission|there is no such database"),
        ("sqlite://", r"not a database \(allowed: sqlite:///FILE"),
        ("postgresql://localhost/mxprobe", r"not a database \(allowed: sqlite:///FILE"),
    ],
)
async def test_what_cannot_be_opened_is_said_in_one_line(
    tmp_path: Path, where: str, said: str, read_only: bool
) -> None:
    (tmp_path / "text").write_text("These are my notes, and they are no database at all.\n" * 20)
    url = where.format(tmp_path)
    with pytest.raises(StoreError) as caught:
        async with open_store(url, read_only=read_only):
            pass
    assert str(caught.value).startswith(f"{url}: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=said):
        raise caught.value


async def test_reading_needs_a_database_with_results_and_makes_none(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such database; mxprobe scan makes it"):
        async with open_store(url_of(path), read_only=True):
            pass
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="the database is empty; mxprobe scan fills it"):
        async with open_store(url_of(path), read_only=True):
            pass
    assert path.read_bytes() == b""


async def test_an_older_schema_is_not_read_but_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store(url_of(path)):
        pass
    monkeypatch.setattr("mxprobe.store.opening._newest", lambda: "0002")
    with pytest.raises(StoreError, match="the older schema 0001; mxprobe scan brings it up to date"):
        async with open_store(url_of(path), read_only=True):
            pass


async def test_a_store_opened_for_reading_cannot_write(path: Path) -> None:
    async with open_store(url_of(path)):
        pass
    async with open_store(url_of(path), read_only=True) as store:
        with pytest.raises(StoreError, match="cannot be written"):
            await store.start_scan(NOW, ("a.example",), "digest")


async def test_reading_leaves_no_files_behind(path: Path) -> None:
    async with open_store(url_of(path)) as store:
        scan = await store.start_scan(NOW, ("a.example",), "digest")
    async with open_store(url_of(path), read_only=True) as store:
        assert await store.unfinished_scan("digest", since=NOW) == scan
    assert list(path.parent.iterdir()) == [path]


async def test_cancelled_while_it_writes_a_store_goes_on(path: Path) -> None:
    async with open_store(url_of(path)) as store:
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


_WRITER = """
import asyncio, sys
from datetime import datetime, UTC
from mxprobe.store import open_store

async def main():
    sys.stdin.readline()
    async with open_store(sys.argv[1]) as store:
        for number in range(20):
            await store.start_scan(datetime.now(UTC), (f"d{number}.example",), sys.argv[2])

asyncio.run(main())
"""


def test_several_processes_make_and_fill_one_database(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _WRITER, url_of(path), f"digest {number}"], stdin=subprocess.PIPE
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    database = sqlite3.connect(path)
    assert database.execute("select count(*), count(distinct settings_digest) from scan").fetchone() == (60, 3)
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()


_WITHOUT_EXTRA = """
import asyncio, sys
import mxprobe.store
assert not {"sqlalchemy", "alembic", "aiosqlite"} & sys.modules.keys(), "imported before use"
sys.modules[sys.argv[1]] = None  # as if it were not installed

async def main():
    async with mxprobe.store.open_store("sqlite:///mxprobe.db"):
        pass

try:
    asyncio.run(main())
except mxprobe.store.StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("missing", ["sqlalchemy", "alembic", "aiosqlite"])
def test_without_its_libraries_the_store_says_how_to_get_them(tmp_path: Path, missing: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRA, missing], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("scan and show need the store: pip install 'mxprobe[store]'")
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


async def test_an_endpoint_is_known_back_to_its_last_full_sweep(path: Path) -> None:
    sweeps: tuple[SweepState | None, ...] = ("swept", "swept", "confirmed", None, "confirmed")
    async with open_store(url_of(path)) as store:
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
