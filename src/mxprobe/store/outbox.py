"""The outbox: what is to be told to whom, one row for each message and target, kept until it was told or given up.

Rows are written in the transaction of what they tell, so that none is lost with a process; whoever sends one holds it
by a lease, which ends by itself. So each message is delivered at least once, always under the same key.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, or_, select, update

from mxprobe.store import tables, writing
from mxprobe.store.opening import Database
from mxprobe.store.work import AlertStanding, Delivery, GroupStanding, NewDelivery

SENT = "sent"
GIVEN_UP = "given-up"
SUPERSEDED = "superseded"

FARTHEST = timedelta(hours=24)
"""A row that waits for longer than this was written by a clock that has been set back since; it is due now."""


class Outbox:
    """The part of the store that keeps what is to be told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enqueue(self, deliveries: Iterable[NewDelivery]) -> None:
        """Keep what is to be told, without an event beside it. What has a key that is there already stays as it is."""
        rows = tuple(deliveries)
        await self._database.transact(lambda connection: add_deliveries(connection, rows))

    async def supersede(self, keys: Iterable[str], delivery: NewDelivery) -> bool:
        """Put one message in the place of others; False, and nothing is changed, if one of them was begun, or is not
        there: then each goes on by itself."""
        wanted, column = sorted(set(keys)), tables.delivery.c

        def work(connection: Connection) -> bool:
            untouched = and_(column.done_at.is_(None), column.attempts == 0, column.lease_until.is_(None))
            ids: list[int] = []
            for some in writing.batches(wanted):
                free = select(column.id).where(column.key.in_(some), untouched).order_by(column.id).with_for_update()
                ids += connection.execute(free).scalars()
            if len(ids) < len(wanted):
                return False
            for few in writing.batches(ids):
                values = {"done_at": delivery.created_at, "outcome": SUPERSEDED}
                connection.execute(update(tables.delivery).where(column.id.in_(few)).values(**values))
            add_deliveries(connection, (delivery,))
            return True

        return await self._database.transact(work)

    async def has_delivery(self, key: str) -> bool:
        """Whether a message of this key is, or was, in the outbox."""
        wanted = select(tables.delivery.c.id).where(tables.delivery.c.key == key)
        return await self._database.transact(lambda connection: connection.execute(wanted).first() is not None)

    async def claim_delivery(self, alert: str, now: datetime, until: datetime, *, by: str) -> Delivery | None:
        """Take the message for a target that is due and nobody has; None where there is none.

        Those that are due go out in their order: an end is not told before its beginning."""
        table, column = tables.delivery, tables.delivery.c
        free = or_(column.lease_until.is_(None), column.lease_until <= now, column.lease_until > now + FARTHEST)
        is_due = or_(column.next_at <= now, column.next_at > now + FARTHEST)
        wanted = (
            select(table)
            .where(column.alert == alert, column.done_at.is_(None), is_due, free)
            .order_by(column.id)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite, which has no such words, has one writer at a time
        )

        def work(connection: Connection) -> Delivery | None:
            row = connection.execute(wanted).one_or_none()
            if row is None:
                return None
            held = {"lease_until": until, "leased_by": by}
            connection.execute(update(table).where(column.id == row.id).values(**held))
            return Delivery(
                id=row.id,
                key=row.key,
                alert=row.alert,
                document=row.document,
                created_at=row.created_at,
                attempts=row.attempts,
                lease_until=until,
                leased_by=by,
            )

        return await self._database.transact(work)

    async def delivered(self, delivery: Delivery, at: datetime) -> bool:
        """Say that a message was sent; False when somebody else holds it by now."""
        values = {"done_at": at, "outcome": SENT, "error": None, "attempts": delivery.attempts + 1}
        return await self._settle(delivery, values)

    async def postpone(self, delivery: Delivery, next_at: datetime, error: str) -> bool:
        """Say that an attempt has failed, and when the next is due; False when somebody else holds it by now."""
        return await self._settle(delivery, {"next_at": next_at, "error": error, "attempts": delivery.attempts + 1})

    async def give_up(self, delivery: Delivery, at: datetime, error: str) -> bool:
        """Say that a message is not tried again; False when somebody else holds it by now."""
        values = {"done_at": at, "outcome": GIVEN_UP, "error": error, "attempts": delivery.attempts + 1}
        return await self._settle(delivery, values)

    async def let_go(self, now: datetime, *, waiting_since: datetime, done_before: datetime) -> int:
        """Give up what waits since before a time, also for targets that are no more, and forget what was done before
        another; how many were given up."""
        table, column = tables.delivery, tables.delivery.c
        old = and_(column.done_at.is_(None), column.created_at < waiting_since)
        values = {"done_at": now, "outcome": GIVEN_UP, "lease_until": None, "leased_by": None}

        def work(connection: Connection) -> int:
            given_up = connection.execute(update(table).where(old).values(**values)).rowcount
            connection.execute(delete(table).where(column.done_at < done_before))
            return given_up

        return await self._database.transact(work)

    async def alert_standing(self, since: datetime) -> tuple[AlertStanding, ...]:
        """How each target fares, by name: what waits for it, and what became of the rest since a time."""
        column = tables.delivery.c
        waits = column.done_at.is_(None)
        lately = column.done_at >= since

        def count(*conditions: Any) -> Any:
            return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)

        moment = tables.Moment()
        wanted = (
            select(
                column.alert,
                count(waits).label("waiting"),
                count(waits, column.attempts > 0).label("failing"),
                count(lately, column.outcome == GIVEN_UP).label("given_up"),
                func.min(case((waits, column.created_at)), type_=moment).label("oldest"),
                func.max(case((column.outcome == SENT, column.done_at)), type_=moment).label("sent_at"),
            )
            .group_by(column.alert)
            .order_by(column.alert)
        )

        def work(connection: Connection) -> tuple[AlertStanding, ...]:
            return tuple(AlertStanding(**row) for row in connection.execute(wanted).mappings())

        return await self._database.transact(work)

    async def group_standing(self, now: datetime) -> tuple[GroupStanding, ...]:
        """How each group that is planned fares, by name: what is due and under way, and when something came of it."""
        due, target, scan = tables.due, tables.target, tables.scan
        last = (
            select(target.c.next_hop, func.max(scan.c.finished_at, type_=tables.Moment()).label("at"))
            .join(scan, scan.c.id == target.c.scan_id)
            .where(target.c.route_id.is_not(None))
            .group_by(target.c.next_hop)
            .subquery()
        )
        leased = due.c.lease_until > now
        is_due = and_(due.c.due_at <= now, or_(due.c.lease_until.is_(None), due.c.lease_until <= now))
        moment = tables.Moment()
        wanted = (
            select(
                due.c.group.label("name"),
                func.count().label("next_hops"),
                func.coalesce(func.sum(case((is_due, 1), else_=0)), 0).label("due"),
                func.coalesce(func.sum(case((leased, 1), else_=0)), 0).label("under_way"),
                func.coalesce(func.sum(case((last.c.at.is_(None), 1), else_=0)), 0).label("never"),
                func.min(case((is_due, due.c.due_at)), type_=moment).label("due_since"),
                func.max(last.c.at, type_=moment).label("last_result_at"),
            )
            .outerjoin(last, last.c.next_hop == due.c.next_hop)
            .group_by(due.c.group)
            .order_by(due.c.group)
        )

        def work(connection: Connection) -> tuple[GroupStanding, ...]:
            return tuple(GroupStanding(**row) for row in connection.execute(wanted).mappings())

        return await self._database.transact(work)

    async def last_result_at(self) -> datetime | None:
        """When the last scan, or look at a next-hop, ended; None where none has."""
        wanted = select(func.max(tables.scan.c.finished_at, type_=tables.Moment()))
        return await self._database.transact(lambda connection: connection.execute(wanted).scalar_one())

    async def first_scan_at(self) -> datetime | None:
        """When the oldest result that is still kept was begun; None where there is none."""
        wanted = select(func.min(tables.scan.c.started_at, type_=tables.Moment()))
        return await self._database.transact(lambda connection: connection.execute(wanted).scalar_one())

    async def memories(self, *, after: str = "", limit: int = 200) -> tuple[tuple[str, Any], ...]:
        """What is remembered of the first next-hops behind one, in the order of their names."""
        column = tables.memory.c
        wanted = select(tables.memory).where(column.next_hop > after).order_by(column.next_hop).limit(limit)
        return await self._database.transact(
            lambda connection: tuple((row.next_hop, row.document) for row in connection.execute(wanted))
        )

    async def _settle(self, delivery: Delivery, values: dict[str, Any]) -> bool:
        column = tables.delivery.c
        held = and_(
            column.id == delivery.id,
            column.done_at.is_(None),
            column.leased_by == delivery.leased_by,
            column.lease_until == delivery.lease_until,
        )
        statement = update(tables.delivery).where(held).values(lease_until=None, leased_by=None, **values)
        return await self._database.transact(lambda connection: connection.execute(statement).rowcount == 1)


def add_deliveries(connection: Connection, deliveries: Iterable[NewDelivery]) -> None:
    """Write rows of the outbox in whatever transaction the caller is in; those whose key is there already stay."""
    rows = [
        {
            "key": each.key,
            "alert": each.alert,
            "document": dict(each.document),
            "created_at": each.created_at,
            "next_at": each.next_at,
            "attempts": 0,
        }
        for each in sorted(deliveries, key=lambda delivery: delivery.key)
    ]
    writing.add_new(connection, tables.delivery, rows)
