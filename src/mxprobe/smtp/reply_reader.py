"""SMTP replies out of a stream of bytes: in any pieces, bounded, and without trust (RFC 5321 §4.2)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from mxprobe.smtp.replies import Reply

MAX_LINE: Final = 8192
"""The longest line of a reply, sixteen times what RFC 5321 §4.5.3.1.5 allows."""

MAX_REPLY: Final = 4 * MAX_LINE
"""The longest reply; that to EHLO takes a few hundred bytes. Also ends one whose last line never comes."""

# A server says the same to each connection. What it said in one piece is read once; longer than this is rare.
_REMEMBERED_LENGTH: Final = 1024
_REMEMBERED: Final = 256


class NotAReply(Exception):
    """What came is no SMTP reply, or has no end. Its text says why."""


class ReplyReader:
    """Reads one reply after another.

    Give it the bytes as they come until it has a reply. It is lenient where mail servers are: lines may end in a bare
    LF, and a code may stand alone.
    """

    __slots__ = ("_lines", "_rest", "_taken")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []
        self._taken = 0

    def feed(self, data: bytes) -> tuple[Reply, bytes] | None:
        """A reply, when it is complete, and what came behind it; until then None.

        What came behind a reply belongs to nothing that was asked: the next reply begins with the bytes fed next.

        Raises:
            NotAReply: this is not SMTP, or more than `MAX_REPLY` bytes.
        """
        if not self._taken and len(data) <= _REMEMBERED_LENGTH and (found := _read(data)) is not None:
            return found
        return self._feed(data)

    def _feed(self, data: bytes) -> tuple[Reply, bytes] | None:
        self._taken += len(data)
        bytes_left = self._rest + data if self._rest else data
        start = 0
        while (end := bytes_left.find(b"\n", start)) >= 0:
            line = bytes_left[start:end]
            start = end + 1
            if not line[:3].isdigit() or len(line) < 3:
                raise NotAReply(f"not an SMTP reply: {_shown(line)}")
            if len(line) > MAX_LINE:
                raise NotAReply(f"a line of more than {MAX_LINE} bytes")
            mark = line[3:4]
            text = line[4:] if mark in (b"-", b" ") else line[3:]
            self._lines.append(text.strip(b" \t\r").decode("utf-8", "surrogateescape"))
            if mark != b"-":
                reply = Reply(code=int(line[:3]), lines=tuple(self._lines))
                self._rest, self._lines, self._taken = b"", [], 0
                return reply, bytes_left[start:]
        if self._taken > MAX_REPLY:
            raise NotAReply(f"a reply of more than {MAX_REPLY} bytes")
        self._rest = bytes_left[start:]
        return None


@lru_cache(_REMEMBERED)
def _read(data: bytes) -> tuple[Reply, bytes] | None:
    return ReplyReader()._feed(data)


def _shown(line: bytes) -> str:
    return line[:200].decode("utf-8", "backslashreplace").strip()
