"""Reading SMTP replies: what a reply is, wherever the bytes are cut, and where it ends (RFC 5321 §4.2)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from aiosmtplib.protocol import SMTPProtocol
from hypothesis import given
from hypothesis import strategies as st

from mxprobe.smtp.replies import Reply
from mxprobe.smtp.reply_reader import MAX_LINE, MAX_REPLY, NotAReply, ReplyReader

EHLO = b"250-mx.example\r\n250-SIZE 10240000\r\n250 STARTTLS\r\n"
CODES = st.integers(200, 599)
TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)


def written(code: int, lines: list[str], end: bytes = b"\r\n") -> bytes:
    """A reply as RFC 5321 §4.2.1 has it."""
    marks = ["-"] * (len(lines) - 1) + [" "]
    return b"".join(f"{code}{mark}{line}".encode() + end for mark, line in zip(marks, lines, strict=True))


def read_in(pieces: list[bytes]) -> tuple[Reply, bytes] | None:
    reader, found = ReplyReader(), None
    for piece in pieces:
        assert found is None
        found = reader.feed(piece)
    return found


def aiosmtplib_reads(data: bytes) -> Reply:
    """The same reply by another implementation."""

    async def read() -> Reply:
        protocol = SMTPProtocol()
        protocol.connection_made(asyncio.Transport())
        protocol.data_received(data)
        response = await protocol.read_response()
        return Reply(code=response.code, lines=tuple(response.message.split("\n")))

    return asyncio.run(read())


def test_a_reply_is_a_code_and_its_lines() -> None:
    assert read_in([EHLO]) == (Reply(code=250, lines=("mx.example", "SIZE 10240000", "STARTTLS")), b"")


@given(CODES, st.lists(TEXTS, min_size=1, max_size=8), st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(code: int, lines: list[str], data: st.DataObject) -> None:
    reply = written(code, lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=6)))
    pieces = [reply[start:end] for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    # The last piece that holds anything completes it.
    while pieces and not pieces[-1]:
        pieces.pop()
    assert read_in(pieces) == (Reply(code=code, lines=tuple(lines)), b"")


@pytest.mark.parametrize(
    "data",
    [
        b"220 mx.example ESMTP\r\n",
        EHLO,
        b"250-mx.example\n250 STARTTLS\n",
        b"421 \xe9\xff\r\n",
        b"220-a\r\n220-b\r\n220 c\r\n",
    ],
)
def test_aiosmtplib_reads_the_same(data: bytes) -> None:
    assert read_in([data]) == (aiosmtplib_reads(data), b"")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"250\r\n", ("",)),
        (b"250-\r\n250 X\r\n", ("", "X")),
        (b"250-mx\n250 X\n", ("mx", "X")),
        (b"250-mx\r\n250\r\n", ("mx", "")),
        (b"220mx.example\r\n", ("mx.example",)),
    ],
)
def test_empty_texts_bare_lf_and_a_missing_space_are_read(data: bytes, lines: tuple[str, ...]) -> None:
    found = read_in([data])
    assert found is not None
    assert found[0].lines == lines


def test_what_comes_behind_a_reply_is_told_apart() -> None:
    assert read_in([b"220 go on\r\n250 injected\r\n"]) == (Reply(code=220, lines=("go on",)), b"250 injected\r\n")


def test_the_next_reply_begins_with_the_next_bytes() -> None:
    reader = ReplyReader()
    reader.feed(b"220 a\r\n220 b")
    assert reader.feed(b"250 c\r\n") == (Reply(code=250, lines=("c",)), b"")


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n", b"22\r\n", b"2x0 mx\r\n", b"220-mx\r\nmx\r\n", b"+20 mx\r\n"]
)
def test_what_is_no_reply_is_told(data: bytes) -> None:
    with pytest.raises(NotAReply):
        read_in([data])


@pytest.mark.parametrize("line", [b"x" * 1000, b"220-glad to see you\r\n", b"220 " + b"x" * MAX_LINE + b"\r\n"])
def test_a_reply_without_end_is_cut_off(line: bytes) -> None:
    enough = MAX_REPLY // len(line) + 1
    with pytest.raises(NotAReply):
        read_in([line] * enough)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_are_a_reply_or_none(pieces: list[bytes]) -> None:
    reader = ReplyReader()
    with suppress(NotAReply):
        for piece in pieces:
            found = reader.feed(piece)
            if found is not None:
                assert 0 <= found[0].code <= 999
                return
