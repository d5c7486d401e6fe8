"""A probe is a guest: whom it dials, how often, how many at a time, what it says, and how it leaves."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import mxprobe
from mxprobe import Limits, ProbeSettings
from mxprobe.demo.name_server import name_server
from mxprobe.network.driving import MAX_AHEAD
from mxprobe.probing.prober import Prober
from mxprobe.terms import parse_next_hop
from servers.relay import OpenConnections, relay
from servers.running import RunningServer, certificate
from servers.scripted import Conversation, scripted
from servers.smtp_front import Script, smtp_front

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

RECORDS = """\
one.test. MX 10 mx.test.
two.test. MX 10 mx.test.
three.test. MX 10 other.test.
inner.test. MX 10 inside.test.
inner.test. MX 20 linked.test.
mx.test. A 127.0.0.1
other.test. A 127.0.0.1
inside.test. A 10.1.2.3
linked.test. A 169.254.1.1
"""


# --- whom it dials --------------------------------------------------------------------------------------------------


async def test_an_mx_that_points_home_is_not_dialled_unless_that_is_allowed(server: RunningServer) -> None:
    async with name_server(RECORDS) as dns:
        with smtp_front(server) as front:
            settings = ProbeSettings(resolver=dns.address, depth="quick")
            target = await mxprobe.probe(f"one.test:{front.port}", settings)
            assert front.connections == 0
            assert target.endpoints == ()
            (host,) = target.route.hosts
            assert (host.addresses, host.refused_addresses) == ((), ("127.0.0.1",))
            (starttls,) = [verdict for verdict in target.verdicts if verdict.id == "starttls"]
            assert starttls.state == "unknown"
            assert "127.0.0.1" in starttls.summary

            settings = ProbeSettings(resolver=dns.address, depth="quick", allow_private=True)
            target = await mxprobe.probe(f"one.test:{front.port}", settings)
            assert front.connections == 1
            assert [facts.starttls.state for facts in target.endpoints] == ["works"]


async def test_private_and_link_local_addresses_of_the_dns_are_not_dialled() -> None:
    async with name_server(RECORDS) as dns:
        target = await mxprobe.probe("inner.test", ProbeSettings(resolver=dns.address))
    assert target.endpoints == ()
    assert [host.refused_addresses for host in target.route.hosts] == [("10.1.2.3",), ("169.254.1.1",)]


async def test_an_address_that_the_user_gave_may_be_anywhere(server: RunningServer) -> None:
    async with name_server(RECORDS) as dns:
        with smtp_front(server) as front:
            named = await mxprobe.probe(f"[127.0.0.1]:{front.port}", ProbeSettings(resolver=dns.address, depth="quick"))
            settings = ProbeSettings(resolver=dns.address, depth="quick", connect={"mx.test": "127.0.0.1"})
            connected = await mxprobe.probe(f"one.test:{front.port}", settings)
    for target in (named, connected):
        assert [facts.starttls.state for facts in target.endpoints] == ["works"]
    assert connected.endpoints[0].host == "mx.test"


# --- how often ------------------------------------------------------------------------------------------------------


async def test_an_endpoint_is_probed_once_a_run_whatever_leads_to_it(server: RunningServer) -> None:
    async with name_server(RECORDS) as dns:
        with smtp_front(server) as front:
            settings = ProbeSettings(resolver=dns.address, allow_private=True)
            next_hops = [f"{name}:{front.port}" for name in ("one.test", "two.test", "[mx.test]", "ONE.test")]
            found = [facts async for facts in mxprobe.probe_endpoints(next_hops, settings)]
            assert [(facts.host, facts.port) for facts in found] == [("mx.test", front.port)]
            assert found[0].connections == front.counted(found[0].connections)


async def test_targets_of_a_run_share_what_one_of_them_found(server: RunningServer) -> None:
    async with name_server(RECORDS) as dns:
        with smtp_front(server) as front:
            prober = Prober(ProbeSettings(resolver=dns.address, allow_private=True, depth="quick"))
            try:
                hops = [parse_next_hop(f"{name}:{front.port}") for name in ("one.test", "two.test")]
                one, two = await asyncio.gather(*(prober.target(hop) for hop in hops))
            finally:
                await prober.close()
            assert one.target.endpoints == two.target.endpoints
            assert len(one.target.endpoints) == front.connections == 1


# --- how many at a time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_address", [1, 2, 5])
async def test_no_more_connections_are_open_to_an_address_than_it_is_allowed(
    server: RunningServer, per_address: int
) -> None:
    clients = OpenConnections()
    with smtp_front(server) as front:
        async with relay(front.port, clients=clients) as counted:
            settings = ProbeSettings(limits=Limits(per_address=per_address))
            await mxprobe.probe(f"[127.0.0.1]:{counted.port}", settings)
    assert clients.most == per_address


@pytest.mark.parametrize(("limits", "most"), [(Limits(per_address=3), 3), (Limits(per_address=8, connections=2), 2)])
async def test_endpoints_on_one_address_and_all_together_share_their_limits(
    server: RunningServer, limits: Limits, most: int
) -> None:
    clients = OpenConnections()
    with smtp_front(server) as front:
        async with relay(front.port, clients=clients) as one, relay(front.port, clients=clients) as other:
            next_hops = [f"[127.0.0.1]:{one.port}", f"[127.0.0.1]:{other.port}"]
            found = [facts async for facts in mxprobe.probe_endpoints(next_hops, ProbeSettings(limits=limits))]
    assert len(found) == 2
    assert all(seen.complete for facts in found for seen in facts.protocols.values())
    assert clients.most == most


# --- what it says, and when -----------------------------------------------------------------------------------------


async def test_every_session_says_ehlo_with_our_name_then_starttls_and_no_more(server: RunningServer) -> None:
    with smtp_front(server) as front:
        settings = ProbeSettings(ehlo="probe.example.test", contact="postmaster@example.test")
        await mxprobe.probe(f"[127.0.0.1]:{front.port}", settings)
    said = Counter(tuple(lines) for lines in front.dialogues)
    whole = (b"EHLO probe.example.test", b"STARTTLS")
    # Connections that were being opened ahead when the sweep ended are left before STARTTLS, at the next reply.
    left = ((), (b"QUIT",), whole[:1], (whole[0], b"QUIT"))
    cut_short = {lines: count for lines, count in said.items() if lines in left}
    assert sum(cut_short.values()) <= MAX_AHEAD
    assert said.keys() - cut_short.keys() == {whole}
    assert said[whole] > 20


async def test_nothing_is_said_before_the_server_has_answered() -> None:
    async def patient(client: Conversation) -> None:
        await client.hear_nothing()
        await client.say("220-mx.test")
        await client.hear_nothing()
        await client.say("220 ESMTP")
        assert await client.hear() == "EHLO probe.example.test"
        await client.hear_nothing()
        await client.say("250-mx.test", "250-PIPELINING", "250-STARTTLS")
        await client.hear_nothing()
        await client.say("250 8BITMIME")
        assert await client.hear() == "STARTTLS"
        await client.hear_nothing()
        await client.say("220 Go ahead")
        # A handshake record, an SSLv2 hello, or nothing where no hello was needed any more.
        assert (await client.hear_bytes())[:1] in (b"\x16", b"\x80", b"")

    async with scripted(patient) as waiting:
        settings = ProbeSettings(ehlo="probe.example.test", depth="quick")
        await mxprobe.probe(f"[127.0.0.1]:{waiting.port}", settings)
    assert waiting.connections > 0


@pytest.mark.parametrize(
    "script",
    [
        Script(banner="450 4.7.1 Later"),
        Script(banner="554 5.7.1 No"),
        Script(ehlo="550 5.7.1 No", helo="550 5.7.1 No"),
        Script(ehlo=("250-mx.test", "250 SIZE 1000")),
        Script(starttls="454 4.7.0 No key"),
        Script(starttls="501 5.5.4 No"),
    ],
)
async def test_a_session_that_ends_before_tls_ends_with_quit(script: Script) -> None:
    with smtp_front(script=script) as front:
        await mxprobe.probe(f"[127.0.0.1]:{front.port}")
    ((*others, last),) = front.dialogues
    assert last == b"QUIT"
    assert b"QUIT" not in others


@pytest.mark.parametrize("contact", [None, "postmaster@example.test"])
async def test_inside_tls_it_names_its_contact_and_leaves_with_quit(contact: str | None, tmp_path: Path) -> None:
    async with smtp_inside_tls(tmp_path) as (port, lines):
        with smtp_front(port) as front:
            await mxprobe.probe(f"[127.0.0.1]:{front.port}", ProbeSettings(contact=contact, depth="quick"))
        async with asyncio.timeout(20):
            while lines[-1:] != [b"the end"]:
                await asyncio.sleep(0.01)
    told = [b"NOOP mxprobe, contact postmaster@example.test"] if contact else []
    # After QUIT comes close_notify (RFC 8446 §6.1), or Python would tell of a truncated stream.
    assert lines == [*told, b"QUIT", b"the end"]


@asynccontextmanager
async def smtp_inside_tls(directory: Path) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers 250 to each line inside TLS: its port, and the lines, one at a time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate("RSA").write(directory, "server"))
    lines: list[bytes] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                lines.append(data.removesuffix(b"\r\n"))
                writer.write(b"221 2.0.0 Bye\r\n" if data == b"QUIT\r\n" else b"250 2.0.0 Ok\r\n")
            lines.append(b"the end")
        except OSError as error:
            lines.append(str(error).encode())
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], lines
    finally:
        server.close()
        await asyncio.gather(*tuple(tasks), return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)
