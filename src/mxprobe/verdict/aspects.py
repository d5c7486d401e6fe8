"""What one observation of a target says, aspect by aspect: facts in a form that two times can be compared in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mxprobe.facts import EndpointFacts, Target
from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.suites import suite_named
from mxprobe.verdict.aspects_of_certificates import certificate_aspects
from mxprobe.verdict.aspects_of_routes import route_aspects
from mxprobe.verdict.rules import endpoint_name, needs_sslv3, shared_cipher
from mxprobe.verdict.rules import starttls as starttls_verdict
from mxprobe.verdict.seen import DEFAULTS, Aspect, NoticeSettings, Seen, as_value


def aspects(target: Target, at: datetime, settings: NoticeSettings = DEFAULTS) -> tuple[Seen, ...]:
    """All that the facts of a target say at `at` (aware), each aspect once, in the order of the facts.

    Where STARTTLS does not work, or is not known to, nothing is said of the TLS behind it. The verdicts of the target
    are not looked at: they are computed again. What was computed from a configuration was not seen.
    """
    found: dict[Aspect, Seen] = {}
    for seen in route_aspects(target.route):
        found.setdefault(seen.aspect, seen)
    for facts in target.endpoints:
        if facts.computed_from is None:
            for seen in _endpoint_aspects(facts, at, settings):
                found.setdefault(seen.aspect, seen)
    return tuple(found.values())


def suite_word(number: int) -> str:
    """How a suite is written in the value of a list: ``C030``, or six digits in SSLv2."""
    return f"{number:04X}"


def _endpoint_aspects(facts: EndpointFacts, at: datetime, settings: NoticeSettings) -> Iterator[Seen]:
    starttls = _starttls(facts)
    yield starttls
    if starttls.value == "works":
        yield from _versions(facts)
        yield from _suites(facts)
        yield _needs_sslv3(facts)
        yield from _shared_ciphers(facts)
        yield from certificate_aspects(facts, at, settings)


def _starttls(facts: EndpointFacts) -> Seen:
    """Not offered and refused are one: there is no TLS to be had, and mail goes in clear text."""
    verdict = starttls_verdict(facts)
    value = None
    if verdict.state == "yes":
        value = "works"
    elif verdict.state == "no":
        value = "broken" if facts.starttls.state == "offered-but-broken" else "none"
    return Seen(
        aspect=Aspect(kind="starttls", endpoint=endpoint_name(facts)),
        value=value,
        reason=verdict.summary,
        evidence=verdict.evidence,
    )


def _versions(facts: EndpointFacts) -> Iterator[Seen]:
    for protocol in PROTOCOLS:
        aspect = Aspect(kind="version", endpoint=endpoint_name(facts), item=protocol)
        seen = facts.protocols.get(protocol)
        if _agreed(facts, protocol):
            yield Seen(aspect=aspect, value="accepted", reason="a complete handshake")
        elif seen is not None:
            yield Seen(aspect=aspect, value=None if seen.state == "unknown" else seen.state, reason=seen.reason)


def _suites(facts: EndpointFacts) -> Iterator[Seen]:
    """The suites of each version that is accepted. Those of a sweep that was taken over are known as of that sweep."""
    taken_over = facts.sweep in ("same-as", "confirmed")
    for protocol in PROTOCOLS:
        seen = facts.protocols.get(protocol)
        agreed = suite_named(facts.natural.suite) if facts.natural and _agreed(facts, protocol) else None
        numbers = {int(each.id, 16) for each in seen.suites} if seen is not None and seen.state == "accepted" else set()
        complete = seen is not None and seen.state == "accepted" and seen.complete and bool(numbers)
        if agreed is not None and agreed.number not in numbers:
            numbers.add(agreed.number)
            complete = False
        if numbers:
            yield Seen(
                aspect=Aspect(kind="suites", endpoint=endpoint_name(facts), item=protocol),
                value=" ".join(suite_word(number) for number in sorted(numbers)),
                complete=complete,
                at=facts.swept_at if taken_over else None,
            )


def _needs_sslv3(facts: EndpointFacts) -> Seen:
    verdict = needs_sslv3(facts)
    return Seen(
        aspect=Aspect(kind="needs-sslv3", endpoint=endpoint_name(facts)),
        value=None if verdict.state == "unknown" else verdict.state,
        reason=verdict.summary,
        evidence=verdict.evidence,
    )


def _shared_ciphers(facts: EndpointFacts) -> Iterator[Seen]:
    for verdict in shared_cipher(facts):
        yield Seen(
            aspect=Aspect(
                kind="shared-cipher", endpoint=verdict.endpoint, item=as_value(str(verdict.evidence["profile"]))
            ),
            value=None if verdict.state == "unknown" else verdict.state,
            reason=verdict.summary,
            evidence=verdict.evidence,
        )


def _agreed(facts: EndpointFacts, protocol: Protocol) -> bool:
    """Whether a complete handshake came to this version."""
    natural = facts.natural
    return natural is not None and natural.protocol == protocol and natural.reached == "handshake-complete"
