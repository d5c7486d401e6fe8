"""What scans have found, kept in a database: facts as they were seen, certificates once each, no verdicts.

Verdicts are computed from facts whenever they are shown; what is stored here is only what was observed. The
libraries behind the store (SQLAlchemy, Alembic) are an extra and are imported when a store is opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mxprobe.errors import StoreError
from mxprobe.store.location import sqlite_path, sqlite_url
from mxprobe.store.scans import Past, Pruned, Scan
from mxprobe.store.work import (
    AlertStanding,
    Delivery,
    GroupStanding,
    KeptEvent,
    NewDelivery,
    Probed,
    TargetResult,
    Work,
)

if TYPE_CHECKING:
    from mxprobe.store.results import Store

__all__ = [
    "AlertStanding",
    "Delivery",
    "GroupStanding",
    "KeptEvent",
    "NewDelivery",
    "Past",
    "Probed",
    "Pruned",
    "Scan",
    "Store",
    "TargetResult",
    "Work",
    "open_store",
    "sqlite_path",
    "sqlite_url",
]


@asynccontextmanager
async def open_store(url: str, *, read_only: bool = False) -> AsyncIterator[Store]:
    """The store at a URL like ``sqlite:///mxprobe.db`` or ``postgresql://user@host/db``, closed again on the way out.

    Opened for writing, the database is created where there is none (PostgreSQL: its tables), and brought up to the
    schema of this version. With `read_only` nothing is written, not even a schema: it must be there already.

    Raises:
        NewerDatabase: a newer mxprobe wrote it; nothing was changed.
        EmptyDatabase: nothing was written to it yet, and it is opened for reading.
        StoreError: it cannot be opened, is no database of mxprobe, or the libraries for it are not installed.
    """
    try:
        # One import for each library that the extra brings, so that a missing one is named here and not in mid-scan.
        import alembic  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise StoreError(f"scan and show need the store: pip install 'mxprobe[store]' ({error})") from error
    from mxprobe.store.opening import opened
    from mxprobe.store.results import Store

    async with opened(url, read_only=read_only) as database:
        yield Store(database)


def __getattr__(name: str) -> object:
    """`Store` itself, imported with the libraries behind it when somebody asks for it."""
    if name == "Store":
        from mxprobe.store.results import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
