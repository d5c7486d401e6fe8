"""The plain webhook: one POST of JSON over HTTP/1.1 (RFC 9112), signed by HMAC-SHA256 (RFC 2104) with a time.

A redirect is no delivery, and no proxy is used: what is signed goes where the user said, and nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import ssl
from contextlib import suppress

from mxprobe.alerts.targets import Webhook

TIMEOUT_SECONDS = 30.0
"""For all of it; receivers should answer first and work afterwards."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |$)")
_LONGEST_LINE = 8192


class NotDelivered(Exception):
    """An attempt has failed; ``str(error)`` is one line without any secret."""


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """The value of ``Mxprobe-Signature``: over the time (seconds since 1970, in ASCII), a dot and the body."""
    return "v1=" + hmac.new(secret, b"%d." % timestamp + body, hashlib.sha256).hexdigest()


def request(webhook: Webhook, body: bytes, *, key: str, timestamp: int, version: str) -> bytes:
    """The whole request."""
    headers = {
        "Host": webhook.authority,
        "User-Agent": f"mxprobe/{version}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Idempotency-Key": key,
        "Mxprobe-Timestamp": str(timestamp),
        "Mxprobe-Signature": signature(webhook.secret, timestamp, body),
        "Connection": "close",
    }
    lines = (f"POST {webhook.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", "")
    return "\r\n".join(lines).encode("ascii") + body


async def post(webhook: Webhook, body: bytes, *, key: str, timestamp: int, version: str) -> None:
    """Send it once.

    Raises:
        NotDelivered: there was no answer of 2xx.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            status = await _exchange(webhook, request(webhook, body, key=key, timestamp=timestamp, version=version))
    except TimeoutError as error:
        raise NotDelivered(f"no answer within {TIMEOUT_SECONDS:.0f} seconds") from error
    except ssl.SSLCertVerificationError as error:
        raise NotDelivered(f"its certificate is not trusted: {error.verify_message}") from error
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NotDelivered(words or type(error).__name__) from error
    if not 200 <= status <= 299:
        raise NotDelivered(f"it answered with HTTP status {status}")


async def _exchange(webhook: Webhook, message: bytes) -> int:
    context = ssl.create_default_context() if webhook.tls else None
    reader, writer = await asyncio.open_connection(webhook.host, webhook.port, ssl=context, limit=_LONGEST_LINE)
    try:
        writer.write(message)
        with suppress(ConnectionError):  # who refuses a request may answer before all of it is read
            await writer.drain()
        line = await reader.readline()
        found = _STATUS_LINE.match(line.rstrip(b"\r\n"))
        if found is None:
            raise ValueError("what it answered is not HTTP" if line else "it closed the connection without an answer")
        return int(found.group(1))
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()
