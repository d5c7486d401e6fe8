"""SSLv2 in the clear: its records, CLIENT-HELLO, SERVER-HELLO and ERROR (draft-hickman-netscape-ssl-00).

In SSLv2 the server lists the cipher kinds that both sides know and the client picks one, so a single
hello settles a whole protocol. The certificate comes in the SERVER-HELLO.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mxprobe.tls.alerts import EMPTY_CIPHER_LIST
from mxprobe.tls.code_points import SSL2
from mxprobe.tls.offer import Chosen, Refused
from mxprobe.tls.wire import Reader, Truncated, WireError, join_numbers, split_numbers

CHALLENGE_LENGTH: Final = 16

ERROR: Final = 0
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 4

# The longest record with a two-byte header, which is what a client may write.
_MAX_RECORD = 0x7FFF

# What the three lengths in a SERVER-HELLO can add up to; it may be spread over records as a TLS message is.
_SERVER_HELLO_FIXED = 11

# A SERVER-HELLO fits in one record; servers that send it byte by byte are not worth our time.
_MAX_RECORDS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sslv2ClientHello:
    """A CLIENT-HELLO in SSLv2 form; `version` may be that of SSLv3 or TLS (RFC 5246 appendix E.2)."""

    version: int
    suites: tuple[int, ...]
    session_id: bytes
    challenge: bytes


def encode_client_hello(suites: Iterable[int], challenge: bytes) -> bytes:
    """A CLIENT-HELLO that offers cipher kinds of 24 bits.

    Raises:
        WireError: a kind does not fit in 24 bits, or there are too many for a record.
    """
    kinds = join_numbers(suites, 3)
    lengths = join_numbers((SSL2, len(kinds), 0, len(challenge)), 2)
    message = bytes((CLIENT_HELLO,)) + lengths + kinds + challenge
    if len(message) > _MAX_RECORD:
        raise WireError(f"{len(message)} bytes do not fit in an SSLv2 record")
    return join_numbers((0x8000 | len(message),), 2) + message


def decode_client_hello(data: bytes) -> Sslv2ClientHello:
    """Read the CLIENT-HELLO that `data` consists of, in one record with a two-byte header.

    Raises:
        Truncated: `data` is the beginning of one.
        WireError: it is something else, or is malformed.
    """
    reader = Reader(data)
    header = reader.number(2)
    if not header & 0x8000:
        raise WireError("an SSLv2 record with a two-byte header expected")
    message = reader.take(header & 0x7FFF)
    reader.finish()
    try:
        return _read_client_hello(message)
    except Truncated as error:
        raise WireError(f"malformed SSLv2 CLIENT-HELLO: {error}") from error


def _read_client_hello(message: bytes) -> Sslv2ClientHello:
    with Reader(message) as reader:
        kind = reader.number(1)
        if kind != CLIENT_HELLO:
            raise WireError(f"an SSLv2 CLIENT-HELLO expected, this is message {kind}")
        version, kinds, session_id, challenge = (reader.number(2) for _ in range(4))
        return Sslv2ClientHello(
            version=version,
            suites=split_numbers(reader.take(kinds), 3),
            session_id=reader.take(session_id),
            challenge=reader.take(challenge),
        )


def starts_reply(data: bytes) -> bool:
    """Whether these bytes, of which there must be four, start an SSLv2 record with a SERVER-HELLO or an ERROR."""
    if data[0] & 0x80:
        return data[2] in (ERROR, SERVER_HELLO)
    # Three-byte header; the second bit marks a security escape, which nobody ever sent (and many letters have).
    return not data[0] & 0x40 and data[3] in (ERROR, SERVER_HELLO)


class ReplyReader:
    """Reads a server's first message in SSLv2, in any pieces.

    A SERVER-HELLO with cipher kinds is `Chosen` with the list as it was sent, one without any is `Refused` with
    `alerts.EMPTY_CIPHER_LIST`, an ERROR is `Refused` with its code.
    """

    __slots__ = ("_buffer", "_message", "_records", "consumed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message = bytearray()
        self._records = 0
        self.consumed = 0

    def feed(self, data: bytes) -> Chosen | Refused | None:
        """Take bytes as they came; the answer once it is known, until then None.

        Raises:
            WireError: this is neither message.
        """
        self._buffer += data
        while (payload := self._next_record()) is not None:
            self._message += payload
            if (answer := self._read_message()) is not None:
                return answer
        return None

    def _next_record(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 3:
            return None
        if buffer[0] & 0x80:
            header, length, padding = 2, (buffer[0] & 0x7F) << 8 | buffer[1], 0
        else:
            header, length, padding = 3, (buffer[0] & 0x3F) << 8 | buffer[1], buffer[2]
        if len(buffer) < header + length:
            return None
        self._records += 1
        self.consumed += header + length
        if padding > length:
            raise WireError(f"an SSLv2 record of {length} bytes with {padding} bytes of padding")
        if self._records > _MAX_RECORDS:
            raise WireError(f"more than {_MAX_RECORDS} SSLv2 records without a whole SERVER-HELLO")
        payload = bytes(buffer[header : header + length - padding])
        del buffer[: header + length]
        return payload

    def _read_message(self) -> Chosen | Refused | None:
        message = self._message
        if not message:
            return None
        if message[0] == ERROR:
            if len(message) < 3:
                return None
            if len(message) > 3:
                raise WireError(f"an SSLv2 ERROR of {len(message)} bytes")
            return Refused(sslv2_error=int.from_bytes(message[1:3], "big"))
        if message[0] != SERVER_HELLO:
            raise WireError(f"an SSLv2 SERVER-HELLO expected, this is message {message[0]}")
        if len(message) < _SERVER_HELLO_FIXED:
            return None
        _, version, certificate, kinds, connection_id = split_numbers(bytes(message[1:_SERVER_HELLO_FIXED]), 2)
        whole = _SERVER_HELLO_FIXED + certificate + kinds + connection_id
        if len(message) < whole:
            return None
        if len(message) > whole:
            raise WireError(f"{len(message) - whole} bytes left over after the SSLv2 SERVER-HELLO")
        if version != SSL2:
            raise WireError(f"an SSLv2 SERVER-HELLO with version 0x{version:04x}")
        reader = Reader(bytes(message[_SERVER_HELLO_FIXED:]))
        der = reader.take(certificate)
        suites = split_numbers(reader.take(kinds), 3)
        if not suites:
            return Refused(sslv2_error=EMPTY_CIPHER_LIST)
        return Chosen(
            protocol="SSLv2",
            suite=suites[0],
            suites=suites,
            certificates=(der,) if der else (),
            reached="flight-complete",
        )
