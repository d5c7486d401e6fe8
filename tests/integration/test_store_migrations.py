"""From every schema that was ever released to that of today: what a database held is there afterwards, as it was."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

import mxprobe.store
from examples import targets
from examples.stored import DER, ENDPOINT, FINGERPRINT, NOW, OTHER, facts, route
from mxprobe.errors import NewerDatabase, StoreError
from mxprobe.facts import EndpointFacts
from mxprobe.routing.route import Route, RouteError
from mxprobe.smtp.replies import Reply
from mxprobe.store import open_store
from mxprobe.store.tables import JsonOf
from mxprobe.terms import Endpoint
from servers.postgresql import Postgresql

MIGRATIONS = Path(mxprobe.store.__file__).with_name("migrations")
CUT = Route(kind="error", error=RouteError(status="timeout", text="no answer in time", temporary=True))
LMTP = replace(ENDPOINT, service="lmtp")

GREETED = Reply(code=220, lines=(b"caf\xe9 \xff\x00 4711".decode("utf-8", "surrogateescape"),))
SEEN: dict[tuple[int, Endpoint], EndpointFacts] = {
    (1, ENDPOINT): facts(greeting=GREETED, endings={"closed": 2}, sweep="swept", swept_at=NOW),
    (1, OTHER): facts(OTHER, connections=7),
    (2, ENDPOINT): facts(greeting=None, connections=9, sweep="confirmed", swept_at=NOW),
    (2, OTHER): facts(OTHER, reason="421 4.7.0 too many connections"),
    (2, LMTP): replace(targets.GOOD.endpoints[0], elapsed_seconds=0.25),
}


def connect(url: str) -> Any:
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


def make_0001(connection: Connection) -> None:
    """A database as the first schema had it: two scans, of which the second is unfinished."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")

    def insert(table: str, *rows: dict[str, Any]) -> None:
        for row in rows:
            names = ", ".join(row)
            places = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)

    led = json_of(Route, route("192.0.2.1", "2001:db8::1"))
    insert(
        "scan",
        {
            "id": 1,
            "started_at": NOW.replace(tzinfo=None),
            "finished_at": NOW.replace(tzinfo=None),
            "settings_digest": "d",
        },
        {"id": 2, "started_at": NOW.replace(tzinfo=None) + timedelta(days=1), "settings_digest": "d"},
    )
    insert(
        "target",
        {"id": 1, "scan_id": 1, "position": 0, "next_hop": "a.example", "route": led},
        {"id": 2, "scan_id": 1, "position": 1, "next_hop": "b.example", "route": led},
        {"id": 3, "scan_id": 2, "position": 0, "next_hop": "b.example", "route": json_of(Route, CUT)},
        {"id": 4, "scan_id": 2, "position": 1, "next_hop": "a.example", "route": led},
        {"id": 5, "scan_id": 2, "position": 2, "next_hop": "c.example", "route": None},
    )
    numbers = {key: number for number, key in enumerate(SEEN, start=1)}
    for (scan_id, endpoint), number in numbers.items():
        insert(
            "endpoint",
            {
                "id": number,
                "scan_id": scan_id,
                "service": endpoint.service,
                "host": endpoint.host,
                "address": endpoint.address,
                "port": endpoint.port,
                "facts": json_of(EndpointFacts, SEEN[scan_id, endpoint]),
            },
        )
    for target_id, scan_id in ((1, 1), (2, 1), (4, 2)):
        for position, endpoint in enumerate((OTHER, ENDPOINT)):
            insert(
                "target_endpoint",
                {"target_id": target_id, "endpoint_id": numbers[scan_id, endpoint], "position": position},
            )
    insert("certificate", {"sha256": FINGERPRINT, "der": DER})


def json_of(kind: type[Any], value: object) -> str:
    return JsonOf(kind).text(value)


async def test_the_first_schema_is_brought_up_to_date_with_all_that_it_held(store_url: str) -> None:
    engine = connect(store_url)
    with engine.begin() as connection:
        make_0001(connection)
    engine.dispose()

    with pytest.raises(StoreError, match="the older schema 0001; mxprobe scan brings it up to date"):
        async with open_store(store_url, read_only=True):
            pass
    async with open_store(store_url) as store:
        unfinished = await store.unfinished_scan("d", since=NOW)
        assert unfinished is not None
        assert (unfinished.id, unfinished.targets) == (2, ("b.example", "a.example", "c.example"))
        assert await store.routes_of(unfinished) == {"b.example": CUT, "a.example": route("192.0.2.1", "2001:db8::1")}
        assert await store.endpoints_of(unfinished) == of_scan(2)
        assert await store.endpoints_of(replace(unfinished, id=1)) == of_scan(1)
        assert await store.certificate(FINGERPRINT) == DER
        assert [each.sweep for each in await store.since_sweep(ENDPOINT, 7)] == ["confirmed", "swept"]
        past = [each async for each in store.everything()]
        assert [(each.scan_id, each.target.next_hop) for each in past] == [
            (1, "a.example"),
            (1, "b.example"),
            (2, "b.example"),
            (2, "a.example"),
        ]
        assert past[0].target.endpoints == (SEEN[1, OTHER], SEEN[1, ENDPOINT])
        assert past[0].started_at == NOW

        # It goes on in the tables of today: numbers go on, and what is known is known.
        scan = await store.start_scan(NOW + timedelta(days=2), ("a.example", "d.example"), "d")
        assert scan.id == 3
        new = Endpoint(host="new.example", address="192.0.2.9", port=25)
        await store.save_route(scan, "a.example", route("192.0.2.1", "2001:db8::1"), (OTHER, ENDPOINT))
        await store.save_route(scan, "d.example", route("192.0.2.9"), (new,))
        for endpoint, seen in {ENDPOINT: facts(connections=3), new: facts(new, reason="new")}.items():
            await store.save_endpoint(scan, endpoint, seen, {})
        assert await store.endpoints_of(scan) == {ENDPOINT: facts(connections=3), new: facts(new, reason="new")}
    engine = connect(store_url)
    with engine.connect() as connection:
        counted = {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in ("endpoint", "facts", "route", "probe")
        }
    engine.dispose()
    # Alike are the facts of both endpoints in scan 1 and of ENDPOINT in scan 2 and 3.
    assert counted == {"endpoint": 4, "facts": 4, "route": 3, "probe": 7}


def of_scan(scan_id: int) -> dict[Endpoint, EndpointFacts]:
    return {endpoint: seen for (scan, endpoint), seen in SEEN.items() if scan == scan_id}


async def test_facts_of_an_older_version_come_back_with_what_they_had(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mxprobe.db"
    engine = connect(url)
    document = json.loads(json_of(EndpointFacts, SEEN[1, ENDPOINT]))
    for missing in ("sweep", "swept_at", "quirks", "connections", "service"):
        del document[missing]
    with engine.begin() as connection:
        make_0001(connection)
        old = text("UPDATE endpoint SET facts = :facts WHERE id = 1")
        connection.execute(old, {"facts": json.dumps(dict(sorted(document.items())), indent=1)})
    engine.dispose()
    async with open_store(url) as store:
        past = [each async for each in store.past("a.example")]
    seen = past[0].target.endpoints[1]
    assert seen == replace(SEEN[1, ENDPOINT], sweep=None, swept_at=None, connections=0)


async def test_a_migration_that_is_cut_short_leaves_the_old_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mxprobe.db"
    engine = connect(url)
    with engine.begin() as connection:
        make_0001(connection)
        connection.execute(text("UPDATE endpoint SET facts = 'no JSON' WHERE id = 5"))
    engine.dispose()
    with pytest.raises(StoreError, match="what it holds cannot be read"):
        async with open_store(url):
            pass
    with closing(sqlite3.connect(tmp_path / "mxprobe.db")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert database.execute("SELECT count(*) FROM endpoint WHERE facts IS NOT NULL").fetchall() == [(5,)]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_newer_database_is_refused_and_left_alone(store_url: str) -> None:
    async with open_store(store_url):
        pass
    engine = connect(store_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for read_only in (False, True):
        with pytest.raises(NewerDatabase, match=r"the database has schema 9999, this mxprobe knows up to \d+"):
            async with open_store(store_url, read_only=read_only):
                pass
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "9999"
    engine.dispose()


def test_every_schema_follows_from_the_one_before() -> None:
    revisions = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    assert revisions == ["0004", "0003", "0002", "0001"]


async def test_a_database_of_another_program_on_a_server_is_left_alone(postgresql_server: Postgresql) -> None:
    name = postgresql_server.new_database()
    postgresql_server.execute("CREATE TABLE accounts (id integer)", name)
    for read_only in (False, True):
        with pytest.raises(StoreError, match="this is a database, but not one of mxprobe"):
            async with open_store(postgresql_server.url(name), read_only=read_only):
                pass
    assert postgresql_server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name) == [
        ("accounts",)
    ]
