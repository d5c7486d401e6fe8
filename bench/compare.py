"""What a full probe costs, beside nmap and sslscan in the same minute, against an opened-up Postfix on loopback.

``make bench``, or ``python bench/compare.py [--runs N]``, as root (Postfix needs it). Prints the table of
`bench/README.md`. Connections are counted on the wire, by the proxy that also makes the round trip.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from mxprobe.terms import PROTOCOLS
from servers.delay_proxy import delay_proxy
from servers.postfix import postfix_server
from servers.running import RunningServer

ROUND_TRIPS_MS = (0, 40)
MXPROBE = str(Path(sys.executable).parent / "mxprobe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A competitor: its name in the table, its command for a port, and how to read what it found."""

    name: str
    command: tuple[str, ...]
    counted: str

    def for_port(self, port: int) -> list[str]:
        """Its command line with the port in it."""
        return [word.replace("PORT", str(port)) for word in self.command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One run. `found` is the number of (version, suite) pairs that it reported, `hellos` what ours says it asked."""

    connections: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    found: int
    hellos: int = 0


def ours(per_address: int, depth: str = "full") -> Tool:
    probe = (MXPROBE, "probe", "[127.0.0.1]:PORT", "--format", "json")
    return Tool(
        name=f"mxprobe, {per_address} at a time",
        command=(*probe, "--depth", depth, "--per-address", str(per_address)),
        counted="json",
    )


def peers(directory: Path) -> Iterator[Tool]:
    """Those that are installed."""
    if shutil.which("nmap"):
        # nmap knows SMTP by the port's name, which it takes from the file nmap-services there, written for each run.
        yield Tool(
            name="nmap ssl-enum-ciphers",
            command=(
                *("nmap", "-Pn", "-n", "-p", "PORT", "--datadir", str(directory)),
                *("--script", "ssl-enum-ciphers", "127.0.0.1"),
            ),
            counted=r"^\|\s+TLS_\S+",
        )
    if shutil.which("sslscan"):
        yield Tool(
            name="sslscan",
            # Without what the others do not look for: only versions, suites and the certificate.
            command=(
                *("sslscan", "--starttls-smtp", "--no-colour", "--no-fallback", "--no-renegotiation"),
                *("--no-compression", "--no-groups", "--no-heartbleed", "127.0.0.1:PORT"),
            ),
            counted=r"^(?:Preferred|Accepted)\s",
        )


def run(tool: Tool, server: RunningServer, round_trip_ms: int, directory: Path) -> Cost:
    """One run of a tool through a proxy of its own.

    Raises:
        RuntimeError: the tool reported no suite at all, so that its cost would mean nothing.
    """
    output = directory / "output"
    with delay_proxy(server.port, ms=round_trip_ms / 2) as proxy:
        (directory / "nmap-services").write_text(f"smtp\t{proxy.port}/tcp\t0.9\n")
        cost = measured(tool.for_port(proxy.port), output)
        connections = proxy.connections
    text = output.read_text(errors="replace")
    hellos = 0
    if tool.counted == "json":
        # Its standard error, with what is not as required, is in the same file.
        document = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
        (endpoint,) = document["targets"][0]["endpoints"]
        found = sum(len(protocol["suites"]) for protocol in endpoint["protocols"].values())
        hellos = sum(protocol["hellos"] for protocol in endpoint["protocols"].values())
    else:
        found = len(re.findall(tool.counted, text, re.MULTILINE))
        if not found:
            raise RuntimeError(f"{tool.name} found nothing:\n{text[-2000:]}")
    return Cost(
        connections=connections,
        seconds=cost["seconds"],
        cpu_seconds=cost["cpu_seconds"],
        peak_bytes=int(cost["peak_bytes"]),
        found=found,
        hellos=hellos,
    )


def measured(command: Sequence[str], output: Path) -> dict[str, float]:
    """Run a command in a small process of its own, which says what it cost."""
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measured.py"))]
    done = subprocess.run([*launcher, str(output), *command], stdout=subprocess.PIPE, check=True)
    cost: dict[str, float] = json.loads(done.stdout)
    return cost


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        connections=round(median(cost.connections for cost in costs)),
        seconds=median(cost.seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_bytes=round(median(cost.peak_bytes for cost in costs)),
        found=round(median(cost.found for cost in costs)),
        hellos=round(median(cost.hellos for cost in costs)),
    )


def bound(server: RunningServer) -> int:
    """n + 1 hellos for the n suites of each version that the configuration accepts, one for each that it refuses."""
    return sum(len(server.expected.get(protocol, ())) + 1 for protocol in PROTOCOLS)


def start_up(runs: int, directory: Path) -> tuple[float, float]:
    """Seconds of `mxprobe --help`, and of an interpreter that does nothing."""
    commands = [MXPROBE, "--help"], [sys.executable, "-c", "pass"]
    return tuple(  # type: ignore[return-value]
        median(measured(command, directory / "output")["seconds"] for _ in range(runs)) for command in commands
    )


def table(results: dict[int, dict[str, Cost]], reference: str) -> Iterator[str]:
    yield "| round trip | tool | connections | wall s | CPU s | peak MB | suites found | wall, of nmap's |"
    yield "|---|---|---|---|---|---|---|---|"
    for round_trip, costs in results.items():
        for name, cost in costs.items():
            beside = costs.get(reference)
            ratio = f"{cost.seconds / beside.seconds:.2f}" if beside else "-"
            yield (
                f"| {round_trip} ms | {name} | {cost.connections} | {cost.seconds:.2f} | {cost.cpu_seconds:.2f} "
                f"| {cost.peak_bytes / 1e6:.0f} | {cost.found} | {ratio} |"
            )


def figures(
    results: dict[int, dict[str, Cost]], quick: Cost, server: RunningServer, help_seconds: tuple[float, float]
) -> Iterator[str]:
    """What the project promises of its cost, and what was measured."""
    full, wide = results[0][ours(2).name], results[40][ours(8).name]
    most = max(costs[ours(width).name].connections for costs in results.values() for width in (2, 8))
    least = bound(server)

    def line(what: str, promised: str, found: str, met: bool) -> str:
        return f"| {what} | {promised} | {found} | {'met' if met else '**not met**'} |"

    yield "| figure | promised | measured | |"
    yield "|---|---|---|---|"
    yield line(
        f"connections, over the {least} of n + 1 a version",
        f"at most 1.10 x {least} = {int(least * 1.1)}",
        f"{most / least:.2f} x ({most})",
        most <= least * 1.1,
    )
    if nmap := results[40].get("nmap ssl-enum-ciphers"):
        ratio = wide.seconds / nmap.seconds
        yield line(
            "wall at 40 ms, 8 at a time, over nmap's",
            "at most 0.33",
            f"{ratio:.2f} ({wide.seconds:.1f} s, {nmap.seconds:.1f} s)",
            ratio <= 1 / 3,
        )
    hello_ms = 1000 * (full.cpu_seconds - quick.cpu_seconds) / (full.hellos - quick.hellos)
    yield line(
        "CPU a hello, from the difference of a full and a quick probe",
        "under 0.5 ms",
        f"{hello_ms:.2f} ms ({full.hellos} hellos)",
        hello_ms < 0.5,
    )
    yield line(
        "`mxprobe --help`, of which an empty Python takes",
        "under 200 ms",
        f"{1000 * help_seconds[0]:.0f} ms, {1000 * help_seconds[1]:.0f} ms",
        help_seconds[0] < 0.2,
    )
    peak = max(costs[ours(width).name].peak_bytes for costs in results.values() for width in (2, 8)) / 1e6
    yield line("peak memory of one probe", "under 90 MB", f"{peak:.0f} MB", peak < 90)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the cost of a full probe with nmap's and sslscan's.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each tool, of which the median counts (5)")
    runs = parser.parse_args().runs
    results: dict[int, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="mxprobe-bench-") as text, postfix_server(opened_up=True) as server:
        directory = Path(text)
        tools = [ours(2), ours(8), *peers(directory)]
        for round_trip in ROUND_TRIPS_MS:
            costs: dict[str, list[Cost]] = {tool.name: [] for tool in tools}
            for number in range(runs):
                for tool in tools:  # in turn, so that all see the same minute
                    print(f"{round_trip} ms, run {number + 1} of {runs}: {tool.name}", file=sys.stderr)
                    costs[tool.name].append(run(tool, server, round_trip, directory))
            results[round_trip] = {name: middle(found) for name, found in costs.items()}
        quick = middle([run(ours(2, "quick"), server, 0, directory) for _ in range(runs)])
        help_seconds = start_up(2 * runs + 1, directory)
        expected = sum(len(suites) for suites in server.expected.values())
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}; medians of {runs} runs, the tools in turn.")
        print(f"The Postfix accepts {expected} suites by its configuration.\n")
        print("\n".join(table(results, "nmap ssl-enum-ciphers")), end="\n\n")
        print("\n".join(figures(results, quick, server, help_seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
