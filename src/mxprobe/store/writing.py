"""Writing rows, each in whatever transaction the caller is in: routes, endpoints, facts, certificates, once each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from functools import cache, lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert, Table, bindparam, func, insert, select
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
        connection.execute(_insert_new(table, connection.dialect.name), rows)


def route_id(connection: Connection, route: Route, endpoints: tuple[Endpoint, ...]) -> int:
    """The row of a route that leads to these endpoints, in order; made where there is none yet."""
    sha256 = _route_digest(route, endpoints)
    found = connection.execute(_ROUTE_ID, {"sha256": sha256}).scalar_one_or_none()
    if found is not None:
        return int(found)
    ids = endpoint_ids(connection, endpoints)
    known = route.error is None or not route.error.temporary
    add_new(connection, tables.route, [{"sha256": sha256, "known": known, "document": route}])
    id = int(connection.execute(_ROUTE_ID, {"sha256": sha256}).scalar_one())
    rows = [{"route_id": id, "endpoint_id": ids[each], "position": n} for n, each in enumerate(endpoints)]
    add_new(connection, tables.route_endpoint, rows)
    return id


def endpoint_ids(connection: Connection, endpoints: Iterable[Endpoint]) -> dict[Endpoint, int]:
    """The rows of endpoints, made where there are none yet, in an order that all writers keep: none waits for another
    that waits for it."""
    found: dict[Endpoint, int] = {}
    for endpoint in sorted(set(endpoints)):
        names = {"host": endpoint.host, "address": endpoint.address, "port": endpoint.port, "service": endpoint.service}
        id = connection.execute(_ENDPOINT_ID, names).scalar_one_or_none()
        if id is None:
            add_new(connection, tables.endpoint, [names])
            id = connection.execute(_ENDPOINT_ID, names).scalar_one()
        found[endpoint] = int(id)
    return found


def add_probe(
    connection: Connection, scan_id: int, endpoint: Endpoint, facts: EndpointFacts, certificates: Mapping[str, bytes]
) -> None:
    """Keep what was seen at an endpoint; facts that the scan has for it already stay."""
    (endpoint_id,) = endpoint_ids(connection, (endpoint,)).values()
    found = content.content_of(facts)
    kept = connection.execute(_FACTS, {"sha256": found.sha256}).one_or_none()
    if kept is None:
        text, _ = content.document_of(facts)
        add_new(connection, tables.facts, [{"sha256": found.sha256, "known": found.known, "document": text}])
        kept = connection.execute(_FACTS, {"sha256": found.sha256}).one()
    row = {
        "scan_id": scan_id,
        "endpoint_id": endpoint_id,
        "facts_id": kept.id,
        "swept": facts.sweep in ("swept", "same-as"),
        "changes": found.changes(kept.document, endpoint),
    }
    add_new(connection, tables.probe, [row])
    _add_certificates(connection, kept.id, found.certificates, certificates)


def _add_certificates(
    connection: Connection, facts_id: int, named: frozenset[str], certificates: Mapping[str, bytes]
) -> None:
    linked = {row.linked: row.known for row in connection.execute(_CERTIFICATES, {"facts_id": facts_id})}
    missing = sorted((named | certificates.keys()) - linked.keys())
    add_new(connection, tables.facts_certificate, [{"facts_id": facts_id, "sha256": each} for each in missing])
    new = sorted(each for each in certificates if linked.get(each) is None)
    add_new(connection, tables.certificate, [{"sha256": each, "der": certificates[each]} for each in new])


@cache
def _insert_new(table: Table, dialect: str) -> Insert:
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


@lru_cache(maxsize=content.REMEMBERED)
def _route_digest(route: Route, endpoints: tuple[Endpoint, ...]) -> str:
    document = json.dumps([_ROUTE.text(route), [astuple(each) for each in endpoints]])
    return hashlib.sha256(document.encode()).hexdigest()


# Statements that every result needs, made once: to make one takes as long as to run it.
_SCAN = insert(tables.scan)
_ROUTE_ID = select(tables.route.c.id).where(tables.route.c.sha256 == bindparam("sha256"))
_ENDPOINT_ID = select(tables.endpoint.c.id).where(
    *(tables.endpoint.c[name] == bindparam(name) for name in ("host", "address", "port", "service"))
)
_FACTS = select(tables.facts.c.id, tables.facts.c.document).where(tables.facts.c.sha256 == bindparam("sha256"))
_LINKS, _DER = tables.facts_certificate.c, tables.certificate.c
_CERTIFICATES = (
    select(_LINKS.sha256.label("linked"), _DER.sha256.label("known"))
    .outerjoin_from(tables.facts_certificate, tables.certificate, _LINKS.sha256 == _DER.sha256)
    .where(_LINKS.facts_id == bindparam("facts_id"))
)


def add_scan(connection: Connection, **values: Any) -> int:
    """A new row of `scan`."""
    (id,) = connection.execute(_SCAN, values).inserted_primary_key or (None,)
    assert isinstance(id, int), "a scan has an integer key"
    return id
