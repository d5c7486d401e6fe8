"""What fifty targets at once cost, beside nmap and sslyze in the same run: one opened-up Postfix on fifty addresses.

``python bench/targets.py [--runs N] [--addresses 50]``, as root. One Postfix stands behind a proxy on all addresses of
loopback, which makes the round trip and counts connections. Ours goes by the one name that a name server gives
all these addresses; the peers are given the addresses, all in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tools import (
    FIGURES,
    MXPROBE,
    NMAP,
    Cost,
    Tool,
    cost_of,
    figure,
    middle,
    name_the_port,
    nmap,
    sslyze,
    suites_and_hellos,
)

from mxprobe.demo.name_server import NameServer
from servers.delay_proxy import delay_proxy
from servers.postfix import postfix_server
from servers.running import loop_in_thread

FIRST_ADDRESS = IPv4Address("127.0.1.1")
CONNECTIONS = 400
"""At a time in all, for ours as for nmap: eight for each of fifty addresses."""

TWINS, APART_2, APART_8 = "mxprobe, twins, 8 at a time", "mxprobe, 2 at a time", "mxprobe, 8 at a time"


def addresses(count: int) -> tuple[str, ...]:
    """So many addresses of loopback."""
    return tuple(str(FIRST_ADDRESS + number) for number in range(count))


@contextmanager
def faster_loops() -> Iterator[None]:
    """Event loops of uvloop where it is installed, so that the proxy takes less of a small machine."""
    try:
        import uvloop
    except ImportError:
        yield
        return
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(before)


@contextmanager
def pool(reached_at: Sequence[str]) -> Iterator[str]:
    """A name server that knows ``pool.test``, whose one MX host has these addresses; gives where it is reached."""
    records = "".join(f"mx.pool.test. A {address}\n" for address in reached_at)
    server = NameServer(f"pool.test. MX 10 mx.pool.test.\n{records}")
    with loop_in_thread("name server") as loop:
        serving = server.serving()
        asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
        try:
            yield f"{server.address[0]}:{server.address[1]}"
        finally:
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(10)


def ours(name: str, resolver: str, per_address: int, *more: str) -> Tool:
    """A probe of the pool."""
    return Tool(
        name=name,
        command=(
            *(MXPROBE, "probe", "pool.test:PORT", "--format", "json", "--resolver", resolver, "--allow-private"),
            *("--per-address", str(per_address), "--connections", str(CONNECTIONS), *more),
        ),
        found=lambda text: suites_and_hellos(text)[0],
    )


def table(costs: dict[str, Cost]) -> Iterator[str]:
    yield "| tool | connections | wall s | CPU s | CPU ms a connection | peak MB | suites found | wall, of nmap's |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, cost in costs.items():
        ratio = f"{cost.seconds / costs[NMAP].seconds:.2f}" if NMAP in costs else "-"
        each = 1000 * cost.cpu_seconds / cost.connections
        yield (
            f"| {name} | {cost.connections} | {cost.seconds:.1f} | {cost.cpu_seconds:.2f} "
            f"| {each:.2f} | {cost.peak_bytes / 1e6:.0f} | {cost.found} | {ratio} |"
        )


def figures(costs: dict[str, Cost]) -> Iterator[str]:
    """What the project promises of many targets, and what was measured."""
    yield from FIGURES
    if beside := costs.get(NMAP):
        for what, most in (("wall", 0.5), ("CPU", 1 / 3)):
            for name in (APART_8, APART_2, TWINS):
                cost = costs[name]
                spent, its = (
                    (cost.seconds, beside.seconds) if what == "wall" else (cost.cpu_seconds, beside.cpu_seconds)
                )
                ratio = spent / its
                text = f"{ratio:.2f} ({spent:.1f} s, {its:.1f} s)"
                if name == APART_8:  # as many at a time as nmap, and nothing taken over from a twin
                    yield figure(f"{what}, {name}, over nmap's", f"at most {most:.2f}", text, ratio <= most)
                else:
                    yield f"| {what}, {name}, over nmap's | | {text} | |"
    peak = max(costs[name].peak_bytes for name in (APART_8, APART_2, TWINS)) / 1e6
    yield figure("peak memory", "under 150 MB", f"{peak:.0f} MB", peak < 150)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the cost of many targets with nmap's and sslyze's.")
    parser.add_argument("--runs", type=int, default=2, help="runs of each tool but sslyze, of which the median counts")
    parser.add_argument("--addresses", type=int, default=50)
    parser.add_argument("--round-trip-ms", type=float, default=40)
    options = parser.parse_args()
    targets = addresses(options.addresses)
    with (
        tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as text,
        postfix_server(opened_up=True) as server,
        faster_loops(),
        pool(targets) as resolver,
        delay_proxy(server.port, ms=options.round_trip_ms / 2, address="0.0.0.0") as proxy,
    ):
        directory = Path(text)
        name_the_port(directory, proxy.port)
        # Without the two parallelisms its scripts share 20 sockets, whatever -T5 says, and take four times as long.
        tuned = (
            *("-T5", "--min-hostgroup", str(len(targets)), "--max-hostgroup", str(len(targets))),
            *("--min-parallelism", str(CONNECTIONS), "--max-parallelism", str(CONNECTIONS)),
        )
        tools = [
            ours(TWINS, resolver, 8),
            ours(APART_8, resolver, 8, "--no-twins"),
            ours(APART_2, resolver, 2, "--no-twins"),
            *nmap(directory, targets, tuned),
        ]
        costs: dict[str, list[Cost]] = {}
        rounds = [(tool, number) for number in range(options.runs) for tool in tools]
        for tool, number in [*rounds, *((tool, 0) for tool in sslyze(targets))]:
            print(f"run {number + 1}: {tool.name}", file=sys.stderr)
            found = cost_of(tool, proxy.port, directory / "output", lambda: proxy.connections)
            costs.setdefault(tool.name, []).append(found)
        expected = len(targets) * sum(len(suites) for suites in server.expected.values())
        print(
            f"{len(targets)} addresses at {options.round_trip_ms:.0f} ms, which accept {expected} suites; "
            f"medians of {options.runs} runs, one of sslyze.\n"
        )
        results = {name: middle(several) for name, several in costs.items()}
        print("\n".join(table(results)), end="\n\n")
        print("\n".join(figures(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
