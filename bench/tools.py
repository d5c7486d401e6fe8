"""The tools that are compared: their commands, how to read what they found, and what a run of one costs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

MXPROBE = str(Path(sys.executable).parent / "mxprobe")
NMAP = "nmap ssl-enum-ciphers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A competitor: its name in the table, its command with PORT in it, and how to count what it found."""

    name: str
    command: tuple[str, ...]
    found: Callable[[str], int]

    def for_port(self, port: int) -> list[str]:
        """Its command line."""
        return [word.replace("PORT", str(port)) for word in self.command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One run. `found` is the number of (address, version, suite) triples that it reported."""

    connections: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    found: int


def ours(per_address: int, depth: str = "full") -> Tool:
    """A probe of one address."""
    probe = (MXPROBE, "probe", "[127.0.0.1]:PORT", "--format", "json")
    return Tool(
        name=f"mxprobe, {per_address} at a time",
        command=(*probe, "--depth", depth, "--per-address", str(per_address)),
        found=lambda text: suites_and_hellos(text)[0],
    )


def nmap(directory: Path, addresses: Sequence[str], tuned: Sequence[str] = ()) -> Iterator[Tool]:
    """nmap, if it is installed, with `name_the_port` for each run."""
    if shutil.which("nmap"):
        yield Tool(
            name=NMAP,
            command=(
                *("nmap", "-Pn", "-n", "-p", "PORT", "--datadir", str(directory), *tuned),
                *("--script", "ssl-enum-ciphers", *addresses),
            ),
            found=lines_like(r"^\|\s+TLS_\S+"),
        )


def name_the_port(directory: Path, port: int) -> None:
    """nmap knows SMTP by the port's name, which it takes from the file nmap-services in its data directory."""
    (directory / "nmap-services").write_text(f"smtp\t{port}/tcp\t0.9\n")


def sslscan(address: str) -> Iterator[Tool]:
    """sslscan, if it is installed, without what the others do not look for: versions, suites, the certificate."""
    if shutil.which("sslscan"):
        yield Tool(
            name="sslscan",
            command=(
                *("sslscan", "--starttls-smtp", "--no-colour", "--no-fallback", "--no-renegotiation"),
                *("--no-compression", "--no-groups", "--no-heartbleed", f"{address}:PORT"),
            ),
            found=lines_like(r"^(?:Preferred|Accepted)\s"),
        )


def sslyze(addresses: Sequence[str]) -> Iterator[Tool]:
    """sslyze: only versions and suites. In a virtual environment of its own, made here, if the package can be had."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mxprobe" / "sslyze"
    command = home / "bin" / "sslyze"
    if not command.exists():
        venv.create(home, with_pip=True)
        install = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install", "sslyze"]
        subprocess.run(install, check=False, stdout=sys.stderr)
    if command.exists():
        versions = ("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3")
        yield Tool(
            name="sslyze",
            command=(
                *(str(command), "--starttls=smtp", "--mozilla_config=disable", *versions, "--json_out=-"),
                *(f"{address}:PORT" for address in addresses),
            ),
            found=_accepted_by_sslyze,
        )


def lines_like(pattern: str) -> Callable[[str], int]:
    """How many lines of a text a pattern finds."""
    return lambda text: len(re.findall(pattern, text, re.MULTILINE))


def first_document(text: str) -> dict[str, Any]:
    """The JSON document in what a command printed; standard error is in the same file.

    Raises:
        RuntimeError: there is none.
    """
    if "{" not in text:
        raise RuntimeError(f"no result:\n{text[-2000:]}")
    document: dict[str, Any] = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
    return document


def suites_and_hellos(text: str) -> tuple[int, int]:
    """How many (address, version, suite) triples a JSON document of ours holds, and how many ClientHellos they took."""
    protocols = [
        protocol
        for target in first_document(text)["targets"]
        for endpoint in target["endpoints"]
        for protocol in endpoint["protocols"].values()
    ]
    return sum(len(protocol["suites"]) for protocol in protocols), sum(protocol["hellos"] for protocol in protocols)


def measured(command: Sequence[str], output: Path) -> dict[str, float]:
    """Run a command in a small process of its own, which says what it cost."""
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measured.py"))]
    done = subprocess.run([*launcher, str(output), *command], stdout=subprocess.PIPE, check=True)
    cost: dict[str, float] = json.loads(done.stdout)
    return cost


def cost_of(tool: Tool, port: int, output: Path, connections: Callable[[], int]) -> Cost:
    """Run a tool; `connections` says how many the server has counted so far.

    Raises:
        RuntimeError: it reported no suite at all, so that its cost would mean nothing.
    """
    before = connections()
    spent = measured(tool.for_port(port), output)
    made = connections() - before
    text = output.read_text(errors="replace")
    found = tool.found(text)
    if not found:
        raise RuntimeError(f"{tool.name} found nothing:\n{text[-2000:]}")
    return Cost(
        connections=made,
        seconds=spent["seconds"],
        cpu_seconds=spent["cpu_seconds"],
        peak_bytes=int(spent["peak_bytes"]),
        found=found,
    )


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        connections=round(median(cost.connections for cost in costs)),
        seconds=median(cost.seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        peak_bytes=round(median(cost.peak_bytes for cost in costs)),
        found=round(median(cost.found for cost in costs)),
    )


def figure(what: str, promised: str, measured_text: str, met: bool) -> str:
    """One line of a table of promises."""
    return f"| {what} | {promised} | {measured_text} | {'met' if met else '**not met**'} |"


FIGURES = ("| figure | promised | measured | |", "|---|---|---|---|")
"""The head of such a table."""


def _accepted_by_sslyze(text: str) -> int:
    return sum(
        len((attempt["result"] or {}).get("accepted_cipher_suites", ()))
        for server in first_document(text)["server_scan_results"]
        for name, attempt in (server["scan_result"] or {}).items()
        if name.endswith("_cipher_suites") and attempt
    )
