"""What is asked of every certificate that a server shows: the names it must cover, and how long it must last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from mxprobe.facts import EndpointFacts, EvidenceValue, Severity
from mxprobe.tls.signing_keys import kind_of_key
from mxprobe.trust.certificate import Certificate, read_certificate
from mxprobe.trust.names import match_name
from mxprobe.verdict.checks import Check, Outcome
from mxprobe.verdict.rules import endpoint_name

COVERS_SOURCE = "RFC 9525 §6, postconf(5) smtp_tls_verify_cert_match"
LASTS_SOURCE = "RFC 5280 §4.1.2.5"


def covers_checks(
    subject: str, facts: EndpointFacts, names: Iterable[str], certificates: Mapping[str, bytes]
) -> Iterator[Check]:
    """Whether every certificate names every host, by RFC 9525 and as Postfix matches: each pair is a check."""
    for name in names:
        for shown in facts.certificates:
            der = certificates.get(shown.sha256)
            if der is None:
                yield _check("covers", name, subject, facts, "unknown", f"{_title(shown)} was not kept", COVERS_SOURCE)
            else:
                yield _covered(subject, facts, name, shown, der)
        if why := _not_shown(facts):
            yield _check("covers", name, subject, facts, "unknown", why, COVERS_SOURCE)


def lasts_checks(
    subject: str, facts: EndpointFacts, days: int, time: datetime, certificates: Mapping[str, bytes]
) -> Iterator[Check]:
    """Whether every certificate is valid for so many days from `time` on; of the others in its chain it is said only.

    Servers send more of a chain than a client needs, and some of it may have expired for good reasons.
    """
    limit = timedelta(days=days)
    chained: dict[str, None] = {}
    for shown in facts.certificates:
        outcome, summary = _lasting(shown, limit, time)
        evidence: dict[str, EvidenceValue] = {"sha256": shown.sha256, "days": days}
        if shown.not_after is not None:
            evidence["not_after"] = shown.not_after.isoformat()
        yield _check("lasts", in_days(days), subject, facts, outcome, summary, LASTS_SOURCE, evidence)
        chained |= dict.fromkeys(shown.chain[1:])
    for sha256 in chained:
        der = certificates.get(sha256)
        if der is None:
            continue
        issuer = read_certificate(der)
        outcome, summary = _lasting(issuer, limit, time)
        if outcome != "passed":
            evidence = {"sha256": sha256, "subject": issuer.subject, "days": days}
            name = f"{in_days(days)}, of the chain"
            yield _check(
                "lasts", name, subject, facts, "noted", f"in the chain, {summary}", LASTS_SOURCE, evidence, "warning"
            )
    if why := _not_shown(facts):
        yield _check("lasts", in_days(days), subject, facts, "unknown", why, LASTS_SOURCE)


def _covered(subject: str, facts: EndpointFacts, name: str, shown: Certificate, der: bytes) -> Check:
    found = match_name(der, name)
    evidence: dict[str, EvidenceValue] = {
        "sha256": shown.sha256,
        "names": found.names,
        "rfc9525_matches": found.matches,
        "postfix_matches": found.postfix_matches,
    }
    outcome: Outcome = "passed"
    summary = f"{_title(shown)} names {name}"
    if found.error is not None and not (found.matches and found.postfix_matches):
        outcome = "unknown"
        summary = f"{_title(shown)}: {found.reason}, but not all names could be read: {found.error}"
    elif not (found.matches or found.postfix_matches):
        outcome, summary = "failed", f"{_title(shown)} does not name {name}: {found.reason}"
    elif not (found.matches and found.postfix_matches):
        rule = "RFC 9525" if found.postfix_matches else "Postfix's rule"
        outcome, summary = "failed", f"{_title(shown)} does not name {name} by {rule}: {found.reason}"
    return _check("covers", name, subject, facts, outcome, summary, COVERS_SOURCE, evidence)


def _lasting(shown: Certificate, limit: timedelta, time: datetime) -> tuple[Outcome, str]:
    title = _title(shown)
    if shown.not_after is None or shown.not_before is None:
        return "unknown", f"{title}: its dates cannot be read: {shown.error or 'no reason known'}"
    left = shown.not_after - time
    until = f"{shown.not_after:%Y-%m-%d %H:%M} UTC"
    if left < timedelta(0):
        return "failed", f"{title} has expired at {until}"
    if shown.not_before > time:
        return "failed", f"{title} is not valid before {shown.not_before:%Y-%m-%d %H:%M} UTC"
    if left < limit:
        return "failed", f"{title} lasts until {until}: {in_days(left.days)}, and not {limit.days}"
    return "passed", f"{title} lasts for {in_days(left.days)}, until {until}"


def in_days(days: int) -> str:
    """A number of days in words."""
    return "1 day" if days == 1 else f"{days} days"


def _not_shown(facts: EndpointFacts) -> str:
    """Why there is, or may be, a certificate of which nothing is known; empty where all were seen."""
    if not facts.certificates:
        return "no certificate was seen" + (f": {facts.starttls.reason}" if facts.starttls.reason else "")
    seen = {kind_of_key(shown.key) for shown in facts.certificates}
    unseen = [kind for kind, has in facts.certificate_kinds.items() if has.state == "yes" and kind not in seen]
    return f"there is also a certificate of kind {', '.join(unseen)}, which was not seen" if unseen else ""


def _title(shown: Certificate) -> str:
    """Which certificate is meant, where a server has several: by its key and what it is called."""
    name = shown.common_name or (shown.names[0] if shown.names else shown.subject) or shown.sha256[:16]
    return f"the {shown.key or 'unreadable'} certificate of {name}"


def _check(
    id: str,
    name: str,
    subject: str,
    facts: EndpointFacts,
    outcome: Outcome,
    summary: str,
    source: str,
    evidence: dict[str, EvidenceValue] | None = None,
    severity: Severity | None = None,
) -> Check:
    return Check(
        id=id,
        name=name,
        subject=subject,
        endpoint=endpoint_name(facts),
        outcome=outcome,
        severity=severity or ("ok" if outcome == "passed" else "warning"),
        summary=summary,
        evidence=evidence or {},
        source=source,
    )
