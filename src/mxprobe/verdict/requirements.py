"""What the user requires of a target, and what of it does not hold or could not be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mxprobe.facts import EndpointFacts, ProtocolState, Target
from mxprobe.terms import Endpoint, Protocol, State

VERDICT_REQUIREMENTS: tuple[str, ...] = (
    "starttls",
    "shared-cipher",
    "trusted",
    "name-matches",
    "not-expired",
    "needs-sslv3",
    "null-mx",
)
"""The verdicts that can be required; the requirement holds when the verdict's state is "yes"."""

PROTOCOL_REQUIREMENTS: dict[str, Protocol] = {
    "sslv2": "SSLv2",
    "sslv3": "SSLv3",
    "tls1.0": "TLSv1",
    "tls1.1": "TLSv1.1",
    "tls1.2": "TLSv1.2",
    "tls1.3": "TLSv1.3",
}
"""The protocols that can be required; the requirement holds when the protocol is accepted."""

REQUIREMENTS: tuple[str, ...] = (*VERDICT_REQUIREMENTS, *PROTOCOL_REQUIREMENTS)
"""All names; each may have a ``!`` before it, and then the answer has to be a plain "no"."""

ALLOWED_REQUIREMENTS = f"{', '.join(REQUIREMENTS)}, each also with ! before it"
"""What is allowed, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A condition on every endpoint of a target: the answer to `name` has to be `answer`."""

    name: str
    answer: Literal["yes", "no"] = "yes"

    def __str__(self) -> str:
        return self.name if self.answer == "yes" else f"!{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """A requirement that does not hold (`failed`), or of which we do not know whether it does (`unknown`).

    `endpoint` is empty where it is the target as a whole, and not one of its endpoints, that stands in the way.
    """

    requirement: Requirement
    endpoint: str
    outcome: Literal["failed", "unknown"]
    reason: str


def parse_requirement(text: str) -> Requirement:
    """Read a requirement like ``trusted``, ``tls1.2`` or ``!needs-sslv3``.

    Raises:
        ValueError: there is none of that name; the text says what is allowed.
    """
    name = text.removeprefix("!")
    if name not in REQUIREMENTS:
        raise ValueError(f"{text!r} is not a requirement (allowed: {ALLOWED_REQUIREMENTS})")
    return Requirement(name=name, answer="yes" if name == text else "no")


Obstacle = tuple[str, Literal["failed", "unknown"], str]
"""Where something stands in the way, how, and why."""


def unmet(requirements: Iterable[Requirement], target: Target) -> tuple[Unmet, ...]:
    """Everything that keeps the requirements from being met by a judged target; empty when all of them hold.

    A requirement is asked of every endpoint. It is `unknown`, and never met, where a verdict is unknown or missing,
    and where there is something behind the route that was not looked at: an address that was not probed, an MX host
    that could not be resolved for now. An MX host that certainly has no address takes no mail, and no blame.
    """
    return tuple(
        Unmet(requirement=requirement, endpoint=endpoint, outcome=outcome, reason=reason)
        for requirement in requirements
        for endpoint, outcome, reason in _obstacles(requirement, target)
    )


def not_looked_at(target: Target) -> Iterator[Obstacle]:
    """What is behind the route, or may be, and has no facts: (host, ``unknown``, why); no host for the whole route."""
    if target.route.error is not None:
        yield "", "unknown", target.route.error.text
    probed = {(facts.host, facts.address) for facts in target.endpoints}
    for host in target.route.hosts:
        names = (host.name, host.canonical_name)
        missing = [text for text in host.addresses if not any((name, text) in probed for name in names)]
        if missing:
            yield host.name, "unknown", f"not probed: {', '.join(missing)}"
        left_alone = host.error is not None and host.error.status == "ignored"
        if host.error is not None and (host.error.temporary or host.addresses or host.refused_addresses or left_alone):
            yield host.name, "unknown", host.error.text
        elif host.refused_addresses:
            yield host.name, "unknown", f"not public, and not dialled: {', '.join(host.refused_addresses)}"


def _obstacles(requirement: Requirement, target: Target) -> list[Obstacle]:
    if requirement.name != "null-mx" and target.route.kind == "null-mx":
        return []  # nobody to ask it of: what takes no mail breaks no promise about it
    answers = tuple(_answers(requirement.name, target))
    found: list[Obstacle] = []
    for endpoint, state, reason in answers:
        if state == "unknown":
            found.append((endpoint, "unknown", reason))
        elif state != requirement.answer:
            found.append((endpoint, "failed", reason))
    if requirement.name != "null-mx":
        found.extend(not_looked_at(target))
    if not answers and not found:
        found.append(("", "unknown", "there is no verdict and no endpoint"))
    return found


def _answers(name: str, target: Target) -> Iterator[tuple[str, State, str]]:
    """What was answered at each endpoint: (endpoint, state, reason)."""
    protocol = PROTOCOL_REQUIREMENTS.get(name)
    if protocol is not None:
        for facts in target.endpoints:
            yield _endpoint(facts), *_protocol(facts, protocol)
        return
    answered = set()
    for verdict in target.verdicts:
        if verdict.id == name:
            answered.add(verdict.endpoint)
            yield verdict.endpoint, verdict.state, verdict.summary
    if name != "null-mx":
        for facts in target.endpoints:
            if _endpoint(facts) not in answered:
                yield _endpoint(facts), "unknown", "no verdict"


_STATES: dict[ProtocolState, State] = {"accepted": "yes", "refused": "no", "unknown": "unknown"}


def _protocol(facts: EndpointFacts, protocol: Protocol) -> tuple[State, str]:
    seen = facts.protocols.get(protocol)
    if seen is None:
        return "unknown", f"{protocol} was not asked" + (f": {facts.starttls.reason}" if facts.starttls.reason else "")
    return _STATES[seen.state], f"{protocol} is {seen.state}" + (f": {seen.reason}" if seen.reason else "")


def _endpoint(facts: EndpointFacts) -> str:
    return str(Endpoint(host=facts.host, address=facts.address, port=facts.port))
