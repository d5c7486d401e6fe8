"""The plain webhook over real connections: whose certificate counts, what is an answer, and how long it may take."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.told import SECRET, webhook_to
from mxprobe.alerts import by_webhook
from mxprobe.alerts.by_webhook import NotDelivered, post, request, signature
from mxprobe.alerts.urls import webhook
from servers.certificates import Authority
from servers.receivers import webhook_receiver

KEY = "0" * 64


async def send(port: int, url: str | None = None) -> None:
    where = webhook_to(port) if url is None else webhook(url, SECRET)
    await post(where, b"{}", key=KEY, timestamp=1, version="0")


@asynccontextmanager
async def answering(*parts: bytes, context: ssl.SSLContext | None = None, ends: bool = True) -> AsyncIterator[int]:
    """A server that says this to whoever connects, and closes then, or never."""
    forever = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n{}")
            for part in parts:
                writer.write(part)
                await writer.drain()
            if not ends:
                await forever.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        forever.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "without an answer"),
        (b"220 mail.example ESMTP\r\n", "is not HTTP"),
        (b"HTTP/1.1 200", None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "HTTP status 301"),
        (b"HTTP/1.1 500 \x1b[31m\r\n\r\n", "HTTP status 500"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "is not HTTP"),
        (b"x" * 100_000, None),
    ],
)
async def test_only_a_status_of_2xx_is_a_delivery(answer: bytes, problem: str | None) -> None:
    async with answering(answer) as port:
        if problem is None and answer.startswith(b"HTTP"):
            await send(port)
        else:
            with pytest.raises(NotDelivered, match=problem):
                await send(port)


async def test_who_never_answers_is_given_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_webhook, "TIMEOUT_SECONDS", 0.2)
    async with answering(ends=False) as port:
        with pytest.raises(NotDelivered, match="no answer within"):
            await send(port)


async def test_a_certificate_has_to_be_valid_for_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Authority.root()
    chain, key = root.leaf("localhost").write(tmp_path, "leaf")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    trusted = tmp_path / "root.pem"
    trusted.write_bytes(root.pem)
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", context=context) as port:
        with pytest.raises(NotDelivered, match="its certificate is not trusted: "):
            await send(port, f"webhook+https://localhost:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        await send(port, f"webhook+https://localhost:{port}/")
        with pytest.raises(NotDelivered, match=r"its certificate is not trusted: .*not valid for '127.0.0.1'"):
            await send(port, f"webhook+https://127.0.0.1:{port}/")


async def test_what_is_sent_is_http_to_another_implementation() -> None:
    with webhook_receiver(SECRET) as receiver:
        await send(receiver.port, f"webhook+http://127.0.0.1:{receiver.port}/a%20b?c=d&e=%C3%A9")
    (got,) = receiver.posts
    assert (got.path, got.body, got.headers["host"]) == ("/a%20b?c=d&e=%C3%A9", b"{}", f"127.0.0.1:{receiver.port}")


def test_the_receiver_of_the_documentation_takes_what_is_signed_and_nothing_else() -> None:
    text = (Path(__file__).parents[2] / "docs/alerts.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found.group(1), names)
    now = int(time.time())

    def is_genuine(timestamp: int, body: bytes, secret: bytes = SECRET) -> bool:
        head, _, sent = request(webhook_to(9), b'{"a":1}', key=KEY, timestamp=timestamp, version="0").partition(
            b"\r\n\r\n"
        )
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        return bool(names["is_genuine"](secret, headers, body or sent))

    assert is_genuine(now, b"")
    assert not is_genuine(now, b'{"a":2}')
    assert not is_genuine(now, b"", secret=b"x" * 32)
    assert not is_genuine(now - 301, b""), "a replay"


def test_the_signature_is_that_of_openssl() -> None:
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET.decode()],
        input=b"1700000000.{}",
        capture_output=True,
        check=True,
    )
    assert signature(SECRET, 1_700_000_000, b"{}") == "v1=" + done.stdout.split()[-1].decode()
