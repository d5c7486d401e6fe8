"""The tables of procrastinate in our database: made when the first worker starts, and checked by every other.

They are no part of our migrations: procrastinate has its own. What is in them can be made again from `due` at any
time, so that nothing has to be carried over.
"""

from __future__ import annotations

import re

import psycopg

from mxprobe.errors import StoreError
from mxprobe.store.postgresql import Postgresql, error_words

_LOCK = 0x6D78707175657565


def make_queue_tables(url: str) -> None:
    """Make them where there are none; workers that start at once wait for each other.

    Raises:
        StoreError: they are of a procrastinate that does not go with the one that is installed, or the database fails.
    """
    from procrastinate import sql
    from procrastinate.schema import SchemaManager

    kind = Postgresql(url, read_only=False)
    # All functions and types that its queries name, with their versions: what an older schema does not have.
    needed = sorted({name for query in sql.queries.values() for name in re.findall(r"procrastinate_\w+_v\d+", query)})
    try:
        with psycopg.connect(**kind.arguments()) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            (there,) = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone() or (None,)
            if there is None:
                connection.execute(SchemaManager.get_schema().encode())
            missing = connection.execute(
                "SELECT name FROM unnest(%s::text[]) AS name"
                " WHERE to_regproc(name) IS NULL AND to_regtype(name) IS NULL",
                (needed,),
            ).fetchall()
    except psycopg.Error as error:
        raise StoreError(f"{kind.shown}: {error_words(error)}") from error
    if missing:
        raise StoreError(
            f"{kind.shown}: the tables procrastinate_* in it are of another version of procrastinate"
            f" ({missing[0][0]} is missing); while no worker runs, apply its migrations, or drop them all with their"
            " types and functions: workers make them anew, and nothing is lost"
        )
