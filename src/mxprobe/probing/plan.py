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


LEFT_OVER = 3
"""Connections that were ready when a full sweep ended, and were not needed."""


TYPICAL_BEYOND = 62
"""What *everything* asks of that Postfix after its suites: it has 5 groups in each version, and 17 schemes in all."""

MOST_BEYOND = 280
"""The same of a server that takes every group and every scheme in every version, and stumbles over every hello."""


def cost(depth: Depth, profiles: int) -> Cost:
    """The connections that one endpoint takes at a depth with this many profiles.

    One for the complete handshake, one a profile; then, at *quick*, the six versions only where that handshake
    fails; at *standard* one for each version, more for those that refuse otherwise than by their number; at *full*
    n + 2 for n suites, and one or two for a refused version; at *everything* n + 2 for n groups and for n signature
    schemes of a version, and about ten. Without STARTTLS it is one in all.
    """
    once = 1 + profiles
    versions = len(PROTOCOLS)
    if depth == "quick":
        return Cost(at_least=1, typical=once, at_most=2 * once + 5 * versions)
    if depth == "standard":
        return Cost(at_least=1, typical=once + versions + 2, at_most=2 * once + 5 * versions)
    accepted = sum(count + 2 for count in TYPICAL_SUITES.values())
    refused = versions - len(TYPICAL_SUITES) + 1
    everything = sum(len(candidates(protocol)) + 3 for protocol in PROTOCOLS)
    typical, at_most = once + accepted + refused + LEFT_OVER, 2 * once + everything
    if depth == "everything":
        typical, at_most = typical + TYPICAL_BEYOND, at_most + MOST_BEYOND
    return Cost(at_least=1, typical=typical, at_most=at_most)
