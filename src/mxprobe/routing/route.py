"""What a next-hop resolves to: its MX hosts, their names and addresses, and how the DNS answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from mxprobe.terms import Endpoint, NextHop

MAX_ENDPOINTS = 100
MAX_NAMES = 8
"""Endpoints probed for one next-hop, and MX host names probed at one address; large providers have some ten of each."""

RouteKind = Literal["mx", "implicit-mx", "null-mx", "literal", "error"]

DnsStatus = Literal["ok", "nxdomain", "no-data", "servfail", "refused", "timeout", "truncated", "loop", "malformed"]
"""How a DNS question ended. `no-data` is a name that exists without such records (RFC 2308 §2.2);
`loop` a CNAME chain that closes or is too long; `malformed` an answer or a name that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteError:
    """Why a name could not be resolved, or was not to be; `temporary` errors are worth another try."""

    status: DnsStatus | Literal["null-mx-mixed", "no-address", "forbidden-address", "ignored"]
    text: str
    temporary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MxHost:
    """One MX host. `name` is what the MX record says, `canonical_name` where its CNAMEs lead.

    Both are kept, because Postfix's `smtp_cname_overrides_servername` is about which of them counts.
    `aliases` is the chain from one to the other. `addresses` is every A and AAAA address in the order of the DNS
    answers, A first. `refused_addresses` are those that we would not dial (private, loopback, link-local, or on the
    ignore list).
    """

    name: str
    canonical_name: str
    preference: int | None
    addresses: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    refused_addresses: tuple[str, ...] = ()
    error: RouteError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a next-hop resolves to, hosts by preference. `null-mx` (RFC 7505) is an answer, not an error.

    `canonical_name` is where CNAMEs of the domain itself lead.
    """

    kind: RouteKind
    hosts: tuple[MxHost, ...] = ()
    canonical_name: str | None = None
    error: RouteError | None = None


def endpoints_behind(next_hop: NextHop, route: Route) -> tuple[Endpoint, ...]:
    """Every endpoint that a route leads to, in its order: by host, and within a host by address.

    At most `MAX_ENDPOINTS`, and `MAX_NAMES` host names for one address: whoever writes the MX records decides whom we
    dial, and how often. What is left out was not probed, and nothing is known of it.
    """
    names: Counter[str] = Counter()
    endpoints: dict[Endpoint, None] = {}
    for host in route.hosts:
        for address in host.addresses:
            endpoint = Endpoint(host=host.name, address=address, port=next_hop.port, service=next_hop.service)
            if endpoint not in endpoints and names[address] < MAX_NAMES and len(endpoints) < MAX_ENDPOINTS:
                names[address] += 1
                endpoints[endpoint] = None
    return tuple(endpoints)
