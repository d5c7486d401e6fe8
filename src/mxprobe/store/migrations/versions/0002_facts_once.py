"""Facts and routes once for all scans that found the same; events, memory and due work of a service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.Integer().with_variant(sa.BigInteger, "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_AT_ONCE = 200


def upgrade() -> None:
    _rename()
    _make()
    connection = op.get_bind()
    endpoints = _endpoints(connection)
    _targets(connection, endpoints)
    _probes(connection, endpoints)
    for name in ("target_endpoint", "old_endpoint", "old_target"):
        op.drop_table(name)
    if connection.dialect.name == "postgresql":
        op.alter_column("scan", "id", type_=sa.BigInteger)
        op.execute("ALTER SEQUENCE scan_id_seq AS bigint")
    _make_indexes()


def _rename() -> None:
    op.drop_index("ix_target_endpoint_endpoint_id", table_name="target_endpoint")
    op.drop_index("ix_target_next_hop_scan_id", table_name="target")
    for name in ("target", "endpoint"):
        op.rename_table(name, f"old_{name}")
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"ALTER TABLE old_{name} RENAME CONSTRAINT pk_{name} TO pk_old_{name}")


def _make() -> None:
    op.create_table(
        "route",
        sa.Column("id", _ID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("known", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_route"),
        sa.UniqueConstraint("sha256", name="uq_route_sha256"),
    )
    op.create_table(
        "target",
        sa.Column("scan_id", _ID, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("next_hop", sa.Text, nullable=False),
        sa.Column("route_id", _ID),
        sa.PrimaryKeyConstraint("scan_id", "position", name="pk_target"),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name="fk_target_scan_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["route_id"], ["route.id"], name="fk_target_route_id"),
        sa.UniqueConstraint("next_hop", "scan_id", name="uq_target_next_hop_scan_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "endpoint",
        sa.Column("id", _ID, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("service", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_endpoint"),
        sa.UniqueConstraint("host", "address", "port", "service", name="uq_endpoint_host_address_port_service"),
    )
    op.create_table(
        "route_endpoint",
        sa.Column("route_id", _ID, nullable=False),
        sa.Column("endpoint_id", _ID, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("route_id", "endpoint_id", name="pk_route_endpoint"),
        sa.ForeignKeyConstraint(["route_id"], ["route.id"], name="fk_route_endpoint_route_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"], name="fk_route_endpoint_endpoint_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "facts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("known", sa.Boolean, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_facts"),
        sa.UniqueConstraint("sha256", name="uq_facts_sha256"),
    )
    op.create_table(
        "probe",
        sa.Column("scan_id", _ID, nullable=False),
        sa.Column("endpoint_id", _ID, nullable=False),
        sa.Column("facts_id", _ID, nullable=False),
        sa.Column("swept", sa.Boolean, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("scan_id", "endpoint_id", name="pk_probe"),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name="fk_probe_scan_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"], name="fk_probe_endpoint_id"),
        sa.ForeignKeyConstraint(["facts_id"], ["facts.id"], name="fk_probe_facts_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "facts_certificate",
        sa.Column("facts_id", _ID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("facts_id", "sha256", name="pk_facts_certificate"),
        sa.ForeignKeyConstraint(["facts_id"], ["facts.id"], name="fk_facts_certificate_facts_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        sa.Column("id", _ID, nullable=False),
        sa.Column("next_hop", sa.Text, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    op.create_table(
        "memory",
        sa.Column("next_hop", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("next_hop", name="pk_memory"),
    )
    op.create_table(
        "due",
        sa.Column("next_hop", sa.Text, nullable=False),
        sa.Column("group", sa.Text, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("lease_until", _MOMENT),
        sa.Column("leased_by", sa.Text),
        sa.PrimaryKeyConstraint("next_hop", "group", name="pk_due"),
    )


def _make_indexes() -> None:
    op.create_index("ix_target_route_id_scan_id", "target", ["route_id", "scan_id"])
    op.create_index("ix_route_endpoint_endpoint_id", "route_endpoint", ["endpoint_id"])
    op.create_index("ix_probe_endpoint_id_scan_id", "probe", ["endpoint_id", "scan_id"])
    op.create_index("ix_probe_facts_id", "probe", ["facts_id"])
    op.create_index("ix_facts_certificate_sha256", "facts_certificate", ["sha256"])
    op.create_index("ix_event_next_hop_id", "event", ["next_hop", "id"])
    op.create_index("ix_event_at", "event", ["at"])
    op.create_index("ix_due_due_at", "due", ["due_at"])


# What 0001 held, in the new tables. The columns are read and written as text, so that no later class has a say in it.

_text = sa.text


def _endpoints(connection: sa.Connection) -> dict[int, int]:
    """The endpoints, each once; the new number of each old row."""
    numbers: dict[tuple[Any, ...], int] = {}
    moved: dict[int, int] = {}
    for id, *key in connection.execute(_text("SELECT id, host, address, port, service FROM old_endpoint ORDER BY id")):
        moved[id] = numbers.setdefault(tuple(key), len(numbers) + 1)
    rows = [
        {"id": id, "host": host, "address": address, "port": port, "service": service}
        for (host, address, port, service), id in numbers.items()
    ]
    _insert(connection, "endpoint", rows)
    return moved


def _targets(connection: sa.Connection, endpoints: dict[int, int]) -> None:
    behind: dict[int, list[int]] = {}
    links = "SELECT target_id, endpoint_id FROM target_endpoint ORDER BY target_id, position"
    for target_id, endpoint_id in connection.execute(_text(links)):
        behind.setdefault(target_id, []).append(endpoints[endpoint_id])
    names = {
        id: list(key) for id, *key in connection.execute(_text("SELECT id, host, address, port, service FROM endpoint"))
    }
    routes: dict[str, int] = {}
    old = "SELECT id, scan_id, position, next_hop, route FROM old_target WHERE id > :last ORDER BY id LIMIT :count"
    for rows in _pages(connection, old):
        targets, new, new_links = [], [], []
        for row in rows:
            route_id = None
            if row.route is not None:
                led = behind.get(row.id, [])
                sha256 = _sha256(json.dumps([row.route, [names[each] for each in led]]))
                if sha256 not in routes:
                    routes[sha256] = len(routes) + 1
                    known = not (json.loads(row.route).get("error") or {}).get("temporary", False)
                    new.append({"id": routes[sha256], "sha256": sha256, "known": known, "document": row.route})
                    new_links += [
                        {"route_id": routes[sha256], "endpoint_id": each, "position": n} for n, each in enumerate(led)
                    ]
                route_id = routes[sha256]
            targets.append(
                {"scan_id": row.scan_id, "position": row.position, "next_hop": row.next_hop, "route_id": route_id}
            )
        _insert(connection, "route", new)
        _insert(connection, "route_endpoint", new_links)
        _insert(connection, "target", targets)
    _count_on(connection, "route", len(routes))
    _count_on(connection, "endpoint", len(names))


def _probes(connection: sa.Connection, endpoints: dict[int, int]) -> None:
    numbers: dict[str, int] = {}
    old = (
        "SELECT id, scan_id, host, address, port, service, facts FROM old_endpoint "
        "WHERE facts IS NOT NULL AND id > :last ORDER BY id LIMIT :count"
    )
    kept = _text("SELECT document FROM facts WHERE id = :id")
    for rows in _pages(connection, old):
        for row in rows:
            document = json.loads(row.facts)
            lasting = json.loads(row.facts)
            for part, field, _ in _passing(lasting):
                part[field] = None
            sha256 = _sha256(json.dumps(lasting, sort_keys=True, separators=(",", ":")))
            if sha256 not in numbers:
                numbers[sha256] = id = len(numbers) + 1
                known = document["starttls"]["state"] != "unknown"
                _insert(connection, "facts", [{"id": id, "sha256": sha256, "known": known, "document": row.facts}])
                named = {
                    name
                    for each in document.get("certificates", ())
                    for name in (each["sha256"], *each.get("chain", ()))
                    if len(name) == 64 and name.isalnum()
                }
                _insert(connection, "facts_certificate", [{"facts_id": id, "sha256": name} for name in sorted(named)])
            id = numbers[sha256]
            first = json.loads(connection.execute(kept, {"id": id}).scalar_one())
            probe = {
                "scan_id": row.scan_id,
                "endpoint_id": endpoints[row.id],
                "facts_id": id,
                "swept": document.get("sweep") in ("swept", "same-as"),
                "changes": _changes(document, first, row),
            }
            _insert(connection, "probe", [probe])
    _count_on(connection, "facts", len(numbers))


_ALWAYS = ("started_at", "connections", "elapsed_seconds")
_SHORT = {
    "host": "n",
    "address": "a",
    "port": "p",
    "service": "v",
    "greeting": "g",
    "endings": "e",
    "sweep": "s",
    "same_as": "t",
    "swept_at": "w",
    "sweep_reason": "r",
}
_DEFAULTS = {"connections": 0, "elapsed_seconds": 0.0}


def _passing(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    for field in _ALWAYS:
        yield document, field, field
    for field, name in _SHORT.items():
        if field in document:
            yield document, field, name
    if "reply" in document["starttls"]:
        yield document["starttls"], "reply", "y"
    for protocol, seen in document.get("protocols", {}).items():
        for part, name in ((seen, "h"), (seen.get("groups"), "hg"), (seen.get("schemes"), "hs")):
            if part is not None and "hellos" in part:
                yield part, "hellos", f"{name}/{protocol}"


def _changes(document: dict[str, Any], first: dict[str, Any], row: sa.Row[Any]) -> str:
    here = {field: getattr(row, field) for field in ("host", "address", "port", "service") if field in first}
    before = {name: part.get(field) for part, field, name in _passing(first | here)}
    found = {}
    for part, field, name in _passing(document):
        if name not in _ALWAYS and part[field] != before[name]:
            found[name] = _number(part[field]) if name == "w" else part[field]
    line = [_number(document["started_at"]), *(document.get(name, default) for name, default in _DEFAULTS.items())]
    return json.dumps([*line, found] if found else line, separators=(",", ":"))


def _number(moment: str | None) -> int | None:
    if moment is None:
        return None
    return (datetime.fromisoformat(moment) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pages(connection: sa.Connection, statement: str) -> Iterator[list[sa.Row[Any]]]:
    last = 0
    while rows := list(connection.execute(_text(statement), {"last": last, "count": _AT_ONCE})):
        yield rows
        last = rows[-1].id


def _insert(connection: sa.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        names = list(rows[0])
        places = ", ".join(f":{name}" for name in names)
        connection.execute(_text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"), rows)  # noqa: S608


def _count_on(connection: sa.Connection, table: str, last: int) -> None:
    """Let the database number further rows from there on."""
    if connection.dialect.name == "postgresql" and last:
        connection.execute(_text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last})"))
