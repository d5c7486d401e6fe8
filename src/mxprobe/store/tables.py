"""The tables of the store, and how our own types lie in their columns.

    scan ──< target >──< endpoint      (target_endpoint: which endpoints a route leads to, in order)
    certificate                        (DER by SHA-256; facts name them)

An endpoint is one row a scan, whichever targets lead to it. Its row is there from the moment a route names it;
its facts follow when it has been probed. So what is still to do after a crash is a query. The schema is made by
the migrations beside this file; a test holds the two together.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import (
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from mxprobe.facts import EndpointFacts
from mxprobe.routing.route import Route


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; SQLite itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonOf(TypeDecorator[Any]):
    """A dataclass of ours as JSON text.

    Written as pure ASCII by `json`, because the words of a peer may hold what UTF-8 does not: bytes that no
    charset explains are kept as lone surrogates (PEP 383), and must come back as they went in.
    """

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self.kind = kind
        self._adapter = TypeAdapter(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        # Not in pydantic's JSON mode, which replaces the surrogates in the keys of a dict.
        return json.dumps(self._adapter.dump_python(value), default=to_jsonable_python, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else self._adapter.validate_python(json.loads(value))


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

scan = Table(
    "scan",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("settings_digest", String(64), nullable=False),
)

target = Table(
    "target",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scan_id", ForeignKey("scan.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("next_hop", Text, nullable=False),
    Column("route", JsonOf(Route)),
    UniqueConstraint("scan_id", "next_hop"),
    Index(None, "next_hop", "scan_id"),
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scan_id", ForeignKey("scan.id", ondelete="CASCADE"), nullable=False),
    Column("service", String(8), nullable=False),
    Column("host", String(255), nullable=False),
    Column("address", String(64), nullable=False),
    Column("port", Integer, nullable=False),
    Column("facts", JsonOf(EndpointFacts)),
    UniqueConstraint("scan_id", "service", "host", "address", "port"),
)

target_endpoint = Table(
    "target_endpoint",
    metadata,
    Column("target_id", ForeignKey("target.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_id", ForeignKey("endpoint.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, nullable=False),
    Index(None, "endpoint_id"),
)

certificate = Table(
    "certificate",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("der", LargeBinary, nullable=False),
)
