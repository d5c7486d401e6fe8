"""The rules: from what was seen at an endpoint to judged statements, each with evidence and source.

Pure functions of facts and time, so that verdicts can be computed again from the store. Every verdict answers the
question in its id with yes, no or unknown; `docs/verdicts.md` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from mxprobe.facts import EndpointFacts, EvidenceValue, ProtocolFacts, Severity, Suite, Target, Verdict
from mxprobe.routing.route import Route
from mxprobe.terms import PROTOCOLS, Endpoint, Protocol, Service, State
from mxprobe.tls.suites import suite
from mxprobe.trust.verification import longer_than_limit

EXPIRES_SOON = timedelta(days=14)
"""A certificate with less than this left is worth a warning: ACME clients renew well before."""

WEAK_DH_BITS = 2048
"""Finite fields below this are weak: RFC 9325 §4.5 demands as many bits."""

VERDICTS = (
    *("starttls", "needs-sslv3", "shared-cipher", "weak-dh", "secure-renegotiation", "compression"),
    *("trusted", "name-matches", "not-expired", "null-mx"),
)
"""Every verdict id, in the order of a report."""

_TLS: dict[Service, str] = {"smtp": "STARTTLS", "lmtp": "STARTTLS", "smtps": "TLS"}

_TLS_VERSIONS: tuple[Protocol, ...] = PROTOCOLS[2:]


def judge(next_hop: str, route: Route, endpoints: tuple[EndpointFacts, ...], time: datetime) -> Target:
    """A target with all that can be said of it at `time` (aware)."""
    verdicts = [*_of_route(route)]
    for facts in endpoints:
        verdicts += judge_endpoint(facts, time)
    return Target(next_hop=next_hop, route=route, endpoints=endpoints, verdicts=tuple(verdicts))


def judge_endpoint(facts: EndpointFacts, time: datetime) -> tuple[Verdict, ...]:
    """The verdicts on one endpoint, in the order of `VERDICTS`."""
    rules: tuple[Callable[[EndpointFacts], Verdict], ...] = (starttls, needs_sslv3)
    about_certificate = (trusted(facts), name_matches(facts), not_expired(facts, time))
    beyond_suites = (*weak_dh(facts), *secure_renegotiation(facts), *compression(facts))
    return (*(rule(facts) for rule in rules), *shared_cipher(facts), *beyond_suites, *about_certificate)


def endpoint_name(facts: EndpointFacts) -> str:
    """How verdicts and reports name an endpoint: ``mx1.example.com[192.0.2.1]:25``."""
    return str(Endpoint(host=facts.host, address=facts.address, port=facts.port))


def starttls(facts: EndpointFacts) -> Verdict:
    """Whether STARTTLS leads to TLS (RFC 3207)."""
    seen = facts.starttls
    state: State = "unknown"
    severity: Severity = "info"
    offered = "" if facts.service == "smtps" else "STARTTLS is offered, but"
    match seen.state:
        case "works":
            state, severity, summary = "yes", "ok", f"{_TLS[facts.service]} works"
            if seen.stage == "handshake" and seen.reason:
                severity, summary = "warning", f"{summary}, but {seen.reason}"
        case "offered-but-broken":
            state, severity, summary = "no", "critical", f"{offered} TLS fails: {seen.reason}"
        case "refused" if seen.stage == "starttls":
            state, severity, summary = "no", "warning", f"STARTTLS is refused: {seen.reason}"
        case "refused":
            severity, summary = "warning", f"the server does not serve us: {seen.reason}"
        case "not-offered":
            state, severity, summary = "no", "warning", "STARTTLS is not offered: mail goes in clear text"
        case "unknown":
            severity, summary = "warning", f"could not find out: {seen.reason}"
    evidence: dict[str, EvidenceValue] = {"state": seen.state, "reason": seen.reason}
    if seen.reply:
        evidence["reply"] = str(seen.reply)
    if facts.early_bytes:
        evidence["early_bytes"] = facts.early_bytes
        summary += "; clear text followed the 220 (possible response injection)"
        severity = "critical"
    return _verdict("starttls", facts, state, severity, summary, evidence, "RFC 3207 §4")


def needs_sslv3(facts: EndpointFacts) -> Verdict:
    """Whether a peer must speak SSLv3 to get any encryption: no TLS version works, and SSLv3 does."""
    states = {protocol: seen.state for protocol, seen in facts.protocols.items()}
    evidence: dict[str, EvidenceValue] = {
        protocol: _protocol_evidence(seen) for protocol, seen in facts.protocols.items()
    }
    source = "RFC 7568 §3"
    if facts.starttls.state == "not-offered":
        return _verdict("needs-sslv3", facts, "no", "ok", "no TLS is offered at all", evidence, source)
    working = [protocol for protocol in _TLS_VERSIONS if _works(facts, protocol)]
    if facts.natural and facts.natural.protocol in _TLS_VERSIONS:
        working.append(facts.natural.protocol)
    if working:
        summary = f"{working[-1]} works"
        return _verdict("needs-sslv3", facts, "no", "ok", summary, evidence, source)
    if states.get("SSLv3") == "refused":
        return _verdict("needs-sslv3", facts, "no", "ok", "SSLv3 is refused too", evidence, source)
    if _works(facts, "SSLv3") and all(states.get(protocol) == "refused" for protocol in _TLS_VERSIONS):
        summary = "needs SSLv3: every TLS version is refused"
        return _verdict("needs-sslv3", facts, "yes", "critical", summary, evidence, source)
    unknown = [protocol for protocol in PROTOCOLS[1:] if states.get(protocol, "unknown") == "unknown"]
    summary = f"could not find out: {', '.join(unknown)} unknown"
    return _verdict("needs-sslv3", facts, "unknown", "info", summary, evidence, source)


def shared_cipher(facts: EndpointFacts) -> tuple[Verdict, ...]:
    """Whether the hello of each profile got a session: observed by sending that hello."""
    verdicts = []
    for answer in facts.profiles:
        severity: Severity = "ok"
        if answer.state == "yes":
            summary = f"shares {answer.protocol} {answer.suite} with profile {answer.profile}"
        elif answer.state == "no":
            severity, summary = "critical", f"shares no cipher with profile {answer.profile}: {answer.reason}"
        else:
            severity = "warning"
            summary = f"could not find out for profile {answer.profile}: {answer.reason}"
        evidence: dict[str, EvidenceValue] = {
            "profile": answer.profile,
            "protocol": answer.protocol,
            "suite": answer.suite,
            "reason": answer.reason,
        }
        source = "RFC 5246 §7.4.1.3, RFC 8446 §4.1.1"
        verdicts.append(_verdict("shared-cipher", facts, answer.state, severity, summary, evidence, source))
    return tuple(verdicts)


def weak_dh(facts: EndpointFacts) -> tuple[Verdict, ...]:
    """Whether keys are agreed on in finite fields that are too small; not judged where none of DHE's was seen."""
    source = "RFC 9325 §4.5, RFC 7919 §1"
    accepted = {protocol: seen for protocol, seen in facts.protocols.items() if seen.state == "accepted"}
    found = sorted({(field.bits, field.name or "of its own") for seen in accepted.values() for field in seen.dh})
    if not accepted:
        return ()
    fields = tuple(f"{bits} bits, {name}" for bits, name in found)
    evidence: dict[str, EvidenceValue] = {"finite_fields": fields}
    if found and found[0][0] < WEAK_DH_BITS:
        summary = f"DHE with {found[0][0]} bits only ({found[0][1]})"
        return (_verdict("weak-dh", facts, "yes", "warning", summary, evidence, source),)
    incomplete = [protocol for protocol, seen in facts.protocols.items() if protocol != "TLSv1.3" and not seen.complete]
    if not found and (incomplete or any(_is_dhe(used) for seen in accepted.values() for used in seen.suites)):
        return ()
    if incomplete:
        summary = f"could not find out: not all suites of {', '.join(incomplete)} are known"
        return (_verdict("weak-dh", facts, "unknown", "info", summary, evidence, source),)
    summary = f"no DHE with less than {found[0][0]} bits" if found else "no DHE"
    return (_verdict("weak-dh", facts, "no", "ok", summary, evidence, source),)


def secure_renegotiation(facts: EndpointFacts) -> tuple[Verdict, ...]:
    """Whether renegotiation is bound to the session (RFC 5746); not judged where no answer tells."""
    seen = facts.features.secure_renegotiation if facts.features else None
    if seen is None:
        return ()
    source = "RFC 5746 §4, RFC 9325 §3.5"
    summary = {
        "yes": "secure renegotiation is supported",
        "no": "secure renegotiation is not supported",
        "unknown": "could not find out",
    }[seen.state]
    severity: Severity = "ok" if seen.state == "yes" else "warning" if seen.state == "no" else "info"
    summary = f"{summary}: {seen.reason}" if seen.reason else summary
    evidence: dict[str, EvidenceValue] = {"reason": seen.reason}
    return (_verdict("secure-renegotiation", facts, seen.state, severity, summary, evidence, source),)


def compression(facts: EndpointFacts) -> tuple[Verdict, ...]:
    """Whether TLS compresses, which gives secrets away by their length (CRIME); not judged where it was not asked."""
    seen = facts.features.compression if facts.features else None
    if seen is None:
        return ()
    severity: Severity = "warning" if seen.state == "yes" else "ok" if seen.state == "no" else "info"
    summary = {"yes": "TLS compression is on", "no": "no TLS compression", "unknown": "could not find out"}[seen.state]
    summary = f"{summary}: {seen.reason}" if seen.reason else summary
    evidence: dict[str, EvidenceValue] = {"reason": seen.reason}
    return (_verdict("compression", facts, seen.state, severity, summary, evidence, "RFC 9325 §3.3"),)


def trusted(facts: EndpointFacts) -> Verdict:
    """Whether the chain verifies against the CA path, and is not longer than the depth allows."""
    source = "RFC 5280 §6, postconf(5) smtp_tls_scert_verifydepth"
    seen = facts.verification
    if seen is None:
        return _no_certificate("trusted", facts, source)
    evidence: dict[str, EvidenceValue] = {
        "code": seen.code,
        "text": seen.text,
        "depth": seen.depth,
        "ca_path": seen.ca_path,
        "ca_file": seen.ca_file,
    }
    if not seen.ok:
        summary = f"certificate not trusted: {seen.code} ({seen.text}) at depth {seen.depth}"
        return _verdict("trusted", facts, "no", "warning", summary, evidence, source)
    if longer_than_limit(seen):
        evidence |= {"chain_depth": seen.chain_depth, "depth_limit": seen.depth_limit}
        summary = f"certificate not trusted: chain longer than limit({seen.depth_limit})"
        return _verdict("trusted", facts, "no", "warning", summary, evidence, source)
    return _verdict("trusted", facts, "yes", "ok", "certificate trusted", evidence, source)


def name_matches(facts: EndpointFacts) -> Verdict:
    """Whether the certificate names the MX host (RFC 9525; Postfix's older rule is in the evidence)."""
    source = "RFC 9525 §6"
    seen = facts.name_match
    if seen is None:
        return _no_certificate("name-matches", facts, source)
    evidence: dict[str, EvidenceValue] = {
        "host": seen.host,
        "names": seen.names,
        "postfix_matches": seen.postfix_matches,
    }
    if seen.matches:
        summary = f"certificate names {seen.host}"
        return _verdict("name-matches", facts, "yes", "ok", summary, evidence, source)
    if seen.error is not None:
        summary = f"{seen.reason}, but not all names could be read: {seen.error}"
        return _verdict("name-matches", facts, "unknown", "warning", summary, evidence, source)
    return _verdict("name-matches", facts, "no", "warning", seen.reason, evidence, source)


def not_expired(facts: EndpointFacts, time: datetime) -> Verdict:
    """Whether the server's own certificate is valid at this time, by its dates alone (RFC 5280 §4.1.2.5)."""
    source = "RFC 5280 §4.1.2.5"
    if not facts.certificates:
        return _no_certificate("not-expired", facts, source)
    leaf = facts.certificates[0]
    if leaf.not_after is None or leaf.not_before is None:
        summary = f"the dates of the certificate cannot be read: {leaf.error or 'no reason known'}"
        return _verdict("not-expired", facts, "unknown", "warning", summary, {"sha256": leaf.sha256}, source)
    evidence: dict[str, EvidenceValue] = {
        "not_before": leaf.not_before.isoformat(),
        "not_after": leaf.not_after.isoformat(),
        "at": time.isoformat(),
    }
    left = leaf.not_after - time
    if left < timedelta(0):
        summary = f"certificate expired {_days(-left)} ago"
        return _verdict("not-expired", facts, "no", "warning", summary, evidence, source)
    if leaf.not_before > time:
        summary = f"certificate is not valid for another {_days(leaf.not_before - time)}"
        return _verdict("not-expired", facts, "no", "warning", summary, evidence, source)
    severity: Severity = "warning" if left < EXPIRES_SOON else "ok"
    return _verdict("not-expired", facts, "yes", severity, f"certificate valid for {_days(left)}", evidence, source)


def _of_route(route: Route) -> list[Verdict]:
    verdicts = []
    source = "RFC 7505 §3"
    if route.kind == "null-mx":
        summary = "accepts no mail (null MX); nothing was dialled"
        return [_target_verdict("null-mx", "yes", "info", "", summary, {}, source)]
    if route.kind in ("mx", "implicit-mx"):
        verdicts.append(_target_verdict("null-mx", "no", "ok", "", "accepts mail", {}, source))
    if route.error:
        evidence: dict[str, EvidenceValue] = {"status": route.error.status, "temporary": route.error.temporary}
        summary = f"no route: {route.error.text}"
        if route.error.status == "ignored":
            summary = f"not dialled: {route.error.text}"
        if route.error.temporary or route.error.status == "ignored":
            verdicts.append(_target_verdict("null-mx", "unknown", "info", "", summary, evidence, source))
        severity: Severity = "info" if route.error.status == "ignored" else "critical"
        severity = "warning" if route.error.temporary else severity
        verdicts.append(_target_verdict("starttls", "unknown", severity, "", summary, evidence, "RFC 5321 §5.1"))
    for host in route.hosts:
        if host.error:
            evidence = {"status": host.error.status, "refused_addresses": host.refused_addresses}
            ignored = host.error.status == "ignored"
            dialled = f"not every address was {'dialled' if ignored else 'found'}" if host.addresses else "not dialled"
            summary = f"{host.name}: {dialled}: {host.error.text}"
            severity = "info" if ignored else "warning"
            found = _target_verdict("starttls", "unknown", severity, host.name, summary, evidence, "RFC 5321 §5.1")
            verdicts.append(found)
    return verdicts


def _no_certificate(id: str, facts: EndpointFacts, source: str) -> Verdict:
    summary = "no certificate was seen"
    if facts.starttls.reason:
        summary += f": {facts.starttls.reason}"
    return _verdict(id, facts, "unknown", "info", summary, {}, source)


def _works(facts: EndpointFacts, protocol: Protocol) -> bool:
    """Whether a server does more than pick a suite in a version.

    In TLS 1.3 the rest of its flight is encrypted, so there it takes a complete handshake to tell.
    """
    seen = facts.protocols.get(protocol)
    if seen is None or seen.state != "accepted":
        return False
    if protocol == "TLSv1.3":
        return facts.natural is not None and facts.natural.reached == "handshake-complete"
    return any(suite.reached != "selected" for suite in seen.suites)


def _is_dhe(used: Suite) -> bool:
    """Whether a suite agrees on its key in a finite field."""
    return suite(int(used.id, 16)).key_exchange in ("DH", "DHEPSK")


def _protocol_evidence(seen: ProtocolFacts) -> str:
    return f"{seen.state}: {seen.reason}" if seen.reason else seen.state


def _days(span: timedelta) -> str:
    days = span // timedelta(days=1)
    if days == 0:
        return f"{span // timedelta(hours=1)} h"
    return "1 day" if days == 1 else f"{days} days"


def _verdict(
    id: str,
    facts: EndpointFacts,
    state: State,
    severity: Severity,
    summary: str,
    evidence: dict[str, EvidenceValue],
    source: str,
) -> Verdict:
    return _target_verdict(id, state, severity, endpoint_name(facts), summary, evidence, source)


def _target_verdict(
    id: str,
    state: State,
    severity: Severity,
    endpoint: str,
    summary: str,
    evidence: dict[str, EvidenceValue],
    source: str,
) -> Verdict:
    return Verdict(
        id=id, state=state, severity=severity, endpoint=endpoint, summary=summary, evidence=evidence, source=source
    )
