"""`mxprobe scan --plan`: what a scan would take, by what the store knows of its endpoints."""

from __future__ import annotations

from collections.abc import Iterable

from mxprobe.cli.outcome import NOTHING_TO_REPORT
from mxprobe.cli.plan import leads_to, twins_among
from mxprobe.facts import EndpointFacts
from mxprobe.mta.profile import Profile
from mxprobe.probing.plan import cost, in_words
from mxprobe.probing.prober import Prober
from mxprobe.report.escape import printable
from mxprobe.routing.route import Route, endpoints_behind
from mxprobe.schedule.configuration import Configuration
from mxprobe.schedule.recheck import recheck
from mxprobe.store import open_store, sqlite_path
from mxprobe.terms import Endpoint

Known = dict[Endpoint, tuple[EndpointFacts, ...]]


async def plan_scan(configuration: Configuration, groups: tuple[str, ...], prober: Prober) -> int:
    """Say where the next-hops of a scan lead, and what it would take, by what the store knows of them."""
    profiles: dict[Endpoint, dict[Profile, None]] = {}
    hops: dict[str, Route] = {}
    for group in configuration.select_groups(groups):
        for hop in group.next_hops:
            if hop.text not in hops:
                hops[hop.text] = await prober.resolve(hop)
                print(printable(f"{hop.text}: {leads_to(hop, hops[hop.text])}", 1000))
            for endpoint in endpoints_behind(hop, hops[hop.text]):
                asked = profiles.setdefault(endpoint, {})
                if group.profile is not None:
                    asked[group.profile] = None
    section = configuration.probe
    known = await _known(configuration, profiles)
    asked_of = {endpoint: recheck(section.depth, known.get(endpoint, ()), section.full_every) for endpoint in profiles}
    swept = [endpoint for endpoint, asked in asked_of.items() if asked.before is None]
    twins = twins_among(swept) if section.twins else frozenset()
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
    print(f"{in_words(section.depth, costs)}; {per_address} at a time to one address")
    return NOTHING_TO_REPORT


def _last_like(known: tuple[EndpointFacts, ...]) -> EndpointFacts | None:
    """The newest facts that no other sweep stands in."""
    return next((facts for facts in known if facts.sweep in (None, "swept")), None)


async def _known(configuration: Configuration, endpoints: Iterable[Endpoint]) -> Known:
    """What the store has of the endpoints; nothing where there is no store yet."""
    if not sqlite_path(configuration.store_url).exists():
        return {}
    async with open_store(configuration.store_url, read_only=True) as store:
        at_most = configuration.probe.full_every
        return {endpoint: await store.since_sweep(endpoint, at_most) for endpoint in endpoints}
