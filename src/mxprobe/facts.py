"""What was seen at an endpoint: raw facts with their time, and the JSON document that carries them.

These dataclasses *are* the JSON contract ``mxprobe/1`` (`docs/json.md`): a field is added, never renamed, within a
major version. Facts are stored as they are here; verdicts are computed from them and can be computed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mxprobe.routing.route import Route
from mxprobe.smtp.replies import Reply
from mxprobe.terms import Protocol, Service, State
from mxprobe.tls.offer import Reached, Stage
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch
from mxprobe.trust.verification import Verification

StarttlsState = Literal["works", "offered-but-broken", "refused", "not-offered", "unknown"]
ProtocolState = Literal["accepted", "refused", "unknown"]
Order = Literal["server", "client", "unknown"]
Severity = Literal["critical", "warning", "info", "ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Starttls:
    """How STARTTLS went at the endpoint, with the stage, and the reply or ending, that says so."""

    state: StarttlsState
    reason: str = ""
    stage: Stage | None = None
    reply: Reply | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A cipher suite as it was accepted. `id` is like ``0x00C02F``; unknown numbers have no `iana` name and are
    named by their number. `reached` says how far the server went with it; `standard` is false where no standard
    allows the suite in this protocol version."""

    id: str
    name: str
    iana: str | None
    reached: Reached = "selected"
    standard: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolFacts:
    """What one protocol version was answered. `complete` is false when suites may be missing from `suites`.

    `reason` quotes the alert or ending behind `refused` and `unknown`. `hellos` is how many ClientHellos it took;
    `undecided` the suites of which we do not know (only counted when all of a protocol is unknown).
    """

    state: ProtocolState
    reason: str = ""
    complete: bool = False
    suites: tuple[Suite, ...] = ()
    order: Order = "unknown"
    hellos: int = 0
    undecided: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Natural:
    """The complete handshake with everything that OpenSSL can offer; or, where only the plain-text part of an
    older handshake could be seen, as far as that went (`reached`)."""

    protocol: Protocol
    suite: str
    group: str | None = None
    reached: Reached = "handshake-complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAnswer:
    """What the hello of one profile was answered: observed, not computed."""

    profile: str
    state: State
    protocol: Protocol | None = None
    suite: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFacts:
    """All that one probe saw at one endpoint. `early_bytes` (hex) followed the 220 to STARTTLS in clear text.

    `server_name` is the SNI that was sent; None where the host is an address, or where the server knows no such name.
    `endings` counts how connections ended other than by an answer to a hello, by their text.
    """

    host: str
    address: str
    port: int
    service: Service = "smtp"
    started_at: datetime
    connections: int = 0
    elapsed_seconds: float = 0.0
    greeting: Reply | None = None
    helo: bool = False
    capabilities: tuple[str, ...] = ()
    starttls: Starttls
    early_bytes: str | None = None
    server_name: str | None = None
    protocols: dict[Protocol, ProtocolFacts] = field(default_factory=dict)
    natural: Natural | None = None
    handshake_error: str | None = None
    certificates: tuple[Certificate, ...] = ()
    verification: Verification | None = None
    name_match: NameMatch | None = None
    profiles: tuple[ProfileAnswer, ...] = ()
    endings: dict[str, int] = field(default_factory=dict)


EvidenceValue = str | int | float | bool | None | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A judged statement. `state` answers the question of `id`; `severity` says whether to care.

    `endpoint` is empty for a verdict on the whole target; `source` is a standard or a manual page.
    """

    id: str
    state: State
    severity: Severity
    endpoint: str
    summary: str
    evidence: dict[str, EvidenceValue]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One next-hop, end to end: its route, the endpoints behind it, and the verdicts."""

    next_hop: str
    route: Route
    endpoints: tuple[EndpointFacts, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The document of ``--format json``."""

    schema: Literal["mxprobe/1"] = "mxprobe/1"
    started_at: datetime
    targets: tuple[Target, ...]
    connections: int
    elapsed_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptEntry:
    """What passed over a connection at one moment, for ``--trace``; not part of the JSON document.

    `seconds` count from the start of the probe. `direction` is ``>`` for what we sent, ``<`` for what we received,
    ``-`` for a note of our own. `connection` tells connections apart that were open at the same time.
    """

    seconds: float
    direction: Literal[">", "<", "-"]
    layer: Literal["smtp", "tls", "note"]
    data: bytes
    connection: int = 0
