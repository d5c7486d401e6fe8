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
from mxprobe.terms import CertificateKind, Protocol, Service, State
from mxprobe.tls.behaviours import NameEffect
from mxprobe.tls.free_facts import Feature, FiniteField, FreeFeatures
from mxprobe.tls.offer import Reached, Stage
from mxprobe.tls.weak_suites import Weakness
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch
from mxprobe.trust.verification import Verification

StarttlsState = Literal["works", "offered-but-broken", "refused", "not-offered", "unknown"]
ProtocolState = Literal["accepted", "refused", "unknown"]
Order = Literal["server", "client", "unknown"]
SweepState = Literal["swept", "same-as", "confirmed"]
"""Where the suites are from: asked one by one; those of a twin, or those of an earlier time, after a fingerprint that
was the same."""
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
class Listing:
    """The groups or signature schemes of one version, by IANA's names, in the server's order if `order` is *server*.

    `complete` is false when others may be accepted, too: `reason` says why, and `undecided` which where that was asked.
    """

    state: ProtocolState
    names: tuple[str, ...] = ()
    order: Order = "unknown"
    complete: bool = False
    reason: str = ""
    undecided: tuple[str, ...] = ()
    hellos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Features(FreeFeatures):
    """What a server does beside agreeing on suites; None where that was not asked, or where no version has it."""

    compression: Feature | None = None
    ocsp_staple: Feature | None = None
    fallback_scsv: Feature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """What a server stumbles over: *yes* where it copes. None where that was not asked.

    `max_suites` is set where longer offers failed; `server_name` says what comes without a server name.
    """

    max_suites: int | None = None
    grease: Feature | None = None
    newer_version: Feature | None = None
    large_hello: Feature | None = None
    fragmented_hello: Feature | None = None
    server_name: NameEffect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolFacts:
    """What one protocol version was answered. `complete` is false when suites may be missing from `suites`.

    `reason` quotes the alert or ending behind `refused` and `unknown`. `hellos` is how many ClientHellos it took;
    `undecided` the suites of which we do not know (only counted when all of a protocol is unknown). `groups` and
    `schemes` are None where nothing was seen of them; `dh` are the finite fields of DHE keys that were seen.
    `families` says of each weak family whether the version takes suites of it; empty where it is not accepted.
    """

    state: ProtocolState
    reason: str = ""
    complete: bool = False
    suites: tuple[Suite, ...] = ()
    order: Order = "unknown"
    hellos: int = 0
    undecided: tuple[str, ...] = ()
    groups: Listing | None = None
    schemes: Listing | None = None
    dh: tuple[FiniteField, ...] = ()
    families: dict[Weakness, State] = field(default_factory=dict)


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
    """What the hello of one profile was answered: observed, not computed.

    `group` and `certificate_kind` are those of a session where they were seen: a flight of TLS 1.3 can only be read
    where the server took a key share of ours.
    """

    profile: str
    state: State
    protocol: Protocol | None = None
    suite: str | None = None
    reason: str = ""
    group: str | None = None
    certificate_kind: CertificateKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconsistency:
    """Answers that contradict each other, so that no one server gave them; `evidence` quotes them."""

    protocol: Protocol
    summary: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFacts:
    """All that one probe saw at one endpoint. `early_bytes` (hex) followed the 220 to STARTTLS in clear text.

    `server_name` is the SNI that was sent; None where the host is an address, or where the server knows no such name.
    `endings` counts how connections ended other than by an answer to a hello, by their text. `certificate_kinds` says
    of each kind of key whether the server has a certificate with one; empty where nothing was asked that tells.

    `sweep` is set where all suites were asked for, and says where `protocols`, and what else a sweep brings, are from;
    `swept_at` when that sweep was begun, `same_as` the endpoint that it was made at if it is not this one,
    `sweep_reason` what differed from a sweep that this endpoint was compared with, or why that was not known.

    `computed_from` is set where nobody was asked, and names what these facts were computed from, such as a main.cf.
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
    inconsistencies: tuple[Inconsistency, ...] = ()
    features: Features | None = None
    quirks: Quirks | None = None
    certificate_kinds: dict[CertificateKind, Feature] = field(default_factory=dict)
    sweep: SweepState | None = None
    same_as: str | None = None
    swept_at: datetime | None = None
    sweep_reason: str = ""
    computed_from: str | None = None


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
