"""What a full probe costs, beside nmap and sslscan in the same minute, against an opened-up Postfix on loopback.

``make bench``, or ``python bench/compare.py [--runs N]``, as root (Postfix needs it). Prints the first tables of
`bench/README.md`. Connections are counted on the wire, by the proxy that also makes the round trip.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tools import (
    FIGURES,
    MXPROBE,
    NMAP,
    Cost,
    Tool,
    cost_of,
    figure,
    measured,
    middle,
    name_the_port,
    nmap,
    ours,
    sslscan,
    suites_and_hellos,
)
from warm import Warm

from mxprobe.terms import PROTOCOLS
from servers.delay_proxy import delay_proxy
from servers.postfix import postfix_server
from servers.running import RunningServer

ROUND_TRIPS_MS = (0, 40)
WIDTHS = (2, 8)
"""Connections at a time to one address, in ours: the default, and about as many as nmap opens."""

WARM_PROBES = 12
"""Probes of one process. The first ones warm it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """CPU seconds of one hello, with its connection. `cold` is the command as a whole over its hellos, start-up
    included; `warm` a probe in a process that has done others. Each as the least of its runs, which is what the code
    takes: what else the machine does only adds to that; and as their median."""

    cold: tuple[float, float]
    warm: tuple[float, float]


def run(tool: Tool, server: RunningServer, round_trip_ms: int, directory: Path) -> Cost:
    """One run of a tool through a proxy of its own."""
    with delay_proxy(server.port, ms=round_trip_ms / 2) as proxy:
        name_the_port(directory, proxy.port)
        return cost_of(tool, proxy.port, directory / "output", lambda: proxy.connections)


def bound(server: RunningServer) -> int:
    """n + 1 hellos for the n suites of each version that the configuration accepts, one for each that it refuses."""
    return sum(len(server.expected.get(protocol, ())) + 1 for protocol in PROTOCOLS)


def warm_probes(port: int, per_address: int, times: int, directory: Path) -> list[Warm]:
    """Probes of one process, one after the other."""
    output = directory / "output"
    arguments = ["--port", str(port), "--per-address", str(per_address), "--times", str(times)]
    measured([sys.executable, str(Path(__file__).with_name("warm.py")), *arguments], output)
    text = output.read_text()
    return [Warm(**each) for each in json.loads(text[text.index("[") :])]


def speculation(server: RunningServer, directory: Path) -> dict[int, Warm]:
    """What guessing was good for in one probe at 40 ms, by connections at a time."""
    found = {}
    for width in WIDTHS:
        with delay_proxy(server.port, ms=20) as proxy:
            (found[width],) = warm_probes(proxy.port, width, 1, directory)
    return found


def cpu_a_hello(runs: int, server: RunningServer, directory: Path) -> Hello:
    """What a hello takes, without the proxy, which would take its share of a small machine."""
    output = directory / "output"
    cold, warm = [], []
    for _ in range(runs):
        spent = measured(ours(2).for_port(server.port), output)["cpu_seconds"]
        cold.append(spent / suites_and_hellos(output.read_text(errors="replace"))[1])
        probes = warm_probes(server.port, 2, WARM_PROBES, directory)
        warm += [probe.cpu_seconds / probe.hellos for probe in probes[WARM_PROBES // 3 :]]
    return Hello(cold=(min(cold), median(cold)), warm=(min(warm), median(warm)))


def start_up(runs: int, directory: Path) -> tuple[float, float]:
    """Seconds of `mxprobe --help`, and of an interpreter that does nothing."""
    commands = [MXPROBE, "--help"], [sys.executable, "-c", "pass"]
    return tuple(  # type: ignore[return-value]
        median(measured(command, directory / "output")["seconds"] for _ in range(runs)) for command in commands
    )


def table(results: dict[int, dict[str, Cost]]) -> Iterator[str]:
    yield "| round trip | tool | connections | wall s | round trips | CPU s | peak MB | suites | wall, of nmap's |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for round_trip, costs in results.items():
        for name, cost in costs.items():
            beside = costs.get(NMAP)
            ratio = f"{cost.seconds / beside.seconds:.2f}" if beside else "-"
            trips = f"{(cost.seconds - results[0][name].seconds) / (round_trip / 1000):.0f}" if round_trip else ""
            yield (
                f"| {round_trip} ms | {name} | {cost.connections} | {cost.seconds:.2f} | {trips} "
                f"| {cost.cpu_seconds:.2f} | {cost.peak_bytes / 1e6:.0f} | {cost.found} | {ratio} |"
            )


def speculation_table(found: dict[int, Warm]) -> Iterator[str]:
    yield "| at 40 ms, at a time | connections | hellos | guesses that held | in vain |"
    yield "|---|---|---|---|---|"
    for width, probe in found.items():
        yield f"| {width} | {probe.connections} | {probe.hellos} | {probe.hits} | {probe.misses} |"


def figures(
    results: dict[int, dict[str, Cost]], hello: Hello, server: RunningServer, help_seconds: tuple[float, float]
) -> Iterator[str]:
    """What the project promises of its cost, and what was measured."""
    mine = [costs[ours(width).name] for costs in results.values() for width in WIDTHS]
    most, least = max(cost.connections for cost in mine), bound(server)
    allowed = int(1.05 * least + 2)
    yield from FIGURES
    yield figure(
        f"connections, with n + 1 a version being {least}",
        f"at most 1.05 x {least} + 2 = {allowed}",
        f"{most} ({(most - 2) / least:.3f} x {least} + 2)",
        most <= allowed,
    )
    if beside := results[40].get(NMAP):
        for width, part in ((8, 0.25), (2, 1.0)):
            seconds = results[40][ours(width).name].seconds
            ratio = seconds / beside.seconds
            yield figure(
                f"wall at 40 ms, {width} at a time, over nmap's",
                f"at most {part:.2f}",
                f"{ratio:.2f} ({seconds:.1f} s, {beside.seconds:.1f} s)",
                ratio <= part,
            )
    for what, (fewest, middling), promised in (
        ("CPU a hello, warm", hello.warm, 0.00025),
        ("CPU a hello, the whole command", hello.cold, None),
    ):
        text = f"{1000 * fewest:.2f} ms (median {1000 * middling:.2f})"
        if promised:
            yield figure(what, f"at most {1000 * promised:.2f} ms", text, fewest <= promised)
        else:
            yield f"| {what} | | {text} | |"
    yield figure(
        "`mxprobe --help`, of which an empty Python takes",
        "under 200 ms",
        f"{1000 * help_seconds[0]:.0f} ms, {1000 * help_seconds[1]:.0f} ms",
        help_seconds[0] < 0.2,
    )
    peak = max(cost.peak_bytes for cost in mine) / 1e6
    yield figure("peak memory of one probe", "under 90 MB", f"{peak:.0f} MB", peak < 90)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the cost of a full probe with nmap's and sslscan's.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each tool, of which the median counts (3)")
    runs = parser.parse_args().runs
    results: dict[int, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as text, postfix_server(opened_up=True) as server:
        directory = Path(text)
        tools = [*map(ours, WIDTHS), *nmap(directory, ("127.0.0.1",)), *sslscan("127.0.0.1")]
        for round_trip in ROUND_TRIPS_MS:
            costs: dict[str, list[Cost]] = {tool.name: [] for tool in tools}
            for number in range(runs):
                for tool in tools:  # in turn, so that all see the same minute
                    print(f"{round_trip} ms, run {number + 1} of {runs}: {tool.name}", file=sys.stderr)
                    costs[tool.name].append(run(tool, server, round_trip, directory))
            results[round_trip] = {name: middle(found) for name, found in costs.items()}
        guesses = speculation(server, directory)
        hello = cpu_a_hello(2 * runs + 1, server, directory)
        help_seconds = start_up(2 * runs + 1, directory)
        expected = sum(len(suites) for suites in server.expected.values())
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}; medians of {runs} runs, the tools in turn.")
        print(f"The Postfix accepts {expected} suites by its configuration.\n")
        print("\n".join(table(results)), end="\n\n")
        print("\n".join(speculation_table(guesses)), end="\n\n")
        print("\n".join(figures(results, hello, server, help_seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
