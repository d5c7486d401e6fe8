"""The store on a PostgreSQL server: what can be wrong with the way to it is said in one line, without the password."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from examples.stored import ENDPOINT, NOW, facts, route
from mxprobe.errors import EmptyDatabase, StoreError
from mxprobe.store import open_store
from servers.postgresql import Postgresql, postgresql
from servers.running import free_port


@pytest.fixture(scope="module")
def database(postgresql_server: Postgresql) -> str:
    """A database, to which the user `scanner` has a way by password."""
    name = postgresql_server.new_database()
    postgresql_server.execute("CREATE ROLE scanner LOGIN PASSWORD 'it is s@cret'")
    postgresql_server.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    postgresql_server.execute("GRANT ALL ON SCHEMA public TO scanner", name)
    return name


async def complaint(url: str, *, read_only: bool = False) -> str:
    with pytest.raises(StoreError) as caught:
        async with open_store(url, read_only=read_only):
            pass
    said = str(caught.value)
    assert "\n" not in said
    return said


async def test_a_password_in_the_url_is_used_and_never_shown(postgresql_server: Postgresql, database: str) -> None:
    right = postgresql_server.tcp_url(database, "scanner", "it%20is%20s%40cret")
    async with open_store(right) as store:
        assert await store.latest() is None
    wrong = postgresql_server.tcp_url(database, "scanner", "wr%40ng")
    said = await complaint(wrong)
    assert said == (
        f"postgresql://scanner:***@127.0.0.1:{postgresql_server.port}/{database}: connection to server at "
        f'"127.0.0.1", port {postgresql_server.port}: password authentication failed for user "scanner"'
    )
    assert "wr" not in (await complaint(f"postgresql://127.0.0.1:1/{database}?user=u&password=wr0ng")).split("/")[-1]


async def test_a_database_that_is_not_there_is_said(postgresql_server: Postgresql) -> None:
    assert (await complaint(postgresql_server.url("nothing"))).endswith('database "nothing" does not exist')


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_server_that_is_not_there_is_said(tmp_path: Path, read_only: bool) -> None:
    port = free_port()
    said = await complaint(f"postgresql://user@127.0.0.1:{port}/db", read_only=read_only)
    assert said == (
        f'postgresql://user@127.0.0.1:{port}/db: connection to server at "127.0.0.1", port {port}: Connection refused'
    )
    assert "No such file or directory" in await complaint(f"postgresql:///db?host={tmp_path}", read_only=read_only)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql://host",
        "postgresql://host/",
        "postgresql://host/a/b",
        "postgresql://host:port/db",
        "postgresql://host:99999/db",
        "postgresql://[::1/db",
        "postgresql://user:sec\nret@host/db",
        "postgresql+asyncpg://host/db",
        "postgres://host/db",
    ],
)
async def test_what_is_no_url_is_said_with_what_is_allowed(url: str) -> None:
    with pytest.raises(StoreError, match=r"not a database \(allowed: sqlite:///FILE.*postgresql://USER@HOST/DATABASE"):
        async with open_store(url):
            pass


async def test_an_option_that_the_driver_does_not_know_is_said(postgresql_server: Postgresql, database: str) -> None:
    assert 'invalid connection option "sslmod"' in await complaint(postgresql_server.url(database) + "&sslmod=require")


async def test_a_database_without_results_is_not_read_but_said(postgresql_server: Postgresql) -> None:
    name = postgresql_server.new_database()
    with pytest.raises(EmptyDatabase, match="the database is empty; mxprobe scan fills it"):
        async with open_store(postgresql_server.url(name), read_only=True):
            pass
    assert postgresql_server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name) == []


async def test_a_user_who_may_not_write_is_told_so(postgresql_server: Postgresql, database: str) -> None:
    url = postgresql_server.tcp_url(postgresql_server.new_database(), "reader", "reader")
    assert "permission denied" in await complaint(url)


async def test_the_tables_of_a_queue_beside_ours_are_no_other_program(postgresql_server: Postgresql) -> None:
    name = postgresql_server.new_database()
    postgresql_server.execute("CREATE TABLE procrastinate_jobs (id integer)", name)
    async with open_store(postgresql_server.url(name)) as store:
        assert await store.latest() is None


async def test_a_server_that_was_restarted_is_found_again() -> None:
    with postgresql() as server:
        async with open_store(server.url(server.new_database())) as store:
            scan = await store.start_scan(NOW, ("a.example",), "digest")
            await store.save_route(scan, "a.example", route("192.0.2.1"), (ENDPOINT,))
            server.stop()
            with pytest.raises(StoreError) as caught:
                await store.save_endpoint(scan, ENDPOINT, facts(), {})
            assert "\n" not in str(caught.value)
            server.start()
            await store.save_endpoint(scan, ENDPOINT, facts(), {})
            assert await store.endpoints_of(scan) == {ENDPOINT: facts()}


async def test_many_that_come_at_once_make_one_database(postgresql_server: Postgresql) -> None:
    url = postgresql_server.url(postgresql_server.new_database())

    async def come(number: int) -> int:
        async with open_store(url) as store:
            return (await store.start_scan(NOW, (f"d{number}.example",), "digest")).id

    assert sorted(await asyncio.gather(*(come(number) for number in range(6)))) == [1, 2, 3, 4, 5, 6]


_WITHOUT_DRIVER = """
import asyncio, sys
import mxprobe.store
sys.modules["psycopg"] = None  # as if it were not installed

async def main():
    async with mxprobe.store.open_store("postgresql://host/db"):
        pass

try:
    asyncio.run(main())
except mxprobe.store.StoreError as error:
    print(error)
"""


def test_without_its_driver_the_store_says_how_to_get_it() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT_DRIVER], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("PostgreSQL needs its driver: pip install 'mxprobe[postgresql]'")
    assert done.stdout.count("\n") == 1
