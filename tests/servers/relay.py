"""A TCP relay before a server: counts the connections that are really open, and can fail after so many.

It runs in the loop of the test.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
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


@asynccontextmanager
async def relay(
    to: int | None = None,
    *,
    relayed: int | None = None,
    then: Failure = "close",
    clients: OpenConnections | None = None,
) -> AsyncIterator[Relay]:
    """Relay from a free port of 127.0.0.1 to port `to` there: all connections, or `relayed`, and `then` fail.

    Without `to` all fail. `clients` may be shared by several relays.
    """
    running = Relay()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        if clients:
            clients.add(writer.get_extra_info("socket"))
        try:
            if to is None or (relayed is not None and running.connections > relayed):
                await _fail(then, reader, writer)
            else:
                await _connect(to, reader, writer)
        except OSError:
            pass  # either side left, as it may at any time
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        running.tasks.add(task)
        task.add_done_callback(running.tasks.discard)

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


async def _fail(how: Failure, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65536)
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


async def _connect(to: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to)
    try:
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
    finally:
        there_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _is_open(connection: socket.socket) -> bool:
    if connection.fileno() < 0:
        return False
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
