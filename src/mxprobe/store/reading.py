"""Reading what scans found: targets with their routes and facts, as of a time, one after the other, or as a report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, exists, func, select, tuple_

from mxprobe.facts import EndpointFacts, Report, Target
from mxprobe.routing.route import Route
from mxprobe.store import content, tables
from mxprobe.store.scans import Past, Scan
from mxprobe.store.writing import batches
from mxprobe.terms import Endpoint

_OF_ENDPOINT = (tables.endpoint.c.host, tables.endpoint.c.address, tables.endpoint.c.port, tables.endpoint.c.service)
FACTS = (*_OF_ENDPOINT, tables.facts.c.document, tables.probe.c.changes)
"""The columns that `facts_of` needs."""


def scan_of(connection: Connection, row: Row[Any]) -> Scan:
    """A scan with its targets, of a row of `scan`."""
    column = tables.target.c
    targets = connection.execute(select(column.next_hop).where(column.scan_id == row.id).order_by(column.position))
    return Scan(
        id=row.id,
        started_at=row.started_at,
        targets=tuple(targets.scalars()),
        settings_digest=row.settings_digest,
        finished_at=row.finished_at,
    )


def endpoint_of(row: Row[Any]) -> Endpoint:
    """The endpoint of a row of its four columns."""
    return Endpoint(host=row.host, address=row.address, port=row.port, service=row.service)


def facts_of(row: Row[Any]) -> EndpointFacts:
    """The facts of a row of `FACTS`."""
    return content.facts_of(row.document, row.changes, endpoint_of(row))


def probes() -> Select[Any]:
    """What was seen at endpoints, with `FACTS`."""
    return (
        select(*FACTS)
        .select_from(tables.probe)
        .join(tables.endpoint, tables.endpoint.c.id == tables.probe.c.endpoint_id)
        .join(tables.facts, tables.facts.c.id == tables.probe.c.facts_id)
    )


def incomplete() -> Any:
    """Whether a row of `target` leads to an endpoint that its scan has not probed."""
    target, links, probe = tables.target, tables.route_endpoint, tables.probe
    here = probe.c.scan_id == target.c.scan_id, probe.c.endpoint_id == links.c.endpoint_id
    probed = exists().where(*here).correlate(target, links)
    return exists().where(links.c.route_id == target.c.route_id, ~probed).correlate(target)


def newest_targets(at: datetime | None = None, next_hops: tuple[str, ...] | None = None) -> Select[Any]:
    """One row of `target` for each next-hop (of these): complete before incomplete, then the newest scan, begun by
    `at`."""
    target, scan = tables.target, tables.scan
    order = (case((incomplete(), 1), else_=0), scan.c.started_at.desc(), target.c.scan_id.desc())
    ranked = (
        select(
            target.c.scan_id,
            target.c.position,
            func.row_number().over(partition_by=target.c.next_hop, order_by=order).label("rank"),
        )
        .join(scan, scan.c.id == target.c.scan_id)
        .where(
            target.c.route_id.is_not(None),
            *(() if at is None else (scan.c.started_at <= at,)),
            *(() if next_hops is None else (target.c.next_hop.in_(next_hops),)),
        )
        .subquery()
    )
    same = and_(ranked.c.scan_id == target.c.scan_id, ranked.c.position == target.c.position)
    return (
        select(target).join(ranked, same).where(ranked.c.rank == 1).order_by(target.c.scan_id.desc(), target.c.position)
    )


def report(connection: Connection, targets: Sequence[Row[Any]]) -> Report | None:
    """The document of these rows of `target`. Its time is from the first to the last scan among them, and an
    endpoint that several of them share is counted once."""
    if not targets:
        return None
    found = _read(connection, targets)
    scans = [
        row
        for some in batches(dict.fromkeys(row.scan_id for row in targets))
        for row in connection.execute(select(tables.scan).where(tables.scan.c.id.in_(some)))
    ]
    return Report(
        started_at=min(row.started_at for row in scans),
        targets=tuple(found.target(row) for row in targets),
        connections=sum(seen.connections for seen in found.facts.values()),
        elapsed_seconds=sum((row.finished_at - row.started_at).total_seconds() for row in scans if row.finished_at),
    )


def past(connection: Connection, wanted: Select[Any]) -> tuple[Past, ...]:
    """What is to be read of targets, of rows of `target` with the times of their scans."""
    rows = connection.execute(wanted).all()
    found = _read(connection, rows)
    return tuple(
        Past(
            scan_id=row.scan_id,
            position=row.position,
            started_at=row.started_at,
            finished_at=row.finished_at,
            complete=found.is_complete(row),
            target=found.target(row),
        )
        for row in rows
    )


def past_targets() -> Select[Any]:
    """All rows of `target` that have a route, with the times of their scans."""
    target, scan = tables.target, tables.scan
    return (
        select(target, scan.c.started_at, scan.c.finished_at)
        .join(scan, scan.c.id == target.c.scan_id)
        .where(target.c.route_id.is_not(None))
    )


class _Read:
    """The routes and facts behind some rows of `target`."""

    def __init__(self) -> None:
        self.routes: dict[int, Route] = {}
        self.behind: dict[int, list[int]] = {}
        self.facts: dict[tuple[int, int], EndpointFacts] = {}

    def target(self, row: Row[Any]) -> Target:
        seen = (self.facts.get((row.scan_id, id)) for id in self.behind[row.route_id])
        return Target(
            next_hop=row.next_hop,
            route=self.routes[row.route_id],
            endpoints=tuple(facts for facts in seen if facts is not None),
        )

    def is_complete(self, row: Row[Any]) -> bool:
        return all((row.scan_id, id) in self.facts for id in self.behind[row.route_id])


def _read(connection: Connection, targets: Sequence[Row[Any]]) -> _Read:
    read = _Read()
    route, links, probe = tables.route, tables.route_endpoint, tables.probe
    for ids in batches(dict.fromkeys(row.route_id for row in targets)):
        for row in connection.execute(select(route.c.id, route.c.document).where(route.c.id.in_(ids))):
            read.routes[row.id] = row.document
            read.behind[row.id] = []
        behind = select(links).where(links.c.route_id.in_(ids)).order_by(links.c.route_id, links.c.position)
        for row in connection.execute(behind):
            read.behind[row.route_id].append(row.endpoint_id)
    keys = dict.fromkeys((row.scan_id, id) for row in targets for id in read.behind[row.route_id])
    wanted = probes().add_columns(probe.c.scan_id, probe.c.endpoint_id)
    for pairs in batches(keys):
        here = wanted.where(tuple_(probe.c.scan_id, probe.c.endpoint_id).in_(pairs))
        for seen in connection.execute(here):
            read.facts[seen.scan_id, seen.endpoint_id] = facts_of(seen)
    return read
