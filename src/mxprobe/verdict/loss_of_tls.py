"""What a server no longer does against a baseline: STARTTLS, versions, suites and their order, groups, capabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mxprobe.facts import EndpointFacts, EvidenceValue, Listing, ProtocolFacts, Severity
from mxprobe.terms import PROTOCOLS, Protocol, State
from mxprobe.tls.weak_suites import weaknesses
from mxprobe.verdict.checks import Check, Outcome
from mxprobe.verdict.comparison import Pair, listed
from mxprobe.verdict.rules import starttls as starttls_verdict

WEAK_VERSIONS: tuple[Protocol, ...] = ("SSLv2", "SSLv3")
"""Versions that nobody should miss (RFC 6176, RFC 7568). A known sender that does is a check of its own."""


def starttls(pair: Pair) -> Iterator[Check]:
    """STARTTLS itself: without it all of TLS is lost, and nothing more is said of that endpoint."""
    before, now = pair.was(_starttls), _starttls(pair.after)
    source = "RFC 3207 §4"
    reason = starttls_verdict(pair.after).summary
    if before == "yes" and now == "no":
        yield pair.check("keeps", "starttls", "failed", f"TLS is lost: {reason}", severity="critical", source=source)
    elif now == "unknown":
        yield pair.check("keeps", "starttls", "unknown", f"not known whether TLS is lost: {reason}", source=source)
    elif before == "unknown":
        summary = "the baseline does not say whether TLS worked: nothing could be compared"
        yield pair.check("keeps", "starttls", "unknown", summary, source=source)
    elif now == "yes" and before == "no":
        yield pair.check("gained", "starttls", "noted", "TLS works now", source=source)
    elif now == "yes":
        yield pair.check("keeps", "starttls", "passed", "TLS still works", source=source)


def versions_and_suites(pair: Pair) -> Iterator[Check]:
    """Each version that was, or is, accepted, and within it the suites, their order, groups and schemes."""
    for protocol in PROTOCOLS:
        before, now = pair.was(_version(protocol)), _version(protocol)(pair.after)
        if before == "yes" and now == "yes":
            yield pair.check("keeps", protocol, "passed", f"{protocol} is still accepted")
            yield from _suites(pair, protocol)
            yield from _finite_fields(pair, protocol)
            yield from _listing(pair, protocol, "groups", lambda seen: seen.groups)
            yield from _listing(pair, protocol, "signature schemes", lambda seen: seen.schemes)
        elif before == "yes":
            yield _lost_version(pair, protocol, now)
        elif before == "no" and now == "yes":
            summary = f"{protocol} is accepted, and was not"
            weak = protocol in WEAK_VERSIONS
            yield pair.check("gained", protocol, "noted", summary, severity="warning" if weak else None)


def capabilities(pair: Pair) -> Iterator[Check]:
    """What EHLO announced and no longer does, but STARTTLS, which is a check of its own."""
    sides = (*pair.before, pair.after)
    if any(facts.computed_from is not None for facts in sides) or not all(facts.capabilities for facts in sides):
        return
    before = {keyword: line for facts in pair.before for keyword, line in _keywords(facts).items()}
    now = _keywords(pair.after)
    source = "RFC 5321 §4.1.1.1"
    if gone := [keyword for keyword in before if keyword not in now]:
        summary = f"EHLO no longer announces {listed(gone)}"
        evidence: dict[str, EvidenceValue] = {"lost": tuple(gone)}
        yield pair.check("keeps", "capabilities", "failed", summary, evidence=evidence, source=source)
    else:
        yield pair.check("keeps", "capabilities", "passed", "EHLO announces all that it did", source=source)
    if new := [keyword for keyword in now if keyword not in before]:
        yield pair.check("gained", "capabilities", "noted", f"EHLO announces {listed(new)}, too", source=source)
    if other := [f"{before[word]}, now {now[word]}" for word in now if word in before and before[word] != now[word]]:
        yield pair.check("changed", "capabilities", "noted", f"EHLO announced {listed(other)}", source=source)


def _lost_version(pair: Pair, protocol: Protocol, now: State) -> Check:
    seen = pair.after.protocols.get(protocol)
    reason = seen.reason if seen else "it was not asked for"
    weak = protocol in WEAK_VERSIONS
    if now == "unknown":
        summary = f"{protocol} was accepted, and is unknown now" + (f": {reason}" if reason else "")
        return pair.check("keeps", protocol, "noted" if weak else "unknown", summary)
    suites = _names_before(pair, protocol)
    summary = f"{protocol} is lost: it was accepted, and is refused" + (f" ({reason})" if reason else "")
    evidence: dict[str, EvidenceValue] = {"suites": suites} if suites else {}
    return pair.check("keeps", protocol, "noted" if weak else "failed", summary, evidence=evidence)


def _suites(pair: Pair, protocol: Protocol) -> Iterator[Check]:
    now = pair.after.protocols[protocol]
    names_now = tuple(suite.name for suite in now.suites)
    names_before = _names_before(pair, protocol)
    missing = [name for name in names_before if name not in names_now]
    weak = [name for name in missing if weaknesses(name) or protocol in WEAK_VERSIONS]
    strong = [name for name in missing if name not in weak]
    title = f"{protocol} suites"
    if missing and not now.complete:
        why = f" ({now.reason})" if now.reason else ""
        summary = f"{protocol}: not known whether {_count(missing)} are lost, as not all are known{why}"
        outcome: Outcome = "unknown" if strong else "noted"
        yield pair.check("keeps", title, outcome, summary, evidence={"suites": tuple(missing)})
        return
    if strong:
        summary = f"{protocol} no longer takes {_count(strong)}"
        yield pair.check("keeps", title, "failed", summary, evidence={"lost": tuple(strong)})
    elif names_before:
        yield pair.check("keeps", title, "passed", f"{protocol} still takes every suite that is not weak")
    if weak:
        summary = f"{protocol} no longer takes {_count(weak)}, which are weak"
        yield pair.check("keeps", f"{protocol} weak suites", "noted", summary, evidence={"lost": tuple(weak)})
    all_known = all(seen.complete for seen in _before(pair, protocol))
    new = [name for name in names_now if name not in names_before]
    if new and all_known:
        summary = f"{protocol} takes {_count(new)} more"
        severity: Severity = "warning" if any(weaknesses(name) for name in new) else "info"
        yield pair.check("gained", title, "noted", summary, severity=severity, evidence={"gained": tuple(new)})
    yield from _order(pair, protocol)


def _order(pair: Pair, protocol: Protocol) -> Iterator[Check]:
    """A change in who decides, or in what the server prefers among what is left; where there was one order before."""
    now = pair.after.protocols[protocol]
    orders = {seen.order for seen in _before(pair, protocol)}
    if now.order == "unknown" or len(orders) != 1 or "unknown" in orders:
        return
    (order,) = orders
    if order != now.order:
        summary = f"{protocol}: the {order}'s order counted, now the {now.order}'s"
        yield pair.check("changed", f"{protocol} order", "noted", summary)
        return
    if order == "client":
        return
    kept = {suite.name for suite in now.suites}.intersection(
        *({suite.name for suite in seen.suites} for seen in _before(pair, protocol))
    )
    ranked = {
        tuple(suite.name for suite in seen.suites if suite.name in kept) for seen in (*_before(pair, protocol), now)
    }
    if len(ranked) > 1:
        first = tuple(suite.name for suite in now.suites if suite.name in kept)
        evidence: dict[str, EvidenceValue] = {"order": first}
        summary = f"{protocol}: other suites are preferred, now first {listed(first[:3])}"
        yield pair.check("changed", f"{protocol} order", "noted", summary, evidence=evidence)


def _finite_fields(pair: Pair, protocol: Protocol) -> Iterator[Check]:
    """Only where every suite was asked for, as some servers choose the field by the suite."""
    if not all(seen.complete for seen in (*_before(pair, protocol), pair.after.protocols[protocol])):
        return
    before = {field.bits for seen in _before(pair, protocol) for field in seen.dh}
    now = {field.bits for field in pair.after.protocols[protocol].dh}
    if before and now and before != now:
        words = [", ".join(str(bits) for bits in sorted(each)) for each in (before, now)]
        summary = f"{protocol}: the finite fields of DHE had {words[0]} bits, now {words[1]}"
        severity: Severity = "warning" if min(now) < min(before) else "info"
        yield pair.check("changed", f"{protocol} DHE", "noted", summary, severity=severity, source="RFC 7919 §1")


def _listing(
    pair: Pair, protocol: Protocol, what: str, of: Callable[[ProtocolFacts], Listing | None]
) -> Iterator[Check]:
    """Groups or schemes: only where all of them are known now, as otherwise none is known to be lost."""
    now = of(pair.after.protocols[protocol])
    before = [each for seen in _before(pair, protocol) if (each := of(seen)) is not None]
    if now is None or not before or now.state == "unknown":
        return
    names = tuple(dict.fromkeys(name for each in before for name in each.names))
    gone = tuple(name for name in names if name not in now.names)
    title = f"{protocol} {what}"
    if gone and now.complete:
        summary = f"{protocol} no longer takes the {what} {listed(gone)}"
        yield pair.check("keeps", title, "failed", summary, evidence={"lost": gone})
    elif names and now.complete:
        yield pair.check("keeps", title, "passed", f"{protocol} still takes all {what}")
    new = tuple(name for name in now.names if name not in names)
    if new and all(each.complete for each in before) and len(before) == len(_before(pair, protocol)):
        yield pair.check(
            "gained", title, "noted", f"{protocol} takes the {what} {listed(new)}, too", evidence={"gained": new}
        )


def _starttls(facts: EndpointFacts) -> State:
    return starttls_verdict(facts).state


def _version(protocol: Protocol) -> Callable[[EndpointFacts], State]:
    def state(facts: EndpointFacts) -> State:
        seen = facts.protocols.get(protocol)
        if seen is None or seen.state == "unknown":
            return "unknown"
        return "yes" if seen.state == "accepted" else "no"

    return state


def _before(pair: Pair, protocol: Protocol) -> list[ProtocolFacts]:
    """What the version was like wherever it was accepted."""
    found = [facts.protocols.get(protocol) for facts in pair.before]
    return [seen for seen in found if seen is not None and seen.state == "accepted"]


def _names_before(pair: Pair, protocol: Protocol) -> tuple[str, ...]:
    return tuple(dict.fromkeys(suite.name for seen in _before(pair, protocol) for suite in seen.suites))


def _keywords(facts: EndpointFacts) -> dict[str, str]:
    """Each line of the reply to EHLO by its keyword, in capitals (RFC 5321 §2.4)."""
    lines = {line.partition(" ")[0].upper(): line.upper() for line in facts.capabilities if line}
    lines.pop("STARTTLS", None)
    return lines


def _count(names: list[str]) -> str:
    return f"{len(names)} {'suite' if len(names) == 1 else 'suites'}: {listed(names)}"
