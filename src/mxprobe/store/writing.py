"""Writing rows, each in whatever transaction the caller is in: routes, endpoints, facts, certificates, once each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from mxprobe.facts import EndpointFacts
from mxprobe.routing.route import Route
from mxprobe.store import content, tables
from mxprobe.terms import Endpoint

K = TypeVar("K")

AT_ONCE = 400
"""Ids, or pairs of them, in one IN list; SQLite allows 999 parameters where it is old."""

_ROUTE = tables.JsonOf(Route)
_RETENTION_LOCK = 0x6D78707270756E65


def new_id(connection: Connection, statement: Insert) -> int:
    """Insert one row; the number that the database gave it."""
    (id,) = connection.execute(statement).inserted_primary_key or (None,)
    assert isinstance(id, int), "every table with a new id has an integer key"
    return id


def batches(keys: Iterable[K]) -> Iterator[tuple[K, ...]]:
    """The keys, some at a time."""
    rest = iter(keys)
    while some := tuple(islice(rest, AT_ONCE)):
        yield some


def against_retention(connection: Connection, *, removes: bool = False) -> None:
    """Wait until nobody takes away, to the end of this transaction, what we found to be there; or, taking away, until
    nobody adds. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock if removes else func.pg_advisory_xact_lock_shared
        connection.execute(select(lock(_RETENTION_LOCK)))


def add_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet, also when somebody else inserts it at this moment."""
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def route_id(connection: Connection, route: Route, endpoints: tuple[Endpoint, ...]) -> int:
    """The row of a route that leads to these endpoints, in order; made where there is none yet."""
    document = json.dumps([_ROUTE.text(route), [astuple(each) for each in endpoints]])
    sha256 = hashlib.sha256(document.encode()).hexdigest()
    table = tables.route
    wanted = select(table.c.id).where(table.c.sha256 == sha256)
    found = connection.execute(wanted).scalar_one_or_none()
    if found is not None:
        return int(found)
    ids = endpoint_ids(connection, endpoints)
    known = route.error is None or not route.error.temporary
    add_new(connection, table, [{"sha256": sha256, "known": known, "document": route}])
    id = int(connection.execute(wanted).scalar_one())
    rows = [{"route_id": id, "endpoint_id": ids[each], "position": n} for n, each in enumerate(endpoints)]
    add_new(connection, tables.route_endpoint, rows)
    return id


def endpoint_ids(connection: Connection, endpoints: Iterable[Endpoint]) -> dict[Endpoint, int]:
    """The rows of endpoints, made where there are none yet, in an order that all writers keep: none waits for another
    that waits for it."""
    found: dict[Endpoint, int] = {}
    column = tables.endpoint.c
    for endpoint in sorted(set(endpoints)):
        names = {"host": endpoint.host, "address": endpoint.address, "port": endpoint.port, "service": endpoint.service}
        wanted = select(column.id).where(*(column[name] == value for name, value in names.items()))
        id = connection.execute(wanted).scalar_one_or_none()
        if id is None:
            add_new(connection, tables.endpoint, [names])
            id = connection.execute(wanted).scalar_one()
        found[endpoint] = int(id)
    return found


def add_probe(
    connection: Connection, scan_id: int, endpoint: Endpoint, facts: EndpointFacts, certificates: Mapping[str, bytes]
) -> None:
    """Keep what was seen at an endpoint; facts that the scan has for it already stay."""
    text, document = content.document_of(facts)
    sha256 = content.digest(document)
    (endpoint_id,) = endpoint_ids(connection, (endpoint,)).values()
    table = tables.facts
    wanted = select(table.c.id, table.c.document).where(table.c.sha256 == sha256)
    kept = connection.execute(wanted).one_or_none()
    if kept is None:
        row = {"sha256": sha256, "known": content.is_known(document), "document": text}
        add_new(connection, table, [row])
        kept = connection.execute(wanted).one()
    row = {
        "scan_id": scan_id,
        "endpoint_id": endpoint_id,
        "facts_id": kept.id,
        "swept": facts.sweep in ("swept", "same-as"),
        "changes": content.changes(document, json.loads(kept.document), endpoint),
    }
    add_new(connection, tables.probe, [row])
    _add_certificates(connection, kept.id, content.certificates_of(document), certificates)


def _add_certificates(
    connection: Connection, facts_id: int, named: frozenset[str], certificates: Mapping[str, bytes]
) -> None:
    links, der = tables.facts_certificate, tables.certificate
    linked = set(connection.execute(select(links.c.sha256).where(links.c.facts_id == facts_id)).scalars())
    missing = sorted((named | certificates.keys()) - linked)
    add_new(connection, links, [{"facts_id": facts_id, "sha256": each} for each in missing])
    known = {
        sha256
        for some in batches(certificates)
        for sha256 in connection.execute(select(der.c.sha256).where(der.c.sha256.in_(some))).scalars()
    }
    new = sorted(certificates.keys() - known)
    add_new(connection, der, [{"sha256": each, "der": certificates[each]} for each in new])


def add_scan(connection: Connection, **values: Any) -> int:
    """A new row of `scan`."""
    return new_id(connection, insert(tables.scan).values(**values))
