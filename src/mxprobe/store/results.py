"""What is written during a scan, and what is read for a report: every query of the store, in the domain's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert, Row, Select, case, exists, func, insert, select, update

from mxprobe.facts import EndpointFacts, Report, Target
from mxprobe.routing.route import Route
from mxprobe.store import tables
from mxprobe.store.opening import Database
from mxprobe.store.scans import Scan
from mxprobe.terms import Endpoint

K = TypeVar("K")

_AT_ONCE = 500
"""Ids in one IN list; SQLite allows 999 parameters where it is old."""


class Store:
    """The results of scans. Every method is one transaction: when it returns, it is kept.

    `mxprobe.store.open_store` gives one. Every method raises `StoreError` when the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start_scan(self, started_at: datetime, targets: tuple[str, ...], settings_digest: str) -> Scan:
        """Begin a scan of these next-hops, each once, in this order."""
        targets = tuple(dict.fromkeys(targets))

        def work(connection: Connection) -> int:
            id = _new_id(connection, insert(tables.scan).values(started_at=started_at, settings_digest=settings_digest))
            if targets:
                connection.execute(
                    insert(tables.target),
                    [{"scan_id": id, "position": n, "next_hop": text} for n, text in enumerate(targets)],
                )
            return id

        id = await self._database.transact(work)
        return Scan(id=id, started_at=started_at, targets=targets, settings_digest=settings_digest)

    async def unfinished_scan(self, settings_digest: str, *, since: datetime) -> Scan | None:
        """The newest scan under these settings that began at `since` or later and has not been finished."""

        def work(connection: Connection) -> Scan | None:
            row = connection.execute(
                select(tables.scan)
                .where(
                    tables.scan.c.settings_digest == settings_digest,
                    tables.scan.c.finished_at.is_(None),
                    tables.scan.c.started_at >= since,
                )
                .order_by(tables.scan.c.id.desc())
                .limit(1)
            ).one_or_none()
            return None if row is None else _scan(connection, row)

        return await self._database.transact(work)

    async def save_route(self, scan: Scan, next_hop: str, route: Route, endpoints: Iterable[Endpoint]) -> None:
        """Keep what a next-hop of the scan resolves to, and the endpoints behind it, in order.

        An endpoint that another route has named is the same one, with its facts if it has some.
        """
        endpoints = tuple(dict.fromkeys(endpoints))

        def work(connection: Connection) -> None:
            target_id = connection.execute(
                update(tables.target)
                .where(tables.target.c.scan_id == scan.id, tables.target.c.next_hop == next_hop)
                .values(route=route)
                .returning(tables.target.c.id)
            ).scalar_one()
            links = tables.target_endpoint
            connection.execute(links.delete().where(links.c.target_id == target_id))
            for position, endpoint in enumerate(endpoints):
                endpoint_id = _endpoint_id(connection, scan, endpoint)
                connection.execute(
                    insert(links).values(target_id=target_id, endpoint_id=endpoint_id, position=position)
                )

        await self._database.transact(work)

    async def save_endpoint(
        self, scan: Scan, endpoint: Endpoint, facts: EndpointFacts, certificates: Mapping[str, bytes]
    ) -> None:
        """Keep what was seen at an endpoint, and the certificates (DER) under their SHA-256 in hex.

        Facts that the scan already has for the endpoint stay: the first to come is what the reports refer to.
        """

        def work(connection: Connection) -> None:
            connection.execute(
                update(tables.endpoint)
                .where(
                    tables.endpoint.c.id == _endpoint_id(connection, scan, endpoint),
                    tables.endpoint.c.facts.is_(None),
                )
                .values(facts=facts)
            )
            der = tables.certificate
            kept = {
                sha256
                for some in _batches(certificates)
                for sha256 in connection.execute(select(der.c.sha256).where(der.c.sha256.in_(some))).scalars()
            }
            if new := [{"sha256": key, "der": value} for key, value in certificates.items() if key not in kept]:
                connection.execute(insert(der), new)

        await self._database.transact(work)

    async def finish_scan(self, scan: Scan, finished_at: datetime) -> Scan:
        """Say that nothing is left to do in a scan."""

        def work(connection: Connection) -> Scan:
            row = connection.execute(
                update(tables.scan)
                .where(tables.scan.c.id == scan.id)
                .values(finished_at=finished_at)
                .returning(*tables.scan.c)
            ).one()
            return _scan(connection, row)

        return await self._database.transact(work)

    async def routes_of(self, scan: Scan) -> dict[str, Route]:
        """The routes that the scan has so far, by next-hop."""

        def work(connection: Connection) -> dict[str, Route]:
            rows = connection.execute(
                select(tables.target.c.next_hop, tables.target.c.route)
                .where(tables.target.c.scan_id == scan.id, tables.target.c.route.is_not(None))
                .order_by(tables.target.c.position)
            )
            return {row.next_hop: row.route for row in rows}

        return await self._database.transact(work)

    async def endpoints_of(self, scan: Scan) -> dict[Endpoint, EndpointFacts]:
        """The facts that the scan has so far, by endpoint."""

        def work(connection: Connection) -> dict[Endpoint, EndpointFacts]:
            rows = connection.execute(
                select(tables.endpoint)
                .where(tables.endpoint.c.scan_id == scan.id, tables.endpoint.c.facts.is_not(None))
                .order_by(tables.endpoint.c.id)
            )
            return {
                Endpoint(host=row.host, address=row.address, port=row.port, service=row.service): row.facts
                for row in rows
            }

        return await self._database.transact(work)

    async def since_sweep(self, endpoint: Endpoint, at_most: int) -> tuple[EndpointFacts, ...]:
        """What the last scans found at an endpoint, newest first, back to the one in which it was last swept in full.

        `at_most` so many are looked at.
        """
        column = tables.endpoint.c
        names = {"service": endpoint.service, "host": endpoint.host, "address": endpoint.address, "port": endpoint.port}
        newest = (
            select(column.facts)
            .where(*(column[name] == value for name, value in names.items()), column.facts.is_not(None))
            .order_by(column.scan_id.desc())
            .limit(at_most)
        )

        def work(connection: Connection) -> tuple[EndpointFacts, ...]:
            found: list[EndpointFacts] = []
            for facts in connection.execute(newest).scalars():
                found.append(facts)
                if facts.sweep in ("swept", "same-as"):
                    break
            return tuple(found)

        return await self._database.transact(work)

    async def report_of(self, scan: Scan) -> Report | None:
        """What one scan has found so far, in the order of its targets; None before its first route is known."""
        wanted = (
            select(tables.target)
            .where(tables.target.c.scan_id == scan.id, tables.target.c.route.is_not(None))
            .order_by(tables.target.c.position)
        )
        return await self._database.transact(lambda connection: _report(connection, connection.execute(wanted).all()))

    async def latest(self, next_hops: tuple[str, ...] | None = None) -> Report | None:
        """The newest that is known of each next-hop (as the user wrote it), or of every one that ever was scanned.

        That is the newest scan in which all its endpoints are known; only where there is none, the newest with some.
        Next-hops that were never scanned are left out; None when nothing is left. The targets come without verdicts.
        """

        def work(connection: Connection) -> Report | None:
            rows = connection.execute(_newest_targets()).all()
            if next_hops is not None:
                by_name = {row.next_hop: row for row in rows}
                rows = [by_name[text] for text in dict.fromkeys(next_hops) if text in by_name]
            return _report(connection, rows)

        return await self._database.transact(work)

    async def certificate(self, sha256: str) -> bytes | None:
        """The DER form of a certificate that some scan has seen, by its SHA-256 in hex."""
        der = tables.certificate

        def work(connection: Connection) -> bytes | None:
            return connection.execute(select(der.c.der).where(der.c.sha256 == sha256)).scalar_one_or_none()

        return await self._database.transact(work)


def _new_id(connection: Connection, statement: Insert) -> int:
    (id,) = connection.execute(statement).inserted_primary_key or (None,)
    assert isinstance(id, int), "every table with a new id has an integer key"
    return id


def _scan(connection: Connection, row: Row[Any]) -> Scan:
    targets = connection.execute(
        select(tables.target.c.next_hop).where(tables.target.c.scan_id == row.id).order_by(tables.target.c.position)
    ).scalars()
    return Scan(
        id=row.id,
        started_at=row.started_at,
        targets=tuple(targets),
        settings_digest=row.settings_digest,
        finished_at=row.finished_at,
    )


def _endpoint_id(connection: Connection, scan: Scan, endpoint: Endpoint) -> int:
    """The row of an endpoint in a scan, made where there is none yet."""
    column = tables.endpoint.c
    names = {
        "scan_id": scan.id,
        "service": endpoint.service,
        "host": endpoint.host,
        "address": endpoint.address,
        "port": endpoint.port,
    }
    found = connection.execute(
        select(column.id).where(*(column[name] == value for name, value in names.items()))
    ).scalar_one_or_none()
    return found if found is not None else _new_id(connection, insert(tables.endpoint).values(**names))


def _newest_targets() -> Select[Any]:
    """One row of `target` for each next-hop: complete before incomplete, then the newest scan."""
    target, links, endpoint = tables.target, tables.target_endpoint, tables.endpoint
    incomplete = exists().where(
        links.c.target_id == target.c.id, links.c.endpoint_id == endpoint.c.id, endpoint.c.facts.is_(None)
    )
    ranked = (
        select(
            target.c.id,
            func.row_number()
            .over(partition_by=target.c.next_hop, order_by=(case((incomplete, 1), else_=0), target.c.scan_id.desc()))
            .label("rank"),
        )
        .where(target.c.route.is_not(None))
        .subquery()
    )
    return (
        select(target)
        .join(ranked, ranked.c.id == target.c.id)
        .where(ranked.c.rank == 1)
        .order_by(target.c.scan_id.desc(), target.c.position)
    )


def _report(connection: Connection, targets: Sequence[Row[Any]]) -> Report | None:
    """The document of these rows of `target`. Its time is from the first to the last scan among them, and an
    endpoint that several of them share is counted once."""
    if not targets:
        return None
    links, endpoint = tables.target_endpoint, tables.endpoint
    behind: dict[int, list[int]] = {row.id: [] for row in targets}
    for some in _batches(behind):
        for link in connection.execute(
            select(links).where(links.c.target_id.in_(some)).order_by(links.c.target_id, links.c.position)
        ):
            behind[link.target_id].append(link.endpoint_id)
    facts: dict[int, EndpointFacts] = {}
    for ids in _batches(dict.fromkeys(id for some in behind.values() for id in some)):
        known = endpoint.c.id.in_(ids), endpoint.c.facts.is_not(None)
        facts.update((row.id, row.facts) for row in connection.execute(select(endpoint).where(*known)))
    scans = [
        row
        for some in _batches(dict.fromkeys(row.scan_id for row in targets))
        for row in connection.execute(select(tables.scan).where(tables.scan.c.id.in_(some)))
    ]
    return Report(
        started_at=min(row.started_at for row in scans),
        targets=tuple(
            Target(
                next_hop=row.next_hop,
                route=row.route,
                endpoints=tuple(facts[id] for id in behind[row.id] if id in facts),
            )
            for row in targets
        ),
        connections=sum(seen.connections for seen in facts.values()),
        elapsed_seconds=sum((row.finished_at - row.started_at).total_seconds() for row in scans if row.finished_at),
    )


def _batches(keys: Iterable[K]) -> Iterator[tuple[K, ...]]:
    rest = iter(keys)
    while some := tuple(islice(rest, _AT_ONCE)):
        yield some
