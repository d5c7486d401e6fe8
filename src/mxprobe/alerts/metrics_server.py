"""A small HTTP server for `/metrics` and `/healthz`: GET and HEAD, one request a connection (RFC 9112)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from mxprobe.errors import InvalidSetting, StoreError
from mxprobe.report.metrics import CONTENT_TYPE

MAX_CONNECTIONS = 20
"""At a time; one Prometheus needs one."""

REQUEST_SECONDS = 5.0
FRESH_SECONDS = 10.0
"""For so long the same text is given again, however often it is asked for."""

_MAX_HEAD = 8192
_PLAIN = "text/plain; charset=utf-8"
_log = logging.getLogger("mxprobe.metrics")

Answer = tuple[str, str, bytes]
"""Status line, content type, body."""


@asynccontextmanager
async def metrics_server(host: str, port: int, text: Callable[[], Awaitable[bytes]]) -> AsyncIterator[int]:
    """Serve what `text` gives on an address; the port (that was free, where 0 was asked for).

    Raises:
        InvalidSetting: nobody can listen there.
    """
    serving = _Serving(text)
    try:
        server = await asyncio.start_server(serving.connected, host, port, limit=_MAX_HEAD)
    except OSError as error:
        raise InvalidSetting("service.metrics", f"cannot listen on {host} port {port}: {error.strerror}") from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await serving.end()


class _Serving:
    def __init__(self, text: Callable[[], Awaitable[bytes]]) -> None:
        self._text = text
        self._turn = asyncio.Lock()
        self._kept = b""
        self._kept_at: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs each connection as a task"
        if len(self._tasks) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        try:
            with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(REQUEST_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                first = head.split(b"\r\n", 1)[0].split()
                status, kind, body = await self._answer(first)
                named = {"Content-Type": kind, "Content-Length": len(body), "Connection": "close"}
                answer = (f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items()), "", "")
                writer.write("\r\n".join(answer).encode("ascii") + (b"" if first[:1] == [b"HEAD"] else body))
                async with asyncio.timeout(REQUEST_SECONDS):
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def end(self) -> None:
        """Let go of whoever is still connected."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, first: list[bytes]) -> Answer:
        if len(first) != 3 or not first[2].startswith(b"HTTP/1."):
            return "400 Bad Request", _PLAIN, b"not HTTP/1.1\n"
        if first[0] not in (b"GET", b"HEAD"):
            return "405 Method Not Allowed", _PLAIN, b"only GET and HEAD\n"
        path = first[1].partition(b"?")[0]
        if path == b"/healthz":
            return "200 OK", _PLAIN, b"ok\n"
        if path != b"/metrics":
            return "404 Not Found", _PLAIN, b"there are /metrics and /healthz\n"
        try:
            return "200 OK", CONTENT_TYPE, await self._fresh()
        except StoreError as error:
            _log.error("metrics wait for the database: %s", error)
            return "503 Service Unavailable", _PLAIN, b"the database does not answer\n"

    async def _fresh(self) -> bytes:
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if self._kept_at is None or clock() - self._kept_at >= FRESH_SECONDS:
                self._kept = await self._text()
                self._kept_at = clock()
            return self._kept
