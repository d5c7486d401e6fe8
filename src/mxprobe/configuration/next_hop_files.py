"""Files of next-hops: one a line, `#` begins a comment. A service reads them again when they change.

A line that is no next-hop is told once and holds up none of the others; it is told again only after it was mended.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from mxprobe.configuration.files import read_at_most
from mxprobe.errors import InvalidNextHop, InvalidSetting
from mxprobe.terms import NextHop, parse_next_hop

MAX_FILE = 50_000_000
"""Bytes of a file that we read: far beyond a million next-hops, and short of taking the machine's memory."""

MAX_TOLD = 100
"""Lines of a file that are told: the wrong file, or a binary one, has thousands that are no next-hops."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # as PEP 383 has such bytes

SETTLED = 2.0
"""Seconds that a file has not been written to before it is read again: an editor or a download may be at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextHopFile:
    """What a file said when it was read last, and what of it was told.

    `told` are the lines that are no next-hops, as they stand in it. `mark` changes with the file; it is None before
    the file was read. `unreadable` is why it could not be read the last time, empty if it could.
    """

    path: Path
    next_hops: tuple[NextHop, ...] = ()
    told: frozenset[str] = frozenset()
    mark: tuple[int, ...] | None = None
    unreadable: str = ""


def next_hops_in(text: str, where: str) -> tuple[tuple[NextHop, ...], tuple[tuple[str, InvalidSetting], ...]]:
    """The next-hops of a text, each once, and the lines that are none, with what is wrong; `where` names the text."""
    found: dict[str, NextHop] = {}
    mistakes: list[tuple[str, InvalidSetting]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        if _NOT_UTF8.search(written):
            mistakes.append((written, InvalidSetting(f"{where}: line {number}", "this is not UTF-8")))
            continue
        try:
            next_hop = parse_next_hop(written)
        except InvalidNextHop as error:
            mistakes.append((written, InvalidSetting(f"{where}: line {number}", str(error))))
        else:
            found[next_hop.text] = next_hop
    return tuple(found.values()), tuple(mistakes)


def read_text(path: Path, *, by_line: bool = False) -> str:
    """A file that the user wrote, as text; `by_line` as in `text_of`.

    Raises:
        InvalidSetting: it cannot be read, is too long, or is not UTF-8. It is called by the path and, where one is to
            blame, the line.
    """
    try:
        data = read_at_most(path, MAX_FILE)
    except OSError as error:
        raise InvalidSetting(str(path), f"cannot be read: {error.strerror or error}") from error
    return text_of(data, str(path), by_line=by_line)


def text_of(data: bytes, where: str, *, by_line: bool = False) -> str:
    """What a user wrote, as text. `data` is what was read of it, up to a byte more than `MAX_FILE`.

    With `by_line` bytes that are not UTF-8 are left to `next_hops_in`, to which they are the mistake of one line.

    Raises:
        InvalidSetting: it is too long, or not UTF-8, or with `by_line` has bytes that no text has, as UTF-16 does.
    """
    if len(data) > MAX_FILE:
        raise InvalidSetting(where, f"is longer than {MAX_FILE} bytes")
    if by_line:
        if b"\0" in data:
            line = data.count(b"\n", 0, data.index(b"\0")) + 1
            raise InvalidSetting(f"{where}: line {line}", "this is not UTF-8, but UTF-16 or no text at all")
        return data.decode("utf-8-sig", "surrogateescape")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidSetting(f"{where}: line {line}", "this is not UTF-8") from error


def taken_over(known: NextHopFile, text: str) -> tuple[NextHopFile, tuple[InvalidSetting, ...]]:
    """What a file says now, and what is to be told of it: lines that are no next-hops, and were not told before."""
    next_hops, mistakes = next_hops_in(text, str(known.path))
    wrong = dict(mistakes)
    news = [mistake for line, mistake in wrong.items() if line not in known.told]
    if len(news) > MAX_TOLD:
        more = f"{len(news) - MAX_TOLD} more lines are no next-hops"
        news = [*news[:MAX_TOLD], InvalidSetting(str(known.path), more)]
    return replace(known, next_hops=next_hops, told=frozenset(wrong), unreadable=""), tuple(news)


def read_again(known: NextHopFile, now: float) -> tuple[NextHopFile, tuple[InvalidSetting, ...]]:
    """Read a file if it has changed since it was read last, and was not written to just before `now`.

    A file that cannot be read leaves everything as it was, and is told once. It is `known` itself that is given where
    nothing has changed. What is no ordinary file, such as a pipe, is not read again.
    """
    try:
        status = os.stat(known.path)
    except OSError as error:
        return _unread(known, InvalidSetting(str(known.path), f"cannot be read: {error.strerror or error}"))
    mark = _mark(status)
    if not stat.S_ISREG(status.st_mode) or (mark == known.mark and not known.unreadable):
        return known, ()
    # A file from the future was written by a clock that was wrong; it is not being written to for ever.
    if known.mark is not None and 0 <= now - status.st_mtime < SETTLED:
        return known, ()
    try:
        text = read_text(known.path, by_line=True)
    except InvalidSetting as error:
        return _unread(known, error)
    return taken_over(replace(known, mark=mark), text)


def mark_of(path: Path) -> tuple[int, ...] | None:
    """What is another as soon as a file is: its place on the disk, its length, when it was written. None: no file."""
    try:
        return _mark(os.stat(path))
    except OSError:
        return None


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _unread(known: NextHopFile, error: InvalidSetting) -> tuple[NextHopFile, tuple[InvalidSetting, ...]]:
    news = () if known.unreadable == str(error) else (error,)
    return replace(known, unreadable=str(error)), news
