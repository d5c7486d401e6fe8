"""What a pass over very many next-hops would take: ``python bench/internet.py [--next-hops 10000] [--svg FILE]``.

Makes up a world of mail servers by stated assumptions (`bench/world.py`), from a seed, and runs a pass over a sample of
it through the real limits of mxprobe (`network/gate.py`, `turns.py`, `admission.py`, `budget.py`) on a clock that jumps
from one event to the next; with what `bench/service.py` has measured (`Measured`) for what each costs. Then the same by
arithmetic, which the simulation has to bear out, for numbers that no simulation reaches. Everything printed here is in
`docs/scale.md`; no connection is made.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import selectors
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from chart import Line, chart
from world import SIGMA, Depth, Measured, Server, World, sample

from mxprobe.network.budget import TokenBucket
from mxprobe.network.gate import Gate
from mxprobe.network.settings import PER_MINUTE, Limits
from mxprobe.terms import Endpoint

DAY = 86400.0
YEAR = 365 * DAY
EULER = 0.5772
"""Of a harmonic sum, what it is more than the logarithm."""


# The simulation


class Jumping(selectors.SelectSelector):
    """Nothing is waited for: the clock goes on to when something is to happen."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that goes by such a clock."""

    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a simulated pass came to."""

    seconds: float
    endpoints: int
    connections: int
    last: str
    """The provider whose endpoint was finished last."""
    others: float
    """Seconds after which all endpoints but those of that provider were finished."""


async def simulate(
    hops: tuple[tuple[Server, ...], ...], depth: Depth, world: World, limits: Limits, at_once: int
) -> Pass:
    """One pass over these next-hops: as many visits under way as allowed, each endpoint asked once."""
    gate = Gate(limits)
    clock = asyncio.get_running_loop()
    asked: dict[Endpoint, asyncio.Task[None]] = {}
    ended: dict[str, float] = {}

    async def ask(server: Server) -> None:
        async with gate.turn(server.endpoint):
            visit = gate.visit(server.endpoint)
            width, left = limits.per_address, 1 if server.manner == "dead" else depth.connections
            if server.manner == "busy":
                await asyncio.sleep(world.busy_seconds)
            while left > 0:
                some = min(width, left)
                await asyncio.gather(*(connect(visit, server) for _ in range(some)))
                left -= some
        ended[provider(server)] = clock.time()

    async def connect(visit: object, server: Server) -> None:
        await visit.enter()  # type: ignore[attr-defined]
        if server.manner == "dead":
            await asyncio.sleep(world.dead_seconds)
        else:
            late = world.tarpit_seconds if server.manner == "tarpit" else 0.0
            await asyncio.sleep(late + depth.round_trips * server.round_trip)
        visit.leave()  # type: ignore[attr-defined]

    rest = iter(hops)

    async def visits() -> None:
        for servers in rest:
            await asyncio.sleep(2 * world.round_trip)  # the DNS
            for server in servers:
                if server.endpoint not in asked:
                    asked[server.endpoint] = asyncio.ensure_future(ask(server))
            await asyncio.gather(*(asked[server.endpoint] for server in servers))

    await asyncio.gather(*(visits() for _ in range(at_once)))
    last = max(ended, key=lambda name: ended[name])
    others = max((at for name, at in ended.items() if name != last), default=0.0)
    return Pass(seconds=clock.time(), endpoints=len(asked), connections=gate.opened, last=last, others=others)


def provider(server: Server) -> str:
    """The registrable domain of the made-up names."""
    return ".".join(server.endpoint.host.split(".")[-2:])


# The arithmetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoned:
    """A pass over so many next-hops, by arithmetic. Times in seconds: for the provider, network and address that take
    the longest, and for one process by its places and by its CPU."""

    next_hops: float
    endpoints: float
    connections: float
    by_provider: float
    by_network: float
    by_address: float
    by_turns: float
    by_cpu: float
    first_bytes: float
    again_bytes: float
    wire_bytes: float

    @property
    def slowest(self) -> float:
        """What no number of processes changes: limits of one provider, and names of one address in turn."""
        return max(self.by_provider, self.by_network, self.by_address)

    @property
    def work(self) -> float:
        """What one process needs, if nobody is slow: its places, or its CPU."""
        return max(self.by_turns, self.by_cpu)


def reckon(next_hops: float, depth: Depth, measured: Measured, world: World, limits: Limits) -> Reckoned:
    """What the simulation comes to, for any number of next-hops."""
    shared = min(world.shared_providers, world.shared * next_hops) * world.shared_endpoints
    named = world.named * next_hops * world.named_addresses
    hosted = _hosted_servers(world, next_hops)
    vanity = world.vanity * next_hops
    own = world.own * next_hops * world.own_endpoints
    small = hosted + vanity + own
    endpoints = shared + named + small
    connections = endpoints * depth.connections - small * world.dead * (depth.connections - 1)
    # After its burst, a provider is asked as fast as tokens flow in.
    bucket = TokenBucket(limits.provider_rate(loopback=False) or sys.maxsize)
    largest = named * world.named_providers[0] * depth.connections
    harmonic = math.log(world.hosters) + EULER
    machine = min(vanity / harmonic, world.hosted_each)
    network = min(vanity / harmonic, world.hosted_each * 200.0) * depth.connections
    rounds = math.ceil(depth.connections / limits.per_address)
    mean = world.round_trip * math.exp(SIGMA**2 / 2)
    working = rounds * depth.round_trips * mean
    slow = (
        world.dead * world.dead_seconds
        + world.tarpits * rounds * world.tarpit_seconds
        + world.busy * world.busy_seconds
    )
    turns = max(1, limits.connections // limits.per_address)
    # By Zipf's law the first of a share of hosters that is slow is as much smaller than the largest.
    ways = ((world.dead, world.dead_seconds), (world.tarpits, rounds * world.tarpit_seconds))
    late = max(min(vanity / harmonic * share, world.hosted_each) * seconds for share, seconds in ways)
    return Reckoned(
        next_hops=next_hops,
        endpoints=endpoints,
        connections=connections,
        by_provider=max(0.0, largest - bucket.burst) / bucket.per_second,
        by_network=max(0.0, network - bucket.burst) / bucket.per_second,
        by_address=max(machine * rounds * depth.round_trips * world.round_trip, late),
        by_turns=(endpoints * working + small * slow) / turns,
        by_cpu=next_hops * measured.next_hop_cpu + endpoints * depth.cpu_seconds,
        first_bytes=next_hops * measured.next_hop_bytes + endpoints * depth.first_bytes,
        again_bytes=next_hops * measured.again_bytes,
        wire_bytes=connections * depth.wire_bytes,
    )


def _hosted_servers(world: World, next_hops: float) -> float:
    """Servers of hosters that have at least one of so many next-hops."""
    harmonic = math.log(world.hosters) + EULER
    found, rank = 0.0, 1.0
    while rank <= world.hosters:  # in steps that grow, as sizes hardly differ far down
        step = max(1.0, rank * 0.02)
        customers = world.hosted * next_hops / harmonic / rank
        found += step * max(1 - math.exp(-customers), customers / world.hosted_each)
        rank += step
    return found


# What is printed

SCALES = ((10_000.0, "10 thousand"), (1e6, "1 million"), (0.0, "all"))
DEPTHS = ("quick", "standard", "full")
WITHIN = 7 * DAY
"""In which a pass over all is to be made, where processes are counted."""


def days(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("years", YEAR), ("days", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, each in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= each:
            return f"{count / each:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def number(count: float) -> str:
    """A number in words that can be compared."""
    for unit, each in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if count >= each:
            return f"{count / each:.3g}{unit}"
    return f"{count:.0f}"


def run_simulated(
    hops: tuple[tuple[Server, ...], ...], depth: Depth, world: World, limits: Limits, at_once: int
) -> Pass:
    """`simulate` on a clock of its own."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(simulate(hops, depth, world, limits, at_once))


def simulated(next_hops: int, world: World, measured: Measured, seed: int) -> Iterator[str]:
    """The simulation beside the arithmetic."""
    hops = sample(world, next_hops, seed)
    yield (
        "| depth | visits at once | places | a provider a minute | endpoints | connections | simulated "
        "| the others were done after | reckoned | endpoints | connections |"
    )
    yield "|---" * 11 + "|"
    everything = Limits()
    generous = replace(everything, per_provider_per_minute=3000, per_address_per_minute=3000, per_provider=200)
    plans = (
        ("quick", everything, 200),
        ("quick", everything, 10_000),
        ("quick", generous, 10_000),
        ("unchanged", everything, 200),
        ("unchanged", everything, 10_000),
        ("standard", everything, 10_000),
    )
    for name, limits, at_once in plans:
        depth: Depth = getattr(measured, name)
        print(f"simulated: {name}, {at_once} at once", file=sys.stderr)
        found = run_simulated(hops, depth, world, limits, at_once)
        told = reckon(next_hops, depth, measured, world, limits)
        yield (
            f"| {name} | {at_once} | {limits.connections} | {limits.provider_rate(loopback=False)} "
            f"| {number(found.endpoints)} | {number(found.connections)} | {days(found.seconds)}, {found.last} "
            f"| {days(found.others)} | {days(max(told.slowest, told.by_turns))} "
            f"| {number(told.endpoints)} | {number(told.connections)} |"
        )


def reckoned(world: World, measured: Measured) -> Iterator[str]:
    """What each depth comes to at each scale."""
    yield (
        "| next-hops | depth | endpoints | connections | traffic | CPU | one process | the slowest provider "
        "| processes for a week | database at first | a year of weekly passes more |"
    )
    yield "|---" * 11 + "|"
    for count, name in SCALES:
        next_hops = count or world.domains * world.with_mail
        for depth_name in (*DEPTHS, "unchanged"):
            told = reckon(next_hops, getattr(measured, depth_name), measured, world, Limits())
            yield (
                f"| {name if count else f'all, {number(next_hops)}'} | {depth_name} | {number(told.endpoints)} "
                f"| {number(told.connections)} | {size(told.wire_bytes)} | {days(told.by_cpu)} | {days(told.work)} "
                f"| {days(told.slowest)} | {max(1, math.ceil(told.work / WITHIN))} "
                f"| {size(told.first_bytes)} | {size(52 * told.again_bytes)} |"
            )


def sensitivity(world: World, measured: Measured) -> Iterator[str]:
    """What becomes of a million next-hops at standard depth where one thing is otherwise."""
    yield "| what | endpoints | one process | of which CPU | the slowest provider |"
    yield "|---" * 5 + "|"
    base = Limits()
    cases: tuple[tuple[str, World, Measured, Limits, str], ...] = (
        ("as assumed", world, measured, base, "standard"),
        ("*quick*", world, measured, base, "quick"),
        ("*full*", world, measured, base, "full"),
        (
            "round trips of 180 ms instead of 60",
            replace(world, round_trip=3 * world.round_trip),
            measured,
            base,
            "standard",
        ),
        ("`limits.connections` = 1000", world, measured, replace(base, connections=1000), "standard"),
        ("`limits.per_address` = 4", world, measured, replace(base, per_address=4), "standard"),
        ("3000 a minute to a provider", world, measured, replace(base, per_provider_per_minute=3000), "standard"),
        ("one address of each name of its own", replace(world, named_addresses=1), measured, base, "standard"),
        (
            "no names of their own",
            replace(world, shared=world.shared + world.named, named=0.0),
            measured,
            base,
            "standard",
        ),
        ("a third of small servers dead", replace(world, dead=0.33), measured, base, "standard"),
        ("a tenth of small servers tarpits", replace(world, tarpits=0.1), measured, base, "standard"),
    )
    for what, changed, costs, limits, depth in cases:
        told = reckon(1e6, getattr(costs, depth), costs, changed, limits)
        yield (
            f"| {what} | {number(told.endpoints)} | {days(told.work)} | {days(told.by_cpu)} | {days(told.slowest)} |"
        )


def picture(world: World, measured: Measured) -> str:
    """Time of a pass by number of next-hops: what the slowest provider takes, and what one process does."""
    scales = [10 ** (3 + step / 4) for step in range(22)] + [world.domains * world.with_mail]
    colours = {"quick": ("#1a7f37", "#3fb950"), "standard": ("#0969da", "#58a6ff"), "full": ("#bc4c00", "#f0883e")}
    lines = []
    for name, those in colours.items():
        told = [reckon(count, getattr(measured, name), measured, world, Limits()) for count in scales]
        slowest = [(each.next_hops, each.slowest) for each in told]
        alone = [(each.next_hops, each.work) for each in told]
        lines.append(Line(name=f"{name}: the slowest provider", points=slowest, colours=those))
        lines.append(Line(name=f"{name}: one process", points=alone, colours=those, dashed=True))
    return chart(
        "Time of one pass, with the default limits",
        "next-hops",
        lines,
        marks=(
            (60.0, "1 min"),
            (3600.0, "1 h"),
            (DAY, "1 day"),
            (7 * DAY, "1 week"),
            (YEAR, "1 year"),
            (30 * YEAR, "30 y"),
        ),
        ticks=((1e3, "1 k"), (1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M"), (1e7, "10 M"), (1e8, "100 M")),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Reckon what a pass over very many next-hops takes.")
    parser.add_argument("--next-hops", type=int, default=10_000, help="how many are simulated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", help="where the picture is written")
    group = parser.add_argument_group("assumptions of the world, and what was measured")
    for kind in (World, Measured):
        for each in fields(kind):
            if isinstance(each.default, float | int):
                name = f"--{each.name.replace('_', '-')}"
                group.add_argument(name, dest=each.name, type=type(each.default), default=each.default)
    options = parser.parse_args()
    world, measured = (
        replace(
            kind(), **{each.name: getattr(options, each.name) for each in fields(kind) if hasattr(options, each.name)}
        )
        for kind in (World, Measured)
    )
    assert isinstance(world, World)
    assert isinstance(measured, Measured)
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(picture(world, measured))
    print(f"Default limits: {PER_MINUTE} connections a minute to a provider. Seed {options.seed}.\n")
    parts = (
        simulated(options.next_hops, world, measured, options.seed),
        reckoned(world, measured),
        sensitivity(world, measured),
    )
    for part in parts:
        for line in part:
            print(line, flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
