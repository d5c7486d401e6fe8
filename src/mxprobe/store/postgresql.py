"""PostgreSQL: one database that any number of machines share.

Transactions run side by side (READ COMMITTED); what two of them add at once is there once, by ON CONFLICT DO NOTHING,
and one that loses a race all the same is run again. A store opened for reading sees one state of the database in each
transaction (REPEATABLE READ, READ ONLY).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, NullPool, create_engine, func, inspect, make_url, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from mxprobe.errors import StoreError
from mxprobe.store.location import ALLOWED_URL, without_password
from mxprobe.store.transactions import SideBySide

CONNECT_SECONDS = 10
"""How long the server may take to answer, unless the URL says otherwise (``?connect_timeout=``)."""

CONNECTIONS = 5
"""At a time, of one process: transactions take milliseconds."""

_MIGRATION_LOCK = 0x6D7870726F6265
_PASSING = frozenset({"40001", "40P01", "23505", "23503"})
"""Serialization failure, deadlock, and what another transaction added or took away at the same moment
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


class Postgresql:
    """How a database on a PostgreSQL server is reached."""

    def __init__(self, url: str, *, read_only: bool) -> None:
        self.shown = without_password(url)
        self._read_only = read_only
        try:
            found = make_url(url)
        except (ArgumentError, ValueError) as error:
            raise StoreError(f"{self.shown}: not a database (allowed: {ALLOWED_URL})") from error
        defaults = {"connect_timeout": str(CONNECT_SECONDS), "application_name": "mxprobe"}
        self._url: URL = found.set(drivername="postgresql+psycopg", query=defaults | dict(found.query))

    def exists(self) -> bool:
        """Whether there is something to be looked at before anything is written: the database is made by others."""
        return True

    @contextmanager
    def connected(self, *, read_only: bool) -> Iterator[Connection]:
        """A connection in a transaction, gone afterwards."""
        with create_engine(self._url, poolclass=NullPool, **_options(read_only=read_only)).begin() as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection in a transaction in which nobody else migrates."""
        with self.connected(read_only=False) as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            yield connection

    def foreign_tables(self, connection: Connection) -> list[str]:
        """Tables that are there although nothing says that the database is ours; a queue in it is of our workers."""
        names = inspect(connection).get_table_names()
        return [name for name in names if not name.startswith("procrastinate_")]

    def transactions(self) -> SideBySide:
        """All transactions to come. A connection that the server has closed is replaced."""
        engine = create_async_engine(
            self._url,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            **_options(read_only=self._read_only),
        )
        return SideBySide(engine, is_passing)

    def arguments(self) -> dict[str, Any]:
        """What psycopg needs to connect, for what goes past SQLAlchemy."""
        _, arguments = self._url.get_dialect()().create_connect_args(self._url)
        return dict(arguments)

    def words(self, error: BaseException) -> str:
        """What an error of the database says in one line."""
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction) and not self._read_only:
            return "the server takes no writes now: it is a standby, or was made read-only"
        return error_words(error)


def is_passing(error: BaseException) -> bool:
    """Whether the same transaction may do better in a moment."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _PASSING


def error_words(error: BaseException) -> str:
    """What an error of the server, or on the way to it, says in one line, without what is said before each."""
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return "the database was opened for reading and cannot be written"
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    said = said.removeprefix("connection failed: ").removeprefix("connection is bad: ")
    return re.sub(r"^(connection to server .*?) failed: (FATAL: +)?", r"\1: ", said)


def _options(*, read_only: bool) -> dict[str, Any]:
    if not read_only:
        return {"isolation_level": "READ COMMITTED"}
    return {
        "isolation_level": "REPEATABLE READ",
        "execution_options": {"postgresql_readonly": True},
    }
