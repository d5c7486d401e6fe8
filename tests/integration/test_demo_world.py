"""The demo's world: every server is what its description says, as dnspython, aiosmtplib, openssl and tlslite see it."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import aiosmtplib
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import pytest
import uvloop

from mxprobe.configuration.probes_toml import read_configuration
from mxprobe.demo.world import (
    DEMO_PROFILE_NAME,
    DEMO_PROFILE_PROTOCOLS,
    DEMO_PROFILE_SUITES,
    DemoWorld,
    demo_configuration,
    demo_world,
)

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*asyncore", DeprecationWarning)
    from tlslite.api import HandshakeSettings, TLSConnection
    from tlslite.errors import TLSLocalAlert, TLSRemoteAlert


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the mail of a domain goes: the name in the MX record, and what it leads to."""

    mx: str
    address: str
    port: int


async def place(world: DemoWorld, domain: str) -> Place:
    port = next(hop for hop in world.next_hops if hop.startswith(f"{domain}:")).rpartition(":")[2]
    resolver = resolver_of(world)
    mx = (await resolver.resolve(domain, "MX"))[0].exchange.to_text(omit_final_dot=True)
    return Place(mx=mx, address=(await resolver.resolve(mx, "A"))[0].address, port=int(port))


def resolver_of(world: DemoWorld) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(*world.resolver)]
    return resolver


def smtp_client(server: Place) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(hostname=server.address, port=server.port, local_hostname="client.example", start_tls=False)


async def s_client(world: DemoWorld, domain: str, *options: str) -> str:
    """What `openssl s_client` prints of the domain's server, when it trusts the world's CA and minds the MX name."""
    server = await place(world, domain)
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-starttls", "smtp", "-connect", f"{server.address}:{server.port}"),
        *("-CAfile", str(world.ca_file), "-verify_hostname", server.mx, *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(b"Q\n")
    return output.decode()


def verify_code(output: str) -> int:
    return int(re.findall(r"Verify return code: (\d+)", output)[-1])


def tlslite_client(
    server: Place, oldest: tuple[int, int], newest: tuple[int, int], ciphers: tuple[str, ...] | None = None
) -> tuple[str, str]:
    """Version and cipher of a complete handshake after STARTTLS, in which one command was answered."""
    settings = HandshakeSettings()
    settings.minVersion, settings.maxVersion = oldest, newest
    if ciphers is not None:
        settings.cipherNames = list(ciphers)
    settings.macNames = ["sha", "md5", "sha256", "sha384", "aead"]
    with socket.create_connection((server.address, server.port)) as connection, connection.makefile("rb") as lines:
        last_line(lines)
        connection.sendall(b"EHLO client.example\r\n")
        last_line(lines)
        connection.sendall(b"STARTTLS\r\n")
        assert last_line(lines).startswith(b"220 ")
        tls = TLSConnection(connection)
        tls.handshakeClientCert(settings=settings)
        tls.sendall(b"NOOP\r\n")
        reply = b""
        while not reply.endswith(b"\n"):
            reply += tls.recv(512)
        assert reply.startswith(b"250 ")
        return tls.getVersionName(), tls.getCipherName()


def last_line(lines: BinaryIO) -> bytes:
    while (line := lines.readline())[3:4] == b"-":
        pass
    return line


async def test_every_server_greets_with_its_name_and_takes_no_mail() -> None:
    async with demo_world() as world:
        domains = [hop.partition(":")[0] for hop in world.next_hops if ":" in hop]
        for domain in domains:
            server = await place(world, domain)
            client = smtp_client(server)
            greeting = await client.connect()
            assert greeting.code == 220
            assert (await client.ehlo()).code == 250
            assert client.supports_extension("starttls") is (domain != "no-starttls.example")
            assert (await client.execute_command(b"MAIL", b"FROM:<>")).code == 554
            assert (await client.quit()).code == 221
        assert len(domains) == 15


async def test_a_good_server_goes_on_in_smtp_inside_tls() -> None:
    async with demo_world() as world:
        for domain in ("good.example", "slow.example", "customer-one.example"):
            server = await place(world, domain)
            client = smtp_client(server)
            await client.connect()
            context = ssl.create_default_context(cafile=str(world.ca_file))
            await client.starttls(server_hostname=server.mx, tls_context=context)
            assert (await client.ehlo()).code == 250
            assert not client.supports_extension("starttls")
            assert (await client.noop()).code == 250
            assert (await client.quit()).code == 221


# Codes of openssl-verification-options(1), X509_V_ERR_*.
@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ("good.example", 0),
        ("customer-one.example", 0),
        ("slow.example", 0),
        ("limited.example", 0),
        ("expired.example", 10),
        ("self-signed.example", 18),
        ("incomplete-chain.example", 21),
        ("wrong-name.example", 62),
        ("cname.example", 62),
    ],
)
async def test_openssl_verifies_a_certificate_as_described(domain: str, code: int) -> None:
    async with demo_world() as world:
        output = await s_client(world, domain, "-tls1_3")
        assert "New, TLSv1.3" in output
        assert verify_code(output) == code


async def test_modern_servers_speak_tls_1_2_and_nothing_older() -> None:
    async with demo_world() as world:
        assert "New, TLSv1.2" in await s_client(world, "good.example", "-tls1_2")
        assert "New, (NONE)" in await s_client(world, "good.example", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


async def test_the_ssl3_only_server_speaks_ssl3() -> None:
    async with demo_world() as world:
        server = await place(world, "ssl3-only.example")
        for cipher in ("aes256", "aes128", "3des", "rc4"):
            found = await asyncio.to_thread(tlslite_client, server, (3, 0), (3, 0), (cipher,))
            assert found == ("SSL 3.0", cipher)


async def test_the_ssl3_only_server_speaks_no_tls() -> None:
    async with demo_world() as world:
        server = await place(world, "ssl3-only.example")
        with pytest.raises(TLSLocalAlert, match="protocol_version"):
            # It chooses SSLv3 although TLS 1.2 is offered, which the client then does not take.
            await asyncio.to_thread(tlslite_client, server, (3, 1), (3, 3))
        with pytest.raises(TLSRemoteAlert, match="protocol_version"):
            await asyncio.to_thread(tlslite_client, server, (3, 1), (3, 4))
        assert "New, (NONE)" in await s_client(world, "ssl3-only.example")


async def test_one_server_only_has_ciphers_that_the_demos_profile_has_not() -> None:
    async with demo_world() as world:
        server = await place(world, "no-shared-cipher.example")
        for version, name in (((3, 1), "TLS 1.0"), ((3, 2), "TLS 1.1"), ((3, 3), "TLS 1.2")):
            assert await asyncio.to_thread(tlslite_client, server, version, version, ("3des",)) == (name, "3des")
            assert await asyncio.to_thread(tlslite_client, server, version, version, ("rc4",)) == (name, "rc4")
        tls12 = ":".join(suite for suite in DEMO_PROFILE_SUITES if not suite.startswith("TLS_"))
        assert "New, (NONE)" in await s_client(world, "no-shared-cipher.example", "-cipher", tls12)


async def test_a_server_with_broken_tls_answers_the_hello_in_clear_text() -> None:
    async with demo_world() as world:
        output = await s_client(world, "broken-tls.example")
        assert "New, (NONE)" in output
        assert "wrong version number" in output


async def test_a_server_may_offer_starttls_and_refuse_it() -> None:
    async with demo_world() as world:
        server = await place(world, "refused-tls.example")
        async with smtp_client(server) as client:
            await client.ehlo()
            assert client.supports_extension("starttls")
            assert (await client.execute_command(b"STARTTLS")).code == 454


async def test_the_limited_server_answers_421_after_three_connections() -> None:
    async with demo_world() as world:
        server = await place(world, "limited.example")
        codes = []
        for _ in range(5):
            reader, writer = await asyncio.open_connection(server.address, server.port)
            codes.append((await reader.readline())[:4])
            writer.close()
            await writer.wait_closed()
        assert codes == [b"220 ", b"220 ", b"220 ", b"421 ", b"421 "]


async def test_the_slow_server_sends_a_first_line_of_its_greeting_before_it_lets_wait() -> None:
    async with demo_world() as world:
        server = await place(world, "slow.example")
        reader, writer = await asyncio.open_connection(server.address, server.port)
        assert (await reader.readline()).startswith(b"220-")
        assert (await reader.readline()).startswith(b"220 ")
        writer.close()
        await writer.wait_closed()


async def test_the_dns_has_a_null_mx_a_cname_a_shared_mx_and_a_missing_domain() -> None:
    async with demo_world() as world:
        resolver = resolver_of(world)
        assert [record.to_text() for record in await resolver.resolve("null-mx.example", "MX")] == ["0 ."]
        with pytest.raises(dns.resolver.NXDOMAIN):
            await resolver.resolve("no-such-domain.example", "MX")
        alias = (await place(world, "cname.example")).mx
        assert (await resolver.resolve(alias, "A")).canonical_name.to_text() == "mx1.good.example."
        assert await place(world, "customer-one.example") == await place(world, "customer-two.example")


async def test_each_domain_is_listed_once_with_what_to_expect() -> None:
    async with demo_world() as world:
        assert len(set(world.next_hops)) == len(world.next_hops)
        assert all(domain.expect for domain in world.domains)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"EHL",
        b"x" * 10_000,
        b"\xff\x00\r\n" * 200,
        b"EHLO a\r\nSTARTTLS\r\n",
        b"STARTTLS\r\n\x16\x03\x01\x02\x00\x01\x00",
        b"STARTTLS\r\n" + b"\x80" * 9_000,
    ],
)
async def test_a_peer_that_sends_nonsense_or_goes_away_leaves_no_trace(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    with caplog.at_level(logging.WARNING):
        async with demo_world() as world:
            for domain in ("good.example", "ssl3-only.example", "broken-tls.example", "no-starttls.example"):
                await leave_after(world, domain, sent)
    assert not complaints
    assert not caplog.records


async def leave_after(world: DemoWorld, domain: str, sent: bytes) -> None:
    """Send after the greeting; end once politely and once by a reset, and see that others are still served."""
    server = await place(world, domain)
    for reset in (False, True):
        reader, writer = await asyncio.open_connection(server.address, server.port)
        await reader.readline()
        for piece in (sent[:40], sent[40:]):
            writer.write(piece)
            await writer.drain()
        if reset:
            writer.transport.abort()
        else:
            writer.write_eof()
            await reader.read()
        writer.close()
        await writer.wait_closed()
    reader, writer = await asyncio.open_connection(server.address, server.port)
    assert (await reader.readline()).startswith(b"220 ")
    # This one is still open when the world ends.
    writer.transport.abort()


async def test_a_world_ends_while_peers_are_in_the_middle_of_something() -> None:
    async with demo_world() as world:
        server = await place(world, "good.example")
        peers = []
        for sent in (b"", b"STARTTLS\r\n", b"STARTTLS\r\n\x16\x03"):
            reader, writer = await asyncio.open_connection(server.address, server.port)
            await reader.readline()
            writer.write(sent)
            await writer.drain()
            peers.append((reader, writer))
    assert not world.ca_file.exists()
    for reader, writer in peers:
        with suppress(ConnectionResetError):  # bytes that nobody read
            assert await reader.read() in (b"", b"220 2.0.0 Ready to start TLS\r\n")
            writer.close()
            await writer.wait_closed()


def test_the_world_runs_on_uvloop_too() -> None:
    async def visit() -> None:
        async with demo_world() as world:
            for domain, code in (("good.example", 0), ("expired.example", 10)):
                assert verify_code(await s_client(world, domain)) == code
            for sent in (b"", b"STARTTLS\r\n" + b"\x80" * 9_000):
                await leave_after(world, "good.example", sent)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(visit())


async def test_the_demos_configuration_scans_all_of_the_world_with_its_profile(tmp_path: Path) -> None:
    file = tmp_path / "probes.toml"
    async with demo_world() as world:
        file.write_text(demo_configuration(world, f"sqlite:///{tmp_path}/demo.db"), encoding="utf-8")
        configuration = read_configuration(file)
        (group,) = configuration.groups
        assert tuple(next_hop.text for next_hop in group.next_hops) == world.next_hops
        assert group.profile is not None
        assert group.profile.name == DEMO_PROFILE_NAME
        assert group.profile.protocols == DEMO_PROFILE_PROTOCOLS
        assert len(group.profile.suites) == len(DEMO_PROFILE_SUITES)
        assert configuration.probe.allow_private
        assert configuration.probe.ca_file == str(world.ca_file)
        assert configuration.probe.resolver == "{}:{}".format(*world.resolver)
