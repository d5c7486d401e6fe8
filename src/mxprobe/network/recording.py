"""Recording: an SMTP server that lives for one ClientHello. It greets, offers STARTTLS, keeps the hello, takes no mail.

Whoever connects is a stranger, who may send anything, slowly, or nothing: everything has a bound, and a connection that
brings no hello costs one line and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.hello import MAX_HELLO, profile_of_hello
from mxprobe.tls.client_hello import ClientHello, decode_client_hello
from mxprobe.tls.code_points import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, SSL2, SSL3, TLS1_2
from mxprobe.tls.records import MessageReader, RecordReader, write_records
from mxprobe.tls.wire import WireError

# Bounds on what a client can make us hold or wait for; an honest session stays far below each.
_LINE_LIMIT: Final = 2_048  # octets; RFC 5321 §4.5.3.1.4 allows 512, extensions some more
_COMMAND_LIMIT: Final = 50
_SESSION_LIMIT: Final = 20  # at a time; more are turned away by 421
_SESSION_SECONDS: Final = 60.0  # from greeting to hello, however fast the bytes drip
_LINGER_SECONDS: Final = 2.0  # for the client to take the alert, and to say goodbye
_READ: Final = 16_384
_TURNS: Final = 10  # of the event loop, until an accepted connection has its session, or is closed

_HANDSHAKE_FAILURE: Final = b"\x02\x28"  # fatal, RFC 8446 §6
_NO_CIPHER: Final = b"\x80\x03\x00\x00\x01"  # ERROR of SSLv2: NO-CIPHER-ERROR
_NO_MAIL: Final = "450 4.7.0 No mail is taken here: this only records how you start TLS"
_FAILED: Final = "454 4.7.0 TLS not available: your hello has been recorded"
_DONE: Final = "421 4.3.2 mxprobe has recorded what it was here for, closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSettings:
    """Where to listen and for how long.

    `port` 0 is a free one. With `smtps` the client starts TLS at once and is not greeted (RFC 8314 §3.3). After
    `timeout_seconds`, or when `connections` have come without a hello, nothing is recorded.
    """

    address: str = "127.0.0.1"
    port: int = 0
    smtps: bool = False
    timeout_seconds: float = 300.0
    connections: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A ClientHello as it came, records included; the address of its sender, and the name it gave in EHLO if any.

    `smtps` says that TLS was started from the first byte.
    """

    hello: bytes
    peer: str
    ehlo: str
    smtps: bool


async def record(
    settings: RecordingSettings, *, listening: Callable[[str, int], None], noted: Callable[[str], None]
) -> Recorded | None:
    """Wait for the first ClientHello and refuse it; None if none came within the bounds of `settings`.

    `listening` is told address and port as soon as clients can connect; `noted` gets a line, with peer text unescaped,
    for each connection that brought no hello.

    Raises:
        InvalidSetting: it cannot listen there.
    """
    recording = _Recording(settings, noted)
    try:
        server = await asyncio.start_server(recording.connected, settings.address, settings.port, limit=_LINE_LIMIT)
    except OSError as error:
        where = f"{settings.address} port {settings.port}"
        raise InvalidSetting("--listen", f"cannot listen on {where}: {error.strerror or error}") from error
    try:
        address, port = server.sockets[0].getsockname()[:2]
        listening(address, port)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.timeout_seconds):
                await recording.over.wait()
    finally:
        server.close()
        await recording.close()
        await server.wait_closed()
    return recording.recorded


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address; false for a name."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class _Recording:
    """All sessions of one recording, and the hello that the first of them brings."""

    def __init__(self, settings: RecordingSettings, noted: Callable[[str], None]) -> None:
        self.settings = settings
        self.noted = noted
        self.recorded: Recorded | None = None
        self.over = asyncio.Event()
        self._sessions: dict[asyncio.Task[None], _Client] = {}
        self._came = 0

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Start the session of a client that connected, or turn it away."""
        if self.recorded or self._came >= self.settings.connections or len(self._sessions) >= _SESSION_LIMIT:
            # Best effort: it fits in the buffer of a new connection, or is lost.
            writer.write(f"{_DONE}\r\n".encode("ascii"))
            writer.close()
            return
        self._came += 1
        client = _Client(reader, writer)
        session = asyncio.create_task(self._session(client))
        self._sessions[session] = client
        session.add_done_callback(self._ended)

    async def close(self) -> None:
        """End what sessions there are, and those whose connection was accepted a moment ago."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        sessions = tuple(self._sessions.items())
        for session, client in sessions:
            session.cancel()
            # A session that has not begun would not do it.
            client.abort()
        await asyncio.gather(*(session for session, _ in sessions), return_exceptions=True)

    def _ended(self, session: asyncio.Task[None]) -> None:
        self._sessions.pop(session, None)
        if self._came >= self.settings.connections and not self._sessions:
            self.over.set()

    async def _session(self, client: _Client) -> None:
        why = ""
        try:
            async with asyncio.timeout(_SESSION_SECONDS):
                hello = await _hello_of(client, smtps=self.settings.smtps)
            # Another session may have been quicker.
            if self.recorded is None:
                self.recorded = Recorded(hello=hello, peer=client.peer, ehlo=client.ehlo, smtps=client.tls_at_once)
            await client.linger()
            await client.close()
            self.over.set()
        except TimeoutError:
            why = f"no whole hello within {_SESSION_SECONDS:.0f} s"
        except _NoHello as error:
            why = str(error)
        except (EOFError, OSError):
            why = f"gone without {client.stage}"
        except asyncio.CancelledError:
            if self.recorded is None:
                self.noted(f"{client.peer}: without {client.stage} until the end of the recording")
            raise
        finally:
            client.abort()
        if why:
            self.noted(f"{client.peer}: {why}")


class _NoHello(Exception):
    """A session that will bring no hello; the text is one line that says why."""


async def _hello_of(client: _Client, *, smtps: bool) -> bytes:
    """Lead a session up to the hello, and refuse that."""
    if smtps:
        client.tls_at_once = True
        return await client.hello()
    await client.reply("220 mxprobe.invalid ESMTP mxprobe records how you start TLS")
    for _ in range(_COMMAND_LIMIT):
        line = await client.line()
        if line is None:
            client.tls_at_once = True
            return await client.hello()
        verb, _, argument = line.partition(" ")
        match verb.upper():
            case "EHLO" | "LHLO":
                client.ehlo = argument.strip()
                await client.reply("250-mxprobe.invalid", "250-STARTTLS", "250-ENHANCEDSTATUSCODES", "250 8BITMIME")
            case "HELO":
                client.ehlo = argument.strip()
                await client.reply("250 mxprobe.invalid")
            case "STARTTLS":
                if argument.strip():
                    await client.reply("501 5.5.4 STARTTLS takes no argument")
                elif client.received:
                    raise _NoHello("sent more behind STARTTLS without awaiting the reply, which RFC 3207 forbids")
                else:
                    await client.reply("220 2.0.0 Ready to start TLS")
                    return await client.hello()
            case "NOOP" | "RSET":
                await client.reply("250 2.0.0 Ok")
            case "QUIT":
                await client.reply("221 2.0.0 Bye")
                raise _NoHello("left by QUIT without STARTTLS")
            case "MAIL" | "RCPT" | "DATA" | "BDAT" | "AUTH" | "VRFY" | "EXPN" | "ETRN" | "TURN":
                await client.reply(_NO_MAIL)
            case _:
                await client.reply("500 5.5.2 Command not recognized")
    await client.reply("421 4.7.0 Too many commands")
    raise _NoHello(f"{_COMMAND_LIMIT} commands and no STARTTLS")


class _Client:
    """One connection: lines first, then the bytes of a hello.

    Its methods raise EOFError when the connection has ended, OSError when it was reset, and `_NoHello`.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        address = writer.get_extra_info("peername")
        self.peer: str = address[0] if address else "unknown"
        self.received = b""
        self.ehlo = ""
        self.tls_at_once = False
        self.stage = "STARTTLS"

    async def line(self) -> str | None:
        """The next line without its end; None where TLS comes in its place."""
        while not (b"\n" in self.received or _starts_tls(self.received)):
            if len(self.received) > _LINE_LIMIT:
                await self.reply("500 5.5.2 Line too long")
                raise _NoHello(f"a line of more than {_LINE_LIMIT} bytes")
            await self._receive()
        if _starts_tls(self.received):
            return None
        line, _, self.received = self.received.partition(b"\n")
        return line.decode("ascii", "backslashreplace").strip()

    async def hello(self) -> bytes:
        """Collect a ClientHello that can be a profile, in whatever pieces it comes, and answer by handshake_failure."""
        self.stage = "a whole hello"
        reader = _HelloReader()
        try:
            while (hello := reader.feed(self.received)) is None:
                self.received = b""
                await self._receive()
            self.received = b""
            refusal = _refusal(decode_client_hello(hello))
        except WireError as error:
            raise _NoHello(f"no ClientHello: {error}") from error
        self._writer.write(refusal)
        await self._writer.drain()
        try:
            profile_of_hello("", hello)
        except InvalidSetting as error:
            raise _NoHello(f"a hello of no use: {error.problem}") from error
        return hello

    async def reply(self, *lines: str) -> None:
        """Send the lines of one reply."""
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode("ascii"))
        await self._writer.drain()

    async def linger(self) -> None:
        """Wait a little for the client's end, and answer what it says in clear text after its TLS has failed.

        Closing at once would reset the connection when bytes of the client are unread, and the alert might be lost.
        """
        with contextlib.suppress(TimeoutError, OSError, EOFError, _NoHello):
            async with asyncio.timeout(_LINGER_SECONDS):
                for _ in range(_COMMAND_LIMIT):
                    line = await self.line()
                    if line is None:
                        return
                    if line.upper() == "QUIT":
                        await self.reply("221 2.0.0 Bye")
                        return
                    await self.reply(_FAILED)
                await self.reply(_DONE)

    async def close(self) -> None:
        """Close, and see what was written on its way."""
        self._writer.close()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._writer.wait_closed()

    def abort(self) -> None:
        """Close at once, whatever the client has not taken."""
        self._writer.transport.abort()

    async def _receive(self) -> None:
        data = await self._reader.read(_READ)
        if not data:
            raise EOFError
        self.received += data


class _HelloReader:
    """Finds the end of a ClientHello in a stream: records of TLS, or one of SSLv2. What follows it (early data of TLS
    1.3, say) is left out."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._records = RecordReader()
        self._messages = MessageReader()

    def feed(self, data: bytes) -> bytes | None:
        """The hello once it is whole.

        Raises:
            WireError: it will be none.
        """
        self._data += data
        whole = self._sslv2() if self._data and self._data[0] & 0x80 else self._tls(data)
        if (len(self._data) if whole is None else whole) > MAX_HELLO:
            raise WireError(f"more than {MAX_HELLO} bytes")
        return None if whole is None else bytes(self._data[:whole])

    def _sslv2(self) -> int | None:
        if len(self._data) < 2:
            return None
        length = 2 + (int.from_bytes(self._data[:2], "big") & 0x7FFF)
        return length if len(self._data) >= length else None

    def _tls(self, data: bytes) -> int | None:
        self._records.feed(data)
        while (record := self._records.next_record()) is not None:
            content_type, fragment = record
            if content_type != HANDSHAKE:
                raise WireError(f"a record of type {content_type}")
            self._messages.feed(fragment)
            if self._messages.next_message() is not None:
                return self._records.consumed
        return None


def _starts_tls(data: bytes) -> bool:
    """Whether these bytes cannot be a line of SMTP: they start a record of TLS, or of SSLv2."""
    return bool(data) and (data[0] & 0x80 != 0 or CHANGE_CIPHER_SPEC <= data[0] <= APPLICATION_DATA)


def _refusal(hello: ClientHello) -> bytes:
    """That there is no suite in common, in the newest version that the client knows."""
    if hello.legacy_version == SSL2:
        return _NO_CIPHER
    return write_records(ALERT, min(max(hello.legacy_version, SSL3), TLS1_2), _HANDSHAKE_FAILURE)
