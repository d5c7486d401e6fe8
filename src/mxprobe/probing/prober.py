"""Probing next-hops, end to end: routes, endpoints once each, verdicts. This is what the commands and programs use."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mxprobe.facts import EndpointFacts, Target, TranscriptEntry
from mxprobe.mta.profile import Profile
from mxprobe.network.gate import Gate
from mxprobe.network.resolver import Resolver
from mxprobe.network.settings import Manners
from mxprobe.network.sharing import SharedBudgets
from mxprobe.probing.combination import Tried, try_combination
from mxprobe.probing.comparison import sweep_of
from mxprobe.probing.endpoint import EndpointProbe, EndpointTask, Progress, probe_endpoint
from mxprobe.probing.pool import Pools
from mxprobe.probing.settings import Depth, ProbeSettings
from mxprobe.routing.addresses import RoutingPolicy
from mxprobe.routing.ignore_list import parse_ignore_list
from mxprobe.routing.resolution import resolve_route
from mxprobe.routing.route import Route, endpoints_behind
from mxprobe.terms import Endpoint, NextHop, Protocol, parse_next_hop
from mxprobe.trust.verification import load_trust_store
from mxprobe.verdict.rules import judge


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetProbe:
    """One next-hop, probed and judged, with the transcript of its connections where that was asked for.

    `certificates` are all that were served, in DER by their SHA-256.
    """

    target: Target
    transcript: tuple[TranscriptEntry, ...] = ()
    certificates: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """How many connections are `in_use`, of those that may be (`limit`), and how many are `waiting` for a place."""

    in_use: int
    waiting: int
    limit: int


class Prober:
    """One run under one set of settings: limits, resolver, trust and endpoints are shared by all its targets.

    Use it from one event loop.

    Raises:
        TrustStoreError: the CA file or path cannot be used.
        InvalidSetting: an address to connect to is none, or an entry of the ignore list can be no host.
        ResolverError: there is no name server to ask.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        progress: Progress | None = None,
        *,
        limits_of: Prober | None = None,
        budgets: SharedBudgets | None = None,
    ) -> None:
        """With `limits_of` another one, what that has under way and has spent of the same limits counts here too; with
        `budgets`, what other processes have of addresses and providers."""
        self.settings = settings
        self._progress = progress
        self._trust = load_trust_store(ca_file=settings.ca_file, ca_path=settings.ca_path)
        self._policy = RoutingPolicy(
            allow_private=settings.allow_private, connect=settings.connect, ignore=parse_ignore_list(settings.ignore)
        )
        shared = limits_of is not None and limits_of.settings.limits == settings.limits
        own = limits_of._gate if limits_of is not None and shared else None
        self._gate: Gate = own or Gate(settings.limits, shared=budgets)
        self._manners = Manners(
            ehlo=settings.ehlo,
            contact=settings.contact,
            timeouts=settings.timeouts,
            limits=settings.limits,
            deadline=settings.deadline,
        )
        self._resolver: Resolver | None = None
        self._pools = Pools()
        self._probes: dict[tuple[Endpoint, tuple[Profile, ...]], asyncio.Task[EndpointProbe]] = {}

    @property
    def connections_now(self) -> Connections:
        """The connections of this run, and of those it shares limits with, at this moment."""
        return Connections(in_use=self._gate.in_use, waiting=self._gate.waiting, limit=self._gate.limits.connections)

    def afresh(self, *, forget_names: bool = False) -> Prober:
        """Another run under the same settings, which shares limits, resolver and trust with this one, and knows nothing
        of its endpoints; with `forget_names`, nothing of what the DNS has said either."""
        other = copy.copy(self)
        other._pools = Pools()
        other._probes = {}
        if forget_names:
            other._resolver = None
        return other

    async def resolve(self, next_hop: NextHop) -> Route:
        """Where a next-hop leads. A failing DNS is a route in error, not an exception."""
        if self._resolver is None:
            try:
                next(resolve_route(next_hop, self._policy))
            except StopIteration as end:  # an address needs no name server, and there may be none
                known: Route = end.value
                return known
            servers = (self.settings.resolver,) if self.settings.resolver else None
            self._resolver = Resolver(nameservers=servers)
        return await self._resolver.route(next_hop, self._policy)

    async def endpoint(
        self,
        endpoint: Endpoint,
        profiles: tuple[Profile, ...] | None = None,
        *,
        depth: Depth | None = None,
        before: EndpointFacts | None = None,
    ) -> EndpointProbe:
        """Probe one endpoint, once a run, whoever asks for it.

        `profiles` and `depth` are those of the settings unless given. With `before`, what an earlier probe found of
        this endpoint, its sweep is taken over where a fingerprint is still the same.
        """
        profiles = self.settings.profiles if profiles is None else profiles
        if (endpoint, profiles) not in self._probes:
            task = self._task(endpoint, profiles, depth or self.settings.depth, before)
            self._probes[endpoint, profiles] = asyncio.create_task(self._probe(task))
        return await asyncio.shield(self._probes[endpoint, profiles])

    async def once_more(
        self,
        endpoint: Endpoint,
        profiles: tuple[Profile, ...],
        *,
        depth: Depth,
        before: EndpointFacts | None = None,
    ) -> EndpointProbe:
        """Probe one endpoint now, also if it was probed in this run before; else as `endpoint`."""
        return await self._probe(self._task(endpoint, profiles, depth, before))

    async def twin_swept(self, endpoint: Endpoint) -> None:
        """Wait until a sweep of another endpoint of the same MX host, whose twin this may be, is over or has no
        prospect; the first of them does not wait, and is to be probed next.

        `endpoint` waits too where twins are looked for. To wait before holding what the twin may need is better.
        """
        if self.settings.twins:
            await self._pools.wait(endpoint)

    async def target(self, next_hop: NextHop) -> TargetProbe:
        """Probe one next-hop: its route, every endpoint behind it side by side, and the verdicts."""
        route = await self.resolve(next_hop)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.endpoint(endpoint)) for endpoint in endpoints_behind(next_hop, route)]
        probes = [task.result() for task in tasks]
        return TargetProbe(
            target=judge(next_hop.text, route, tuple(probe.facts for probe in probes), datetime.now(UTC)),
            transcript=tuple(entry for probe in probes for entry in probe.transcript),
            certificates={sha256: der for probe in probes for sha256, der in probe.certificates.items()},
        )

    async def combination(self, endpoint: Endpoint, protocol: Protocol, suite: int | None) -> Tried:
        """Try one protocol and one suite (code point; None: any) at an endpoint."""
        return await try_combination(
            self._task(endpoint, (), self.settings.depth), self._manners, self._gate, protocol, suite
        )

    @property
    def connections(self) -> int:
        """How many connections this run has made so far."""
        return self._gate.opened

    async def close(self) -> None:
        """End what is still under way."""
        for task in self._probes.values():
            task.cancel()
        await asyncio.gather(*self._probes.values(), return_exceptions=True)

    async def _probe(self, task: EndpointTask) -> EndpointProbe:
        try:
            if task.pools and task.before is None:
                await task.pools.wait(task.endpoint)
            found = await probe_endpoint(task, self._manners, self._gate, self._progress)
            if task.pools and found.facts.sweep in ("swept", "confirmed") and sweep_of(found.facts):
                task.pools.keep(task.endpoint, found.facts)
            return found
        finally:
            self._pools.settled(task.endpoint)

    def _task(
        self,
        endpoint: Endpoint,
        profiles: tuple[Profile, ...],
        depth: Depth,
        before: EndpointFacts | None = None,
    ) -> EndpointTask:
        return EndpointTask(
            endpoint=endpoint,
            depth=depth,
            before=before,
            pools=self._pools if self.settings.twins and depth in ("full", "everything") else None,
            trust=self._trust,
            verify_depth=self.settings.verify_depth,
            profiles=profiles,
            trace=self.settings.trace,
        )


async def probe(next_hop: str, settings: ProbeSettings | None = None) -> Target:
    """Probe one next-hop in Postfix syntax and judge it.

    What the peer and the DNS do is in the result.

    Raises:
        InvalidNextHop: the text is not a next-hop.
        TrustStoreError, ResolverError, InvalidSetting: a setting cannot be used.
    """
    prober = Prober(settings or ProbeSettings())
    try:
        return (await prober.target(parse_next_hop(next_hop))).target
    finally:
        await prober.close()


async def probe_endpoints(
    next_hops: Iterable[str], settings: ProbeSettings | None = None
) -> AsyncIterator[EndpointFacts]:
    """Probe many next-hops, and give the facts of each endpoint behind them, once, as soon as they are known.

    Raises the same as `probe`, and before anything is dialled; only that no name server can be reached is known
    when one was asked.
    """
    parsed = [parse_next_hop(text) for text in next_hops]
    prober = Prober(settings or ProbeSettings())
    found: asyncio.Queue[EndpointFacts | None] = asyncio.Queue()
    seen: set[Endpoint] = set()

    async def one(endpoint: Endpoint) -> None:
        found.put_nowait((await prober.endpoint(endpoint)).facts)

    async def target(next_hop: NextHop, group: asyncio.TaskGroup) -> None:
        for endpoint in endpoints_behind(next_hop, await prober.resolve(next_hop)):
            if endpoint not in seen:
                seen.add(endpoint)
                group.create_task(one(endpoint))

    async def everything() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for next_hop in parsed:
                    group.create_task(target(next_hop, group))
        finally:
            found.put_nowait(None)

    work = asyncio.create_task(everything())
    try:
        while (facts := await found.get()) is not None:
            yield facts
        try:
            await work
        except ExceptionGroup as errors:  # of targets side by side; the first ended the others
            raise errors.exceptions[0] from None
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await prober.close()
