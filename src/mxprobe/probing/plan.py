"""What a probe will cost in connections, before one is made."""

from __future__ import annotations

from dataclasses import dataclass

from mxprobe.probing.settings import Depth
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.suites import candidates

TYPICAL_SUITES = {"TLSv1": 18, "TLSv1.1": 18, "TLSv1.2": 71, "TLSv1.3": 3}
"""What a Postfix 3.7 accepts as Debian 12 ships it: the commonest kind of server, and not a small one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Connections to one endpoint: where it refuses all, on a Postfix as Debian ships it, and where it takes all."""

    at_least: int
    typical: int
    at_most: int


def cost(depth: Depth, profiles: int) -> Cost:
    """The connections that one endpoint takes at a depth with this many profiles.

    One for the complete handshake, one a profile; then, at *quick*, the six versions only where that handshake
    fails; at *standard* one for each version; at *full* n + 2 for n suites, and one or two for a refused version.
    """
    once = 1 + profiles
    versions = len(PROTOCOLS)
    if depth == "quick":
        return Cost(at_least=once, typical=once, at_most=once + 2 * versions)
    if depth == "standard":
        return Cost(at_least=once + versions, typical=once + versions, at_most=once + 2 * versions)
    typical = sum(TYPICAL_SUITES.get(protocol, -1) + 2 for protocol in PROTOCOLS)
    everything = sum(len(candidates(protocol)) + 3 for protocol in PROTOCOLS)
    return Cost(at_least=once + versions, typical=once + typical + 2, at_most=once + everything)
