"""The checks of mail that goes out: what becomes of each partner's, beside what becomes of it today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from mxprobe.facts import EvidenceValue, Severity
from mxprobe.mta.profile import NoTls, Profile
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.verdict.checks import Check, Outcome, Place
from mxprobe.verdict.outbound import Delivery
from mxprobe.verdict.overlap import hole

ID = "outbound"
SOURCE = "postconf(5) smtp_tls_security_level, RFC 7435 §3"
NAME = "keeps-tls"
"""The condition of every partner: mail that goes by TLS today still does."""

SESSIONS_SHOWN = 5
"""Versions with suites that are named in the summary of all partners."""

_WORDS = {
    "tls": "keep TLS",
    "clear": "get clear text",
    "deferred": "have their mail deferred",
    "unknown": "could not be told",
    "no mail": "take no mail",
}


def partner_check(next_hop: str, after: Delivery, before: Delivery, *, compared: bool) -> Check:
    """What becomes of mail for one partner. `before` is what became of it, with `compared` by a configuration, else as
    the facts alone tell.

    Mail that went by TLS, or went at all, and no longer does, is a failed check; that it waits is worse than that it
    goes in clear text, as RFC 7435 has it.
    """
    outcome, severity, summary = _judged(next_hop, after, before, compared=compared)
    if after.note:
        summary += f" ({after.note})"
    evidence: dict[str, EvidenceValue] = {"delivery": after.outcome, "before": before.outcome}
    if after.level is not None:
        evidence["level"] = after.level
    if after.protocol is not None:
        evidence |= {"protocol": after.protocol, "suite": after.suite}
    if after.reason:
        evidence["reason"] = after.reason
    return Check(
        id=ID,
        name=NAME,
        subject=next_hop,
        outcome=outcome,
        severity=severity,
        summary=summary,
        evidence=evidence,
        source=SOURCE,
        place=after.place if outcome == "failed" else None,
    )


def _judged(next_hop: str, after: Delivery, before: Delivery, *, compared: bool) -> tuple[Outcome, Severity, str]:
    why = f": {after.reason}" if after.reason else ""
    same = before.outcome == after.outcome
    match after.outcome:
        case "tls":
            session = f"{after.protocol} {after.suite}"
            if before.protocol is not None and (before.protocol, before.suite) != (after.protocol, after.suite):
                session += f", before {before.protocol} {before.suite}"
            gains = compared and before.outcome in ("clear", "deferred")
            return "passed", "ok", f"{next_hop} {'gets' if gains else 'keeps'} TLS: {session}"
        case "clear" if same:
            return "passed", "info", f"{next_hop} gets clear text as before{why}"
        case "clear" if before.outcome == "deferred":
            return "noted", "info", f"{next_hop} gets clear text, before its mail was deferred{why}"
        case "clear" if before.outcome == "unknown":
            return "unknown", "warning", f"{next_hop} gets clear text, and whether it got TLS is not known{why}"
        case "clear":
            return "failed", "warning", f"{next_hop} falls back to clear text{why}"
        case "deferred" if same:
            return "noted", "warning", f"mail for {next_hop} is deferred as before{why}"
        case "deferred":
            return "failed", "critical", f"mail for {next_hop} is deferred{why}"
        case "no mail":
            return "noted", "info", f"{next_hop} takes no mail{why}"
    return "unknown", "warning", f"{next_hop} could not be told{why}"


def summary_check(
    subject: str, counts: Mapping[str, int], sessions: Mapping[tuple[str | None, str | None], int]
) -> Check:
    """All partners in one line: how many have which outcome, and by what most of them keep TLS."""
    total = sum(counts.values())
    words = [f"{counts[outcome]} {said}" for outcome, said in _WORDS.items() if counts.get(outcome)]
    most = [
        f"{protocol} {suite}: {count}"
        for (protocol, suite), count in Counter(sessions).most_common(SESSIONS_SHOWN)
        if protocol is not None
    ]
    others = len(sessions) - len(most)
    if others > 0:
        most.append(f"{others} other{'s' if others > 1 else ''}")
    by = f" ({'; '.join(most)})" if most else ""
    return Check(
        id=ID,
        name="partners",
        subject=subject,
        outcome="noted",
        severity="info",
        summary=f"{total} partner{'' if total == 1 else 's'}: {', '.join(words) or 'none are known'}{by}",
        evidence={outcome.replace(" ", "_"): count for outcome, count in counts.items()},
        source=SOURCE,
    )


def hole_checks(
    subject: str, allowed: Iterable[Protocol], profile: Profile | NoTls | None, place: Place | None
) -> Iterator[Check]:
    """Whether versions are left out between others that are allowed. A hello has no way to say so before TLS 1.3: older
    OpenSSL then offers what is below the hole alone, others lose the servers that have nothing newer."""
    if not isinstance(profile, Profile) or (found := hole(allowed)) is None:
        return
    absent, older = found
    newest = PROTOCOLS[PROTOCOLS.index(absent[-1]) + 1]
    if set(profile.protocols) <= {"SSLv2", *older}:
        effect = f"OpenSSL offers nothing newer than {older[-1]} then"
    else:
        effect = (
            f"servers whose newest version it is answer with it, and get no TLS even if they speak {older[-1]} too, "
            f"which helps with those only that speak nothing newer"
        )
    yield Check(
        id="versions",
        name="hole",
        subject=subject,
        outcome="noted",
        severity="warning",
        summary=f"{', '.join(absent)} is left out between {older[-1]} and {newest}: {effect}",
        evidence={"absent": absent, "older": older},
        source="RFC 5246 appendix E.1",
        place=place,
    )
