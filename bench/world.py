"""A made-up world of mail servers, by stated assumptions, and what was measured of each: for `bench/internet.py`."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address

from mxprobe.terms import Endpoint

SIGMA = 0.7
"""Of the logarithm of round trips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What one endpoint costs at a depth: connections, CPU seconds of ours, round trips of a connection until its place
    is free again, bytes of a connection in both directions (IP and TCP, some 800 of them, included), and of the
    database at first."""

    connections: int
    cpu_seconds: float
    round_trips: float
    wire_bytes: float
    first_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """By `bench/service.py`, on the machine that `docs/scale.md` names; connections by `docs/depths.md` (a Postfix as
    Debian ships it), at the CPU of one of these."""

    quick: Depth = Depth(connections=1, cpu_seconds=0.003, round_trips=6, wire_bytes=5500, first_bytes=4300)
    standard: Depth = Depth(connections=27, cpu_seconds=0.020, round_trips=6, wire_bytes=1700, first_bytes=16000)
    full: Depth = Depth(connections=120, cpu_seconds=0.100, round_trips=5, wire_bytes=3200, first_bytes=9000)
    unchanged: Depth = Depth(connections=13, cpu_seconds=0.009, round_trips=6, wire_bytes=2300, first_bytes=9000)
    next_hop_cpu: float = 0.0045
    """CPU seconds of a visit whose endpoints are known already, and that is compared with what is remembered."""
    next_hop_bytes: float = 2600.0
    """Of the database, for a next-hop at first: what is remembered of it, its result, when it is due."""
    again_bytes: float = 330.0
    """Of the database, for a further result of a next-hop with two endpoints where nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Assumptions, none of them measured. Shares are of all domains that receive mail, and add up to 1."""

    domains: float = 360e6
    """Registered domains (the order of magnitude that registries report)."""
    with_mail: float = 0.6
    """Of those, with an MX or an address that could be one."""

    shared: float = 0.45
    """Domains at large providers whose MX hosts are the same for all customers."""
    shared_providers: int = 30
    shared_endpoints: int = 16
    """Endpoints of each of these."""

    named: float = 0.13
    """Domains at large providers where each customer has an MX host name of its own, on addresses for all."""
    named_providers: tuple[float, ...] = (0.77, 0.15, 0.08)
    """How those divide."""
    named_addresses: int = 3
    """Addresses of each such name."""

    hosted: float = 0.17
    """Domains at hosters with MX hosts for many customers."""
    hosted_each: int = 300
    """Domains on one of these servers, at the most."""

    vanity: float = 0.20
    """Domains at hosters where the MX host is a name of the customer's (`mail.customer.example`), on shared
    servers."""
    hosters: int = 20_000
    """Their sizes go by Zipf's law (exponent 1)."""

    own: float = 0.05
    """Domains with servers of their own."""
    own_endpoints: float = 1.6

    dead: float = 0.10
    """Addresses of hosters and own servers that do not answer: a connection is waited for in vain."""
    tarpits: float = 0.02
    """Addresses that greet late, by `tarpit_seconds` each time."""
    busy: float = 0.03
    """Addresses that turn us away at first (greylisting, 421)."""
    tarpit_seconds: float = 20.0
    dead_seconds: float = 15.0
    busy_seconds: float = 14.0
    round_trip: float = 0.060
    """Seconds, the median; lognormal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One endpoint, and how it behaves."""

    endpoint: Endpoint
    round_trip: float
    manner: str = "works"


def sample(world: World, next_hops: int, seed: int) -> tuple[tuple[Server, ...], ...]:
    """The endpoints of so many next-hops, in the order in which they are due (from a hash of the name: any order)."""
    dice = random.Random(seed)
    known: dict[Endpoint, Server] = {}
    machines: dict[str, tuple[float, str]] = {}

    def server(host: str, address: str, *, large: bool = False) -> Server:
        endpoint = Endpoint(host=host, address=address, port=25, service="smtp")
        if address not in machines:
            roll, manner = dice.random(), "works"
            for name, share in () if large else (("dead", world.dead), ("tarpit", world.tarpits), ("busy", world.busy)):
                if 0 <= roll < share:
                    manner = name
                roll -= share
            machines[address] = dice.lognormvariate(math.log(world.round_trip), SIGMA), manner
        round_trip, manner = machines[address]
        return known.setdefault(endpoint, Server(endpoint=endpoint, round_trip=round_trip, manner=manner))

    sizes = [1 / rank for rank in range(1, world.hosters + 1)]
    found: list[tuple[Server, ...]] = []
    kinds = ("shared", "named", "hosted", "vanity", "own")
    weights = [getattr(world, kind) for kind in kinds]
    filled: Counter[tuple[str, int]] = Counter()
    for number, kind in enumerate(dice.choices(kinds, weights, k=next_hops)):
        match kind:
            case "shared":
                (provider,) = dice.choices(range(world.shared_providers), sizes[: world.shared_providers])
                hosts = range(world.shared_endpoints)
                found.append(
                    tuple(server(f"mx{n}.shared{provider}.example", _at(20, provider, n), large=True) for n in hosts)
                )
            case "named":
                (provider,) = dice.choices(range(len(world.named_providers)), world.named_providers)
                first = dice.randrange(1000)
                host = f"customer{number}.named{provider}.example"
                places = range(first, first + world.named_addresses)
                found.append(tuple(server(host, _at(30 + provider, n // 100, n % 100), large=True) for n in places))
            case "own":
                count = 1 + (dice.random() < world.own_endpoints - 1)
                found.append(tuple(server(f"mx{n}.own{number}.example", _at(60, number, n)) for n in range(count)))
            case _:
                (hoster,) = dice.choices(range(world.hosters), sizes)
                filled[kind, hoster] += 1
                machine = filled[kind, hoster] // world.hosted_each
                host = f"mail.d{number}.example" if kind == "vanity" else f"mx{machine}.hoster{hoster}.example"
                found.append((server(host, _at(80 if kind == "vanity" else 100, hoster, machine)),))
    dice.shuffle(found)
    return tuple(found)


def _at(block: int, network: int, number: int) -> str:
    """An address in the /24 of this number, 200 to each."""
    return str(IPv4Address((block << 24) + ((network * 17 + number // 200) << 8) + 1 + number % 200))
