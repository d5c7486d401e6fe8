"""`--plan`: where next-hops lead, and which of their endpoints may be twins."""

from __future__ import annotations

from collections.abc import Iterable

from mxprobe.routing.route import Route, endpoints_behind
from mxprobe.terms import Endpoint, NextHop


def leads_to(hop: NextHop, route: Route) -> str:
    """The endpoints behind a next-hop, or why there are none."""
    behind = endpoints_behind(hop, route)
    if route.kind == "null-mx":
        return "null MX, nothing to dial"
    if not behind:
        errors = [route.error, *(host.error for host in route.hosts)]
        return "; ".join(error.text for error in errors if error) or "nothing to dial"
    return ", ".join(str(endpoint) for endpoint in behind)


def twins_among(endpoints: Iterable[Endpoint]) -> frozenset[Endpoint]:
    """Those that have the MX host of one before them."""
    hosts: set[tuple[str, int, str]] = set()
    twins = []
    for endpoint in endpoints:
        host = endpoint.host, endpoint.port, endpoint.service
        if host in hosts:
            twins.append(endpoint)
        hosts.add(host)
    return frozenset(twins)
