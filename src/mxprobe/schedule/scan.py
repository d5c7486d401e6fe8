"""One pass over the next-hops of a configuration: each endpoint asked once, each answer kept as soon as it is known.

First all routes are resolved, because only then is it known which endpoints there are, and which profiles lead to
each. A scan that was killed leaves in the store what it had learnt; the next one under the same settings goes on there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

from mxprobe.configuration.probes_toml import Configuration, Group
from mxprobe.errors import MxprobeError
from mxprobe.facts import EndpointFacts, Report
from mxprobe.mta.profile import Profile
from mxprobe.network.turns import Turns
from mxprobe.routing.route import Route, endpoints_behind
from mxprobe.schedule.visits import Visit, Wanted, visits, wanted
from mxprobe.store import Scan
from mxprobe.terms import Endpoint, NextHop

if TYPE_CHECKING:
    from mxprobe.store import Store

RESUME_WITHIN = timedelta(hours=24)
"""An unfinished scan that began longer ago is left alone: its facts are too old to stand beside new ones."""

RESOLVED_AT_ONCE = 50
"""Routes resolved side by side: each is a few questions to one resolver, which may be a small machine."""


class ProbeRoute(Interface):
    """Resolves a next-hop. A failing DNS is a route in error, not an exception."""

    async def __call__(self, next_hop: NextHop, /) -> Route: ...


class ProbeEndpoint(Interface):
    """Asks one endpoint, with the hellos of these profiles too; gives its facts, and certificates (DER) by SHA-256."""

    async def __call__(
        self, endpoint: Endpoint, profiles: tuple[Profile, ...], /
    ) -> tuple[EndpointFacts, Mapping[str, bytes]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a scan has come. `endpoints` is None until all routes are known; `latest` is what was just done."""

    routes_known: int
    routes: int
    endpoints_known: int = 0
    endpoints: int | None = None
    latest: NextHop | Endpoint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """A finished scan: its report (targets without verdicts, those are the caller's), and what it had to ask.

    `endpoints_kept` were known from an earlier run of the same scan, when it was `resumed`.
    """

    scan: Scan
    report: Report
    resumed: bool
    endpoints_asked: int
    endpoints_kept: int


async def scan(
    configuration: Configuration,
    store: Store,
    *,
    probe_route: ProbeRoute,
    probe_endpoint: ProbeEndpoint,
    clock: Callable[[], datetime],
    groups: tuple[str, ...] = (),
    on_progress: Callable[[Progress], None] | None = None,
    when_ready: Callable[[Endpoint], Awaitable[None]] | None = None,
    when_routed: Callable[[Mapping[Endpoint, Wanted]], None] | None = None,
) -> ScanResult:
    """Scan the groups of these names, or all, into the store. `clock` gives the time, with its zone.

    `when_routed` is told how each endpoint is to be asked, as soon as all routes are known.
    `when_ready` is awaited before it is an endpoint's turn: to wait for what another one's probe brings.

    When this is cancelled, or the process killed, nothing that was kept is lost, and the next scan of the same
    targets under the same settings asks only for the rest, if it begins within `RESUME_WITHIN`. When it is finished,
    the store lets go of what it need not keep any longer by the configuration.

    Raises:
        InvalidSetting: there is no such group, or none at all.
        MxprobeError: what the probing functions or the store cannot go on without; the scan stops at once.
        ExceptionGroup: errors of the program at some targets. All others have been asked; the scan stays unfinished.
    """
    run = _Run(configuration.select_groups(groups), configuration, store, on_progress or (lambda _progress: None))
    now = clock()
    found = await store.unfinished_scan(run.digest, since=now - RESUME_WITHIN)
    current = found or await store.start_scan(now, tuple(run.next_hops), run.digest)

    routes = await run.resolve(current, probe_route)
    if when_routed is not None:
        when_routed(run.wanted(routes))
    asked, kept = await run.ask(current, routes, probe_endpoint, when_ready)
    if run.failures:
        raise ExceptionGroup("the scan went on, but met errors of the program", run.failures)

    current = await store.finish_scan(current, clock())
    report = await store.report_of(current)
    assert report is not None, "a scan has a target, and the route of every target"
    await store.prune(clock(), keep_days=configuration.keep_days, keep_scans=configuration.keep_scans)
    return ScanResult(
        scan=current, report=report, resumed=found is not None, endpoints_asked=asked, endpoints_kept=kept
    )


class _Run:
    """One run of a scan: its targets, the two rounds of questions, and the errors of the program that it met."""

    def __init__(
        self,
        groups: tuple[Group, ...],
        configuration: Configuration,
        store: Store,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._visits = visits(groups)
        self.next_hops = {text: visit.next_hop for text, visit in self._visits.items()}
        self.digest = self._digest(configuration)
        self._limits = configuration.limits
        self._store = store
        self._on_progress = on_progress
        self.failures: list[Exception] = []

    def _digest(self, configuration: Configuration) -> str:
        """Stands for all that decides what is asked: targets, profiles, and how endpoints are probed."""
        targets = [
            [text, visit.depth, visit.full_every, [asdict(profile) for profile in visit.profiles]]
            for text, visit in sorted(self._visits.items())
        ]
        # Recorded hellos are bytes, which JSON has not.
        text = json.dumps([targets, asdict(configuration.probe)], sort_keys=True, default=bytes.hex)
        return hashlib.sha256(text.encode()).hexdigest()

    async def resolve(self, current: Scan, probe_route: ProbeRoute) -> dict[str, Route]:
        """The route of every target: those that the scan has, and those it had to ask for."""
        routes = await self._store.routes_of(current)
        missing = [next_hop for text, next_hop in self.next_hops.items() if text not in routes]
        places = asyncio.Semaphore(RESOLVED_AT_ONCE)

        async def one(next_hop: NextHop) -> None:
            async with places:
                try:
                    route = await probe_route(next_hop)
                except MxprobeError:
                    raise
                except Exception as error:
                    self._failed(error, next_hop.text)
                    return
            await self._store.save_route(current, next_hop.text, route, endpoints_behind(next_hop, route))
            routes[next_hop.text] = route
            self._on_progress(Progress(routes_known=len(routes), routes=len(self.next_hops), latest=next_hop))

        self._on_progress(Progress(routes_known=len(routes), routes=len(self.next_hops)))
        await _together([one(next_hop) for next_hop in missing])
        return routes

    def wanted(self, routes: Mapping[str, Route]) -> dict[Endpoint, Wanted]:
        """How each endpoint is to be asked, by the visits of all next-hops that lead to it."""
        found: dict[Endpoint, list[Visit]] = {}
        for text, route in routes.items():
            for endpoint in endpoints_behind(self.next_hops[text], route):
                found.setdefault(endpoint, []).append(self._visits[text])
        return {endpoint: wanted(leading) for endpoint, leading in found.items()}

    async def ask(
        self,
        current: Scan,
        routes: Mapping[str, Route],
        probe_endpoint: ProbeEndpoint,
        when_ready: Callable[[Endpoint], Awaitable[None]] | None,
    ) -> tuple[int, int]:
        """Ask every endpoint that the scan does not have yet; how many that were, and how many it had."""
        profiles: dict[Endpoint, dict[Profile, None]] = {}
        for text, route in routes.items():
            for endpoint in endpoints_behind(self.next_hops[text], route):
                profiles.setdefault(endpoint, {}).update(dict.fromkeys(self._visits[text].profiles))
        kept = (await self._store.endpoints_of(current)).keys() & profiles.keys()
        known = len(kept)

        # No more at once than there are connections for, of a provider and in all: a slow one does not fill the scan.
        # Those at one address one after another: side by side they would only use up each other's time for it.
        turns = Turns(self._limits)

        def progress(latest: Endpoint | None = None) -> None:
            routes_known = len(routes)
            self._on_progress(
                Progress(
                    routes_known=routes_known,
                    routes=routes_known,
                    endpoints_known=known,
                    endpoints=len(profiles),
                    latest=latest,
                )
            )

        async def in_turn(endpoint: Endpoint) -> None:
            nonlocal known
            if when_ready is not None:
                await when_ready(endpoint)
            async with turns.turn(endpoint):
                try:
                    facts, certificates = await probe_endpoint(endpoint, tuple(profiles[endpoint]))
                except MxprobeError:
                    raise
                except Exception as error:
                    self._failed(error, str(endpoint))
                    return
            await self._store.save_endpoint(current, endpoint, facts, certificates)
            known += 1
            progress(endpoint)

        progress()
        await _together([in_turn(endpoint) for endpoint in profiles if endpoint not in kept])
        return len(profiles) - len(kept), len(kept)

    def _failed(self, error: Exception, what: str) -> None:
        error.add_note(f"while asking {what}")
        self.failures.append(error)


async def _together(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all jobs to their end, unless one raises an error of ours: that stops all, and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except BaseExceptionGroup as raised:
        for error in raised.exceptions:
            if isinstance(error, MxprobeError):
                raise error from None
        raise
