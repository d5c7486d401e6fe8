"""What a service keeps beside scans: what is due and who has taken it, what it noticed, a target in one piece,
and what is to be told to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mxprobe.facts import EndpointFacts, EvidenceValue
from mxprobe.routing.route import Route
from mxprobe.terms import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A next-hop of a group that was due, claimed by `leased_by` until `lease_until`; then it is free again."""

    next_hop: str
    group: str
    due_at: datetime
    leased_by: str
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvent:
    """Something that was noticed. Events are only ever added: one that is confirmed later is another row.

    `endpoint` is empty for the next-hop as a whole, `item` names one thing of several. `before` and `after` are None
    where there was nothing, or nothing was known. `id` is given by the store, in the order in which they were kept.
    """

    next_hop: str
    kind: str
    endpoint: str = ""
    item: str = ""
    severity: str
    state: str
    at: datetime
    before: str | None = None
    after: str | None = None
    summary: str = ""
    evidence: Mapping[str, EvidenceValue] = field(default_factory=dict)
    source: str = ""
    id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What was seen at an endpoint (None: it was not probed), and certificates (DER) by their SHA-256 in hex."""

    endpoint: Endpoint
    facts: EndpointFacts | None
    certificates: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """All that one look at one next-hop came to. `memory` takes the place of that of before, None leaves it;
    `deliveries` are who is to be told of `events`."""

    next_hop: str
    started_at: datetime
    finished_at: datetime
    settings_digest: str
    route: Route
    endpoints: tuple[Probed, ...] = ()
    memory: Mapping[str, object] | None = None
    events: tuple[KeptEvent, ...] = ()
    deliveries: tuple[NewDelivery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A message (`document`, as JSON) for one target, the `alert` of that name, to be sent at `next_at` or later.

    `key` is the same for the same message and target whoever computes it: it is kept, and told, once.
    """

    key: str
    alert: str
    document: Mapping[str, Any]
    created_at: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that was claimed by `leased_by` until `lease_until`; `attempts` are those that failed before."""

    id: int
    key: str
    alert: str
    document: Mapping[str, Any]
    created_at: datetime
    attempts: int
    lease_until: datetime
    leased_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStanding:
    """How a target of alerts fares: messages `waiting`, those of them that `failing` attempts have had, the `oldest`;
    those that were `given_up` lately, and when the last was sent."""

    alert: str
    waiting: int
    failing: int
    given_up: int
    oldest: datetime | None
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStanding:
    """How a group fares: its `next_hops`, those `due` (the first since `due_since`), `under_way` and `never` looked at,
    and when the last result of one of them came."""

    name: str
    next_hops: int
    due: int
    under_way: int
    never: int
    due_since: datetime | None
    last_result_at: datetime | None
