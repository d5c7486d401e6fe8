"""A TCP proxy that makes loopback as slow as a distant server: a delay each way, and before the first byte.

In tests `with delay_proxy(port)`; for benchmarks
``python tests/servers/delay_proxy.py --listen 0 --to PORT --ms 20``, which prints the port that it listens on.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, cast


@dataclass(slots=True)
class DelayProxy:
    """A running proxy, and what it has seen so far."""

    port: int = 0
    connections: int = 0
    open_connections: int = 0
    most_at_once: int = 0
    transports: set[asyncio.Transport] = field(default_factory=set, repr=False)

    def close(self) -> None:
        """Cut every connection."""
        for transport in tuple(self.transports):
            transport.abort()


@contextmanager
def delay_proxy(to: int, *, ms: float = 20.0, address: str = "127.0.0.1") -> Iterator[DelayProxy]:
    """Run a proxy in a thread of its own, from a free port of `address` (0.0.0.0: of all) to port `to` of 127.0.0.1.

    `ms` is the delay each way, so a round trip takes twice as long.
    """
    # Here and not above, so that the proxy also runs as a program on its own.
    from servers.running import loop_in_thread

    with loop_in_thread("delay proxy") as loop:
        proxy, server = asyncio.run_coroutine_threadsafe(listen(to, ms=ms, address=address), loop).result(10)
        try:
            yield proxy
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(proxy.close)


async def listen(
    to: int, *, ms: float = 20.0, port: int = 0, address: str = "127.0.0.1"
) -> tuple[DelayProxy, asyncio.Server]:
    """Start a proxy in the running loop, on `port` of 127.0.0.1, or of another address (0.0.0.0: of all).

    The kernel accepts a connection on loopback at once, when over a real line the server would hear of it, by SYN,
    SYN-ACK and ACK, after three ways. So that is when the proxy dials: whoever waits for the server to speak first,
    as SMTP does, waits as long as over a real line, although part of it falls after the connect instead of into it.
    """
    proxy, loop = DelayProxy(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _ClientSide(proxy, to, ms / 1000), address, port, backlog=2000)
    proxy.port = server.sockets[0].getsockname()[1]
    return proxy, server


def reset(transport: asyncio.WriteTransport) -> None:
    """End a connection with RST; `transport.abort()` alone would send FIN."""
    sock: socket.socket = transport.get_extra_info("socket")
    with suppress(OSError):
        # Lingering for no time makes close() do so (socket(7)).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


# The selector rounds waits up to whole milliseconds: half of one early makes that right on average.
_EARLY = 0.0005

_Ending = Literal["end", "reset"]


class _Side(asyncio.Protocol):
    """One side of a connection. What it receives is written to the other one a delay later, in order, endings too."""

    def __init__(self, proxy: DelayProxy, delay: float) -> None:
        self.proxy, self.delay, self.loop = proxy, delay, asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.under_way: deque[tuple[float, bytes | _Ending]] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.end_read = self.end_written = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclass of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.proxy.transports.add(self.transport)

    def data_received(self, data: bytes) -> None:
        self.send_later(data)

    def eof_received(self) -> bool:
        self.end_read = True
        self.send_later("end")
        return not self.end_written  # the other direction stays open; closed on both ways is closed

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport:
            self.proxy.transports.discard(self.transport)
        self.transport = None
        if not (self.end_read and self.end_written):
            self.send_later("reset")

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def send_later(self, what: bytes | _Ending) -> None:
        due = self.loop.time() + self.delay
        self.under_way.append((due, what))
        if self.timer is None:
            self.timer = self.loop.call_at(due - _EARLY, self.deliver)

    def deliver(self) -> None:
        """Hand over what is due; with nobody there yet, all waits for `other` to come."""
        self.timer = None
        if self.other is None:
            return
        now = self.loop.time() + _EARLY
        while self.under_way and self.under_way[0][0] <= now:
            self.other.write(self.under_way.popleft()[1])
        if self.under_way:
            self.timer = self.loop.call_at(self.under_way[0][0] - _EARLY, self.deliver)

    def write(self, what: bytes | _Ending) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if isinstance(what, bytes):
            self.transport.write(what)
        elif what == "end":
            self.end_written = True
            # Here, too, asyncio would keep it.
            with suppress(OSError):  # the peer may have reset it meanwhile
                (self.transport.close if self.end_read else self.transport.write_eof)()
        else:
            reset(self.transport)


class _ClientSide(_Side):
    def __init__(self, proxy: DelayProxy, to: int, delay: float) -> None:
        super().__init__(proxy, delay)
        self.to = to
        self.dialling: asyncio.Task[None] | None = None
        self.dials_from: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        called = transport.get_extra_info("sockname")[0]
        # From the address that was called: one alone runs out of ports after some 28,000 connections in a minute.
        self.dials_from = None if called == "127.0.0.1" else (called, 0)
        self.proxy.connections += 1
        self.proxy.open_connections += 1
        self.proxy.most_at_once = max(self.proxy.most_at_once, self.proxy.open_connections)
        self.loop.call_later(3 * self.delay - _EARLY, self.dial)

    def connection_lost(self, error: Exception | None) -> None:
        self.proxy.open_connections -= 1
        super().connection_lost(error)

    def dial(self) -> None:
        self.dialling = self.loop.create_task(self.connect())

    async def connect(self) -> None:
        try:
            _, side = await self.loop.create_connection(
                lambda: _Side(self.proxy, self.delay), "127.0.0.1", self.to, local_addr=self.dials_from
            )
        except OSError:
            # As near to a refused connection as can be, once it is accepted.
            self.write("reset")
            return
        side.other, self.other = self, side
        self.deliver()


async def _main(listen_on: int, to: int, ms: float) -> None:
    proxy, server = await listen(to, ms=ms, port=listen_on)
    print(proxy.port, flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    server.close()
    proxy.close()
    print(f"{proxy.connections} connections, {proxy.most_at_once} at once", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="TCP proxy on 127.0.0.1 that adds a delay; SIGTERM ends it.")
    parser.add_argument("--listen", type=int, default=0, help="port to listen on; 0 for a free one")
    parser.add_argument("--to", type=int, required=True, help="port to connect to")
    parser.add_argument("--ms", type=float, default=20.0, help="delay each way, in milliseconds")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.listen, arguments.to, arguments.ms))
