"""The servers of the tests themselves: each starts, greets and stops, and accepts what its configuration says.

Here other programs do the asking (`nmap`, `openssl s_client`, `posttls-finger`, bare sockets), so that whatever else is
measured against these servers rests on something that is not ours.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path

import pytest

from mxprobe.terms import Protocol
from servers.delay_proxy import delay_proxy
from servers.exim import exim_server
from servers.gnutls_server import gnutls_server
from servers.hello_filter import (
    Dislike,
    hello_filter,
    in_several_records,
    long_between,
    longer_than,
    more_suites_than,
    newer_than,
    with_extensions_besides,
    with_grease,
    with_supported_versions,
)
from servers.node_server import SSLV2_SUITES, node_server
from servers.nss_server import nss_server
from servers.openssl_server import openssl_server
from servers.postfix import postfix_server
from servers.relay import pool, relay, replaced
from servers.running import RunningServer, certificate, output_of, program
from servers.sendmail import sendmail_server
from servers.smtp_front import AfterStarttls, Front, Script, smtp_front
from servers.tlslite_server import tlslite_server

S_CLIENT: dict[Protocol, str] = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
CAMELLIA_GCM = "NORMAL:+VERS-TLS1.0:+PSK:+ECDHE-PSK:+CAMELLIA-128-GCM:+CAMELLIA-256-GCM"


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(openssl_server, id="openssl"),
        pytest.param(lambda: openssl_server(protocols=("TLSv1.2",), certificates=[certificate("RSA")]), id="rsa-only"),
        pytest.param(lambda: nss_server(highest="TLSv1.2"), id="nss-sslv3-to-1.2"),
        pytest.param(lambda: nss_server(lowest="TLSv1", highest="TLSv1.3", suites=(0x0A, 0x2F, 0x1301)), id="nss-few"),
        pytest.param(tlslite_server, id="tlslite"),
        pytest.param(lambda: tlslite_server(anonymous=True, highest="TLSv1.2"), id="tlslite-anonymous"),
        pytest.param(lambda: gnutls_server(priority=CAMELLIA_GCM), id="gnutls"),
    ],
)
def test_nmap_sees_exactly_the_suites_of_the_configuration(
    server: Callable[[], AbstractContextManager[RunningServer]],
) -> None:
    with server() as running:
        assert nmap(running.port) == running.expected


def test_nmap_sees_what_openssl_1_0_1_accepts_from_sslv3_on() -> None:
    with node_server() as running:
        assert nmap(running.port) == {name: suites for name, suites in running.expected.items() if name != "SSLv2"}


def test_openssl_1_0_1_answers_an_sslv2_hello_with_its_sslv2_suites() -> None:
    with node_server(method="SSLv2_method", suites=("RC4-MD5", "EXP-RC4-MD5", "DES-CBC3-MD5")) as running:
        assert running.expected == {"SSLv2": sslv2_suites(running.port)}
        assert running.expected["SSLv2"] == {0x010080, 0x020080, 0x0700C0}


def test_nss_with_sslv3_alone_answers_a_tls_1_2_hello_with_sslv3() -> None:
    with nss_server(suites=(0x2F, 0x05)) as running:
        assert running.expected == {"SSLv3": {0x2F, 0x05}}
        with connected(running.port) as connection:
            connection.sendall(tls12_hello(0x2F))
            record = receive(connection, 11)
            assert record[0] == 22, "a handshake record"
            assert record[5] == 2, "a ServerHello"
            assert record[9:11] == b"\x03\x00", "of SSLv3"


@pytest.mark.parametrize(("opened_up", "counts"), [(True, (23, 23, 77, 3)), (False, (18, 18, 71, 3))])
def test_postfix_accepts_its_suites_and_no_others(opened_up: bool, counts: tuple[int, ...]) -> None:
    with postfix_server(opened_up=opened_up) as running:
        assert tuple(len(suites) for suites in running.expected.values()) == counts
        assert_a_sample_is_as_expected(running)
        assert "lost connection" not in running.log_text().splitlines()[0]


def test_two_postfixes_run_side_by_side_and_stop() -> None:
    with postfix_server() as one, postfix_server(main_cf={"smtpd_banner": "$myhostname ESMTP other"}) as other:
        for running, banner in ((one, b"220 mx.test ESMTP Postfix"), (other, b"220 mx.test ESMTP other")):
            with connected(running.port) as connection:
                assert receive_line(connection) == banner
            finger = output_of(program("posttls-finger", "postfix"), "-c", "-l", "may", f"[127.0.0.1]:{running.port}")
            assert "TLS connection established" in finger
    for stopped in (one, other):
        with pytest.raises(ConnectionRefusedError), connected(stopped.port):
            pass


def test_postfix_with_a_protocol_list_and_exclusions_says_so_in_expected() -> None:
    parameters = {"smtpd_tls_protocols": ">=TLSv1.2, !TLSv1.3", "smtpd_tls_exclude_ciphers": "aNULL, kRSA, DHE"}
    with postfix_server(main_cf=parameters) as running:
        assert set(running.expected) == {"TLSv1.2"}
        assert s_client(running.port, "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
        for name in ("AES128-SHA", "DHE-RSA-AES128-SHA", "ADH-AES128-SHA"):
            assert not s_client(running.port, "TLSv1.2", name)


def test_exim_accepts_its_suites_and_no_others() -> None:
    with exim_server() as running:
        assert {protocol: len(suites) for protocol, suites in running.expected.items()} == {
            "TLSv1": 8,
            "TLSv1.1": 8,
            "TLSv1.2": 25,
            "TLSv1.3": 4,
        }
        assert_a_sample_is_as_expected(running)
        assert "lost connection" not in running.log_text().splitlines()[0]


@pytest.mark.parametrize(
    ("cipher", "counts"), [("ALL:COMPLEMENTOFALL:@SECLEVEL=0", (23, 23, 77, 3)), ("DEFAULT", (27, 3))]
)
def test_sendmail_accepts_its_suites_and_no_others(cipher: str, counts: tuple[int, ...]) -> None:
    with sendmail_server(cipher=cipher) as running:
        assert tuple(len(suites) for suites in running.expected.values()) == counts
        assert_a_sample_is_as_expected(running)


def test_exim_offers_starttls_and_then_cannot_where_its_key_is_unreadable() -> None:
    with exim_server(options={"tls_privatekey": "/nonexistent"}) as running, connected(running.port) as connection:
        connection.sendall(b"EHLO x\r\n")
        lines = [receive_line(connection) for _ in range(2)]
        while not lines[-1].startswith(b"250 "):
            lines.append(receive_line(connection))
        assert b"250-STARTTLS" in lines
        connection.sendall(b"STARTTLS\r\n")
        assert receive_line(connection).startswith(b"454 ")


def test_a_server_that_cannot_start_shows_the_end_of_its_log() -> None:
    with pytest.raises(RuntimeError, match="no cipher match"), openssl_server(cipher="NO-SUCH-SUITE", ciphersuites=""):
        pass
    wrong = {"smtpd_tls_security_level": "may", "inet_protocols": "ipv7"}
    with pytest.raises(RuntimeError, match="ipv7"), postfix_server(main_cf=wrong):
        pass


def test_a_missing_program_names_the_package_to_install() -> None:
    with pytest.raises(RuntimeError, match="Debian package postfix"):
        program("no-such-program", "postfix")


def test_the_front_leads_to_the_server_behind_it_and_counts() -> None:
    with openssl_server() as backend, smtp_front(backend) as front:
        assert s_client(front.port, "TLSv1.3", "TLS_AES_128_CCM_SHA256")
        assert s_client(front.port, "TLSv1", "NULL-MD5")
        assert not s_client(front.port, "TLSv1.2", "DHE-DSS-AES128-SHA")
        assert front.connections == 3
        assert [line.split()[0] for line in front.dialogues[0]] == [b"EHLO", b"STARTTLS"]


def test_tls_works_through_a_fragmenting_front() -> None:
    with (
        openssl_server() as backend,
        smtp_front(backend, Script(fragmented=True)) as front,
        # s_client expects the whole 220 in one piece, smtplib does not.
        closing(smtplib.SMTP("127.0.0.1", front.port, timeout=20)) as client,
    ):
        assert client.starttls(context=ssl._create_unverified_context())[0] == 220


@pytest.mark.parametrize("first", ["421 4.3.2 Too busy", "450 4.7.1 Later", ("554-No", "554 service")])
def test_the_front_greets_as_it_is_told(first: str | tuple[str, ...]) -> None:
    with smtp_front(script=Script(banner=first)) as front, connected(front.port) as connection:
        connection.sendall(b"EHLO x\r\nQUIT\r\n")
        lines = receive_all(connection).decode().splitlines()
    told = [first] if isinstance(first, str) else list(first)
    after = [] if told[0].startswith("421") else ["503 5.5.1 No service here", "221 2.0.0 Bye"]
    assert lines == told + after


def test_the_front_refuses_ehlo_and_starttls_as_it_is_told() -> None:
    script = Script(ehlo="502 5.5.1 What?", starttls="454 4.7.0 TLS not available")
    with smtp_front(script=script) as front:
        codes = [reply[:3] for reply in dialogue(front, b"EHLO x", b"HELO x", b"STARTTLS", b"QUIT")]
        assert codes == [b"220", b"502", b"250", b"454", b"221"]
        assert front.dialogues == [[b"EHLO x", b"HELO x", b"STARTTLS", b"QUIT"]]


def test_the_front_says_421_after_so_many_connections() -> None:
    with smtp_front(script=Script(greeted_connections=1)) as front:
        assert [dialogue(front, b"QUIT")[0][:3] for _ in range(3)] == [b"220", b"421", b"421"]


def test_the_front_says_421_after_so_many_connections_in_a_window() -> None:
    with smtp_front(script=Script(greeted_per_window=2)) as front:
        assert [dialogue(front, b"QUIT")[0][:3] for _ in range(4)] == [b"220", b"220", b"421", b"421"]
        assert front.throttled == 2
    with smtp_front(script=Script(greeted_per_window=1, window_seconds=0)) as front:
        assert [dialogue(front, b"QUIT")[0][:3] for _ in range(3)] == [b"220"] * 3


def test_the_front_closes_after_starttls_from_some_connection_on() -> None:
    with openssl_server() as backend, smtp_front(backend, Script(tls_connections=1)) as front:
        assert [s_client(front.port, "TLSv1.2", "AES128-SHA") for _ in range(3)] == [True, False, False]


def test_the_front_puts_plain_text_behind_the_220() -> None:
    with smtp_front(script=Script(injected=b"250 injected\r\n", after_starttls="close")) as front:
        assert dialogue(front, b"STARTTLS")[1:] == [b"220 2.0.0 Ready to start TLS", b"250 injected"]


def test_the_front_resets_at_accept() -> None:
    with smtp_front(script=Script(reset_at_accept=True)) as front:
        assert is_reset(front.port)


def test_the_front_resets_after_starttls() -> None:
    with smtp_front(script=Script(after_starttls="reset")) as front, connected(front.port) as connection:
        receive_line(connection)
        connection.sendall(b"STARTTLS\r\n")
        with pytest.raises(ConnectionResetError):
            receive_all(connection)


@pytest.mark.parametrize("fault", ["hello-requests", "warning-alerts", "huge-message"])
def test_the_front_pours_records_without_end(fault: AfterStarttls) -> None:
    with smtp_front(script=Script(after_starttls=fault)) as front, connected(front.port) as connection:
        receive_line(connection)
        connection.sendall(b"STARTTLS\r\n")
        receive_line(connection)
        connection.sendall(tls12_hello(0x2F))
        received = sum(len(receive(connection, 65536)) for _ in range(20))
        assert received == 20 * 65536


@pytest.mark.parametrize("script", [Script(banner_drip=True, drip_seconds=0.001), Script(ehlo_endless=True)])
def test_the_front_talks_without_end(script: Script) -> None:
    with smtp_front(script=script) as front, connected(front.port) as connection:
        connection.sendall(b"EHLO x\r\n")
        lines = [receive_line(connection) for _ in range(4)]
        assert all(line.startswith((b"220-", b"250-")) for line in lines[1:])


def test_the_front_listens_on_both_families() -> None:
    with smtp_front(addresses=("127.0.0.1", "::1")) as front:
        for address in ("127.0.0.1", "::1"):
            with connected(front.port, address) as connection:
                assert receive_line(connection) == b"220 mx.test ESMTP"


def test_the_delay_proxy_makes_no_answer_come_sooner_than_over_the_real_line() -> None:
    # On a line of 10 ms each way: three ways until the server hears of the connection, one for its greeting,
    # and two for each reply. How much later it is depends on the machine.
    with smtp_front() as front, delay_proxy(front.port, ms=10) as proxy:
        began = time.monotonic()
        with connected(proxy.port) as connection:
            receive_line(connection)
            greeted = time.monotonic()
            connection.sendall(b"NOOP\r\n")
            assert receive_line(connection) == b"250 2.0.0 Ok"
            answered = time.monotonic()
            connection.sendall(b"QUIT\r\n")
            assert receive_all(connection) == b"221 2.0.0 Bye\r\n"
        assert greeted - began >= 0.038
        assert answered - greeted >= 0.018
        assert (proxy.connections, front.connections) == (1, 1)


def test_the_delay_proxy_passes_large_answers_in_order_and_resets_on() -> None:
    with openssl_server() as backend, smtp_front(backend) as front, delay_proxy(front.port, ms=2) as proxy:
        assert s_client(proxy.port, "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
    with smtp_front(script=Script(reset_at_accept=True)) as front, delay_proxy(front.port, ms=2) as proxy:
        assert is_reset(proxy.port)


@pytest.mark.parametrize(
    ("dislike", "takes"),
    [
        pytest.param(more_suites_than(1), False, id="suites"),
        pytest.param(more_suites_than(2), True, id="as-many-suites"),
        pytest.param(longer_than(50), False, id="bytes"),
        pytest.param(longer_than(52), True, id="as-many-bytes"),
        pytest.param(long_between(47, 300), False, id="length"),
        pytest.param(long_between(48, 300), True, id="other-length"),
        pytest.param(newer_than(0x0302), False, id="version"),
        pytest.param(newer_than(0x0303), True, id="that-version"),
        pytest.param(with_supported_versions, True, id="supported-versions"),
        pytest.param(with_extensions_besides(), True, id="extensions"),
        pytest.param(with_grease, False, id="grease"),
        pytest.param(in_several_records, True, id="one-record"),
    ],
)
async def test_a_hello_filter_refuses_what_it_dislikes_and_passes_the_rest_on(dislike: Dislike, takes: bool) -> None:
    hello = tls12_hello(0x2F, 0x4A4A)
    with openssl_server() as backend:
        async with hello_filter(backend.port, dislike, alert=50) as behind:
            answer = await answer_to(behind.port, hello)
    assert (len(behind.passed), len(behind.refused)) == ((1, 0) if takes else (0, 1))
    assert answer[:1] == b"\x16" if takes else answer == b"\x15\x03\x01\x00\x02\x02\x32"


async def test_a_hello_filter_sees_how_a_hello_is_fragmented() -> None:
    message = tls12_hello(0x2F)[5:]
    records = b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in (message[:9], message[9:]))
    async with hello_filter(0, in_several_records, "close") as behind:
        assert await answer_to(behind.port, records) == b""
    assert [hello.records for hello in behind.refused] == [2]


async def test_a_pool_takes_turns_and_a_replaced_server_never_comes_back() -> None:
    hello = tls12_hello(0x2F)
    with openssl_server(protocols=("TLSv1.2",)) as one, openssl_server(protocols=("TLSv1.3",)) as other:
        async with pool([one.port, other.port]) as behind:
            turns = [(await answer_to(behind.port, hello))[:1] for _ in range(4)]
        async with replaced(one.port, other.port, after=1) as behind:
            upgraded = [(await answer_to(behind.port, hello))[:1] for _ in range(3)]
    assert turns == [b"\x16", b"\x15"] * 2
    assert upgraded == [b"\x16", b"\x15", b"\x15"]


async def test_a_relay_cuts_a_flight_after_so_many_bytes() -> None:
    with openssl_server() as backend:
        async with relay(backend.port, cut_after=20) as behind:
            assert len(await answer_to(behind.port, tls12_hello(0x2F))) == 20


async def answer_to(port: int, hello: bytes) -> bytes:
    """What comes back for a hello, up to the end of the first record of a server that goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(hello)
    try:
        head = await reader.read(5)
        return head + await reader.read(int.from_bytes(head[3:5]) or 1)
    finally:
        writer.close()
        await writer.wait_closed()


def nmap(port: int) -> dict[str, frozenset[int]]:
    """What nmap's ssl-enum-ciphers finds on a port that speaks TLS from the first byte."""
    options = ["-Pn", "-n", "-p", str(port), "--script", "+ssl-enum-ciphers"]
    output = output_of(program("nmap", "nmap"), *options, "127.0.0.1")
    found: dict[str, set[int]] = {}
    suites: set[int] = set()
    for line in output.splitlines():
        if heading := re.match(r"\|\s+((?:SSL|TLS)v[\d.]+):", line):
            suites = found.setdefault(heading[1].replace("TLSv1.0", "TLSv1"), set())
        elif suite := re.match(r"\|\s+(TLS_\w+)", line):
            suites.add(iana_numbers()[suite[1].replace("TLS_AKE_WITH_", "TLS_")])
    return {protocol: frozenset(suites) for protocol, suites in found.items()}


def assert_a_sample_is_as_expected(running: RunningServer) -> None:
    """Every third suite of OpenSSL is accepted or not as `expected` says: each takes a process of its own."""
    for protocol in ("TLSv1", "TLSv1.2", "TLSv1.3"):
        known = openssl_names(protocol)
        for suite in sorted(known)[::3]:
            accepted = s_client(running.port, protocol, known[suite])
            assert accepted == (suite in running.expected.get(protocol, ())), (protocol, known[suite])


@cache
def iana_numbers() -> dict[str, int]:
    registry = Path(__file__).parents[2] / "data" / "iana" / "tls-cipher-suites.tsv"
    rows = (line.split("\t") for line in registry.read_text().splitlines() if re.match(r"0x\w{4}\t", line))
    # An old draft's, which nmap knows by this name.
    return {"TLS_DHE_DSS_WITH_RC4_128_SHA": 0x0066} | {name: int(value, 16) for value, name, *_ in rows}


@cache
def openssl_names(protocol: Protocol) -> dict[int, str]:
    """All suites that `openssl s_client` can offer at a protocol, by number."""
    openssl = program("openssl", "openssl")
    listing = output_of(openssl, "ciphers", "-V", "-s", S_CLIENT[protocol], "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    matches = re.findall(r"0x(\w\w),0x(\w\w) - (\S+)", listing)
    return {int(high + low, 16): name for high, low, name in matches}


def s_client(port: int, protocol: Protocol, suite: str) -> bool:
    """Whether a whole handshake with STARTTLS comes about."""
    command = [str(program("openssl", "openssl")), "s_client", "-brief", "-connect", f"127.0.0.1:{port}"]
    command += ["-starttls", "smtp", S_CLIENT[protocol]]
    command += ["-ciphersuites", suite] if protocol == "TLSv1.3" else ["-cipher", f"{suite}:@SECLEVEL=0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return f"Ciphersuite: {suite}" in done.stderr


def tls12_hello(*suites: int) -> bytes:
    """A ClientHello of TLS 1.2 without extensions (RFC 5246 §7.4.1.2)."""
    offered = b"".join(suite.to_bytes(2) for suite in suites)
    body = b"\x03\x03" + bytes(32) + b"\x00" + len(offered).to_bytes(2) + offered + b"\x01\x00"
    message = b"\x01" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(message).to_bytes(2) + message


def sslv2_suites(port: int) -> frozenset[int]:
    """The cipher specs in the SERVER-HELLO to a CLIENT-HELLO that offers all seven (SSLv2 draft §2.5, §2.6)."""
    specs = b"".join(suite.to_bytes(3) for suite in SSLV2_SUITES.values())
    hello = b"\x01\x00\x02" + len(specs).to_bytes(2) + b"\x00\x00" + b"\x00\x10" + specs + bytes(16)
    with connected(port) as connection:
        connection.sendall((0x8000 | len(hello)).to_bytes(2) + hello)
        answer = receive(connection, int.from_bytes(receive(connection, 2)) & 0x7FFF)
    assert answer[0] == 4, "a SERVER-HELLO"
    certificate_length, specs_length = int.from_bytes(answer[5:7]), int.from_bytes(answer[7:9])
    listed = answer[11 + certificate_length :][:specs_length]
    return frozenset(int.from_bytes(listed[at : at + 3]) for at in range(0, len(listed), 3))


def dialogue(front: Front, *commands: bytes) -> list[bytes]:
    """The greeting and all lines that come back for these commands, sent one by one, until the front closes."""
    with connected(front.port) as connection:
        lines = [receive_line(connection)]
        for command in commands:
            try:
                connection.sendall(command + b"\r\n")
            except OSError:
                break
        try:
            return lines + receive_all(connection).splitlines()
        except ConnectionResetError:
            return lines


def is_reset(port: int) -> bool:
    """Whether RST is all that a connection gets, be it before connect(2) returns."""
    try:
        with connected(port) as connection:
            connection.recv(1)
    except ConnectionResetError:
        return True
    return False


@contextmanager
def connected(port: int, address: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection((address, port), timeout=20) as connection:
        yield connection


def receive(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def receive_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += receive(connection, 1)
    return line.rstrip(b"\r\n")


def receive_all(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data
