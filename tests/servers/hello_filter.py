"""What stands before TLS servers and chokes on hellos it does not like: old stacks, load balancers, firewalls.

A filter reads the ClientHello, and passes it on with all that follows or refuses it. It runs in the loop of the test;
put `smtp_front` before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from mxprobe.tls.client_hello import ClientHello, decode_client_hello
from mxprobe.tls.code_points import SUPPORTED_VERSIONS
from mxprobe.tls.wire import Truncated, WireError
from servers.relay import accepting, connect, fail

How = Literal["alert", "close", "reset", "hang"]
"""What a hello gets that is refused: an alert and FIN; FIN; RST; nothing, for ever."""

MAX_HELLO = 65536
"""More than any hello of the tests; what is longer is passed on unread."""

EXTENSIONS_OF_2008 = frozenset({0, 1, 4, 5, 10, 11, 13, 35, 0xFF01})
"""What RFC 4366, 4492, 5077, 5246 and 5746 define: a stack of that time knows no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A hello as it came: what it says, its bytes with the records' headers, and the number of records."""

    said: ClientHello
    data: bytes
    records: int


Dislike = Callable[[Hello], bool]
"""Whether a hello is refused."""


@dataclass(slots=True)
class HelloFilter:
    """A running filter, and what it has seen so far. A hello that could not be read is in neither list."""

    port: int = 0
    passed: list[Hello] = field(default_factory=list)
    refused: list[Hello] = field(default_factory=list)


@asynccontextmanager
async def hello_filter(to: int, dislike: Dislike, how: How = "alert", *, alert: int = 40) -> AsyncIterator[HelloFilter]:
    """Stand before the TLS server on port `to` of 127.0.0.1, and refuse the hellos that it does not like.

    `alert` is the description of the fatal alert (RFC 8446 §6).
    """
    seen = HelloFilter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data, hello = await _read(reader)
        if hello is None or not dislike(hello):
            seen.passed += [hello] if hello else []
            await connect(to, reader, writer, already=data)
            return
        seen.refused.append(hello)
        if how == "alert":
            writer.write(b"\x15\x03\x01\x00\x02\x02" + bytes((alert,)))
            await writer.drain()
        else:
            await fail(how, reader, writer)

    async with accepting(serve) as listening:
        seen.port = listening.port
        yield seen


def more_suites_than(number: int) -> Dislike:
    """Wolfssl's kind of limit: so many suites and no more, the SCSV counted too."""
    return lambda hello: len(hello.said.suites) > number


def longer_than(size: int) -> Dislike:
    """A read buffer of so many bytes, in which the hello must fit with its record header."""
    return lambda hello: len(hello.data) > size


def long_between(shortest: int, longest: int) -> Dislike:
    """The handshake messages of 256 to 511 bytes on which some load balancers hang (RFC 7685 §1)."""
    return lambda hello: shortest <= len(hello.data) - 5 * hello.records <= longest


def newer_than(version: int) -> Dislike:
    """Version intolerance: refuse where a good server answers with what it speaks itself (RFC 5246 §E.1)."""
    return lambda hello: hello.said.legacy_version > version


def with_supported_versions(hello: Hello) -> bool:
    """Refuse whoever speaks TLS 1.3 (RFC 8446 §4.2.1)."""
    return SUPPORTED_VERSIONS in hello.said.extension_types


def with_extensions_besides(known: Container[int] = EXTENSIONS_OF_2008) -> Dislike:
    """Refuse extensions that it does not know, which is forbidden (RFC 5246 §7.4.1.4)."""
    return lambda hello: any(number not in known for number in hello.said.extension_types)


def with_grease(hello: Hello) -> bool:
    """Refuse the values reserved for finding out who does (RFC 8701)."""
    said = hello.said
    listed = (said.suites, said.versions, said.groups, said.signature_schemes, said.key_shares, said.extension_types)
    return any(_is_grease(number) for numbers in listed for number in numbers or ())


def in_several_records(hello: Hello) -> bool:
    """Refuse a hello that was fragmented (RFC 8446 §5.1)."""
    return hello.records > 1


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, Hello | None]:
    """All that came up to the end of the hello, and the hello, if that is what it was."""
    data = b""
    while len(data) < MAX_HELLO and (piece := await reader.read(65536)):
        data += piece
        try:
            said = decode_client_hello(data)
        except Truncated:
            continue
        except WireError:
            break
        return data, Hello(said=said, data=data, records=_records(data))
    return data, None


def _records(data: bytes) -> int:
    """How many TLS records these are; one where it is the record of SSLv2."""
    number, at = 0, 0
    while at < len(data):
        at = len(data) if data[0] & 0x80 else at + 5 + int.from_bytes(data[at + 3 : at + 5])
        number += 1
    return number


def _is_grease(number: int) -> bool:
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF
