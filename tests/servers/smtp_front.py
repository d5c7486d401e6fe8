"""An SMTP server up to STARTTLS, which then hands the connection to a TLS server on another port, or misbehaves.

TLS servers such as `openssl s_server` speak no SMTP, and real MTAs cannot be made to do everything that the
Internet does: `Script` says what this one does, and each of its fields away from its default is one fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Literal

from servers.delay_proxy import reset
from servers.running import RunningServer, counted, loop_in_thread

AfterStarttls = Literal[
    "tls", "close", "reset", "hang", "garbage", "hello-requests", "warning-alerts", "huge-message", "drip"
]
"""What follows the 220 to STARTTLS: the TLS server; FIN; RST; nothing, for ever; bytes that are not TLS; and, once
the client has sent something: endless empty HelloRequests (RFC 5246 §7.4.1.1), endless warning alerts, endless
records of one handshake message of 16 MiB, or a record of 16 KiB that arrives one byte per `drip_seconds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What the front says and does. Replies are whole, code included, without CR LF; a tuple is a multi-line reply."""

    banner: str | tuple[str, ...] = "220 mx.test ESMTP"
    """A 421 is followed by FIN; any other code but 220 by 503 to everything up to QUIT (RFC 5321 §3.1)."""

    banner_delay_seconds: float = 0.0
    """Silence before the banner."""

    banner_drip: bool = False
    """Send endless banner lines, one byte per `drip_seconds`."""

    drip_seconds: float = 0.05

    ehlo: str | tuple[str, ...] = ("250-mx.test", "250-PIPELINING", "250-SIZE 10240000", "250-STARTTLS", "250 8BITMIME")
    """The reply to EHLO and LHLO; leave a line away to announce less."""

    odd_connections: int = 0
    """How many connections, the first, get `odd_ehlo` for an `ehlo`."""

    odd_ehlo: str | tuple[str, ...] = "250 mx.test"

    helo: str = "250 mx.test"

    ehlo_endless: bool = False
    """Go on with capability lines for as long as the client takes them."""

    starttls: str | tuple[str, ...] = "220 2.0.0 Ready to start TLS"
    """With any other code than 220 the dialogue goes on in plain text."""

    after_starttls: AfterStarttls = "tls"

    tls_connections: int | None = None
    """How many connections get `after_starttls`; all later ones get `afterwards`."""

    afterwards: AfterStarttls = "close"

    injected: bytes = b""
    """Plain text in the same segment as the 220 to STARTTLS."""

    fragmented: bool = False
    """Send everything, TLS too, one byte a segment."""

    greeted_connections: int | None = None
    """How many connections are served; all later ones get `throttled` as their banner."""

    greeted_per_window: int | None = None
    """How many connections are served in `window_seconds`, counted from the first of them; more get `throttled`."""

    window_seconds: float = 60.0

    throttled: str = "421 4.7.0 mx.test Error: too many connections"

    reset_at_accept: bool = False
    """Answer every connection with RST."""


@dataclass(slots=True)
class Front:
    """A running front, and what it has seen so far."""

    port: int = 0
    connections: int = 0
    open_connections: int = 0
    most_at_once: int = 0
    dialogues: list[list[bytes]] = field(default_factory=list)
    """For each connection the lines of the client, without CR LF, up to STARTTLS."""
    tls_begun: int = 0
    throttled: int = 0
    """Connections that were turned away by `throttled`."""
    window: tuple[float, int] = field(default=(float("-inf"), 0), repr=False)
    """When the window began that is open now, and the connections served in it."""

    def counted(self, expected: int) -> int:
        """The connections, once those are counted that were made and not accepted yet: a moment at most."""
        return counted(lambda: self.connections, expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What is behind an address: how it behaves, and the port of its TLS server on 127.0.0.1."""

    script: Script = Script()
    port: int | None = None


@contextmanager
def smtp_front(
    backend: RunningServer | int | None = None,
    script: Script | None = None,
    *,
    addresses: Sequence[str] = ("127.0.0.1",),
    port: int = 0,
    others: Mapping[str, Behind] | None = None,
) -> Iterator[Front]:
    """Run a front in a thread of its own, before the TLS server `backend` (its port) on 127.0.0.1.

    It listens on the same port of all `addresses`, which is a free one, or `port`. Without a backend, `tls` closes the
    connection. `others` has what is behind some of the addresses instead; it may change at any time.

    Raises:
        OSError: an address is not there (`::1`, say).
    """
    front, backend_port = Front(port=port), backend.port if isinstance(backend, RunningServer) else backend
    with loop_in_thread("smtp front") as loop:
        behind = Behind(script=script or Script(), port=backend_port)
        start = _listen(front, behind, addresses, {} if others is None else others)
        servers = asyncio.run_coroutine_threadsafe(start, loop).result(10)
        try:
            yield front
        finally:
            for server in servers:
                loop.call_soon_threadsafe(server.close)


async def _listen(
    front: Front, behind: Behind, addresses: Sequence[str], others: Mapping[str, Behind]
) -> list[asyncio.Server]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        front.connections += 1
        front.open_connections += 1
        front.most_at_once = max(front.most_at_once, front.open_connections)
        front.dialogues.append([])
        here = others.get(writer.get_extra_info("sockname")[0], behind)
        try:
            await _Session(reader, writer, here.script, here.port, front).run()
            await _end(reader, writer)
        except (OSError, TimeoutError):
            writer.transport.abort()  # the client left, as it may at any time
        except asyncio.CancelledError:
            # The front ends, and with it what is still unsent.
            writer.transport.abort()
            raise
        finally:
            front.open_connections -= 1
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio's would complain when it is cancelled.
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        # One that is cancelled before it ran has closed nothing.
        task.add_done_callback(lambda done: writer.transport.abort() if done.cancelled() else None)

    tasks: set[asyncio.Task[None]] = set()
    servers: list[asyncio.Server] = []
    for address in addresses:
        servers.append(await asyncio.start_server(accept, address, front.port, limit=_LINE_LIMIT, backlog=1000))
        front.port = servers[0].sockets[0].getsockname()[1]
    return servers


class _Session:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        script: Script,
        backend_port: int | None,
        front: Front,
    ) -> None:
        self.reader, self.writer, self.script, self.backend_port = reader, writer, script, backend_port
        self.dialogue = front.dialogues[-1]
        self.number = front.connections
        self.front = front
        turned_away = _too_many(front, script)
        front.throttled += turned_away
        self.banner = script.throttled if turned_away else script.banner

    async def run(self) -> None:
        if self.script.reset_at_accept:
            reset(self.writer.transport)
            return
        if self.script.banner_delay_seconds:
            await asyncio.sleep(self.script.banner_delay_seconds)
        if self.script.banner_drip:
            await self.drip(cycle(b"220-mx.test is glad to see you\r\n"))
            return
        await self.reply(self.banner)
        if _code(self.banner) == "421":
            return
        await self.talk(welcome=_code(self.banner) == "220")

    async def talk(self, *, welcome: bool) -> None:
        script = self.script
        while True:
            try:
                line = (await self.reader.readuntil(b"\n")).rstrip(b"\r\n")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                return
            self.dialogue.append(line)
            match line.split(b" ")[0].upper():
                case b"QUIT":
                    await self.reply("221 2.0.0 Bye")
                    return
                case _ if not welcome:
                    await self.reply("503 5.5.1 No service here")
                case b"EHLO" | b"LHLO" if script.ehlo_endless:
                    for number in count():
                        await self.send(b"250-X-CAPABILITY-%d\r\n" % number)
                case b"EHLO" | b"LHLO":
                    await self.reply(script.odd_ehlo if self.number <= script.odd_connections else script.ehlo)
                case b"HELO":
                    await self.reply(script.helo)
                case b"STARTTLS":
                    await self.send(_wire(script.starttls) + script.injected)
                    if _code(script.starttls) == "220":
                        await self.after_starttls()
                        return
                case b"NOOP" | b"RSET":
                    await self.reply("250 2.0.0 Ok")
                case _:
                    await self.reply("502 5.5.1 Not implemented")

    async def after_starttls(self) -> None:
        self.front.tls_begun += 1
        served = self.script.tls_connections
        then = (
            self.script.after_starttls if served is None or self.front.tls_begun <= served else self.script.afterwards
        )
        match then:
            case "tls":
                await self.splice()
                return
            case "close":
                return
            case "reset":
                reset(self.writer.transport)
                return
            case "garbage":
                await self.send(b"\x00\xff\x13\x37 this is no TLS\r\n" * 20)
                return
            case "hang":
                while await self.reader.read(65536):
                    pass
                return
        await self.reader.read(65536)
        match then:
            case "drip":
                await self.drip(b"\x16\x03\x03\x40\x00" + bytes(0x4000))
            case "hello-requests":
                await self.pour(b"\x16\x03\x03\x00\x04" + b"\x00\x00\x00\x00")
            case "warning-alerts":
                # 90 is user_canceled, which alone says nothing (RFC 5246 §7.2.2).
                await self.pour(b"\x15\x03\x03\x00\x02" + b"\x01\x5a")
            case "huge-message":
                # A Certificate message (11) of 2^24 - 1 bytes begins, and goes on beyond its end.
                await self.send(b"\x16\x03\x03\x00\x04" + b"\x0b\xff\xff\xff")
                await self.pour(b"\x16\x03\x03\x40\x00" + bytes(0x4000))

    async def splice(self) -> None:
        if self.backend_port is None:
            return
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.backend_port)
        except OSError:
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self.pump(self.reader, writer))
                both.create_task(self.pump(reader, self.writer))
        finally:
            writer.close()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if writer is self.writer:
                    await self.send(data)
                else:
                    writer.write(data)
                    await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            if writer is self.writer:
                reset(self.writer.transport)
            else:
                writer.transport.abort()

    async def reply(self, reply: str | tuple[str, ...]) -> None:
        await self.send(_wire(reply))

    async def send(self, data: bytes) -> None:
        if not self.script.fragmented:
            self.writer.write(data)
            await self.writer.drain()
            return
        for byte in data:
            self.writer.write(bytes((byte,)))
            await self.writer.drain()
            # The client's turn, where it runs in the same process.
            await asyncio.sleep(0)

    async def drip(self, data: Iterable[int]) -> None:
        for byte in data:
            self.writer.write(bytes((byte,)))
            await self.writer.drain()
            await asyncio.sleep(self.script.drip_seconds)

    async def pour(self, record: bytes) -> None:
        """The same record for as long as the client takes them."""
        while True:
            self.writer.write(record * max(1, 65536 // len(record)))
            await self.writer.drain()


def _too_many(front: Front, script: Script) -> bool:
    """Whether the connection that has just been counted is one more than are served, at all or in this window."""
    if script.greeted_connections is not None and front.connections > script.greeted_connections:
        return True
    if script.greeted_per_window is None:
        return False
    now = asyncio.get_running_loop().time()
    began, served = front.window
    if now - began >= script.window_seconds:
        began, served = now, 0
    if served >= script.greeted_per_window:
        return True
    front.window = began, served + 1
    return False


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send FIN and let the client end too: closing over its unread bytes would send RST, and lose our last words."""
    if writer.transport.is_closing():
        return
    writer.write_eof()
    async with asyncio.timeout(_LINGER_SECONDS):
        while await reader.read(65536):
            pass


def _wire(reply: str | tuple[str, ...]) -> bytes:
    lines = (reply,) if isinstance(reply, str) else reply
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def _code(reply: str | tuple[str, ...]) -> str:
    return (reply if isinstance(reply, str) else reply[0])[:3]


# Longer than any command line (RFC 5321 §4.5.3.1.4), and what a stream keeps unread.
_LINE_LIMIT = 65536

# How long a client may take to close after us.
_LINGER_SECONDS = 2.0
