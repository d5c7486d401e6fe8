"""What is written during a scan, and what is read for a report: the store, in the domain's words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, bindparam, insert, literal, select, tuple_, update

from mxprobe.facts import EndpointFacts, Report
from mxprobe.routing.route import Route
from mxprobe.store import reading, retention, tables, writing
from mxprobe.store.duties import Duties
from mxprobe.store.scans import Past, Pruned, Scan
from mxprobe.terms import Endpoint

_PAST_AT_ONCE = 100
"""Results of next-hops that are read in one transaction: a megabyte or two."""


class Store(Duties):
    """The results of scans. Every method is one transaction, unless it says otherwise: when it returns, it is kept.

    `mxprobe.store.open_store` gives one. Every method raises `StoreError` when the database fails.
    """

    async def start_scan(self, started_at: datetime, targets: tuple[str, ...], settings_digest: str) -> Scan:
        """Begin a scan of these next-hops, each once, in this order."""
        targets = tuple(dict.fromkeys(targets))

        def work(connection: Connection) -> int:
            id = writing.add_scan(connection, started_at=started_at, settings_digest=settings_digest)
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
            return None if row is None else reading.scan_of(connection, row)

        return await self._database.transact(work)

    async def save_route(self, scan: Scan, next_hop: str, route: Route, endpoints: Iterable[Endpoint]) -> None:
        """Keep what a next-hop of the scan resolves to, and the endpoints behind it, in order.

        An endpoint that another route has named is the same one, with its facts if it has some.
        """
        endpoints = tuple(dict.fromkeys(endpoints))
        target = tables.target

        def work(connection: Connection) -> None:
            writing.against_retention(connection)
            connection.execute(
                update(target)
                .where(target.c.scan_id == scan.id, target.c.next_hop == next_hop)
                .values(route_id=writing.route_id(connection, route, endpoints))
            )

        await self._database.transact(work)

    async def save_endpoint(
        self, scan: Scan, endpoint: Endpoint, facts: EndpointFacts, certificates: Mapping[str, bytes]
    ) -> None:
        """Keep what was seen at an endpoint, and the certificates (DER) under their SHA-256 in hex.

        Facts that the scan already has for the endpoint stay: the first to come is what the reports refer to.
        """

        def work(connection: Connection) -> None:
            writing.against_retention(connection)
            writing.add_probe(connection, scan.id, endpoint, facts, certificates)

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
            return reading.scan_of(connection, row)

        return await self._database.transact(work)

    async def routes_of(self, scan: Scan) -> dict[str, Route]:
        """The routes that the scan has so far, by next-hop."""
        target, route = tables.target, tables.route

        def work(connection: Connection) -> dict[str, Route]:
            rows = connection.execute(
                select(target.c.next_hop, route.c.document)
                .join(route, route.c.id == target.c.route_id)
                .where(target.c.scan_id == scan.id)
                .order_by(target.c.position)
            )
            return {row.next_hop: row.document for row in rows}

        return await self._database.transact(work)

    async def endpoints_of(self, scan: Scan) -> dict[Endpoint, EndpointFacts]:
        """The facts that the scan has so far, by endpoint."""
        probe = tables.probe.c
        wanted = reading.probes().where(probe.scan_id == scan.id).order_by(probe.endpoint_id)

        def work(connection: Connection) -> dict[Endpoint, EndpointFacts]:
            return {reading.endpoint_of(row): reading.facts_of(row) for row in connection.execute(wanted)}

        return await self._database.transact(work)

    async def since_sweep(self, endpoint: Endpoint, at_most: int) -> tuple[EndpointFacts, ...]:
        """What the last scans found at an endpoint, newest first, back to the one in which it was last swept in full.

        `at_most` so many are looked at.
        """
        column, probe = tables.endpoint.c, tables.probe.c
        names = {"service": endpoint.service, "host": endpoint.host, "address": endpoint.address, "port": endpoint.port}
        newest = (
            reading.probes()
            .where(*(column[name] == value for name, value in names.items()))
            .order_by(probe.scan_id.desc())
            .limit(at_most)
        ).add_columns(probe.swept)

        def work(connection: Connection) -> tuple[EndpointFacts, ...]:
            found: list[EndpointFacts] = []
            for row in connection.execute(newest):
                found.append(reading.facts_of(row))
                if row.swept:
                    break
            return tuple(found)

        return await self._database.transact(work)

    async def last_known(self, endpoint: Endpoint, at_most: int) -> tuple[EndpointFacts, ...]:
        """What was found at an endpoint, newest first, back to the first that says anything of a sweep, whether it was
        made or confirmed then.

        `at_most` so many are looked at. What several next-hops have in common was found once, and counts once.
        """
        key = {"service": endpoint.service, "host": endpoint.host, "address": endpoint.address, "port": endpoint.port}

        def work(connection: Connection) -> tuple[EndpointFacts, ...]:
            found: list[EndpointFacts] = []
            before, changes = _NO_SCAN_YET, ""
            while len(found) < at_most:
                row = connection.execute(_NEWEST, {**key, "before": before, "other": changes}).one_or_none()
                if row is None:
                    break
                found.append(reading.facts_of(row))
                if found[-1].sweep is not None:
                    break
                before, changes = row.scan_id, row.changes
            return tuple(found)

        return await self._database.transact(work)

    async def report_of(self, scan: Scan) -> Report | None:
        """What one scan has found so far, in the order of its targets; None before its first route is known."""
        column = tables.target.c
        wanted = (
            select(tables.target)
            .where(column.scan_id == scan.id, column.route_id.is_not(None))
            .order_by(column.position)
        )
        return await self._database.transact(
            lambda connection: reading.report(connection, connection.execute(wanted).all())
        )

    async def latest(self, next_hops: tuple[str, ...] | None = None, *, at: datetime | None = None) -> Report | None:
        """The newest that is known of each next-hop (as the user wrote it), or of every one that ever was scanned.

        That is the newest scan in which all its endpoints are known; only where there is none, the newest with some.
        With `at`, only scans that had begun by then count. Next-hops that were never scanned are left out; None when
        nothing is left. The targets come without verdicts.
        """

        def work(connection: Connection) -> Report | None:
            if next_hops is None:
                return reading.report(connection, connection.execute(reading.newest_targets(at)).all())
            by_name = {
                row.next_hop: row
                for some in writing.batches(dict.fromkeys(next_hops))
                for row in connection.execute(reading.newest_targets(at, some))
            }
            return reading.report(connection, [by_name[text] for text in dict.fromkeys(next_hops) if text in by_name])

        return await self._database.transact(work)

    async def past(
        self, next_hop: str, *, until: datetime | None = None, newest_first: bool = False
    ) -> AsyncIterator[Past]:
        """All that scans found at a next-hop, one after the other by the time they began (by `until`).

        Read some at a time, each in a transaction of its own.
        """
        target, scan = tables.target, tables.scan
        key = tuple_(scan.c.started_at, target.c.scan_id)
        wanted = reading.past_targets().where(target.c.next_hop == next_hop).limit(_PAST_AT_ONCE)
        if until is not None:
            wanted = wanted.where(scan.c.started_at <= until)
        if newest_first:
            wanted = wanted.order_by(scan.c.started_at.desc(), target.c.scan_id.desc())
        else:
            wanted = wanted.order_by(scan.c.started_at, target.c.scan_id)
        page = wanted
        while found := await self._database.transact(partial(reading.past, wanted=page)):
            for each in found:
                yield each
            last = tuple_(literal(found[-1].started_at, tables.Moment), found[-1].scan_id)
            page = wanted.where(key < last if newest_first else key > last)

    async def everything(self, *, since: datetime | None = None) -> AsyncIterator[Past]:
        """All that all scans found, scan by scan in the order in which they were begun, from `since` on.

        Read some at a time, each in a transaction of its own.
        """
        target, scan = tables.target, tables.scan
        wanted = reading.past_targets().order_by(target.c.scan_id, target.c.position).limit(_PAST_AT_ONCE)
        if since is not None:
            wanted = wanted.where(scan.c.started_at >= since)
        page = wanted
        while found := await self._database.transact(partial(reading.past, wanted=page)):
            for each in found:
                yield each
            last = tuple_(found[-1].scan_id, found[-1].position)
            page = wanted.where(tuple_(target.c.scan_id, target.c.position) > last)

    async def prune(self, now: datetime, *, keep_days: int | None = None, keep_scans: int | None = None) -> Pruned:
        """Let go of results older than `keep_days`, and of more than `keep_scans` of a next-hop (None: no matter).

        What `mxprobe.store.retention` says stays. Many short transactions, so that others can write in between.
        """
        if keep_days is None and keep_scans is None:
            return Pruned()
        gone, last = Pruned(), ""
        while next_hops := await self._database.transact(partial(retention.next_hops_after, last=last)):
            some = await self._database.transact(
                partial(retention.prune, next_hops=next_hops, now=now, keep_days=keep_days, keep_scans=keep_scans)
            )
            gone = Pruned(
                targets=gone.targets + some.targets,
                probes=gone.probes + some.probes,
                facts=gone.facts + some.facts,
                certificates=gone.certificates + some.certificates,
            )
            last = next_hops[-1]
        return gone

    async def next_hops(self) -> tuple[str, ...]:
        """Every next-hop of which something is known, in the order of their names."""
        column = tables.target.c
        wanted = select(column.next_hop).where(column.route_id.is_not(None)).distinct().order_by(column.next_hop)
        return await self._database.transact(lambda connection: tuple(connection.execute(wanted).scalars()))

    async def certificate(self, sha256: str) -> bytes | None:
        """The DER form of a certificate that some scan has seen, by its SHA-256 in hex."""
        der = tables.certificate

        def work(connection: Connection) -> bytes | None:
            return connection.execute(select(der.c.der).where(der.c.sha256 == sha256)).scalar_one_or_none()

        return await self._database.transact(work)


_NO_SCAN_YET = (1 << 63) - 1
"""More than the number of any scan."""

# Of many rows of one observation, by one next-hop each, the database gives the first.
_NEWEST = (
    reading.probes()
    .add_columns(tables.probe.c.scan_id)
    .where(*(tables.endpoint.c[name] == bindparam(name) for name in ("service", "host", "address", "port")))
    .where(tables.probe.c.scan_id < bindparam("before"), tables.probe.c.changes != bindparam("other"))
    .order_by(tables.probe.c.scan_id.desc())
    .limit(1)
)
