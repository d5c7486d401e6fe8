"""Letting go of old results, by age and by count, but never of the last that is known of a next-hop or an endpoint.

A result goes when it is too old, or when there are enough newer ones of its next-hop. There stay all the same: the
newest of a next-hop, the newest that is complete, and the newest in which its route and something behind it was known;
of an endpoint its newest result, the newest that is known, and all since its last full sweep, which say when the next
is due.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, delete, exists, func, or_, select, tuple_

from mxprobe.store import tables
from mxprobe.store.reading import incomplete
from mxprobe.store.scans import Pruned
from mxprobe.store.writing import against_retention, batches

NEXT_HOPS_AT_ONCE = 100
"""Next-hops in one transaction: some hundredths of a second, in which nobody else writes."""

UNFINISHED_FOR = timedelta(hours=24)
"""A scan that is unfinished may be resumed for so long; until then all of it stays."""

SWEPT_WITHIN = 100
"""The last full sweep of an endpoint is among so many results at most (`probe.full_every`), or is not looked for."""


def next_hops_after(connection: Connection, last: str) -> tuple[str, ...]:
    """Some next-hops that have results, in their order, behind one of them."""
    column = tables.target.c.next_hop
    wanted = select(column).distinct().where(column > last).order_by(column).limit(NEXT_HOPS_AT_ONCE)
    return tuple(connection.execute(wanted).scalars())


def prune(
    connection: Connection,
    next_hops: tuple[str, ...],
    now: datetime,
    *,
    keep_days: int | None,
    keep_scans: int | None,
) -> Pruned:
    """Let go of what is too old, or too much, of these next-hops, and of what nothing refers to any more."""
    against_retention(connection, removes=True)
    rows = _ranked(connection, next_hops, now, keep_days=keep_days, keep_scans=keep_scans)
    gone = [row for row in rows if row.goes]
    endpoints = _endpoints_behind(connection, {row.route_id for row in rows if row.route_id is not None})
    target = tables.target
    for some in batches([(row.scan_id, row.position) for row in gone]):
        connection.execute(delete(target).where(tuple_(target.c.scan_id, target.c.position).in_(some)))
    probes = _without_target(connection, endpoints, now)
    probe = tables.probe
    for some in batches([(row.scan_id, row.endpoint_id) for row in probes]):
        connection.execute(delete(probe).where(tuple_(probe.c.scan_id, probe.c.endpoint_id).in_(some)))
    facts, certificates = _remove_orphans_of_facts(connection, {row.facts_id for row in probes})
    _remove_orphans_of_routes(connection, {row.route_id for row in gone if row.route_id is not None})
    _remove_empty_scans(connection, {row.scan_id for row in gone} | {row.scan_id for row in probes})
    return Pruned(targets=len(gone), probes=len(probes), facts=facts, certificates=certificates)


def _ranked(
    connection: Connection, next_hops: tuple[str, ...], now: datetime, *, keep_days: int | None, keep_scans: int | None
) -> list[Any]:
    """All rows of `target` of these next-hops, with whether each `goes`."""
    target, scan, route, links = tables.target, tables.scan, tables.route, tables.route_endpoint
    probe, facts = tables.probe, tables.facts
    leads = exists().where(links.c.route_id == target.c.route_id).correlate(target)
    seen = (
        exists()
        .where(
            links.c.route_id == target.c.route_id,
            probe.c.scan_id == target.c.scan_id,
            probe.c.endpoint_id == links.c.endpoint_id,
            facts.c.id == probe.c.facts_id,
            facts.c.known,
        )
        .correlate(target)
    )
    resolved = target.c.route_id.is_not(None)

    def place(*first: Any) -> Any:
        order = (*(each.desc() for each in first), scan.c.started_at.desc(), target.c.scan_id.desc())
        return func.row_number().over(partition_by=target.c.next_hop, order_by=order)

    ranked = (
        select(
            target.c.scan_id,
            target.c.position,
            target.c.route_id,
            scan.c.started_at,
            scan.c.finished_at,
            place().label("newest"),
            place(and_(resolved, ~incomplete())).label("newest_complete"),
            place(and_(resolved, route.c.known, or_(~leads, seen))).label("newest_known"),
        )
        .join(scan, scan.c.id == target.c.scan_id)
        .outerjoin(route, route.c.id == target.c.route_id)
        .where(target.c.next_hop.in_(next_hops))
        .subquery()
    )
    too_old = [] if keep_days is None else [ranked.c.started_at < now - timedelta(days=keep_days)]
    too_many = [] if keep_scans is None else [ranked.c.newest > keep_scans]
    goes = and_(
        or_(*too_old, *too_many),
        ranked.c.newest > 1,
        ranked.c.newest_complete > 1,
        ranked.c.newest_known > 1,
        _is_over(ranked, now),
    )
    return list(connection.execute(select(ranked, goes.label("goes"))))


def _endpoints_behind(connection: Connection, routes: Iterable[int]) -> set[int]:
    links = tables.route_endpoint
    found: set[int] = set()
    for some in batches(sorted(routes)):
        found.update(connection.execute(select(links.c.endpoint_id).where(links.c.route_id.in_(some))).scalars())
    return found


def _without_target(connection: Connection, endpoints: Iterable[int], now: datetime) -> list[Any]:
    """The results of these endpoints that no result of a next-hop leads to, and that nothing else needs either."""
    probe, facts, scan = tables.probe, tables.facts, tables.scan
    target, links = tables.target, tables.route_endpoint
    led_to = (
        exists()
        .where(
            links.c.endpoint_id == probe.c.endpoint_id,
            target.c.route_id == links.c.route_id,
            target.c.scan_id == probe.c.scan_id,
        )
        .correlate(probe)
    )

    def newest(condition: Any) -> Any:
        return func.max(case((condition, probe.c.scan_id))).over(partition_by=probe.c.endpoint_id)

    found: list[Any] = []
    for some in batches(sorted(endpoints)):
        place = func.row_number().over(partition_by=probe.c.endpoint_id, order_by=probe.c.scan_id.desc())
        ranked = (
            select(
                probe.c.scan_id,
                probe.c.endpoint_id,
                probe.c.facts_id,
                scan.c.started_at,
                scan.c.finished_at,
                led_to.label("led_to"),
                place.label("place"),
                newest(facts.c.known).label("newest_known"),
                newest(probe.c.swept).label("newest_swept"),
            )
            .join(facts, facts.c.id == probe.c.facts_id)
            .join(scan, scan.c.id == probe.c.scan_id)
            .where(probe.c.endpoint_id.in_(some))
            .subquery()
        )
        id = ranked.c.scan_id
        goes = and_(
            ~ranked.c.led_to,
            ranked.c.place > 1,
            id != func.coalesce(ranked.c.newest_known, 0),
            or_(id < func.coalesce(ranked.c.newest_swept, id + 1), ranked.c.place > SWEPT_WITHIN),
            _is_over(ranked, now),
        )
        found += connection.execute(select(id, ranked.c.endpoint_id, ranked.c.facts_id).where(goes)).all()
    return found


def _is_over(ranked: Any, now: datetime) -> Any:
    """Whether a scan is not going to be resumed."""
    return or_(ranked.c.finished_at.is_not(None), ranked.c.started_at < now - UNFINISHED_FOR)


def _remove_orphans_of_facts(connection: Connection, ids: Iterable[int]) -> tuple[int, int]:
    facts, links, certificate = tables.facts, tables.facts_certificate, tables.certificate
    removed = names_removed = 0
    for some in batches(sorted(ids)):
        used = exists().where(tables.probe.c.facts_id == facts.c.id)
        gone = connection.execute(select(facts.c.id).where(facts.c.id.in_(some), ~used)).scalars().all()
        if not gone:
            continue
        names = connection.execute(select(links.c.sha256).distinct().where(links.c.facts_id.in_(gone))).scalars().all()
        connection.execute(delete(links).where(links.c.facts_id.in_(gone)))
        removed += connection.execute(delete(facts).where(facts.c.id.in_(gone))).rowcount
        for few in batches(names):
            named = exists().where(links.c.sha256 == certificate.c.sha256)
            orphans = delete(certificate).where(certificate.c.sha256.in_(few), ~named)
            names_removed += connection.execute(orphans).rowcount
    return removed, names_removed


def _remove_orphans_of_routes(connection: Connection, ids: Iterable[int]) -> None:
    route, links = tables.route, tables.route_endpoint
    for some in batches(sorted(ids)):
        used = exists().where(tables.target.c.route_id == route.c.id)
        gone = connection.execute(select(route.c.id).where(route.c.id.in_(some), ~used)).scalars().all()
        connection.execute(delete(links).where(links.c.route_id.in_(gone)))
        connection.execute(delete(route).where(route.c.id.in_(gone)))


def _remove_empty_scans(connection: Connection, ids: Iterable[int]) -> None:
    scan = tables.scan
    for some in batches(sorted(ids)):
        full = or_(
            exists().where(tables.target.c.scan_id == scan.c.id), exists().where(tables.probe.c.scan_id == scan.c.id)
        )
        connection.execute(delete(scan).where(scan.c.id.in_(some), ~full))
