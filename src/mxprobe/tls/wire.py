"""The presentation language of TLS: numbers, length-prefixed blocks and lists of numbers (RFC 8446 §3).

Reading is bounded by the bytes at hand and leaves nothing over: a block with bytes behind its last field
is malformed, as a TLS stack would say. Numbers stay numbers, so that unknown code points survive.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from types import TracebackType


class WireError(ValueError):
    """Bytes that are not the message they should be, or a value that does not fit its field.

    The text is one line of printable ASCII and says what is wrong.
    """


class Truncated(WireError):
    """The bytes end before the message does; more bytes may mend it."""


class Reader:
    """Takes fields from the front of `data`.

    As a context manager it checks on leaving that nothing is left over:

        with reader.sub(2) as extensions:
            ...
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes have not been taken yet."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            Truncated: there are fewer.
        """
        start = self._at
        stop = start + count
        if stop > len(self._data):
            raise Truncated(f"{count} bytes expected, {len(self._data) - start} left")
        self._at = stop
        return self._data[start:stop]

    def number(self, width: int) -> int:
        """A big-endian number of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def block(self, width: int) -> bytes:
        """The bytes of a block whose length is a number of `width` bytes before it."""
        return self.take(int.from_bytes(self.take(width), "big"))

    def sub(self, width: int) -> Reader:
        """A reader for such a block; use it as a context manager."""
        return Reader(self.block(width))

    def numbers(self, width: int, size: int) -> tuple[int, ...]:
        """A block that is a list of numbers, `size` bytes each.

        Raises:
            WireError: the block is not a whole number of them.
        """
        return split_numbers(self.block(width), size)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            WireError: something is.
        """
        if self.left:
            raise WireError(f"{self.left} bytes left over")

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()


def split_numbers(data: bytes, size: int) -> tuple[int, ...]:
    """A list of big-endian numbers, `size` bytes each, without a length before it.

    Raises:
        WireError: `data` is not a whole number of them.
    """
    count, odd = divmod(len(data), size)
    if odd:
        raise WireError(f"a list of {size}-byte numbers is {len(data)} bytes long")
    if size == 1:
        return tuple(data)
    if size == 2:
        return struct.unpack(f">{count}H", data)
    return tuple(int.from_bytes(data[at : at + size], "big") for at in range(0, len(data), size))


def join_numbers(values: Iterable[int], size: int) -> bytes:
    """The bytes of a list of numbers, `size` bytes each, without a length before it.

    Raises:
        WireError: a number does not fit.
    """
    try:
        if size == 2:
            values = tuple(values)
            return struct.pack(f">{len(values)}H", *values)
        return b"".join([value.to_bytes(size, "big") for value in values])
    except (OverflowError, struct.error) as error:
        raise WireError(f"a number does not fit in {size} bytes") from error


def block(width: int, *parts: bytes) -> bytes:
    """`parts` with their total length before them, as a number of `width` bytes.

    Raises:
        WireError: they are too long for that.
    """
    body = b"".join(parts)
    try:
        return len(body).to_bytes(width, "big") + body
    except OverflowError as error:
        raise WireError(f"{len(body)} bytes do not fit in a block with a {width}-byte length") from error


def numbers(width: int, size: int, values: Iterable[int]) -> bytes:
    """A list of numbers, `size` bytes each, as a block."""
    return block(width, join_numbers(values, size))
