"""What the DNS says of a target, aspect by aspect: whether it takes mail, its MX hosts, their addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mxprobe.routing.route import MxHost, Route, RouteError
from mxprobe.verdict.seen import LONGEST_VALUE, Aspect, Seen, as_word

NO_ADDRESS = "none"
"""The value of the addresses of a host that has none."""

_NO_ADDRESS = ("no-address", "nxdomain")
"""Errors of a host by which it has none."""

_KNOWN = ("ignored", "forbidden-address")
"""Errors of a host whose addresses are known all the same: we would not dial them."""


def route_aspects(route: Route) -> Iterator[Seen]:
    """What a route says. Behind an address, and a name in brackets, no MX is asked for."""
    if route.kind != "literal":
        yield from _mail(route)
    if (bare := _bare(route)) is not None and not bare.temporary:
        return
    if route.kind in ("mx", "implicit-mx"):
        yield _exchanges(route)
    for host in route.hosts:
        if host.name not in host.addresses and host.name not in host.refused_addresses:
            yield from _addresses(host)


def _mail(route: Route) -> Iterator[Seen]:
    """Whether the domain takes mail at all. A name that does not exist may be a slip of one name server."""
    aspect = Aspect(kind="mail")
    error = route.error
    if route.kind == "null-mx":
        yield Seen(aspect=aspect, value="null-mx", reason="a null MX")
    elif (bare := _bare(route)) is not None:
        # Whoever loses the MX records at its DNS has this, if the domain has no address beside.
        value = None if bare.temporary else "no-domain"
        yield Seen(aspect=aspect, value=value, reason=f"there is no MX record, and {bare.text}", doubtful=True)
    elif route.kind in ("mx", "implicit-mx"):
        yield Seen(aspect=aspect, value="yes", reason=f"{len(route.hosts)} MX hosts")
    elif error is None:
        yield Seen(aspect=aspect, value=None, reason="there is no route")
    elif error.status == "nxdomain":
        yield Seen(aspect=aspect, value="no-domain", reason=error.text, doubtful=True)
    elif error.status != "ignored":
        yield Seen(aspect=aspect, value=None, reason=error.text, evidence={"status": error.status})


def _bare(route: Route) -> RouteError | None:
    """Why a domain that has no MX record is no mail host itself: its addresses, of which there are none, or which are
    not known."""
    if route.kind != "implicit-mx" or any(host.addresses or host.refused_addresses for host in route.hosts):
        return None
    errors = [host.error for host in route.hosts if host.error is not None]
    return next((each for each in errors if each.temporary or each.status in _NO_ADDRESS), None)


def _exchanges(route: Route) -> Seen:
    """The MX hosts as ``preference:name``; with an error beside them they are not all."""
    words = sorted(f"{host.preference or 0}:{as_word(host.name)}" for host in route.hosts)
    return Seen(
        aspect=Aspect(kind="mx"),
        value=" ".join(words),
        evidence={"hosts": tuple(f"{host.preference or 0} {host.name}" for host in route.hosts)},
        complete=route.error is None,
    )


def _addresses(host: MxHost) -> Iterator[Seen]:
    aspect = Aspect(kind="addresses", item=as_word(host.name))
    found = tuple(sorted({*host.addresses, *host.refused_addresses}))
    error = host.error
    if error is None or (error.status in _KNOWN and found):
        yield Seen(aspect=aspect, value=_listed(found) if found else NO_ADDRESS, evidence={"addresses": found})
    elif error.temporary:
        yield Seen(aspect=aspect, value=None, reason=error.text, evidence={"status": error.status})
    elif error.status in _NO_ADDRESS:
        yield Seen(aspect=aspect, value=NO_ADDRESS, reason=error.text, doubtful=True, evidence={"addresses": ()})


def _listed(addresses: tuple[str, ...]) -> str:
    """The addresses with blanks between, or how many there are, and their digest."""
    text = " ".join(addresses)
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{len(addresses)} addresses {hashlib.sha256(text.encode()).hexdigest()[:16]}"
