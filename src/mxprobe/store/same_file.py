"""Whether the file that is open is still the one of that name: else results would go where nobody finds them.

Whoever removes a database, moves it away or puts a copy in its place should end first who uses it
(https://sqlite.org/howtocorrupt.html#unlink). A service that runs for years sees that happen all the same. SQLite
itself does not notice: it writes to the file that it has open, which may have no name any more, and what lies beside
the name (`-wal`) would be taken for that of the file that has come there.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from mxprobe.errors import StoreError


def stay_with_the_file(engine: Engine, path: Path, shown: str) -> None:
    """Look before each transaction of an engine, which has one connection, whether its file is in its place.

    A transaction raises `StoreError` while the file is gone, and once when another has come; that one is opened for the
    next transaction, if it has the same schema.
    """
    known = _Known()

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        try:
            known.file = _file(path)
            schema = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            known.schema = known.schema or schema
            if schema != known.schema:
                raise StoreError(f"{shown}: the file that has taken its place has another schema; start mxprobe anew")
        except sqlite3.OperationalError as error:
            connection.close()
            if known.schema is None or "no such table" not in str(error):
                raise
            raise StoreError(f"{shown}: the file that has taken its place is no database of mxprobe") from error
        except BaseException:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        found = _file(path)
        if found == known.file:
            return
        if found is None:
            raise StoreError(f"{shown}: {path} is gone: it was removed, or moved away, while mxprobe had it open")
        # Its log goes into the old file, which may have another name by now, and is empty for the new one.
        with suppress(sqlite3.Error):
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        connection.invalidate()
        raise StoreError(f"{shown}: another file has taken the place of {path} while mxprobe had it open")


class _Known:
    """What the connection of an engine was opened on: the file by device and inode, the version of its schema."""

    file: tuple[int, int] | None = None
    schema: list[Any] | None = None


def _file(path: Path) -> tuple[int, int] | None:
    """None where there is none; where that cannot be told, SQLite will say why."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
