"""A mail server whose every word a test writes itself, in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

LINE_LIMIT = 65536

_ESTABLISHED = b"\x01"  # the first byte of struct tcp_info, tcpi_state


@dataclass(slots=True)
class Conversation:
    """One connection as the server has it. `number` counts from 1; `heard` is all that the client wrote."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: bytearray = field(default_factory=bytearray)

    @property
    def established(self) -> bool:
        """Whether neither side has ended the connection, as the kernel knows it (tcp(7), TCP_INFO)."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        if connection.fileno() < 0:
            return False
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _ESTABLISHED

    async def say(self, *lines: str) -> None:
        """Send lines, each with CR LF, in one segment."""
        await self.send("".join(f"{line}\r\n" for line in lines).encode())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def spell(self, data: bytes) -> None:
        """Send one byte a segment."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            await self.send(bytes((byte,)))
            await asyncio.sleep(0)  # the client's turn

    async def hear(self) -> str:
        """The next line, without CR LF; empty where the client has closed."""
        line = await self.reader.readline()
        self.heard += line
        return line.decode().removesuffix("\r\n")

    async def hear_bytes(self) -> bytes:
        """What comes next, empty at the end."""
        data = await self.reader.read(LINE_LIMIT)
        self.heard += data
        return data

    async def hear_nothing(self, seconds: float = 0.03) -> None:
        """Keep still for a while, in which the client must not say anything."""
        try:
            async with asyncio.timeout(seconds):
                early = await self.hear_bytes()
        except TimeoutError:
            return
        assert not early, f"the client did not wait: {early!r}"

    async def hear_the_rest(self) -> bytes:
        """All that the client still writes, up to its end."""
        rest = b""
        while data := await self.hear_bytes():
            rest += data
        return rest

    def reset(self) -> None:
        """End the connection by RST: lingering for no time makes close() send it (socket(7))."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def up_to_tls(self) -> None:
        """Greet, offer STARTTLS and let TLS begin, as a good server does."""
        await self.say("220 mx.test ESMTP")
        await self.hear()
        await self.say("250-mx.test", "250 STARTTLS")
        await self.hear()
        await self.say("220 Ready to start TLS")


Script = Callable[[Conversation], Awaitable[None]]


@dataclass(slots=True)
class Scripted:
    """A running server, and what it has seen. `running` counts scripts, `most_at_once` connections."""

    port: int = 0
    conversations: list[Conversation] = field(default_factory=list)
    running: int = 0
    most_at_once: int = 0

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self.conversations)

    @property
    def open_now(self) -> int:
        """How many there are that nobody has ended."""
        return sum(conversation.established for conversation in self.conversations)

    async def finished(self, *, within: float = 5) -> None:
        """Wait until no script runs any more."""
        async with asyncio.timeout(within):
            while self.running:
                await asyncio.sleep(0)

    @property
    def heard(self) -> bytes:
        """What the client wrote over the only connection."""
        (conversation,) = self.conversations
        return bytes(conversation.heard)


@asynccontextmanager
async def scripted(script: Script, address: str = "127.0.0.1") -> AsyncIterator[Scripted]:
    """Serve with a script for each connection, which is closed at its end.

    Leaving the context ends what still runs, and raises what a script raised, but for the client's leaving.
    """
    server = Scripted()
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def serve(conversation: Conversation) -> None:
        try:
            await script(conversation)
        except ConnectionError:
            pass  # the client left, as it may at any time
        finally:
            server.running -= 1
            conversation.writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(len(server.conversations) + 1, reader, writer)
        server.conversations.append(conversation)
        server.running += 1
        server.most_at_once = max(server.most_at_once, server.open_now)
        task = asyncio.create_task(serve(conversation))
        tasks.add(task)
        task.add_done_callback(finished)

    def finished(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            failures.append(failure)

    listener = await asyncio.start_server(accept, address, 0, limit=LINE_LIMIT)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        left = tuple(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for conversation in server.conversations:
            conversation.writer.transport.abort()
        await listener.wait_closed()
    if failures:
        raise failures[0]
