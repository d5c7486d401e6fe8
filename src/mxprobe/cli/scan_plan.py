"""`mxprobe scan --plan`: what a scan would take, by what the store knows of its endpoints."""

from __future__ import annotations

from collections.abc import Mapping

from mxprobe.cli.outcome import NOTHING_TO_REPORT
from mxprobe.cli.plan import leads_to, twins_among
from mxprobe.configuration.probes_toml import Configuration
from mxprobe.errors import EmptyDatabase
from mxprobe.facts import EndpointFacts
from mxprobe.mta.profile import Profile
from mxprobe.probing.plan import cost, in_words
from mxprobe.probing.prober import Prober
from mxprobe.report.escape import printable
from mxprobe.routing.route import endpoints_behind
from mxprobe.schedule.recheck import recheck
from mxprobe.schedule.visits import Visit, Wanted, deepest, visits, wanted
from mxprobe.store import open_store
from mxprobe.terms import Endpoint

Known = dict[Endpoint, tuple[EndpointFacts, ...]]


async def plan_scan(configuration: Configuration, groups: tuple[str, ...], prober: Prober) -> int:
    """Say where the next-hops of a scan lead, and what it would take, by what the store knows of them."""
    profiles: dict[Endpoint, dict[Profile, None]] = {}
    leading: dict[Endpoint, list[Visit]] = {}
    for visit in visits(configuration.select_groups(groups)).values():
        hop = visit.next_hop
        route = await prober.resolve(hop)
        print(printable(f"{hop.text}: {leads_to(hop, route)}", 1000))
        for endpoint in endpoints_behind(hop, route):
            profiles.setdefault(endpoint, {}).update(dict.fromkeys(visit.profiles))
            leading.setdefault(endpoint, []).append(visit)
    ways = {endpoint: wanted(those) for endpoint, those in leading.items()}
    known = await _known(configuration, ways)
    asked_of = {endpoint: recheck(how.depth, known.get(endpoint, ()), how.full_every) for endpoint, how in ways.items()}
    swept = [endpoint for endpoint, asked in asked_of.items() if asked.before is None]
    twins = twins_among(swept) if configuration.probe.twins else frozenset()
    costs = [
        cost(
            asked_of[endpoint].depth,
            len(profiles[endpoint]),
            known=_last_like(known.get(endpoint, ())),
            before=asked_of[endpoint].before,
            twin=endpoint in twins,
        )
        for endpoint in profiles
    ]
    per_address = configuration.limits.per_address
    depth = deepest(how.depth for how in ways.values()) if ways else configuration.probe.depth
    print(f"{in_words(depth, costs)}; {per_address} at a time to one address")
    return NOTHING_TO_REPORT


def _last_like(known: tuple[EndpointFacts, ...]) -> EndpointFacts | None:
    """The newest facts that no other sweep stands in."""
    return next((facts for facts in known if facts.sweep in (None, "swept")), None)


async def _known(configuration: Configuration, ways: Mapping[Endpoint, Wanted]) -> Known:
    """What the store has of the endpoints; nothing where there is no store yet."""
    try:
        async with open_store(configuration.store_url, read_only=True) as store:
            return {endpoint: await store.since_sweep(endpoint, how.full_every) for endpoint, how in ways.items()}
    except EmptyDatabase:
        return {}
