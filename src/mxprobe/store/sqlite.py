"""SQLite: one file, one connection of a process, WAL.

All of a process goes through one connection, one transaction at a time. In WAL mode with `synchronous=NORMAL` what
was committed survives the death of the process, kill -9 included; a power failure may take the last moments with
it but leaves the database whole (https://sqlite.org/wal.html). Other processes may scan into the same file:
transactions are short, begin with the write lock, and wait for it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect

from mxprobe.errors import EmptyDatabase, StoreError
from mxprobe.store.location import sqlite_path
from mxprobe.store.same_file import stay_with_the_file
from mxprobe.store.transactions import OneAfterTheOther

BUSY_SECONDS = 30.0
"""How long to wait for another process's transaction; ours take milliseconds."""


class Sqlite:
    """How a SQLite file is reached."""

    def __init__(self, url: str, *, read_only: bool) -> None:
        self.shown = url
        self._path = path = sqlite_path(url)
        self._read_only = read_only
        if path.is_dir():
            raise StoreError(f"{url}: {path} is a directory")
        if read_only and not path.exists():
            raise EmptyDatabase(f"{url}: there is no such database; mxprobe scan makes it")
        if not path.parent.is_dir():
            raise StoreError(f"{url}: the directory {path.parent} does not exist")

    def exists(self) -> bool:
        """Whether there is something to be looked at before anything is written."""
        return self._path.exists()

    @contextmanager
    def connected(self, *, read_only: bool) -> Iterator[Connection]:
        """A connection in a transaction, gone afterwards."""
        engine = create_engine(_location(self._path, "pysqlite", read_only=read_only), poolclass=NullPool)
        _take_transactions_over(engine, read_only=read_only)
        with engine.begin() as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection in a transaction in which nobody else migrates."""
        _write_ahead(self._path)
        with self.connected(read_only=False) as connection:
            yield connection

    def foreign_tables(self, connection: Connection) -> list[str]:
        """Tables that are there although nothing says that the database is ours."""
        return inspect(connection).get_table_names()

    def transactions(self) -> OneAfterTheOther:
        """All transactions to come."""
        location = _location(self._path, "pysqlite", read_only=self._read_only)
        engine = create_engine(location, pool_size=1, max_overflow=0)
        stay_with_the_file(engine, self._path, self.shown)
        _take_transactions_over(engine, read_only=self._read_only)
        return OneAfterTheOther(engine)

    def words(self, error: BaseException) -> str:
        """What an error of the database says, and where that is terse, what it means."""
        match said := str(error).splitlines()[0] if str(error) else type(error).__name__:
            case "file is not a database":
                return "the file is not a database"
            case "database is locked":
                return f"another process has kept the database locked for {BUSY_SECONDS:.0f} seconds"
            case "attempt to write a readonly database":
                return "the database, or its directory, cannot be written"
            case "unable to open database file":
                return (
                    "the database cannot be opened: no permission for it or its directory, or too many files are open"
                )
        return said


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
