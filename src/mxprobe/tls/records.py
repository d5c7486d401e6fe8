"""The TLS record layer and the framing of handshake messages, before encryption (RFC 8446 §5.1, §4).

Both readers take bytes in any pieces and hand out whole units; what is not the protocol is a `WireError`.
"""

from __future__ import annotations

from typing import Final

from mxprobe.tls.code_points import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, SSL3, TLS1_3
from mxprobe.tls.wire import WireError

HEADER_LENGTH: Final = 5

MAX_PLAINTEXT: Final = 2**14
"""The longest fragment that may be written in one record."""

MAX_FRAGMENT: Final = 2**14 + 2048
"""The longest fragment that is read: the limit that RFC 5246 §6.2.3 sets for any record at all."""

# OpenSSL gives up after 32 (MAX_EMPTY_RECORDS); an honest server sends none in a handshake.
MAX_EMPTY_RECORDS: Final = 32

# The largest Certificate that OpenSSL takes by default is 100 KB; longer than this is an attack on our memory.
MAX_MESSAGE: Final = 256 * 1024

# A flight is one Certificate, one OCSP response and little else. Bounds records of one byte each, too.
MAX_STREAM: Final = 512 * 1024

_CONTENT_TYPES = frozenset((CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA))


def write_records(content_type: int, version: int, payload: bytes, longest: int = MAX_PLAINTEXT) -> bytes:
    """`payload` as one or more records of that type and version, of at most `longest` bytes each."""
    start = bytes((content_type, version >> 8, version & 0xFF))
    longest = max(1, min(longest, MAX_PLAINTEXT))
    if len(payload) <= longest:
        return start + len(payload).to_bytes(2, "big") + payload
    pieces = (payload[at : at + longest] for at in range(0, len(payload), longest))
    return b"".join([start + len(piece).to_bytes(2, "big") + piece for piece in pieces])


def is_record_header(data: bytes | bytearray) -> bool:
    """Whether the first three of these bytes can start a TLS record: a known type, version 3.0 to 3.4."""
    return data[0] in _CONTENT_TYPES and SSL3 <= int.from_bytes(data[1:3], "big") <= TLS1_3


class RecordReader:
    """Cuts records out of a stream.

    `consumed` counts the bytes up to the end of the last record handed out, or of the header that broke the stream.
    """

    __slots__ = ("_at", "_buffer", "_empty", "consumed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._empty = 0
        self.consumed = 0

    def feed(self, data: bytes) -> None:
        """Append bytes, as they came."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    @property
    def held(self) -> int:
        """How many bytes wait for the rest of their record."""
        return len(self._buffer) - self._at

    def peek(self, count: int) -> bytes:
        """Up to `count` of the bytes that wait, without taking them."""
        return bytes(self._buffer[self._at : self._at + count])

    def next_record(self) -> tuple[int, bytes] | None:
        """The type and fragment of the next record; None while it is not complete.

        Raises:
            WireError: the stream is not records, or goes beyond a limit.
        """
        at = self._at
        buffer = self._buffer
        if len(buffer) - at < HEADER_LENGTH:
            return None
        length = buffer[at + 3] << 8 | buffer[at + 4]
        if not is_record_header(buffer[at : at + 3]):
            raise self._broken(f"not a TLS record: it starts with {bytes(buffer[at : at + HEADER_LENGTH]).hex()}")
        if length > MAX_FRAGMENT:
            raise self._broken(f"a TLS record of {length} bytes, {MAX_FRAGMENT} are allowed")
        if self.consumed + HEADER_LENGTH + length > MAX_STREAM:
            raise self._broken(f"more than {MAX_STREAM} bytes without an end of the server's flight")
        if not length:
            self._empty += 1
            if self._empty > MAX_EMPTY_RECORDS:
                raise self._broken(f"more than {MAX_EMPTY_RECORDS} empty TLS records")
        stop = at + HEADER_LENGTH + length
        if len(buffer) < stop:
            return None
        self._at = stop
        self.consumed += HEADER_LENGTH + length
        return buffer[at], bytes(buffer[at + HEADER_LENGTH : stop])

    def _broken(self, reason: str) -> WireError:
        self.consumed += HEADER_LENGTH
        return WireError(reason)


class MessageReader:
    """Joins the fragments of handshake records into messages (type and body)."""

    __slots__ = ("_at", "_buffer")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0

    def feed(self, fragment: bytes) -> None:
        """Append the fragment of a handshake record."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += fragment

    @property
    def held(self) -> int:
        """How many bytes wait for the rest of their message."""
        return len(self._buffer) - self._at

    def next_message(self) -> tuple[int, bytes] | None:
        """The next message; None while it is not complete.

        Raises:
            WireError: its header announces more than we are ready to hold.
        """
        at = self._at
        buffer = self._buffer
        if len(buffer) - at < 4:
            return None
        length = buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]
        if length > MAX_MESSAGE:
            raise WireError(f"a handshake message of {length} bytes, {MAX_MESSAGE} are allowed")
        stop = at + 4 + length
        if len(buffer) < stop:
            return None
        self._at = stop
        return buffer[at], bytes(buffer[at + 4 : stop])
