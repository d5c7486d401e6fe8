"""Whether mail servers can be seen from here at all: judged by how the connections and questions of a few went.

Nobody outside is known to be there, so the next-hops themselves are the evidence. One that does not answer says
something of itself; when several that have nothing to do with each other fail in the same way, and none is reached, it
is this machine or its network: many providers block port 25 to the outside. Then no next-hop gets a result.
"""

from __future__ import annotations

import errno
import ipaddress
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from mxprobe.facts import EndpointFacts
from mxprobe.network.provider import Provider
from mxprobe.routing.route import DnsStatus, Route
from mxprobe.terms import NextHop

PROVIDERS = 3
"""How many that have nothing to do with each other have to fail alike: two may be down on the same day."""

How = Literal["connected", "silent", "refused", "unreachable", "other"]
"""How an attempt to connect went: `unreachable` is no route to the host or network, `other` says nothing of the way."""

VantageState = Literal["fine", "blocked", "no-dns", "cannot-tell"]

Family = Literal["IPv4", "IPv6"]

_WORDS: dict[How, str] = {
    "silent": "time out",
    "refused": "are refused",
    "unreachable": "end with no route to the host",
}
_REFUSED = frozenset({errno.ECONNREFUSED, errno.EACCES, errno.EPERM})
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EHOSTDOWN})
_ANSWERED: frozenset[DnsStatus] = frozenset({"ok", "nxdomain", "no-data", "truncated", "loop", "malformed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One attempt to connect."""

    address: str
    port: int
    provider: Provider
    how: How


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One name that the DNS was asked for, and how that ended."""

    name: str
    status: DnsStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """What can be seen from here. `ports` are those that are blocked; `without` the address families with which
    nobody is reached where others are. `summary` is for the user, `evidence` what it stands on."""

    state: VantageState
    summary: str
    evidence: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    without: tuple[Family, ...] = ()


def vantage(contacts: Iterable[Contact], questions: Iterable[Question] = ()) -> Vantage:
    """Judge this place by some connections and questions, in any order.

    Public addresses decide where there are any: that this machine reaches itself says nothing of the way out.
    """
    asked = tuple(questions)
    tried = tuple(contacts)
    public = tuple(contact for contact in tried if ipaddress.ip_address(contact.address).is_global)
    tried = public or tried

    answered = any(is_answer(question) for question in asked)
    names = {_apart(question.name) for question in asked}
    if len(names) >= PROVIDERS and not answered:
        return Vantage(
            state="no-dns",
            summary=f"there is no DNS here: {len(names)} domains were asked for, and none was answered",
            evidence=tuple(f"{question.name}: {question.status}" for question in asked[:10]),
        )

    by_port: dict[int, list[Contact]] = defaultdict(list)
    for contact in tried:
        by_port[contact.port].append(contact)
    blocked = {port: found for port, those in sorted(by_port.items()) if (found := _alike(those))}
    if blocked:
        ports = " and ".join(f"port {port}" for port in blocked)
        said = "; ".join(
            f"connections to port {port} of {_providers(those)} providers all {_WORDS[those[0].how]}"
            for port, those in blocked.items()
        )
        return Vantage(
            state="blocked",
            summary=f"{ports} {'are' if len(blocked) > 1 else 'is'} blocked here: {said}",
            evidence=tuple(_line(contact) for those in blocked.values() for contact in those[:10]),
            ports=tuple(blocked),
        )
    reached = next((contact for contact in tried if contact.how == "connected"), None)
    if reached is None or (asked and not answered):
        return Vantage(
            state="cannot-tell",
            summary="too few were asked to tell whether mail servers can be seen from here",
            evidence=tuple(_line(contact) for contact in tried[:10]),
        )
    by_family = {family: [each for each in tried if _family(each) == family] for family in get_args(Family)}
    without = tuple(family for family, those in by_family.items() if _alike(those))
    lack = f", but nobody with {without[0]}" if without else ""
    return Vantage(
        state="fine", summary=f"mail servers are reached from here{lack}", evidence=(_line(reached),), without=without
    )


def contact_of(facts: EndpointFacts, provider: Provider) -> Contact | None:
    """How the connections of an endpoint went; None where none was tried."""
    how: How = "connected"
    if facts.greeting is None and facts.starttls.stage in ("connect", None):
        if facts.connections == 0 and facts.starttls.stage is None:
            return None
        how = _how(facts.starttls.reason)
    return Contact(address=facts.address, port=facts.port, provider=provider, how=how)


def question_of(next_hop: NextHop, route: Route) -> Question | None:
    """What became of the questions for a next-hop; None where there was nothing to ask."""
    if next_hop.address is not None:
        return None
    error = route.error or next((host.error for host in route.hosts if host.error is not None), None)
    if route.error is None and any(host.addresses for host in route.hosts):
        error = None
    statuses: tuple[DnsStatus, ...] = get_args(DnsStatus)
    status = next((known for known in statuses if error is not None and known == error.status), None)
    return Question(name=next_hop.host, status=status or "ok")


def is_answer(question: Question) -> bool:
    """Whether somebody answered, be it that there is nothing, or in a way that cannot be read."""
    return question.status in _ANSWERED


def how_of(number: int | None) -> How:
    """How an attempt that failed with this `errno` went; None is a connection that was waited for in vain."""
    if number is None or number == errno.ETIMEDOUT:
        return "silent"
    return "refused" if number in _REFUSED else "unreachable" if number in _UNREACHABLE else "other"


def _how(reason: str) -> How:
    """By the reason that facts give, which quotes the operating system."""
    if reason.startswith("silent"):
        return "silent"
    numbers = (number for number in (*_REFUSED, *_UNREACHABLE) if reason.endswith(os.strerror(number)))
    return how_of(next(numbers, errno.EIO))


def _alike(contacts: list[Contact]) -> list[Contact]:
    """Contacts of enough providers, by one address family, that failed in one way; none if anybody was reached.

    That of IPv6 says nothing where IPv4 was tried and does not fail alike: many machines have no IPv6.
    """
    if any(contact.how == "connected" for contact in contacts):
        return []
    found: list[Contact] = []
    for family in get_args(Family):
        ways: dict[How, list[Contact]] = defaultdict(list)
        those = [contact for contact in contacts if _family(contact) == family]
        for contact in those:
            if contact.how in _WORDS:
                ways[contact.how].append(contact)
        most = max(ways.values(), key=_providers, default=[])
        if _providers(most) >= PROVIDERS:
            found = found or most
        elif those and (family == "IPv4" or _providers(those) >= PROVIDERS):
            return []
    return found


def _providers(contacts: list[Contact]) -> int:
    """How many there are that have nothing to do with each other: by domain as well as by network."""
    domains = {contact.provider.domain or contact.provider.network for contact in contacts}
    networks = {contact.provider.network or contact.address for contact in contacts}
    return min(len(domains), len(networks))


def _apart(name: str) -> str:
    """A name's last two labels: names that share them may share their name servers, and fail together."""
    return ".".join(name.rstrip(".").lower().split(".")[-2:])


def _family(contact: Contact) -> Family:
    return "IPv6" if ":" in contact.address else "IPv4"


def _line(contact: Contact) -> str:
    address = f"[{contact.address}]" if ":" in contact.address else contact.address
    provider = contact.provider.domain or contact.provider.network or "nobody known"
    return f"{provider}, {address}:{contact.port}: {contact.how}"
