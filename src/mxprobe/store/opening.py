"""Opening a database: its schema brought up to date, then one transaction after the other, its errors in one line."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mxprobe.errors import EmptyDatabase, NewerDatabase, StoreError
from mxprobe.store.location import is_postgresql
from mxprobe.store.sqlite import Sqlite
from mxprobe.store.transactions import Transactions

if TYPE_CHECKING:
    from mxprobe.store.postgresql import Postgresql

T = TypeVar("T")

_MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """A database of the right schema, and the one way to it: a function that runs in a transaction of its own."""

    def __init__(self, kind: Sqlite | Postgresql, transactions: Transactions) -> None:
        self.url = kind.shown
        self._kind = kind
        self._transactions = transactions

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction; when this returns, it is committed. It may be run more than once, when
        others were in its way, but only one of these counts.

        Whoever is cancelled meanwhile still waits until the transaction has ended one way or the other.

        Raises:
            StoreError: the database did not do it; nothing of `work` has been kept.
        """
        with _in_one_line(self._kind):
            return await _to_its_end(self._transactions.run(work))


@asynccontextmanager
async def opened(url: str, *, read_only: bool) -> AsyncIterator[Database]:
    """The database at a URL, of the schema that this version knows. Raises what `mxprobe.store.open_store` says."""
    kind = _kind(url, read_only=read_only)
    with _in_one_line(kind):
        await _to_its_end(asyncio.to_thread(_make_ready, kind, read_only=read_only))
    transactions = kind.transactions()
    try:
        yield Database(kind, transactions)
    finally:
        await _to_its_end(transactions.close())


def _kind(url: str, *, read_only: bool) -> Sqlite | Postgresql:
    if not is_postgresql(url):
        return Sqlite(url, read_only=read_only)
    try:
        from mxprobe.store.postgresql import Postgresql
    except ImportError as error:
        raise StoreError(f"PostgreSQL needs its driver: pip install 'mxprobe[postgresql]' ({error})") from error
    return Postgresql(url, read_only=read_only)


def _make_ready(kind: Sqlite | Postgresql, *, read_only: bool) -> None:
    """See that the database can be opened, and when it is to be written, that it has the newest schema.

    Done in one go in a thread of its own: Alembic knows nothing of asyncio, and what it has to say
    of a file is better known before anything else begins.
    """
    url = kind.shown
    if kind.exists():
        # First without writing: what is not ours, or newer than we are, stays as it is.
        with kind.connected(read_only=True) as connection:
            found = MigrationContext.configure(connection).get_current_revision()
            foreign = kind.foreign_tables(connection) if found is None else []
        if foreign:
            raise StoreError(f"{url}: this is a database, but not one of mxprobe")
        if found is None and read_only:
            raise EmptyDatabase(f"{url}: the database is empty; mxprobe scan fills it")
        if found is not None and found not in _known():
            raise NewerDatabase(url, found, _newest())
        if read_only and found != _newest():
            raise StoreError(f"{url}: the database has the older schema {found}; mxprobe scan brings it up to date")
    if not read_only:
        # Two processes may come here at once: a lock lets one migrate, the other finds it done.
        with kind.migrating() as connection:
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _known() -> frozenset[str]:
    return frozenset(script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions())


def _newest() -> str:
    newest = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    assert newest is not None, "the migrations are part of the package"
    return newest


@contextmanager
def _in_one_line(kind: Sqlite | Postgresql) -> Iterator[None]:
    """Turn the database's errors into ours."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(f"{kind.shown}: {kind.words(error.orig or error)}") from error
    except (sqlite3.Error, SQLAlchemyError) as error:
        raise StoreError(f"{kind.shown}: {kind.words(error)}") from error
    except (json.JSONDecodeError, ValidationError) as error:
        raise StoreError(f"{kind.shown}: what it holds cannot be read ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


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
