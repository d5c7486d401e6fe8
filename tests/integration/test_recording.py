"""Recording hellos: from real software as they are stored, and from clients that are no friends."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import profile_of_hello
from mxprobe.mta.senders import sender
from mxprobe.network.recording import Recorded, RecordingSettings, is_loopback, record
from mxprobe.tls.client_hello import ClientHello, decode_client_hello, encode_client_hello
from mxprobe.tls.code_points import KEY_SHARE, PADDING
from mxprobe.tls.offer import Offer
from mxprobe.tls.records import write_records
from servers.openssl_hello import OpensslSettings, openssl_hello
from servers.real_senders import real_sender
from servers.recorder import recorder
from servers.sending import postfix_sends, program_sends

HELLO = encode_client_hello(
    Offer(protocol="TLSv1.2", suites=(0xC02F, 0x009C), server_name="mx.test"), random=bytes(range(32))
)
SSLV2_HELLO = encode_client_hello(Offer(protocol="SSLv2", suites=(0x010080,)), random=bytes(range(32)))


# Real software


def recorded_now(name: str) -> bytes:
    """The hello that this machine's software sends."""
    real = real_sender(name)
    assert real.sends is not None
    with recorder() as listening, real.sends(listening.port):
        return listening.recorded().hello


def unrandomised(hello: bytes) -> ClientHello:
    """A hello without what differs each time: the random, the session id, the keys of the shares."""
    read = decode_client_hello(hello)
    kept = tuple((number, b"" if number in (KEY_SHARE, PADDING) else body) for number, body in read.extensions)
    return replace(read, random=b"", session_id=bytes(len(read.session_id)), extensions=kept)


@pytest.mark.parametrize(
    "name",
    [
        *("postfix-3.7-openssl-3.0", "postfix-3.7-openssl-3.0-secure", "exim-4.96-gnutls-3.7"),
        *("sendmail-8.17-openssl-3.0", "python-3.11-smtplib", "openssl-3.0-s_client", "gnutls-3.7-cli"),
    ],
)
def test_what_was_recorded_is_what_is_sent_today(name: str) -> None:
    stored = sender(name)
    assert stored.profile.hello is not None
    now = recorded_now(name)
    if real_sender(name).software() == stored.software:
        assert unrandomised(now) == unrandomised(stored.profile.hello)
    else:
        # Another version may offer something else, but no program of today less than TLS 1.2 and ECDHE.
        profile = profile_of_hello(name, now)
        assert "TLSv1.2" in profile.protocols
        assert 0xC02F in profile.suites


@pytest.mark.parametrize(
    ("level", "like"),
    [
        ("encrypt", "postfix-3.7-openssl-3.0"),
        ("verify", "postfix-3.7-openssl-3.0-secure"),
        ("fingerprint", "postfix-3.7-openssl-3.0-secure"),
    ],
)
def test_other_levels_of_postfix_offer_what_the_recorded_ones_do(level: str, like: str) -> None:
    parameters = {
        "smtp_tls_security_level": level,
        "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
        "smtp_tls_fingerprint_cert_match": ":".join(["AA"] * 32),
    }
    with recorder() as listening, postfix_sends(listening.port, parameters):
        found = listening.recorded().hello
    assert unrandomised(found) == unrandomised(recorded_now(like))


def test_the_default_context_of_python_offers_what_starttls_does_without_one() -> None:
    code = (
        "import smtplib, ssl, sys; session = smtplib.SMTP('mx.test', int(sys.argv[1])); "
        "session.starttls(context=ssl.create_default_context())"
    )
    with recorder() as listening, program_sends(sys.executable, "-c", code, str(listening.port)):
        found = listening.recorded().hello
    assert unrandomised(found) == unrandomised(recorded_now("python-3.11-smtplib"))


def test_settings_of_postfix_on_its_openssl_make_the_hello_of_postfix() -> None:
    """The way in which the hellos of other versions of Postfix are made, where there is the real one to compare."""
    settings = OpensslSettings(
        ciphers="aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH",
        options=0x80000850,
        groups="X25519:X448:prime256v1:secp521r1:secp384r1",
        security_level=0,
        oldest=0x0301,
    )
    made = openssl_hello("system", settings)
    assert unrandomised(made) == unrandomised(recorded_now("postfix-3.7-openssl-3.0"))


def test_two_recordings_at_once_do_not_meddle() -> None:
    first, second = real_sender("python-3.11-smtplib"), real_sender("openssl-3.0-s_client")
    assert first.sends is not None
    assert second.sends is not None
    with recorder() as one, recorder() as other, first.sends(one.port), second.sends(other.port):
        python, openssl = one.recorded(), other.recorded()
    assert len(decode_client_hello(python.hello).suites) < len(decode_client_hello(openssl.hello).suites)


# Clients of every kind


@dataclass(slots=True)
class Recording:
    """A recording under way, in the loop of the test."""

    port: int
    noted: list[str]
    task: asyncio.Task[Recorded | None]

    async def client(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Client(reader, writer)

    async def good_client(self) -> Recorded:
        """What is recorded of a client that does everything right, once it is."""
        client = await self.client()
        await client.up_to_tls()
        client.send(HELLO)
        await client.rest()
        client.close()
        found = await self.task
        assert found is not None
        return found


@dataclass(slots=True)
class Client:
    """A connection to the recorder."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> str:
        """The code and the text of the next reply."""
        lines = [await self.reader.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(await self.reader.readline())
        return b"".join(lines).decode()

    async def say(self, command: str) -> str:
        self.send(f"{command}\r\n".encode())
        return await self.reply()

    async def up_to_tls(self) -> None:
        assert (await self.reply()).startswith("220 ")
        assert "250-STARTTLS\r\n" in await self.say("EHLO client.test")
        assert (await self.say("STARTTLS")).startswith("220 ")

    async def rest(self) -> bytes:
        """All that still comes, to the end of the connection."""
        if self.writer.can_write_eof():
            self.writer.write_eof()
        return await self.reader.read()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End the connection by RST (tcp(7), SO_LINGER)."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def recording(**settings: object) -> AsyncIterator[Recording]:
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    noted: list[str] = []
    values = RecordingSettings(**{"timeout_seconds": 30.0, **settings})  # type: ignore[arg-type]
    task = asyncio.create_task(record(values, listening=lambda _, port: listening.set_result(port), noted=noted.append))
    port = await listening
    try:
        yield Recording(port, noted, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_hello_is_recorded_with_peer_and_name_and_refused_by_handshake_failure() -> None:
    async with recording() as running:
        client = await running.client()
        await client.up_to_tls()
        client.send(HELLO)
        # RFC 8446 §6.2, RFC 5246 §7.2: a fatal alert 40.
        assert await client.rest() == b"\x15\x03\x03\x00\x02\x02\x28"
        client.close()
        assert await running.task == Recorded(hello=HELLO, peer="127.0.0.1", ehlo="client.test", smtps=False)
        assert running.noted == []


@pytest.mark.parametrize(
    "hello",
    [write_records(22, 0x0301, HELLO[5:], 1), write_records(22, 0x0301, HELLO[5:], 50), SSLV2_HELLO],
    ids=["records of a byte", "records of 50 bytes", "SSLv2"],
)
async def test_a_hello_is_taken_in_any_records_and_pieces(hello: bytes) -> None:
    async with recording() as running:
        client = await running.client()
        await client.up_to_tls()
        for byte in hello:
            client.send(bytes((byte,)))
            await client.writer.drain()
        answer = await client.rest()
        client.close()
        found = await running.task
        assert found is not None
        assert found.hello == hello
        # The draft of SSLv2, ERROR: NO-CIPHER-ERROR.
        assert answer == (b"\x80\x03\x00\x00\x01" if hello == SSLV2_HELLO else b"\x15\x03\x03\x00\x02\x02\x28")


@pytest.mark.parametrize("hello", [HELLO, SSLV2_HELLO], ids=["TLS", "SSLv2"])
async def test_what_follows_a_hello_is_left_out(hello: bytes) -> None:
    """RFC 8446 §4.2.10: a client may send early data behind its hello."""
    async with recording() as running:
        client = await running.client()
        await client.up_to_tls()
        client.send(hello + b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x05early")
        await client.rest()
        client.close()
        found = await running.task
        assert found is not None
        assert found.hello == hello


@pytest.mark.parametrize("smtps", [True, False], ids=["told", "not told"])
async def test_tls_from_the_first_byte_is_recognised(smtps: bool) -> None:
    async with recording(smtps=smtps) as running:
        client = await running.client()
        client.send(HELLO)
        assert (await client.rest()).endswith(b"\x15\x03\x03\x00\x02\x02\x28")
        client.close()
        found = await running.task
        assert found is not None
        assert (found.hello, found.ehlo, found.smtps) == (HELLO, "", True)


async def test_nobody_is_greeted_who_is_to_start_tls_at_once() -> None:
    async with recording(smtps=True) as running:
        client = await running.client()
        client.send(b"EHLO client.test\r\n")
        assert await client.rest() == b""
        client.close()
        assert [line.partition(": ")[2][:16] for line in running.noted] == ["no ClientHello: "]


async def test_lmtp_and_helo_are_answered_and_no_mail_is_taken() -> None:
    async with recording() as running:
        client = await running.client()
        await client.reply()
        assert "250-STARTTLS\r\n" in await client.say("LHLO client.test")
        assert await client.say("HELO client.test") == "250 mxprobe.invalid\r\n"
        assert (await client.say("NOOP")).startswith("250 ")
        for command in ("MAIL FROM:<>", "RCPT TO:<x@mx.test>", "DATA", "BDAT 1 LAST", "AUTH PLAIN", "VRFY x"):
            assert (await client.say(command)).startswith("450 4.7.0 "), command
        assert (await client.say("STARTTLS now")).startswith("501 ")
        assert (await client.say("X" * 500)).startswith("500 ")
        assert (await client.say("QUIT")).startswith("221 ")
        client.close()
        assert (await running.good_client()).hello == HELLO
        assert running.noted == ["127.0.0.1: left by QUIT without STARTTLS"]


async def test_who_speaks_on_in_clear_text_is_told_so_politely() -> None:
    async with recording() as running:
        client = await running.client()
        await client.up_to_tls()
        client.send(HELLO)
        assert await client.reader.readexactly(7) == b"\x15\x03\x03\x00\x02\x02\x28"
        assert (await client.say("MAIL FROM:<>")).startswith("454 4.7.0 ")
        assert (await client.say("quit")).startswith("221 ")
        client.close()
        assert await running.task is not None


async def test_who_comes_again_after_the_recording_is_turned_away() -> None:
    async with recording() as running:
        client, again = await running.client(), None
        await client.up_to_tls()
        client.send(HELLO)
        await client.reader.readexactly(7)
        again = await running.client()
        assert (await again.reply()).startswith("421 4.3.2 ")
        again.close()
        client.close()
        assert await running.task is not None


HOSTILE: dict[str, tuple[bytes, bytes, str]] = {
    # before TLS, in its place, and what is noted
    "garbage for a line": (b"\x00\x01\x02\n" * 60, b"", "50 commands and no STARTTLS"),
    "a line without an end": (b"X" * 5000, b"", "a line of more than 2048 bytes"),
    "letters of no alphabet": (b"\xff\xff" + b"X" * 70_000, b"", "no ClientHello"),
    "the hello not awaiting the reply": (b"EHLO x\r\nSTARTTLS\r\n" + HELLO, b"", "RFC 3207"),
    "clear text for a hello": (b"", b"EHLO x\r\n", "no ClientHello"),
    "an alert for a hello": (b"", b"\x15\x03\x01\x00\x02\x02\x28", "no ClientHello: a record of type 21"),
    "a ServerHello": (b"", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "handshake message 2"),
    "a hello that is cut in itself": (b"", b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", "malformed ClientHello"),
    "a hello of 16 MB": (b"", b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", "16777215 bytes"),
    "a hello of 200 kB": (
        b"",
        write_records(22, 0x0301, b"\x01\x03\x00\x00" + bytes(0x30000)),
        "more than 65536 bytes",
    ),
    "empty records": (b"", b"\x16\x03\x01\x00\x00" * 100, "empty TLS records"),
    "a long record of SSLv2": (b"", b"\xff\xff" + bytes(0x7FFF), "no ClientHello"),
    "a hello without suites": (
        b"",
        encode_client_hello(Offer(protocol="TLSv1.2", suites=()), random=bytes(32)),
        "a hello of no use: it offers nothing",
    ),
    "a hello of no version": (
        b"",
        encode_client_hello(
            Offer(protocol="TLSv1.2", suites=(0xC02F,), extensions=((43, b"\x02\x7f\x1c"),)), random=bytes(32)
        ),
        "a hello of no use: its hello offers no version that is known",
    ),
    "half a hello": (b"", HELLO[:40], "gone without a whole hello"),
    "nothing": (b"", b"", "gone without"),
}


@pytest.mark.parametrize(("before", "instead", "said"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_client_is_one_line_and_the_next_is_recorded(before: bytes, instead: bytes, said: str) -> None:
    async with recording() as running:
        client = await running.client()
        if before:
            await client.reply()
            client.send(before)
        else:
            await client.up_to_tls()
            client.send(instead)
        # It may be thrown out while it still sends.
        with suppress(OSError):
            await client.rest()
        client.close()
        assert (await running.good_client()).hello == HELLO
        (line,) = running.noted
        assert line.startswith("127.0.0.1: ")
        assert said in line
        assert "\n" not in line


@pytest.mark.parametrize("stage", ["at once", "after the greeting", "after STARTTLS"])
async def test_a_client_that_resets_is_one_line(stage: str) -> None:
    async with recording() as running:
        client = await running.client()
        if stage == "after the greeting":
            await client.reply()
        elif stage == "after STARTTLS":
            await client.up_to_tls()
        client.reset()
        assert (await running.good_client()).hello == HELLO
        assert [line.partition(" without")[0] for line in running.noted] == ["127.0.0.1: gone"]


async def test_a_silent_client_holds_up_nobody() -> None:
    async with recording() as running:
        silent = [await running.client() for _ in range(5)]
        assert (await running.good_client()).hello == HELLO
        for client in silent:
            assert (await client.rest()).startswith(b"220 ")
            client.close()


async def test_more_clients_at_a_time_than_are_served_are_turned_away() -> None:
    async with recording() as running:
        clients = [await running.client() for _ in range(21)]
        replies = [await client.reply() for client in clients]
        assert [reply[:3] for reply in replies] == ["220"] * 20 + ["421"]
        for client in clients:
            client.close()


async def test_when_the_time_is_over_nothing_is_recorded() -> None:
    async with recording(timeout_seconds=1.5) as running:
        client = await running.client()
        await client.up_to_tls()
        client.send(HELLO[:20])
        assert await running.task is None
        assert running.noted == ["127.0.0.1: without a whole hello until the end of the recording"]
        client.close()


async def test_when_the_connections_are_used_up_nothing_is_recorded() -> None:
    async with recording(connections=2) as running:
        for _ in range(2):
            client = await running.client()
            await client.reply()
            await client.say("QUIT")
            client.close()
        assert await running.task is None


async def test_an_address_that_is_not_ours_or_taken_is_an_error_of_the_user() -> None:
    async with recording() as running:
        for address, port in (("192.0.2.1", 0), ("127.0.0.1", running.port)):
            with pytest.raises(InvalidSetting, match="--listen: cannot listen on"):
                await record(RecordingSettings(address=address, port=port), listening=lambda _, port: None, noted=print)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("192.0.2.1", False)],
)
def test_loopback_is_known(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
