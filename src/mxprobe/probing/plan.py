"""What a probe will cost in connections, before one is made, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mxprobe.facts import EndpointFacts
from mxprobe.probing.comparison import sweep_of
from mxprobe.probing.settings import Depth
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.code_points import GROUPS, SCHEMES
from mxprobe.tls.fingerprint import USUAL_HELLOS, fingerprint
from mxprobe.tls.suites import candidates

TYPICAL_HELLOS: dict[Depth, int] = {"quick": 0, "standard": 26, "full": 119, "everything": 180}
"""Connections beside the complete handshake at a Postfix 3.7 as Debian 12 ships it: the commonest kind of server, and
not a small one (docs/depths.md)."""

MOST_HELLOS_OF_FAMILIES = 24
"""Of one version at *standard*: eleven hellos, twice at a server that closes, and two that show that it still works."""

SPARE = 16
"""Connections that were ready when a sweep ended, or asked a guess that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Connections to one endpoint: what is expected, and the bounds. `rests_on` says why it is expected."""

    expected: int
    at_least: int
    at_most: int
    rests_on: str


def cost(
    depth: Depth,
    profiles: int,
    *,
    known: EndpointFacts | None = None,
    before: EndpointFacts | None = None,
    twin: bool = False,
) -> Cost:
    """The connections that one endpoint takes at a depth with this many profiles.

    `known` is what was last found of it, which took about as many at the same depth. `before` is a sweep that is to be
    confirmed, and `twin` says that another endpoint of the same MX host is swept first. Of a server that nothing is
    known of, *quick* can be foreseen: one for the complete handshake, and one a profile; for the others its versions
    and suites decide.
    """
    once = 1 + profiles
    most = _most(depth, profiles)
    if depth == "quick":
        return Cost(expected=once, at_least=1, at_most=most, rests_on="if the handshake succeeds")
    if before is not None and (expected := fingerprint(sweep_of(before), before.server_name)):
        swept = before.swept_at or before.started_at
        most = _most("full" if depth == "standard" else depth, profiles)
        return Cost(
            expected=once + len(expected),
            at_least=1,
            at_most=most + 2 * USUAL_HELLOS,
            rests_on=f"if unchanged since {swept:%Y-%m-%d}",
        )
    if twin and depth != "standard":
        return Cost(
            expected=once + USUAL_HELLOS, at_least=1, at_most=most + 2 * USUAL_HELLOS, rests_on="if like its twin"
        )
    if known is not None and _depth_of(known) == depth:
        expected_now = known.connections - len(known.profiles) + profiles
        return Cost(expected=expected_now, at_least=1, at_most=most, rests_on=f"as on {known.started_at:%Y-%m-%d}")
    return Cost(
        expected=once + TYPICAL_HELLOS[depth], at_least=1, at_most=most, rests_on="if like a Postfix of Debian 12"
    )


def in_words(depth: Depth, costs: Iterable[Cost]) -> str:
    """What all endpoints take together: ``connections at depth full: 136 (123 if ...; 13 if ...), at least ...``."""
    costs = tuple(costs)
    parts: dict[tuple[str, int], int] = {}
    for each in costs:
        parts[each.rests_on, each.expected] = parts.get((each.rests_on, each.expected), 0) + 1
    terms = "; ".join(f"{count} x {expected} {why}" for (why, expected), count in parts.items())
    total = sum(each.expected for each in costs)
    return (
        f"connections at depth {depth}: {total}{f' ({terms})' if terms else ''}, "
        f"at least {sum(each.at_least for each in costs)}, at most {sum(each.at_most for each in costs)}"
    )


def _depth_of(facts: EndpointFacts) -> Depth | None:
    """At which depth facts were found; None where they cost less than that, because a sweep was shared."""
    if facts.sweep in ("same-as", "confirmed"):
        return None
    if facts.sweep == "swept":
        return "everything" if facts.quirks is not None and facts.quirks.grease is not None else "full"
    return "standard" if any("no" in seen.families.values() for seen in facts.protocols.values()) else None


def _most(depth: Depth, profiles: int) -> int:
    """The most that an endpoint takes: everything asked twice that may be, and nothing refused in one hello."""
    once, versions = 1 + profiles, len(PROTOCOLS)
    versions_alone = 2 * once + 5 * versions
    if depth == "quick":
        return versions_alone
    if depth == "standard":
        return versions_alone + MOST_HELLOS_OF_FAMILIES * versions
    suites = 2 * once + SPARE + sum(len(candidates(protocol)) + 3 for protocol in PROTOCOLS)
    if depth == "full":
        return suites
    return suites + versions * (len(GROUPS) + 3 * len(SCHEMES)) + 40
