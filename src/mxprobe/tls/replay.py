"""Recorded ClientHellos, to be sent again: which bytes must be others each time, and all the others as they were.

A hello cannot be sent twice as it is: its random and session id would be those of another session, its key shares are
of keys that we do not have, and what it says of earlier sessions (tickets, pre-shared keys, early data, a cookie) is
over. Extensions stay in their order, and so do the cuts between records.
"""

from __future__ import annotations

import hashlib
from typing import Final

from mxprobe.tls.code_points import CLIENT_HELLO, HANDSHAKE, KEY_SHARE, PADDING, SERVER_NAME, SESSION_TICKET
from mxprobe.tls.extensions import extension, name_to_send
from mxprobe.tls.key_shares import SHARED_GROUPS, public_share
from mxprobe.tls.records import MAX_PLAINTEXT, MAX_STREAM
from mxprobe.tls.sslv2 import CLIENT_HELLO as SSLV2_CLIENT_HELLO
from mxprobe.tls.wire import Reader, WireError, block, join_numbers

PRE_SHARED_KEY: Final = 41
EARLY_DATA: Final = 42
COOKIE: Final = 44
OF_ANOTHER_SESSION: Final = frozenset({PRE_SHARED_KEY, EARLY_DATA, COOKIE})
"""Extensions that cannot be valid twice (RFC 8446 §4.2.2, §4.2.10, §4.2.11), and are left out."""

_RANDOM_LENGTH: Final = 32
_LONGEST_SESSION_ID: Final = 32


def replay(hello: bytes, *, random: bytes, server_name: str | None) -> bytes:
    """A recorded ClientHello (records included, or in SSLv2's form) as it is to be sent now.

    `random`, 32 bytes, takes the place of its random; its session id, of the same length, derives from that, and so do
    the key shares of groups that we have keys for (`key_shares.SHARED_GROUPS`). Other shares, such as those of hybrids
    with ML-KEM, stay: a server that takes one is understood as far as its ServerHello. Where the hello has a server
    name, `server_name` is put in its place, and without one the extension is left out: the recorded name is
    another server's. A session ticket is asked for, and not shown. Padding makes the hello as long as it was.

    Raises:
        WireError: this is no ClientHello, or the name does not fit in.
    """
    if len(random) != _RANDOM_LENGTH:
        raise WireError(f"{_RANDOM_LENGTH} bytes of random expected, {len(random)} given")
    if len(hello) > MAX_STREAM:
        raise WireError(f"a recorded hello of {len(hello)} bytes, {MAX_STREAM} are allowed")
    if hello[:1] and hello[0] & 0x80:
        return _sslv2_form(hello, random)
    records = _records(hello)
    message = Reader(b"".join(fragment for _, fragment in records))
    kind, body = message.number(1), message.block(3)
    message.finish()
    if kind != CLIENT_HELLO:
        raise WireError(f"a ClientHello expected, this is handshake message {kind}")
    written = bytes((CLIENT_HELLO,)) + block(3, _body(body, random, server_name))
    return _cut(written, records)


def _records(hello: bytes) -> list[tuple[bytes, bytes]]:
    """The version (two bytes) and fragment of each record."""
    reader = Reader(hello)
    records: list[tuple[bytes, bytes]] = []
    while reader.left:
        content_type = reader.number(1)
        if content_type != HANDSHAKE:
            raise WireError(f"a ClientHello expected, this is a record of type {content_type}")
        records.append((reader.take(2), reader.block(2)))
    return records


def _cut(message: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    """The message in records of the lengths that were recorded; the last takes what is more."""
    written: list[bytes] = []
    last = len(records) - 1
    for at, (version, fragment) in enumerate(records):
        length = len(message) if at == last else len(fragment)
        piece, message = message[:length], message[length:]
        while piece:
            part, piece = piece[:MAX_PLAINTEXT], piece[MAX_PLAINTEXT:]
            written.append(bytes((HANDSHAKE,)) + version + block(2, part))
    return b"".join(written)


def _body(body: bytes, random: bytes, server_name: str | None) -> bytes:
    reader = Reader(body)
    version = reader.take(2)
    reader.take(_RANDOM_LENGTH)
    session_id = reader.block(1)
    if len(session_id) > _LONGEST_SESSION_ID:
        raise WireError(f"a session id of {len(session_id)} bytes, {_LONGEST_SESSION_ID} are allowed")
    suites, compression = reader.block(2), reader.block(1)
    start = b"".join(
        (version, random, block(1, _session_id(random, len(session_id))), block(2, suites), block(1, compression))
    )
    if not reader.left:
        return start
    found: list[tuple[int, bytes]] = []
    with reader.sub(2) as extensions:
        while extensions.left:
            found.append((extensions.number(2), extensions.block(2)))
    reader.finish()
    parts = [_extension(number, content, random, server_name) for number, content in found]
    # What was taken away or put in is made up for by the padding, which is never empty: some servers mind.
    missing = len(body) - len(start) - 2 - sum(map(len, parts))
    for at, (number, content) in enumerate(found):
        if number == PADDING:
            parts[at] = extension(PADDING, bytes(max(1, len(content) + missing)))
            break
    return start + block(2, *parts)


def _session_id(random: bytes, length: int) -> bytes:
    return hashlib.sha256(b"session id" + random).digest()[:length]


def _extension(number: int, content: bytes, random: bytes, server_name: str | None) -> bytes:
    """An extension as it is to be sent; empty bytes for one that is not."""
    if number in OF_ANOTHER_SESSION:
        return b""
    if number == SERVER_NAME:
        name = None if server_name is None else name_to_send(server_name)
        return b"" if name is None else extension(SERVER_NAME, block(2, b"\0", block(2, name)))
    if number == SESSION_TICKET:
        return extension(SESSION_TICKET)
    if number == KEY_SHARE:
        return extension(KEY_SHARE, _shares(content, random))
    return extension(number, content)


def _shares(content: bytes, random: bytes) -> bytes:
    """The key shares, with ours in the place of those for which we can make a key."""
    entries: list[bytes] = []
    with Reader(content) as reader, reader.sub(2) as shares:
        while shares.left:
            group, share = shares.number(2), shares.block(2)
            if group in SHARED_GROUPS:
                share = public_share(group, random)
            entries.append(join_numbers((group,), 2) + block(2, share))
    return block(2, *entries)


def _sslv2_form(hello: bytes, random: bytes) -> bytes:
    """A CLIENT-HELLO in SSLv2's form (RFC 5246 appendix E.2): only its challenge, and session id if any, are new."""
    reader = Reader(hello)
    header = reader.number(2)
    message = Reader(reader.take(header & 0x7FFF))
    reader.finish()
    start = message.take(3)
    if start[0] != SSLV2_CLIENT_HELLO:
        raise WireError(f"an SSLv2 CLIENT-HELLO expected, this is message {start[0]}")
    kinds, session_id, challenge = (message.number(2) for _ in range(3))
    suites = message.take(kinds)
    message.take(session_id)
    message.take(challenge)
    message.finish()
    if session_id > _LONGEST_SESSION_ID or challenge > _RANDOM_LENGTH:
        raise WireError(f"a session id of {session_id} and a challenge of {challenge} bytes, 32 are allowed of each")
    body = start + join_numbers((kinds, session_id, challenge), 2) + suites
    body += _session_id(random, session_id) + random[:challenge]
    return join_numbers((0x8000 | len(body),), 2) + body
