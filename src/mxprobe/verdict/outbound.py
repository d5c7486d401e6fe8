"""Where our mail would still go by TLS: stored facts of partners against what our MTA is to offer and demand.

As Postfix delivers (`smtp_connect.c`, `smtp_proto.c`, TLS_README): servers in the order of their preference; at level
*may* mail goes in clear text where there is no TLS, above it the mail waits. No connection is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from mxprobe.facts import EndpointFacts
from mxprobe.mta.postfix.exclusions import Exclusion
from mxprobe.mta.postfix.policy_maps import LEVELS
from mxprobe.mta.profile import NoTls, Profile, Tls
from mxprobe.routing.route import Route
from mxprobe.terms import PROTOCOLS, CertificateKind, Endpoint, Protocol, State
from mxprobe.tls.signing_keys import kind_of_key
from mxprobe.tls.suites import suite_named
from mxprobe.trust.certificate import Certificate
from mxprobe.trust.names import NameMatch, postfix_matches
from mxprobe.trust.verification import Verification
from mxprobe.verdict.checks import Place
from mxprobe.verdict.choice import Obstacle
from mxprobe.verdict.overlap import families, missing_overlaps, place_of
from mxprobe.verdict.simulation import Simulated, simulate

MAX_KEPT = 4096
"""Simulated sessions kept: partners have some dozens of kinds of server, and no number of them may fill the memory."""

Outcome = Literal["tls", "clear", "deferred", "unknown", "no mail"]
"""What becomes of mail for a partner: it goes by TLS or in clear text, waits, cannot be told, or has nowhere to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerServer:
    """One endpoint behind a partner, and what the newest scan saw of its TLS.

    `facts` may be shared by all servers with the same TLS, and say nothing of whose they are: `kind` is their number.
    `certificates`, `verification` and `name_match` are this server's own, where they were asked for. `facts` is None
    where the endpoint was not probed.
    """

    endpoint: Endpoint
    kind: int = -1
    facts: EndpointFacts | None = None
    certificates: tuple[Certificate, ...] = ()
    verification: Verification | None = None
    name_match: NameMatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """One next-hop as it was scanned, the route that was found, and the servers behind it in its order."""

    next_hop: str
    route: Route
    servers: tuple[PartnerServer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What our MTA demands of a server, and offers to it; the latter is None at level *none*.

    `number` is the same for what is equal. `match` are the names, or fingerprints, of which a certificate has to have
    one. `trusts` is whether it trusts any CA; `sha256` whether fingerprints are of that digest. `exclusions` finds the
    words that take suites away, `places` where to look for what stands in the way, `place` where the level is from.
    """

    number: int
    level: Tls
    offer: Profile | NoTls | None
    match: tuple[str, ...] = ()
    trusts: State = "yes"
    sha256: bool = False
    exclusions: Callable[[], tuple[Exclusion, ...]] = tuple
    places: Mapping[Obstacle, Place] = field(default_factory=dict)
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDemand:
    """What our MTA demands cannot be told (*unknown*), or is such that it keeps all mail (*deferred*)."""

    outcome: Literal["unknown", "deferred"]
    reason: str
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What becomes of mail for one partner. `reason` is empty where it goes by TLS; `note` says what is not so at all
    of its servers."""

    outcome: Outcome
    level: Tls | None = None
    protocol: Protocol | None = None
    suite: str | None = None
    reason: str = ""
    note: str = ""
    place: Place | None = None


SessionEnd = Literal["tls", "clear", "fails", "unknown", "unreachable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How one server is met: by TLS, in clear text as it has no TLS, not at all as TLS *fails*; *unreachable*
    where it was not even connected to when it was probed. `place` is what is to blame, where that is not the level."""

    end: SessionEnd
    protocol: Protocol | None = None
    suite: str | None = None
    certificate_kind: CertificateKind | None = None
    reason: str = ""
    place: Place | None = None


_BEFORE_TLS12 = PROTOCOLS[: PROTOCOLS.index("TLSv1.2")]


class Simulations:
    """What clients would agree on with servers, each computed once for servers of one kind."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], Session] = {}
        self.computed = 0

    def session(self, demand: Demand, server: PartnerServer) -> Session:
        """How the server would be met, certificates aside."""
        known = demand.number, server.kind
        found = self._kept.get(known) if server.kind >= 0 else None
        if found is None:
            found = _session(demand, server.facts)
            self.computed += 1
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            if server.kind >= 0:
                self._kept[known] = found
        return found


def delivery(
    partner: Partner,
    demand_of: Callable[[str], Demand | NoDemand],
    simulations: Simulations,
    *,
    clear_text_waits: bool,
) -> Delivery:
    """What becomes of mail for a partner. `demand_of` says what is demanded of an MX host, by its name.

    `clear_text_waits` is whether a failed handshake at *may* leads to clear text only when the mail has been in the
    queue for some time, so that other servers come first (Postfix 3.0 and newer).
    """
    route = partner.route
    if route.kind == "null-mx":
        return Delivery(outcome="no mail", reason="its MX record says so (null MX)")
    if route.error is not None and not partner.servers and route.error.status in _UNDELIVERABLE:
        return Delivery(outcome="no mail", reason=route.error.text)
    if route.error is not None and not partner.servers:
        return Delivery(outcome="unknown", reason=f"its route is not known: {route.error.text}")
    demands = {host: demand_of(host) for host in dict.fromkeys(each.endpoint.host for each in partner.servers)}
    for found in demands.values():
        if isinstance(found, NoDemand):
            return Delivery(outcome=found.outcome, reason=found.reason, place=found.place)
    met: list[tuple[int, Session]] = []
    levels: set[Tls] = set()
    preferences = {host.name: host.preference or 0 for host in route.hosts}
    for server in partner.servers:
        demand = demands[server.endpoint.host]
        assert isinstance(demand, Demand)
        levels.add(demand.level)
        met.append((preferences.get(server.endpoint.host, 0), _met(demand, server, partner.next_hop, simulations)))
    for host in route.hosts:
        probed = {each.endpoint.address for each in partner.servers if each.endpoint.host == host.name}
        if any(address not in probed for address in host.addresses):
            met.append((host.preference or 0, Session(end="unknown", reason=f"{host.name} was not probed")))
    if not met:
        return Delivery(outcome="unknown", reason="no server of it is known")
    level = max(levels, key=LEVELS.index) if levels else None
    if level in ("none", "may", "dane"):
        return _at_may(met, level, clear_text_waits=clear_text_waits)
    return _above_may(met, level)


_UNDELIVERABLE = frozenset({"nxdomain", "no-data", "no-address", "null-mx-mixed"})
"""How a route can end for good: mail comes back then, with TLS or without."""


def _at_may(met: list[tuple[int, Session]], level: Tls | None, *, clear_text_waits: bool) -> Delivery:
    """Server after server, those of one preference in any order; the best of them counts. At *dane* it is the same
    where there are no TLSA records, of which the store knows nothing."""
    every = [session for _, session in met]
    broken: list[Session] = []
    for _, tier in groupby(sorted(met, key=lambda each: each[0]), key=lambda each: each[0]):
        sessions = [session for _, session in tier]
        for end in ("tls", "clear", "unknown") if clear_text_waits else ("tls", "clear", "fails", "unknown"):
            found = [session for session in sessions if session.end == end]
            if found and end == "tls":
                return _delivered("tls", found[0], level, every)
            if found and end in ("clear", "fails"):
                return _delivered("clear", found[0], level, every)
            if found:
                return _delivered("unknown", found[0], level, every)
        broken += [session for session in sessions if session.end == "fails"]
    if broken:
        return _delivered("clear", broken[0], level, every)
    return _delivered("unknown", every[0], level, every)


def _above_may(met: list[tuple[int, Session]], level: Tls | None) -> Delivery:
    """The first server that meets what is demanded has the mail; where there is none, the mail waits."""
    every = [session for _, session in sorted(met, key=lambda each: each[0])]
    ends: tuple[tuple[SessionEnd, Outcome], ...] = (("tls", "tls"), ("unknown", "unknown"), ("fails", "deferred"))
    for end, outcome in ends:
        found = [session for session in every if session.end == end]
        if found:
            return _delivered(outcome, found[0], level, every)
    return _delivered("unknown", every[0], level, every)


def _delivered(outcome: Outcome, session: Session, level: Tls | None, every: list[Session]) -> Delivery:
    note = ""
    if len(every) > 1:
        others = Counter(
            each.reason or f"{each.protocol} {each.suite}"
            for each in every
            if each.end != session.end or (each.reason != session.reason and each.end != "tls")
        )
        note = "; ".join(f"{count} of {len(every)} servers: {words}" for words, count in others.most_common(3))
    if level == "dane" and outcome != "unknown":
        note = "; ".join(each for each in (note, "as without TLSA records, which are not in the store") if each)
    return Delivery(
        outcome=outcome,
        level=level,
        protocol=session.protocol if outcome == "tls" else None,
        suite=session.suite if outcome == "tls" else None,
        reason="" if outcome == "tls" else session.reason,
        note=note,
        place=None if outcome == "tls" else session.place,
    )


def _met(demand: Demand, server: PartnerServer, next_hop: str, simulations: Simulations) -> Session:
    service = server.endpoint.service
    if service != "smtp":
        return Session(end="unknown", reason=f"what is demanded of {service}: is not told by the settings of SMTP")
    if server.facts is None:
        return Session(end="unknown", reason=f"{server.endpoint.host} was not probed")
    found = simulations.session(demand, server)
    if found.end != "tls" and found.place is None:
        found = replace(found, place=demand.place)
    if found.end != "tls" or demand.level in ("may", "encrypt", "dane"):
        return found
    state, why = _authenticated(demand, server, found.certificate_kind, next_hop)
    if state == "yes":
        return found
    return Session(end="fails" if state == "no" else "unknown", reason=why, place=demand.place)


def _session(demand: Demand, facts: EndpointFacts | None) -> Session:
    """The handshake; without it, whether the mail may go in clear text on the same connection."""
    if facts is None:
        return Session(end="unknown", reason="it was not probed")
    if demand.offer is None:
        return Session(end="clear", reason="our level is none")
    seen = facts.starttls
    if seen.state == "unknown":
        end: SessionEnd = "unreachable" if seen.stage == "connect" else "unknown"
        return Session(end=end, reason="whether its STARTTLS works is not known")
    if seen.state == "refused" and seen.stage != "starttls":
        return Session(end="unknown", reason="it refused to talk to us when it was probed")
    if seen.state in ("not-offered", "refused"):
        # Postfix goes on in clear text after "no" to STARTTLS, too (smtp_proto.c).
        words = "it offers no STARTTLS" if seen.state == "not-offered" else "it refuses STARTTLS"
        return Session(end="clear" if demand.level in ("may", "dane") else "fails", reason=words)
    if isinstance(demand.offer, NoTls):
        return Session(end="fails", reason=f"our TLS is off: {demand.offer.reason}")
    if seen.state == "offered-but-broken":
        return Session(end="fails", reason="it offers STARTTLS, but TLS fails")
    found = simulate(demand.offer, facts)
    if found.state == "yes" and found.protocol in _BEFORE_TLS12 and (weak := demand.offer.abandons):
        named = suite_named(found.suite or "")
        if named is None:
            return Session(end="unknown", reason=f"which suite of {found.protocol} it would choose is not known")
        if named.number in weak:
            reason = f"our security level forbids signatures of {found.protocol}, with which it answers ({found.suite})"
            return Session(end="fails", reason=reason)
    if found.state == "yes":
        return Session(
            end="tls",
            protocol=found.protocol,
            suite=found.suite or "with a suite that is not known",
            certificate_kind=found.certificate_kind,
        )
    if found.state == "unknown":
        return Session(end="unknown", reason=found.reason or "its facts leave it open")
    return _obstructed(demand, facts, found)


def _obstructed(demand: Demand, facts: EndpointFacts, found: Simulated) -> Session:
    """Why there is no session, in words that are the same for all partners with the same fault."""
    place = demand.places.get(found.obstacle) if found.obstacle else None
    taken = tuple(protocol for protocol in PROTOCOLS if _accepts(facts, protocol))
    if found.obstacle == "version":
        reason = f"no common version, it takes {', '.join(taken) or 'none'}"
    elif found.obstacle == "suite":
        versions = [facts.protocols[found.protocol]] if found.protocol else [facts.protocols[each] for each in taken]
        suites = tuple(dict.fromkeys(int(each.id, 16) for version in versions for each in version.suites))
        missing = missing_overlaps(demand.exclusions(), suites)
        if missing:
            needed, exclusion = families(missing[0].suites), missing[0].exclusion
            reason = f"no common suite, needs {needed}, which {exclusion} takes away"
            place = place_of(exclusion) or place
        else:
            reason = f"no common suite, needs {families(suites)}" if suites else "no common suite"
    elif found.obstacle is not None:
        reason = f"no common {found.obstacle}"
    else:
        reason = found.reason or "TLS fails"
    if demand.level == "dane":
        reason += "; where it has TLSA records, mail waits"
    return Session(end="fails", reason=reason, place=place)


def _accepts(facts: EndpointFacts, protocol: Protocol) -> bool:
    seen = facts.protocols.get(protocol)
    return seen is not None and seen.state == "accepted"


def _authenticated(
    demand: Demand, server: PartnerServer, kind: CertificateKind | None, next_hop: str
) -> tuple[State, str]:
    """Whether the certificate is what a level above *encrypt* demands, as far as the last scan tells."""
    if demand.level == "dane-only":
        return "unknown", "TLSA records are not in the store"
    if not server.certificates:
        return "unknown", "its certificate is not known"
    shown = server.certificates[0]
    if demand.level == "fingerprint":
        wanted = {text.replace(":", "").lower() for text in demand.match}
        if demand.sha256 and shown.sha256 in wanted:
            return "yes", ""
        return "unknown", "whether its certificate or key has one of our fingerprints is not known"
    if demand.trusts == "no":
        return "no", "our MTA trusts no CA, and no certificate verifies"
    if len(server.certificates) > 1 and [kind_of_key(each.key) for each in server.certificates].count(kind) != 1:
        return "unknown", "it has several certificates, and which it would show is not known"
    if len(server.certificates) > 1 and kind_of_key(shown.key) != kind:
        return "unknown", f"it would show its {kind} certificate, which was not verified"
    verification = server.verification
    if verification is None or demand.trusts == "unknown":
        return "unknown", "whether its certificate verifies with our CAs is not known"
    if not verification.ok:
        return "no", f"its certificate does not verify ({verification.text})"
    names = [name for name in shown.names if not _is_address(name)]
    names = names or ([shown.common_name] if shown.common_name else [])
    if server.name_match is not None and server.name_match.error is not None:
        return "unknown", "not all names of its certificate could be read"
    for pattern in demand.match:
        if any(_matches(name, pattern, server.endpoint.host, next_hop) for name in names):
            return "yes", ""
    return "no", f"its certificate matches none of our names ({', '.join(demand.match)})"


def _matches(name: str, pattern: str, host: str, next_hop: str) -> bool:
    """Whether a name of a certificate is one that `smtp_tls_secure_cert_match` stands for (postconf(5))."""
    domain = _domain(next_hop)
    match pattern.lower():
        case "hostname":
            return postfix_matches(name, host)
        case "nexthop":
            return postfix_matches(name, domain)
        case "dot-nexthop":
            return name.lower().endswith(f".{domain.lower()}")
        case literal if literal.startswith("."):
            return name.lower().endswith(literal)
        case literal:
            return postfix_matches(name, literal)


def _domain(next_hop: str) -> str:
    """The next-hop without brackets and port, which certificates do not have."""
    if next_hop.startswith("["):
        return next_hop[1:].partition("]")[0]
    return next_hop.partition(":")[0]


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def present(partner: Partner) -> Delivery:
    """What becomes of mail for a partner today, as far as its facts alone tell: whoever has a STARTTLS that works gets
    TLS at level *may*, unless our own hello was sent, and failed."""
    states = {_present(each.facts) for each in partner.servers if each.facts is not None}
    for outcome in ("tls", "clear"):
        if outcome in states:
            return Delivery(outcome=outcome)
    return Delivery(outcome="unknown", reason="it is not known whether it gets TLS today")


def _present(facts: EndpointFacts) -> Outcome:
    match facts.starttls.state:
        case "works":
            refused = facts.profiles and all(answer.state == "no" for answer in facts.profiles)
            return "clear" if refused else "tls"
        case "not-offered" | "offered-but-broken":
            return "clear"
        case "refused" if facts.starttls.stage == "starttls":
            return "clear"
    return "unknown"
