"""The next-hops whose mail goes to the same endpoints: what befalls one of these concerns them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from mxprobe.store import tables, writing
from mxprobe.store.outbox import Outbox
from mxprobe.terms import Endpoint


class Neighbours(Outbox):
    """The part of the store that knows who else is concerned."""

    async def neighbours(self, struck: Mapping[Endpoint, datetime], now: datetime, limit: int) -> tuple[str, ...]:
        """The next-hops that are planned for later than `now`, and whose last look led to one of these endpoints and
        ended before the time given with it: they do not know yet what was seen there then. At most `limit`."""
        if not struck:
            return ()
        due, target, links = tables.due, tables.target, tables.route_endpoint
        endpoint, scan = tables.endpoint, tables.scan
        other = target.alias()
        newest = (
            select(func.max(other.c.scan_id))
            .where(other.c.next_hop == due.c.next_hop, other.c.route_id.is_not(None))
            .correlate(due)
            .scalar_subquery()
        )

        def behind(each: Endpoint, at: datetime) -> object:
            own = select(endpoint.c.id).where(
                endpoint.c.host == each.host,
                endpoint.c.address == each.address,
                endpoint.c.port == each.port,
                endpoint.c.service == each.service,
            )
            routes = select(links.c.route_id).where(links.c.endpoint_id == own.scalar_subquery())
            return and_(target.c.route_id.in_(routes), scan.c.finished_at < at)

        concerned = (
            exists()
            .where(
                target.c.next_hop == due.c.next_hop,
                target.c.scan_id == newest,
                scan.c.id == target.c.scan_id,
                or_(*(behind(each, at) for each, at in struck.items())),  # type: ignore[arg-type]
            )
            .correlate(due)
        )
        wanted = select(due.c.next_hop).where(due.c.due_at > now, concerned).order_by(due.c.next_hop).limit(limit)
        return await self._database.transact(lambda connection: tuple(connection.execute(wanted.distinct()).scalars()))

    async def hasten(self, group: str, next_hops: Iterable[str], at: datetime) -> tuple[str, ...]:
        """Have next-hops of a group due at a time already, where they are due later and nobody has them; which ones."""
        table = tables.due
        free = or_(table.c.lease_until.is_(None), table.c.lease_until <= at)

        def work(connection: Connection) -> tuple[str, ...]:
            found: list[str] = []
            for some in writing.batches(sorted(next_hops)):
                here = and_(table.c.group == group, table.c.next_hop.in_(some), table.c.due_at > at, free)
                names = connection.execute(select(table.c.next_hop).where(here).with_for_update()).scalars().all()
                if names:
                    moved = and_(table.c.group == group, table.c.next_hop.in_(names))
                    connection.execute(update(table).where(moved).values(due_at=at))
                    found += names
            return tuple(found)

        return await self._database.transact(work)
