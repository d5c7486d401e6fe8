"""The one sweep that asks all that takes hellos of its own, after the suites are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.behaviours import Asked, Coped, features, stumbles
from mxprobe.tls.groups import accepted_groups
from mxprobe.tls.preferences import Listed
from mxprobe.tls.schemes import accepted_schemes
from mxprobe.tls.sweep import SuitesFound, Sweep, both, together


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """The groups and schemes of each accepted version, the features, and what the server copes with."""

    groups: dict[Protocol, Listed]
    schemes: dict[Protocol, Listed]
    asked: Asked
    coped: Coped


def everything(found: Mapping[Protocol, SuitesFound], server_name: str | None) -> Sweep[Everything]:
    """Ask what the suite sweep leaves open; `found` is its result, `server_name` the SNI that it was asked with.

    For each version from TLS 1.0 on n + 2 hellos for n groups, in TLS 1.2 and 1.3 about as many for the schemes, and
    about ten for the rest. What may hang a server comes last, one at a time.
    """
    versions = {
        protocol: _lists(found[protocol], server_name)
        for protocol in reversed(PROTOCOLS[2:])
        if protocol in found and found[protocol].accepted
    }
    lists, asked = yield from both(together(versions), features(found, server_name))
    coped = yield from stumbles(found, server_name)
    return Everything(
        groups={protocol: groups for protocol, (groups, _) in lists.items()},
        schemes={protocol: schemes for protocol, (_, schemes) in lists.items() if schemes is not None},
        asked=asked,
        coped=coped,
    )


def _lists(suites: SuitesFound, server_name: str | None) -> Sweep[tuple[Listed, Listed | None]]:
    groups = yield from accepted_groups(suites, server_name)
    schemes = accepted_schemes(suites, server_name, groups.accepted)
    return groups, None if schemes is None else (yield from schemes)
