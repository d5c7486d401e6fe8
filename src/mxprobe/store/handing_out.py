"""What workers are to do next, as PostgreSQL knows it: visits that are due and that no queue has yet.

The queue is that of procrastinate (https://procrastinate.readthedocs.io), whose tables lie beside ours. It holds
nothing that `due` does not say: what is lost there is handed out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text, update

from mxprobe.store import tables, writing
from mxprobe.store.outbox import Outbox
from mxprobe.terms import Endpoint

NAMED = "visit of {next_hop} in {group}"
"""The queueing lock of a visit: while one waits, no other of that name does."""


class HandingOut(Outbox):
    """The part of the store by which visits are handed out to workers; on PostgreSQL only."""

    async def clock(self) -> datetime:
        """What the clock of the database shows."""
        return await self._database.transact(lambda connection: connection.execute(select(func.now())).scalar_one())

    async def unqueued(
        self, group: str, until: datetime, *, after: tuple[datetime, str] | None = None, limit: int
    ) -> tuple[tuple[str, datetime], ...]:
        """Next-hops of a group that are due by a time, with the moment when they are: those that nobody has, and that
        no job stands for, the longest due first, behind the one that is `after`."""
        values = {
            "group": group,
            "until": until,
            "after": None if after is None else after[0],
            "next_hop": None if after is None else after[1],
            "limit": limit,
        }
        values["before"], values["behind"] = NAMED.format(next_hop="\n", group=group).split("\n")

        def work(connection: Connection) -> tuple[tuple[str, datetime], ...]:
            return tuple((row.next_hop, row.due_at) for row in connection.execute(_UNQUEUED, values))

        return await self._database.transact(work)

    async def replan(self, group: str, due: Mapping[str, tuple[datetime, datetime]]) -> None:
        """Have next-hops of a group due at another time: those that are due when the first moment says, and that nobody
        has, at the second."""
        table = tables.due
        free = table.c.next_hop == bindparam("of"), table.c.due_at == bindparam("then"), table.c.lease_until.is_(None)
        change = update(table).where(table.c.group == group, *free).values(due_at=bindparam("instead"))
        for names in writing.batches(sorted(due)):
            rows = [{"of": name, "then": due[name][0], "instead": due[name][1]} for name in names]

            def work(connection: Connection, rows: list[dict[str, Any]] = rows) -> None:
                connection.execute(change, rows)

            await self._database.transact(work)

    async def led_to(self, next_hops: Iterable[str]) -> dict[str, tuple[Endpoint, ...]]:
        """The endpoints to which these next-hops led when they were looked at last; without those that led nowhere."""
        names = tuple(writing.batches(dict.fromkeys(next_hops)))
        target, link, endpoint = tables.target.c, tables.route_endpoint.c, tables.endpoint.c
        last = (
            select(target.next_hop, func.max(target.scan_id).label("scan_id"))
            .where(target.route_id.is_not(None))
            .group_by(target.next_hop)
        )

        def work(connection: Connection) -> dict[str, tuple[Endpoint, ...]]:
            found: dict[str, list[Endpoint]] = {}
            for some in names:
                newest = last.where(target.next_hop.in_(some)).subquery()
                wanted = (
                    select(target.next_hop, endpoint.host, endpoint.address, endpoint.port, endpoint.service)
                    .join_from(
                        tables.target,
                        newest,
                        (newest.c.next_hop == target.next_hop) & (newest.c.scan_id == target.scan_id),
                    )
                    .join(tables.route_endpoint, link.route_id == target.route_id)
                    .join(tables.endpoint, endpoint.id == link.endpoint_id)
                )
                for next_hop, host, address, port, service in connection.execute(wanted):
                    where = Endpoint(host=host, address=address, port=port, service=service)
                    found.setdefault(next_hop, []).append(where)
            return {next_hop: tuple(endpoints) for next_hop, endpoints in found.items()}

        return await self._database.transact(work)


_UNQUEUED = text(
    """
    SELECT d.next_hop, d.due_at FROM due AS d
    WHERE d."group" = :group AND d.due_at <= :until AND (d.lease_until IS NULL OR d.lease_until <= now())
    AND (CAST(:after AS timestamptz) IS NULL OR (d.due_at, d.next_hop) > (:after, :next_hop))
    AND NOT EXISTS (
        SELECT FROM procrastinate_jobs AS j
        WHERE j.queueing_lock = :before || d.next_hop || :behind AND j.status IN ('todo', 'doing')
    )
    ORDER BY d.due_at, d.next_hop LIMIT :limit
    """
).columns(next_hop=tables.due.c.next_hop.type, due_at=tables.due.c.due_at.type)
