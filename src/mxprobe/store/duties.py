"""What a service asks of the store: whose turn it is, and a target in one transaction with all that follows from it.

Work is claimed with a lease: whoever dies with it frees it by its time. Two never get the same, and a result is kept
only for whoever still holds the lease, in the same transaction that says when the next-hop is due again. So each turn
has one result, whenever a process is killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Delete,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from mxprobe.store import tables, writing
from mxprobe.store.handing_out import HandingOut
from mxprobe.store.neighbours import Neighbours
from mxprobe.store.outbox import add_deliveries
from mxprobe.store.work import KeptEvent, NewDelivery, TargetResult, Work


class Duties(HandingOut, Neighbours):
    """The part of the store that a service needs beside scans."""

    async def save_target(
        self,
        result: TargetResult,
        *,
        work: Work | None = None,
        next_due: datetime | None = None,
    ) -> bool:
        """Keep all that a look at a next-hop came to: route, endpoints, memory, events, and who is to be told of them,
        all or nothing.

        It becomes a finished scan of this one target. With `work`, the next-hop is done with and due again at
        `next_due` (None: never); if somebody else holds that work by now, nothing is kept, and the answer is False.
        """

        def save(connection: Connection) -> bool:
            if work is not None and not _end(connection, work, next_due):
                return False
            writing.against_retention(connection)
            scan_id = writing.add_scan(
                connection,
                started_at=result.started_at,
                finished_at=result.finished_at,
                settings_digest=result.settings_digest,
            )
            route_id = writing.route_id(connection, result.route, tuple(each.endpoint for each in result.endpoints))
            row = {"scan_id": scan_id, "position": 0, "next_hop": result.next_hop, "route_id": route_id}
            connection.execute(_TARGET, row)
            for each in sorted(result.endpoints, key=lambda probed: probed.endpoint):
                if each.facts is not None:
                    writing.add_probe(connection, scan_id, each.endpoint, each.facts, each.certificates)
            if result.memory is not None:
                _remember(connection, result.next_hop, result.memory)
            _add_events(connection, result.events)
            add_deliveries(connection, result.deliveries)
            return True

        return await self._database.transact(save)

    async def memory_of(self, next_hop: str) -> Mapping[str, Any] | None:
        """What was last remembered of a next-hop."""
        key = {"key": next_hop}
        return await self._database.transact(lambda connection: connection.execute(_MEMORY, key).scalar_one_or_none())

    async def add_events(self, events: Iterable[KeptEvent], *, deliveries: Iterable[NewDelivery] = ()) -> None:
        """Keep events that follow from something else than a look at their next-hop, and who is to be told of them."""
        events, to_tell = tuple(events), tuple(deliveries)

        def work(connection: Connection) -> None:
            _add_events(connection, events)
            add_deliveries(connection, to_tell)

        await self._database.transact(work)

    async def events(
        self, next_hop: str | None = None, *, since: datetime | None = None, after: int = 0, limit: int = 1000
    ) -> tuple[KeptEvent, ...]:
        """The first events behind the one with the id `after`, as they were kept; of a next-hop, and since a time."""
        column = tables.event.c
        wanted = select(tables.event).where(column.id > after).order_by(column.id).limit(limit)
        if next_hop is not None:
            wanted = wanted.where(column.next_hop == next_hop)
        if since is not None:
            wanted = wanted.where(column.at >= since)

        def work(connection: Connection) -> tuple[KeptEvent, ...]:
            return tuple(KeptEvent(**row) for row in connection.execute(wanted).mappings())

        return await self._database.transact(work)

    async def plan(self, group: str, due: Mapping[str, datetime]) -> None:
        """Say when the next-hops of a group are due: those that are planned already stay as they are, and those that
        are not of the group any more go."""
        table = tables.due

        def work(connection: Connection) -> None:
            planned = set(connection.execute(select(table.c.next_hop).where(table.c.group == group)).scalars())
            for some in writing.batches(sorted(planned - due.keys())):
                connection.execute(delete(table).where(table.c.group == group, table.c.next_hop.in_(some)))
            new = sorted(due.keys() - planned)
            writing.add_new(
                connection, table, [{"next_hop": name, "group": group, "due_at": due[name]} for name in new]
            )

        await self._database.transact(work)

    async def forget_plans(self, groups: Iterable[str], before: datetime) -> int:
        """Let go of what was planned under any other group than these, was due before a time, and nobody has: groups
        that were renamed or are gone. How many there were."""
        table, kept = tables.due, set(groups)
        nobody = or_(table.c.lease_until.is_(None), table.c.lease_until < before)

        def work(connection: Connection) -> int:
            others = set(connection.execute(select(table.c.group).distinct()).scalars()) - kept
            gone = (
                connection.execute(delete(table).where(table.c.group == group, table.c.due_at < before, nobody))
                for group in sorted(others)
            )
            return sum(each.rowcount for each in gone)

        return await self._database.transact(work)

    async def planned(self, group: str, next_hops: Iterable[str] | None = None) -> dict[str, datetime]:
        """When each next-hop of a group is due, or each of these."""
        table = tables.due
        wanted = select(table.c.next_hop, table.c.due_at).where(table.c.group == group).order_by(table.c.next_hop)
        return {row.next_hop: row.due_at for row in await self._rows(wanted, next_hops)}

    async def claim(self, now: datetime, until: datetime, *, by: str, limit: int) -> tuple[Work, ...]:
        """Take what is due and nobody has, the longest due first, for oneself until a time."""
        table = tables.due
        free = or_(table.c.lease_until.is_(None), table.c.lease_until <= now)
        wanted = (
            select(table.c.next_hop, table.c.group, table.c.due_at)
            .where(table.c.due_at <= now, free)
            .order_by(table.c.due_at, table.c.next_hop, table.c.group)
            .limit(limit)
            .with_for_update(skip_locked=True)  # SQLite, which has no such words, has one writer at a time
        )

        def work(connection: Connection) -> tuple[Work, ...]:
            claimed = []
            for row in connection.execute(wanted).all():
                key = table.c.next_hop == row.next_hop, table.c.group == row.group
                connection.execute(update(table).where(*key).values(lease_until=until, leased_by=by))
                claimed.append(Work(**row._mapping, leased_by=by, lease_until=until))
            return tuple(claimed)

        return await self._database.transact(work)

    async def take(
        self, group: str, due: Mapping[str, datetime], now: datetime, until: datetime, *, by: str
    ) -> tuple[Work, ...]:
        """Take these next-hops of a group for oneself until a time: those that are still due when `due` says, and that
        nobody else has.

        Whoever ended such work since has set another time, so that nothing is done twice, whatever clocks show. A lease
        that ends later than any could is one from before a clock was set back, and free.
        """
        longest = now + 2 * (until - now)
        values = {"in": group, "now": now, "longest": longest, "by": by, "new": until}

        def work(connection: Connection) -> tuple[Work, ...]:
            taken = []
            for next_hop in sorted(due):
                if connection.execute(_TAKE, {**values, "of": next_hop, "at": due[next_hop]}).rowcount == 1:
                    found = Work(next_hop=next_hop, group=group, due_at=due[next_hop], leased_by=by, lease_until=until)
                    taken.append(found)
            return tuple(taken)

        return await self._database.transact(work)

    async def leased(self, group: str, next_hops: Iterable[str] | None = None) -> tuple[Work, ...]:
        """The work of a group, or of these next-hops in it, that somebody has, or had when he died."""
        column = tables.due.c
        wanted = select(tables.due).where(column.group == group, column.lease_until.is_not(None))
        return tuple(Work(**row._mapping) for row in await self._rows(wanted, next_hops))

    async def _rows(self, wanted: Select[Any], next_hops: Iterable[str] | None) -> tuple[Row[Any], ...]:
        """Rows of `due`, all or those of some next-hops."""
        column = tables.due.c.next_hop
        some = None if next_hops is None else tuple(writing.batches(dict.fromkeys(next_hops)))
        parts = [wanted] if some is None else [wanted.where(column.in_(names)) for names in some]
        return await self._database.transact(
            lambda connection: tuple(row for part in parts for row in connection.execute(part))
        )

    async def visited(self, next_hops: Iterable[str] | None = None) -> dict[str, datetime]:
        """When the last look at each of these next-hops, or at every one, was begun that came to a result."""
        column = tables.target.c
        wanted = (
            select(column.next_hop, func.max(tables.scan.c.started_at, type_=tables.Moment()).label("at"))
            .join(tables.scan, tables.scan.c.id == column.scan_id)
            .where(column.route_id.is_not(None))
            .group_by(column.next_hop)
        )
        some = None if next_hops is None else tuple(writing.batches(dict.fromkeys(next_hops)))

        def work(connection: Connection) -> dict[str, datetime]:
            parts = [wanted] if some is None else [wanted.where(column.next_hop.in_(names)) for names in some]
            return {row.next_hop: row.at for part in parts for row in connection.execute(part)}

        return await self._database.transact(work)

    async def renew(self, work: Work, until: datetime) -> Work | None:
        """Keep work for longer; None when somebody else has it by now."""
        values = {"new": until}
        changed = await self._database.transact(lambda connection: _change(connection, _RENEW, work, values))
        return replace(work, lease_until=until) if changed else None

    async def release(self, work: Work) -> bool:
        """Give work back, due as it was; False when it was somebody else's by now."""
        return await self._database.transact(lambda connection: _change(connection, _RELEASE, work, {}))

    async def done(self, work: Work, next_due: datetime | None) -> bool:
        """End work without a result, due again at a time (None: never); False when it was somebody else's by now."""
        return await self._database.transact(lambda connection: _end(connection, work, next_due))

    async def next_due(self) -> datetime | None:
        """When the next work can be claimed: it is due then, or a lease on it ends."""
        table = tables.due
        # The later of both; the databases have different names for that function.
        leased = and_(table.c.lease_until.is_not(None), table.c.lease_until > table.c.due_at)
        free_at = func.min(case((leased, table.c.lease_until), else_=table.c.due_at), type_=tables.Moment())
        return await self._database.transact(lambda connection: connection.execute(select(free_at)).scalar_one())


def _change(connection: Connection, statement: Update | Delete, work: Work, values: Mapping[str, Any]) -> bool:
    held = {"of": work.next_hop, "in": work.group, "by": work.leased_by, "until": work.lease_until}
    return connection.execute(statement, {**held, **values}).rowcount == 1


def _end(connection: Connection, work: Work, next_due: datetime | None) -> bool:
    if next_due is None:
        return _change(connection, _NEVER_AGAIN, work, {})
    return _change(connection, _AGAIN, work, {"next": next_due})


def _remember(connection: Connection, next_hop: str, memory: Mapping[str, Any]) -> None:
    document = dict(memory)
    if not connection.execute(_REMEMBER, {"key": next_hop, "what": document}).rowcount:
        connection.execute(_FIRST_MEMORY, {"next_hop": next_hop, "document": document})


def _add_events(connection: Connection, events: tuple[KeptEvent, ...]) -> None:
    names = [field.name for field in fields(KeptEvent) if field.name != "id"]
    rows = [{name: getattr(each, name) for name in names} for each in events]
    for row in rows:
        row["evidence"] = dict(row["evidence"])
    if rows:
        connection.execute(insert(tables.event), rows)


# Statements of which every visit needs some, made once: to make one takes as long as to run it.
_DUE = tables.due.c
_MINE = and_(
    _DUE.next_hop == bindparam("of"),
    _DUE.group == bindparam("in"),
    _DUE.leased_by == bindparam("by"),
    _DUE.lease_until == bindparam("until"),
)
_FREE: dict[str, None] = {"lease_until": None, "leased_by": None}
_RENEW = update(tables.due).where(_MINE).values(lease_until=bindparam("new"))
_RELEASE = update(tables.due).where(_MINE).values(**_FREE)
_AGAIN = update(tables.due).where(_MINE).values(due_at=bindparam("next"), **_FREE)
_NEVER_AGAIN = delete(tables.due).where(_MINE)
_TAKE = (
    update(tables.due)
    .where(
        _DUE.next_hop == bindparam("of"),
        _DUE.group == bindparam("in"),
        _DUE.due_at == bindparam("at"),
        or_(
            _DUE.lease_until.is_(None),
            _DUE.lease_until <= bindparam("now"),
            _DUE.lease_until > bindparam("longest"),
            _DUE.leased_by == bindparam("by"),
        ),
    )
    .values(lease_until=bindparam("new"), leased_by=bindparam("by"))
)
_TARGET = insert(tables.target)
_MEMORY = select(tables.memory.c.document).where(tables.memory.c.next_hop == bindparam("key"))
_REMEMBER = update(tables.memory).where(tables.memory.c.next_hop == bindparam("key")).values(document=bindparam("what"))
_FIRST_MEMORY = insert(tables.memory)
