"""Where a next-hop led before and where it leads now: MX hosts and addresses that came, went or moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from mxprobe.facts import Target
from mxprobe.routing.route import MxHost, Route
from mxprobe.verdict.checks import Check, Outcome
from mxprobe.verdict.comparison import listed

_SOURCE = "RFC 5321 §5.1"
_WORDS = {"mx": "MX records", "implicit-mx": "no MX records, only addresses", "null-mx": "a null MX, so no mail"}


def route_checks(before: Target, after: Target) -> Iterator[Check]:
    """What of the route is known to be different; a DNS that gave no answer leaves it unknown."""
    for target in (before, after):
        if target.route.error is not None and target.route.error.temporary:
            summary = f"not known whether the route is the same: {target.route.error.text}"
            yield _check(after, "route", "unknown", summary)
            return
    if _words(before.route) != _words(after.route):
        summary = f"the route was {_words(before.route)}, and is now {_words(after.route)}"
        yield _check(after, "route", "noted", summary)
    was, now = _hosts(before.route), _hosts(after.route)
    for name in was:
        if name not in now:
            yield _check(after, name, "noted", f"MX host {name} is no more")
    for name, host in now.items():
        if name not in was:
            addresses = f" ({listed(host.addresses)})" if host.addresses else ""
            yield _check(after, name, "noted", f"MX host {name} is new{addresses}", id="gained")
        else:
            yield from _moved(after, was[name], host)


def is_known(target: Target) -> bool:
    """Whether anything is known of a target: where it leads, and the state of an endpoint there, if there is one."""
    error = target.route.error
    if error is not None and error.temporary:
        return False
    return not target.endpoints or any(facts.starttls.state != "unknown" for facts in target.endpoints)


def _moved(target: Target, was: MxHost, now: MxHost) -> Iterator[Check]:
    if was.preference != now.preference:
        summary = f"MX host {now.name} had the preference {was.preference}, now {now.preference}"
        yield _check(target, now.name, "noted", summary)
    if was.canonical_name != now.canonical_name:
        summary = f"MX host {now.name} was {was.canonical_name}, and is now {now.canonical_name}"
        yield _check(target, now.name, "noted", summary)
    if any(host.error is not None and host.error.temporary for host in (was, now)):
        return
    if gone := [address for address in was.addresses if address not in now.addresses]:
        yield _check(target, now.name, "noted", f"MX host {now.name} no longer has the address {listed(gone)}")
    if new := [address for address in now.addresses if address not in was.addresses]:
        yield _check(target, now.name, "noted", f"MX host {now.name} has the address {listed(new)}, too", id="gained")


def _hosts(route: Route) -> dict[str, MxHost]:
    return {host.name: host for host in route.hosts}


def _words(route: Route) -> str:
    if route.error is not None:
        return f"an error ({route.error.text})"
    return _WORDS.get(route.kind, route.kind)


def _check(
    target: Target, name: str, outcome: Outcome, summary: str, *, id: Literal["changed", "gained"] = "changed"
) -> Check:
    return Check(
        id=id,
        name=name,
        subject=target.next_hop,
        outcome=outcome,
        severity="warning" if outcome == "unknown" else "info",
        summary=summary,
        source=_SOURCE,
    )
