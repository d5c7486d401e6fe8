"""The tables of the store, and how our own types lie in their columns.

    scan ──< target >── route ──< route_endpoint >── endpoint     (where each next-hop led, in order)
      └──< probe >── facts ──< facts_certificate >── certificate  (what was seen at an endpoint)
             └── endpoint
    event · memory · due                                          (what a service remembers, by next-hop)
    delivery                                                      (what is to be told to whom)
    budget · budget_place                                         (what processes share of addresses and providers)

What does not change from scan to scan is there once, under the SHA-256 of what it says: routes, facts, certificates
(DER). So an endpoint that has not changed costs a scan one short row of `probe`, whichever targets lead to it. That
row is there as soon as the endpoint has been probed: what is still to do after a crash is a query. `probe.changes` is
what of the facts differs from `facts.document` (see `mxprobe.store.content`); `probe.swept` says that all suites were
asked for one by one, `facts.known` that the state of STARTTLS is known, `route.known` that the DNS gave an answer. The
schema is made by the migrations beside this file; a test holds the two together.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
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

from mxprobe.facts import EvidenceValue
from mxprobe.routing.route import Route

Evidence = dict[str, EvidenceValue]


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


class Words(TypeDecorator[str]):
    """A text of whatever a peer said: NUL, which PostgreSQL refuses, and lone surrogates are escaped as in JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)[1:-1]

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else json.loads(f'"{value}"')


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
        return None if value is None else self.text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else self.read(json.loads(value))

    def text(self, value: Any) -> str:
        """The value as JSON."""
        if isinstance(value, dict):
            return json.dumps(value, default=to_jsonable_python, separators=(",", ":"))
        # Not in pydantic's JSON mode, which replaces the surrogates in the keys of a dict.
        return json.dumps(self._adapter.dump_python(value), default=to_jsonable_python, separators=(",", ":"))

    def read(self, document: Any) -> Any:
        """The value of what `json` made of such a text."""
        return self._adapter.validate_python(document)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = Integer().with_variant(BigInteger, "postgresql")
"""A number that the database gives. SQLite takes an INTEGER, of 64 bits too, for its own number of the row."""

scan = Table(
    "scan",
    metadata,
    Column("id", Id, primary_key=True),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("settings_digest", String(64), nullable=False),
)

target = Table(
    "target",
    metadata,
    Column("scan_id", Id, ForeignKey("scan.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("next_hop", Text, nullable=False),
    Column("route_id", Id, ForeignKey("route.id")),
    UniqueConstraint("next_hop", "scan_id"),
    Index(None, "route_id", "scan_id"),
    sqlite_with_rowid=False,
)

route = Table(
    "route",
    metadata,
    Column("id", Id, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("known", Boolean, nullable=False),
    Column("document", JsonOf(Route), nullable=False),
)

route_endpoint = Table(
    "route_endpoint",
    metadata,
    Column("route_id", Id, ForeignKey("route.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_id", Id, ForeignKey("endpoint.id"), primary_key=True),
    Column("position", Integer, nullable=False),
    Index(None, "endpoint_id"),
    sqlite_with_rowid=False,
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("id", Id, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("address", String(64), nullable=False),
    Column("port", Integer, nullable=False),
    Column("service", String(8), nullable=False),
    UniqueConstraint("host", "address", "port", "service"),
)

probe = Table(
    "probe",
    metadata,
    Column("scan_id", Id, ForeignKey("scan.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_id", Id, ForeignKey("endpoint.id"), primary_key=True),
    Column("facts_id", Id, ForeignKey("facts.id"), nullable=False),
    Column("swept", Boolean, nullable=False),
    Column("changes", Text, nullable=False),
    Index(None, "endpoint_id", "scan_id"),
    Index(None, "facts_id"),
    sqlite_with_rowid=False,
)

facts = Table(
    "facts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("known", Boolean, nullable=False),
    Column("document", Text, nullable=False),
)

facts_certificate = Table(
    "facts_certificate",
    metadata,
    Column("facts_id", Id, ForeignKey("facts.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Index(None, "sha256"),
    sqlite_with_rowid=False,
)

certificate = Table(
    "certificate",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("der", LargeBinary, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True),
    Column("next_hop", Text, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("item", Words, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("state", String(32), nullable=False),
    Column("at", Moment, nullable=False),
    Column("before", Words),
    Column("after", Words),
    Column("summary", Words, nullable=False),
    Column("evidence", JsonOf(Evidence), nullable=False),
    Column("source", Words, nullable=False),
    Index(None, "next_hop", "id"),
    Index(None, "at"),
)

memory = Table(
    "memory",
    metadata,
    Column("next_hop", Text, primary_key=True),
    Column("document", JsonOf(dict[str, Any]), nullable=False),
)

due = Table(
    "due",
    metadata,
    Column("next_hop", Text, primary_key=True),
    Column("group", Text, primary_key=True),
    Column("due_at", Moment, nullable=False),
    Column("lease_until", Moment),
    Column("leased_by", Text),
    Index(None, "due_at"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("alert", Text, nullable=False),
    Column("document", JsonOf(dict[str, Any]), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("done_at", Moment),
    Column("outcome", String(16)),
    Column("error", Words),
    Column("lease_until", Moment),
    Column("leased_by", Text),
    Index(None, "alert", "done_at", "next_at"),
    Index(None, "done_at"),
)

budget = Table(
    "budget",
    metadata,
    Column("name", Text, primary_key=True),
    Column("level", Double),
    Column("at", Double, nullable=False),
)

budget_place = Table(
    "budget_place",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("used", Integer, nullable=False),
    Column("seen", Double, nullable=False),
    Column("waits_since", Double),
    Column("asked", Double),
)
