"""TCP relays before servers, in the loop of the test.

One counts the connections that are really open, and can fail after so many; one spreads them over several servers.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Failure = Literal["hang", "close", "reset", "garbage"]
"""What a relayed connection gets once the client has sent something: nothing, for ever; FIN; RST; what is no TLS."""

_ESTABLISHED = 1
"""The first byte of TCP_INFO (tcp(7)) while neither side has closed."""


@dataclass(slots=True)
class OpenConnections:
    """The clients' side of every connection, and the most that were open when another came.

    The kernel knows of a client's FIN before it knows of the next connection of that client, so that what the client
    has closed never counts, however late a server notices.
    """

    accepted: list[socket.socket] = field(default_factory=list)
    most: int = 0

    def add(self, connection: socket.socket) -> None:
        self.accepted.append(connection)
        self.most = max(self.most, sum(map(_is_open, self.accepted)))


@dataclass(slots=True)
class Relay:
    """A running relay, and what it has seen so far."""

    port: int = 0
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set, repr=False)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What is done with a connection; it is closed afterwards."""


@asynccontextmanager
async def relay(
    to: int | None = None,
    *,
    relayed: int | None = None,
    cut_after: int | None = None,
    then: Failure = "close",
    clients: OpenConnections | None = None,
) -> AsyncIterator[Relay]:
    """Relay from a free port of 127.0.0.1 to port `to` there: all connections, or `relayed`, and `then` fail.

    Without `to` all fail. With `cut_after` those that are relayed fail too, after so many bytes of the server's.
    `clients` may be shared by several relays.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if clients:
            clients.add(writer.get_extra_info("socket"))
        if to is None or (relayed is not None and running.connections > relayed):
            await reader.read(65536)
            await fail(then, reader, writer)
        else:
            await connect(to, reader, writer, cut_after=cut_after)
            if cut_after is not None:
                await fail(then, reader, writer)

    async with accepting(serve) as running:
        yield running


@asynccontextmanager
async def pool(to: Sequence[int], *, seed: int | None = None) -> AsyncIterator[Relay]:
    """Relay from a free port of 127.0.0.1 to one of several ports there, as a load balancer does.

    One after the other, a connection each; with a `seed`, to any of them.
    """
    chance = None if seed is None else random.Random(seed)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen = chance.choice(to) if chance else to[(running.connections - 1) % len(to)]
        await connect(chosen, reader, writer)

    async with accepting(serve) as running:
        yield running


@asynccontextmanager
async def replaced(first: int, second: int, *, after: int) -> AsyncIterator[Relay]:
    """Relay so many connections to one port of 127.0.0.1, and all later ones to another: a server that is upgraded."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await connect(first if running.connections <= after else second, reader, writer)

    async with accepting(serve) as running:
        yield running


@asynccontextmanager
async def accepting(serve: Serve) -> AsyncIterator[Relay]:
    """Accept connections on a free port of 127.0.0.1, and do something with each. Those counted include its own."""
    running = Relay()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        try:
            await serve(reader, writer)
        except OSError:
            pass  # either side left, as it may at any time
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(served(reader, writer))
        running.tasks.add(task)
        task.add_done_callback(running.tasks.discard)
        # One that is cancelled before it ran has closed nothing.
        task.add_done_callback(lambda done: writer.transport.abort() if done.cancelled() else None)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1000)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        tasks = tuple(running.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Transports close their sockets in the turns after.
        for _ in range(3):
            await asyncio.sleep(0)


async def fail(how: Failure, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a connection gets instead of an answer."""
    match how:
        case "hang":
            await reader.read()
        case "garbage":
            writer.write(b"\x00\xff\x13\x37 this is no TLS\r\n" * 20)
            await writer.drain()
        case "reset":
            with suppress(OSError):
                # Lingering for no time makes close() send RST (socket(7)).
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        case "close":
            pass


async def connect(
    to: int,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    already: bytes = b"",
    cut_after: int | None = None,
) -> None:
    """Pass on what either side says, to the server on port `to` and back, until both have ended.

    `already` is what the client has said before. With `cut_after` so many of the server's bytes are the end.
    """
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to)
    there_writer.write(already)
    ways = [
        asyncio.create_task(_pump(reader, there_writer)),
        asyncio.create_task(_pump(there_reader, writer, cut_after)),
    ]
    try:
        await asyncio.gather(*ways)
    except _CutOff:
        pass
    finally:
        there_writer.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


class _CutOff(Exception):
    """As many bytes have passed as may."""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at_most: int | None = None) -> None:
    left = at_most
    while data := await reader.read(65536 if left is None else left):
        writer.write(data)
        await writer.drain()
        if left is not None:
            left -= len(data)
            if not left:
                raise _CutOff
    if writer.can_write_eof():
        writer.write_eof()


def _is_open(connection: socket.socket) -> bool:
    if connection.fileno() < 0:
        return False
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
