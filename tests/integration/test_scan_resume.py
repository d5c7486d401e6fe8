"""A scan that is killed or interrupted in mid-course is gone on with: nothing kept is asked again, nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mxprobe.configuration.probes_toml import read_configuration
from mxprobe.facts import EndpointFacts, Report
from mxprobe.store import open_store
from mxprobe.terms import Endpoint

DOMAINS = 40
HOSTS = 60

# Every domain has three MX hosts, and shares each of them with other domains. In the first run one host never answers,
# so that the scan cannot come to its end before it is stopped.
_SCAN = """
import asyncio, hashlib, os, sys
from datetime import UTC, datetime
from pathlib import Path
from mxprobe.facts import EndpointFacts, Starttls
from mxprobe.routing.route import MxHost, Route
from mxprobe.configuration.probes_toml import read_configuration
from mxprobe.schedule.scan import scan
from mxprobe.store import open_store

configuration = read_configuration(Path(sys.argv[1]))
log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
silent = sys.argv[3:]

async def probe_route(next_hop):
    os.write(log, f"route {next_hop.text}\\n".encode())
    number = int(next_hop.text[1:].partition(".")[0])
    hosts = [(number * 7 + step * 13) % 60 for step in range(3)]
    await asyncio.sleep(0)
    return Route(kind="mx", hosts=tuple(
        MxHost(name=f"mx{host}.example", canonical_name=f"mx{host}.example", preference=10,
               addresses=(f"192.0.2.{host}",))
        for host in hosts
    ))

async def probe_endpoint(endpoint, profiles):
    os.write(log, f"endpoint {endpoint.address}\\n".encode())
    if endpoint.address in silent:
        await asyncio.Event().wait()
    await asyncio.sleep(0)
    der = endpoint.address.encode() * 300
    facts = EndpointFacts(
        host=endpoint.host, address=endpoint.address, port=endpoint.port, started_at=datetime.now(UTC),
        starttls=Starttls(state="works", reason="x" * 5000), connections=1,
    )
    return facts, {hashlib.sha256(der).hexdigest(): der}

def on_progress(progress):
    print(progress.routes_known, progress.endpoints_known, flush=True)

async def main():
    async with open_store(configuration.store_url) as store:
        result = await scan(configuration, store, probe_route=probe_route, probe_endpoint=probe_endpoint,
                            clock=lambda: datetime.now(UTC), on_progress=on_progress)
    print("resumed" if result.resumed else "begun", result.endpoints_kept, result.endpoints_asked)

asyncio.run(main())
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "probes.toml"
    names = [f"d{number}.example" for number in range(DOMAINS)]
    path.write_text(f"[[group]]\nname = 'all'\nnext_hops = {names}\n")
    return path


def asked(log: Path) -> Counter[str]:
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


async def kept(configuration: Path) -> tuple[set[str], dict[Endpoint, EndpointFacts], Report | None]:
    """What the database holds of the only scan in it: next-hops with a route, endpoints with facts, the report."""
    async with open_store(read_configuration(configuration).store_url, read_only=True) as store:
        report = await store.latest()
    if report is None:
        return set(), {}, None
    endpoints = {
        Endpoint(host=facts.host, address=facts.address, port=facts.port): facts
        for target in report.targets
        for facts in target.endpoints
    }
    return {target.next_hop for target in report.targets}, endpoints, report


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("lines", [1, 15, DOMAINS + 2, DOMAINS + 20, DOMAINS + HOSTS])
def test_stopped_at_any_time_a_scan_loses_nothing_and_asks_nothing_twice(
    tmp_path: Path, configuration: Path, lines: int, stop: signal.Signals
) -> None:
    log = tmp_path / "asked"
    command = [sys.executable, "-W", "error", "-c", _SCAN, str(configuration), str(log)]

    # Stopped after so many lines of progress, in the midst of whatever it does then.
    with subprocess.Popen([*command, "192.0.2.0"], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        for _ in range(lines):
            last = first.stdout.readline().split()
        first.send_signal(stop)
        first.wait(timeout=120)
    assert first.returncode == -stop
    routes, endpoints, before = asyncio.run(kept(configuration))
    # What it had said to be known is in the database.
    assert len(routes) >= int(last[0])
    assert len(endpoints) >= int(last[1])
    already = asked(log)

    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert second.stdout.splitlines()[-1] == f"resumed {len(endpoints)} {HOSTS - len(endpoints)}"
    again = asked(log) - already
    assert not {f"route {name}" for name in routes} & again.keys()
    assert not {f"endpoint {endpoint.address}" for endpoint in endpoints} & again.keys()
    assert set(again.values()) == {1}

    _, complete, report = asyncio.run(kept(configuration))
    assert len(complete) == HOSTS
    assert {endpoint: complete[endpoint] for endpoint in endpoints} == endpoints
    assert report is not None
    assert before is None or before.started_at == report.started_at
    assert len(report.targets) == DOMAINS
    assert {len(target.endpoints) for target in report.targets} == {3}
    assert report.connections == HOSTS
