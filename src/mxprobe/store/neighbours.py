"""The next-hops whose mail goes to the same endpoints: what befalls one of these concerns them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from mxprobe.store import tables, writing
from mxprobe.store.outbox import Outbox
from mxprobe.terms import Endpoint


class Neighbours(Outbox):
    """The part of the store that knows who else is concerned."""

    async def neighbours(self, struck: Mapping[Endpoint, str], now: datetime, limit: int) -> tuple[str, ...]:
        """The next-hops that are planned for later than `now`, and whose last look found something else at one of these
        endpoints than the last look of the next-hop that is given with it. At most `limit`.

        Whoever found the same, or was told of the same there last, knows it, and is not among them. (One that breaks
        off connections does it now in this way and now in that: such facts are not alike, and no news.)
        """
        if not struck:
            return ()
        due, own = tables.due, tables.probe.alias()
        there = or_(*(_found_otherwise(own, due.c.next_hop, each, next_hop) for each, next_hop in struck.items()))
        concerned = exists().where(own.c.scan_id == _newest_scan(due.c.next_hop), there).correlate(due)
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


def _found_otherwise(own: Any, own_next_hop: Any, endpoint: Endpoint, next_hop: str) -> Any:
    """Whether a row of `probe` is of this endpoint, and has other facts than the last look of a next-hop found; and
    whether the last event there was another one, too."""
    table, first = tables.endpoint, tables.probe.alias()
    known = select(table.c.id).where(
        table.c.host == endpoint.host,
        table.c.address == endpoint.address,
        table.c.port == endpoint.port,
        table.c.service == endpoint.service,
    )
    id = known.scalar_subquery()
    facts = select(first.c.facts_id).where(first.c.endpoint_id == id, first.c.scan_id == _newest_scan(next_hop))
    return and_(
        own.c.endpoint_id == id,
        own.c.facts_id != facts.scalar_subquery(),
        _last_kind(own_next_hop, endpoint) != _last_kind(next_hop, endpoint),
    )


def _last_kind(next_hop: Any, endpoint: Endpoint) -> Any:
    """The kind of the last event of a next-hop at an endpoint; empty where there was none."""
    event = tables.event.alias()
    kind = select(event.c.kind).where(event.c.next_hop == next_hop, event.c.endpoint == str(endpoint))
    last = kind.order_by(event.c.id.desc()).limit(1)
    return func.coalesce((last if isinstance(next_hop, str) else last.correlate(tables.due)).scalar_subquery(), "")


def _newest_scan(next_hop: Any) -> Any:
    """The last scan with a result of a next-hop, as a column or a text."""
    target = tables.target.alias()
    newest = select(func.max(target.c.scan_id)).where(target.c.next_hop == next_hop, target.c.route_id.is_not(None))
    return (newest if isinstance(next_hop, str) else newest.correlate(tables.due)).scalar_subquery()
