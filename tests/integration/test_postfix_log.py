"""What a probed Postfix logs: the figures of docs/being-probed.md, and no line more than a probe cannot avoid."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest

import mxprobe
from mxprobe import Limits, ProbeSettings
from mxprobe.facts import EndpointFacts
from mxprobe.network.gate import Gate
from mxprobe.network.line import Line
from mxprobe.network.session import Session
from mxprobe.network.settings import Manners
from mxprobe.terms import Endpoint
from servers.postfix import postfix_server
from servers.running import RunningServer

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "being-probed.md"

REFUSED = (
    "version too low",
    "unsupported protocol",
    "unknown protocol",
    "no shared cipher",
    "http request",
    "no suitable signature algorithm",
    "inappropriate fallback",
)
"""What OpenSSL calls a hello that it refuses. Everything else at a TLS library problem would be our doing."""


async def lines_of(server: RunningServer, since: int) -> list[str]:
    """What Postfix has logged since then, once every connection has ended; without time and process."""
    assert server.log is not None
    async with asyncio.timeout(20):
        while True:
            lines = re.findall(r"^.*? postfix/smtpd\[\d+\]: (.*)$", server.log.read_text()[since:], re.MULTILINE)
            if sum(map(is_connect, lines)) == sum(line.startswith("disconnect from ") for line in lines) > 0:
                return lines
            await asyncio.sleep(0.01)


def is_connect(line: str) -> bool:
    return line.startswith("connect from ")


def kind(line: str) -> str:
    """A line without what differs from server to server."""
    line = re.sub(r"error:[0-9A-F]{8}:SSL routines:[^:]*:([^:]*):.*", r"error: \1", line)
    line = re.sub(r"(commands=).*", r"\1", re.sub(r" from unknown\[127\.0\.0\.1\]", "", line))
    return re.sub(r"TLS connection established: .*", "TLS connection established", line)


async def probed(server: RunningServer, depth: str, per_address: int = 2) -> tuple[EndpointFacts, Counter[str]]:
    assert server.log is not None
    since = server.log.stat().st_size
    settings = ProbeSettings(
        ehlo="probe.example.org",
        contact="postmaster@example.org",
        depth=depth,  # type: ignore[arg-type]
        limits=Limits(per_address=per_address),
    )
    (facts,) = (await mxprobe.probe(f"[127.0.0.1]:{server.port}", settings)).endpoints
    return facts, Counter(map(kind, await lines_of(server, since)))


def test_one_complete_session_is_two_lines() -> None:
    with postfix_server() as server:
        facts, lines = asyncio.run(probed(server, "quick"))
    assert facts.connections == 1
    assert lines == {"connect": 1, "disconnect ehlo=1 starttls=1 noop=1 quit=1 commands=": 1}


@pytest.mark.parametrize("per_address", [2, 8])
def test_a_full_probe_logs_four_lines_a_connection_and_a_warning_only_for_refused_hellos(per_address: int) -> None:
    with postfix_server(opened_up=True) as server:
        facts, lines = asyncio.run(probed(server, "full", per_address))
    connections = lines["connect"]
    assert connections == facts.connections
    complete = sum(count for line, count in lines.items() if line.startswith("disconnect ehlo=1 starttls=1 "))
    assert complete >= 1
    warnings = {line: count for line, count in lines.items() if "warning" in line}
    assert all(line.removeprefix("warning: TLS library problem: error: ") in REFUSED for line in warnings), warnings
    # connect, SSL_accept error, lost connection, disconnect; for a complete session only the first and the last.
    assert lines.total() <= 4 * (connections - complete) + 2 * complete + sum(warnings.values())
    assert sum(warnings.values()) == lines["SSL_accept error: -1"]


def test_a_connection_that_was_made_ready_in_vain_costs_no_warning() -> None:
    async def unused(server: RunningServer) -> list[str]:
        assert server.log is not None
        since = server.log.stat().st_size
        endpoint = Endpoint(host="127.0.0.1", address="127.0.0.1", port=server.port)
        async with Line(endpoint, Manners(ehlo="probe.example.org"), Gate(Limits())) as line:
            session = await line.open()
            assert isinstance(session, Session)
            session.close()
            return [kind(line) for line in await lines_of(server, since)]

    with postfix_server() as server:
        lines = asyncio.run(unused(server))
    assert lines == [
        "connect",
        "SSL_accept error: lost connection",
        "lost connection after STARTTLS",
        "disconnect ehlo=1 starttls=0/1 commands=",
    ]


def test_the_lines_that_the_documentation_quotes_are_those_of_a_real_server() -> None:
    quoted = re.findall(r"^\w{3} \d\d \S+ mx postfix/smtpd\[\d+\]: (.*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert len(quoted) > 5
    with postfix_server(opened_up=True, main_cf={"smtpd_tls_loglevel": "1"}) as server:
        _, lines = asyncio.run(probed(server, "full"))
    assert {kind(line.replace("client.example.org[192.0.2.1]", "unknown[127.0.0.1]")) for line in quoted} <= set(lines)
