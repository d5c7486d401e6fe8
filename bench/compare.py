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
    """One run. `found` is the number of (version, suite) pairs that it reported."""

    connections: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    found: int


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
    found = found_in(text)[0] if tool.counted == "json" else len(re.findall(tool.counted, text, re.MULTILINE))
    if not found:
        raise RuntimeError(f"{tool.name} found nothing:\n{text[-2000:]}")
    return Cost(
        connections=connections,
        seconds=cost["seconds"],
        cpu_seconds=cost["cpu_seconds"],
        peak_bytes=int(cost["peak_bytes"]),
        found=found,
    )


def found_in(text: str) -> tuple[int, int]:
    """How many (version, suite) pairs a JSON document of ours holds, and how many ClientHellos they took."""
    # Standard error, with what is not as required, is in the same file.
    document = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
    protocols = document["targets"][0]["endpoints"][0]["protocols"].values()
    return sum(len(protocol["suites"]) for protocol in protocols), sum(protocol["hellos"] for protocol in protocols)


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
    )


def bound(server: RunningServer) -> int:
    """n + 1 hellos for the n suites of each version that the configuration accepts, one for each that it refuses."""
    return sum(len(server.expected.get(protocol, ())) + 1 for protocol in PROTOCOLS)


def cpu_a_hello(runs: int, server: RunningServer, directory: Path) -> float:
    """CPU seconds of one hello, with its connection: what a full probe takes over a quick one run just before.

    So the start of Python, the imports and the natural handshake, which both have, fall out. Without the proxy, which
    would take its share of a small machine.
    """
    found = []
    for _ in range(runs):
        costs, hellos = [], 0
        for depth in ("quick", "full"):
            output = directory / "output"
            costs.append(measured(ours(2, depth).for_port(server.port), output)["cpu_seconds"])
            hellos = found_in(output.read_text(errors="replace"))[1]
        found.append((costs[1] - costs[0]) / hellos)
    return median(found)


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
    results: dict[int, dict[str, Cost]], hello_seconds: float, server: RunningServer, help_seconds: tuple[float, float]
) -> Iterator[str]:
    """What the project promises of its cost, and what was measured."""
    wide = results[40][ours(8).name]
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
    yield line(
        "CPU a hello, from the difference of a full and a quick probe",
        "under 0.5 ms",
        f"{1000 * hello_seconds:.2f} ms",
        hello_seconds < 0.0005,
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
        hello_seconds = cpu_a_hello(2 * runs + 1, server, directory)
        help_seconds = start_up(2 * runs + 1, directory)
        expected = sum(len(suites) for suites in server.expected.values())
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}; medians of {runs} runs, the tools in turn.")
        print(f"The Postfix accepts {expected} suites by its configuration.\n")
        print("\n".join(table(results, "nmap ssl-enum-ciphers")), end="\n\n")
        print("\n".join(figures(results, hello_seconds, server, help_seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
