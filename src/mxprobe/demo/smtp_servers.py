"""A small SMTP server on loopback that can greet, offer STARTTLS and end a session, each in several wrong ways."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mxprobe.demo.server_tls import ServerTls

# Bounds on what a peer can make a server hold or wait for; an honest session stays far below each.
_LINE_LIMIT = 2_048  # octets; RFC 5321 §4.5.3.1.4 allows 512, extensions some more
_COMMAND_LIMIT = 100
_HANDSHAKE_LIMIT = 262_144  # octets; a hello and a client certificate fit many times
_SESSION_LIMIT = 64
_SESSION_SECONDS = 60
_LINGER_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """How one server behaves.

    `tls` makes the TLS of a connection; without it STARTTLS is not offered. With `starttls_refused` it is offered,
    and the command gets 454. `greeting_delay_seconds` passes between the two lines of a greeting. After
    `connection_limit` connections every further one is greeted with 421.
    """

    name: str
    tls: Callable[[], ServerTls] | None = None
    starttls_refused: bool = False
    greeting_delay_seconds: float = 0.0
    connection_limit: int | None = None


@asynccontextmanager
async def serving(server: SmtpServer, address: str) -> AsyncIterator[tuple[str, int]]:
    """Serve on a free port of a loopback address until the end of the context; gives the address and port.

    Where the system has no such address (only Linux has all of 127.0.0.0/8), it is 127.0.0.1.
    """
    sessions: set[asyncio.Task[None]] = set()
    connections = 0

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if len(sessions) >= _SESSION_LIMIT:
            writer.transport.abort()
            return
        welcome = server.connection_limit is None or connections <= server.connection_limit
        session = asyncio.create_task(_session(server, reader, writer, welcome=welcome))
        sessions.add(session)
        session.add_done_callback(sessions.discard)

    try:
        listener = await asyncio.start_server(connected, address, 0)
    except OSError:
        listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        host, port = listener.sockets[0].getsockname()[:2]
        yield host, port
    finally:
        listener.close()
        ending = tuple(sessions)
        for session in ending:
            session.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await listener.wait_closed()


async def _session(
    server: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, welcome: bool
) -> None:
    """One connection from greeting to close. A peer that goes away, at whatever point, just ends it."""
    connection = _Connection(reader, writer)
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_SESSION_SECONDS):
                with contextlib.suppress(EOFError):
                    if welcome:
                        await _dialogue(server, connection)
                    else:
                        await connection.reply("421 4.7.0 Too many connections from your address, try again later")
                await connection.close()
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _dialogue(server: SmtpServer, connection: _Connection) -> None:
    banner = f"{server.name} ESMTP mxprobe demo"
    if server.greeting_delay_seconds:
        await connection.reply(f"220-{banner}")
        await asyncio.sleep(server.greeting_delay_seconds)
    await connection.reply(f"220 {banner}")
    for _ in range(_COMMAND_LIMIT):
        line = await connection.line()
        match line.partition(" ")[0].upper():
            case "EHLO":
                offered = server.tls is not None and connection.tls is None
                starttls = ("250-STARTTLS",) if offered else ()
                await connection.reply(f"250-{server.name}", "250-PIPELINING", *starttls, "250 8BITMIME")
            case "HELO":
                await connection.reply(f"250 {server.name}")
            case "STARTTLS":
                await _starttls(server, connection)
            case "NOOP" | "RSET":
                await connection.reply("250 2.0.0 Ok")
            case "QUIT":
                await connection.reply("221 2.0.0 Bye")
                return
            case "MAIL" | "RCPT" | "DATA" | "AUTH" | "VRFY":
                await connection.reply("554 5.7.1 No mail is taken here")
            case _:
                await connection.reply("500 5.5.2 Command not recognized")
    await connection.reply("421 4.7.0 Too many commands")


async def _starttls(server: SmtpServer, connection: _Connection) -> None:
    if server.tls is None or connection.tls is not None:
        await connection.reply("502 5.5.1 Command not implemented")
    elif server.starttls_refused:
        await connection.reply("454 4.7.0 TLS not available due to local problem")
    else:
        await connection.reply("220 2.0.0 Ready to start TLS")
        await connection.start_tls(server.tls())


class _Connection:
    """Lines over a connection, in clear text first and then inside `tls`.

    Each method raises EOFError when the connection has ended, or has to; OSError when it was reset.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._received = b""
        self.tls: ServerTls | None = None

    async def line(self) -> str:
        """The next line without its end; an overlong one ends the connection."""
        while b"\n" not in self._received:
            if len(self._received) > _LINE_LIMIT:
                await self.reply("500 5.5.2 Line too long")
                raise EOFError
            await self._receive()
        line, _, self._received = self._received.partition(b"\n")
        return line.decode("ascii", "replace").strip()

    async def reply(self, *lines: str) -> None:
        """Send the lines of one reply."""
        data = "".join(f"{line}\r\n" for line in lines).encode("ascii")
        if self.tls is None:
            await self._send(data)
        elif self.tls.state == "open":
            self.tls.send(data)
            await self._send(self.tls.outgoing())
        else:
            raise EOFError

    async def start_tls(self, tls: ServerTls) -> None:
        """Take the peer's hello and complete the handshake, or send the alert and end."""
        # RFC 3207 §4.2: what came in clear text after the command is forgotten.
        self._received = b""
        self.tls = tls
        taken = 0
        while tls.state == "handshake" and taken < _HANDSHAKE_LIMIT:
            taken += await self._receive()
        if tls.state != "open":
            raise EOFError

    async def close(self) -> None:
        """End the connection from this side, and wait a little for the peer's end.

        Closing at once would reset the connection when bytes of the peer are unread, and the peer might lose
        the last reply or alert to that.
        """
        if self._writer.is_closing():
            return
        if self.tls is not None:
            self.tls.close()
            self._writer.write(self.tls.outgoing())
        self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while await self._reader.read(16_384):
                    pass

    async def _receive(self) -> int:
        """Wait for bytes of the peer, and let TLS answer those that are its own; gives their number."""
        if self.tls is not None and self.tls.state == "closed":
            raise EOFError
        data = await self._reader.read(16_384)
        if not data:
            raise EOFError
        if self.tls is None:
            self._received += data
        else:
            self._received += self.tls.feed(data)
            await self._send(self.tls.outgoing())
        return len(data)

    async def _send(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise EOFError
        self._writer.write(data)
        await self._writer.drain()
