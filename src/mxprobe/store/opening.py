"""Opening a database: one SQLite connection, its schema brought up to date, its errors in one line each.

All of a process goes through one connection, one transaction at a time. In WAL mode with `synchronous=NORMAL` what
was committed survives the death of the process, kill -9 included; a power failure may take the last moments with
it but leaves the database whole (https://sqlite.org/wal.html). Other processes may scan into the same file:
transactions are short, begin with the write lock, and wait for it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from mxprobe.errors import NewerDatabase, StoreError
from mxprobe.store.location import sqlite_path

T = TypeVar("T")

BUSY_SECONDS = 30.0
"""How long to wait for another process's transaction; ours take milliseconds."""

_MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """A database of the right schema, and the one way to it: a function that runs in a transaction of its own."""

    def __init__(self, url: str, engine: AsyncEngine) -> None:
        self.url = url
        self._engine = engine
        self._one_at_a_time = asyncio.Lock()

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction; when this returns, it is committed.

        Whoever is cancelled meanwhile still waits until the transaction has ended one way or the other.

        Raises:
            StoreError: the database did not do it; nothing of `work` has been kept.
        """
        return await _to_its_end(self._transact(work))

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        async with self._one_at_a_time:
            with _in_one_line(self.url):
                async with self._engine.begin() as connection:
                    return await connection.run_sync(work)


@asynccontextmanager
async def opened(url: str, *, read_only: bool) -> AsyncIterator[Database]:
    """The database at a URL, of the schema that this version knows. Raises what `mxprobe.store.open_store` says."""
    path = sqlite_path(url)
    if path.is_dir():
        raise StoreError(f"{url}: {path} is a directory")
    if read_only and not path.exists():
        raise StoreError(f"{url}: there is no such database; mxprobe scan makes it")
    if not path.parent.is_dir():
        raise StoreError(f"{url}: the directory {path.parent} does not exist")
    with _in_one_line(url):
        await _to_its_end(asyncio.to_thread(_make_ready, url, path, read_only=read_only))
    engine = create_async_engine(_location(path, "aiosqlite", read_only=read_only), pool_size=1, max_overflow=0)
    _take_transactions_over(engine.sync_engine, read_only=read_only)
    try:
        yield Database(url, engine)
    finally:
        await _to_its_end(engine.dispose())


def _make_ready(url: str, path: Path, *, read_only: bool) -> None:
    """See that the database can be opened, and when it is to be written, that it has WAL and the newest schema.

    Done in one go in a thread of its own: Alembic knows nothing of asyncio, and when aiosqlite cannot open a file,
    its thread may outlive the event loop and complain on stderr.
    """
    if path.exists():
        # First without writing: what is not ours, or newer than we are, stays as it is.
        with _connected(path, read_only=True) as connection:
            found, tables = _schema(connection)
        if found is None and tables:
            raise StoreError(f"{url}: this is a database, but not one of mxprobe")
        if found is None and read_only:
            raise StoreError(f"{url}: the database is empty; mxprobe scan fills it")
        if found is not None and found not in _known():
            raise NewerDatabase(url, found, _newest())
        if read_only and found != _newest():
            raise StoreError(f"{url}: the database has the older schema {found}; mxprobe scan brings it up to date")
    if not read_only:
        _write_ahead(path)
        # Two processes may come here at once: the write lock lets one migrate, the other finds it done.
        with _connected(path, read_only=False) as connection:
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _write_ahead(path: Path) -> None:
    """Set WAL mode. SQLite does not wait for other processes when it changes the mode, so we ask again."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@contextmanager
def _connected(path: Path, *, read_only: bool) -> Iterator[Connection]:
    """A connection in a transaction, gone afterwards."""
    engine = create_engine(_location(path, "pysqlite", read_only=read_only), poolclass=NullPool)
    _take_transactions_over(engine, read_only=read_only)
    with engine.begin() as connection:
        yield connection


def _location(path: Path, driver: str, *, read_only: bool) -> URL:
    if not read_only:
        mode = "rwc"
    elif os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        # SQLite reads a WAL database with two files beside it, which only a connection that may write takes away
        # again; left behind by root, they would lock out the user who scans.
        mode = "rw"
    else:
        mode = "ro"
    query = {"uri": "true", "mode": mode, "timeout": str(BUSY_SECONDS)}
    return URL.create(f"sqlite+{driver}", database=f"file:{quote(str(path))}", query=query)


def _take_transactions_over(engine: Engine, *, read_only: bool) -> None:
    """Begin transactions ourselves: Python's sqlite3 begins them late and without the write lock, so that two
    writers would meet in the middle, where waiting does not help (https://sqlite.org/lang_transaction.html)."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=NORMAL")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _schema(connection: Connection) -> tuple[str | None, list[str]]:
    return MigrationContext.configure(connection).get_current_revision(), inspect(connection).get_table_names()


def _known() -> frozenset[str]:
    return frozenset(script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions())


def _newest() -> str:
    newest = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    assert newest is not None, "the migrations are part of the package"
    return newest


@contextmanager
def _in_one_line(url: str) -> Iterator[None]:
    """Turn the database's errors into ours, with what it said and, where it is terse, what that means."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        said = str(error.orig if isinstance(error, DBAPIError) else error).splitlines()[0]
        match said:
            case "file is not a database":
                said = "the file is not a database"
            case "database is locked":
                said = f"another process has kept the database locked for {BUSY_SECONDS:.0f} seconds"
            case "attempt to write a readonly database":
                said = "the database, or its directory, cannot be written"
            case "unable to open database file":
                said = "the database cannot be opened: no permission for it or its directory"
        raise StoreError(f"{url}: {said}") from error


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, and when cancelled meanwhile, let it end before the cancellation goes on.

    The connection's thread cannot be stopped between two statements: to abandon it would leave the lock held.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen, so that it is not reported as lost
        raise
