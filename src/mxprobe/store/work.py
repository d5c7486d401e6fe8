"""What a service keeps beside scans: what is due and who has taken it, what it noticed, a target in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

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
    """All that one look at one next-hop came to. `memory` takes the place of that of before, None leaves it."""

    next_hop: str
    started_at: datetime
    finished_at: datetime
    settings_digest: str
    route: Route
    endpoints: tuple[Probed, ...] = ()
    memory: Mapping[str, object] | None = None
    events: tuple[KeptEvent, ...] = ()
