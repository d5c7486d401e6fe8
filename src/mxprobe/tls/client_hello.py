"""The ClientHello: written from an offer, SSLv2 to TLS 1.3, and read from the bytes of any client.

Writing is pure: the same offer and random give the same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mxprobe.tls import extensions, sslv2
from mxprobe.tls.code_points import (
    CLIENT_HELLO,
    EMPTY_RENEGOTIATION_INFO_SCSV,
    HANDSHAKE,
    KEY_SHARE,
    SERVER_NAME,
    SIGNATURE_ALGORITHMS,
    SSL2,
    SSL3,
    SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS,
    TLS1_0,
    TLS1_2,
    VERSIONS,
)
from mxprobe.tls.offer import Offer
from mxprobe.tls.records import MAX_PLAINTEXT, MessageReader, RecordReader, write_records
from mxprobe.tls.replay import replay
from mxprobe.tls.wire import Reader, Truncated, WireError, block, join_numbers, numbers

RANDOM_LENGTH = 32

_SSLV3_HANGS = (107, 234)
"""Suites in a hello of SSLv3 that is 256 to 511 bytes long."""

_NO_COMPRESSION = b"\1\0"
_TLS13_ALONE = ("TLSv1.3",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """A ClientHello as it came. All values are code points; unknown ones are kept.

    `record_version` is that of the first record, 0x0002 for the SSLv2 form (whose `legacy_version` may be a
    later protocol, and whose `random` is the challenge). `versions` lists supported_versions. An extension that was
    not sent leaves None in its field; `key_shares` has the groups alone. `extensions` holds every extension,
    type and body, in order.
    """

    record_version: int
    legacy_version: int
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    compression: tuple[int, ...] = (0,)
    versions: tuple[int, ...] | None = None
    server_name: str | None = None
    groups: tuple[int, ...] | None = None
    signature_schemes: tuple[int, ...] | None = None
    key_shares: tuple[int, ...] | None = None
    extensions: tuple[tuple[int, bytes], ...] = ()

    @property
    def extension_types(self) -> tuple[int, ...]:
        """The types of the extensions, in order."""
        return tuple(number for number, _ in self.extensions)


def encode_client_hello(offer: Offer, *, random: bytes) -> bytes:
    """The bytes that make an offer: TLS records, or an SSLv2 record for the protocol SSLv2.

    `random` is 32 bytes; session id, SSLv2 challenge and key shares derive from it. The SCSV of RFC 5746 is appended
    to the suites unless the offer is for TLS 1.3 alone. A recorded hello is sent again as `replay` says.

    Raises:
        WireError: a value of the offer does not fit its field, a key share is asked for that we do not have, or the
            recorded hello is none.
    """
    if len(random) != RANDOM_LENGTH:
        raise WireError(f"{RANDOM_LENGTH} bytes of random expected, {len(random)} given")
    if offer.hello is not None:
        return replay(offer.hello, random=random, server_name=offer.server_name)
    if offer.protocol == "SSLv2":
        return sslv2.encode_client_hello(offer.suites, random[: sslv2.CHALLENGE_LENGTH])

    versions = offer.versions or (offer.protocol,)
    modern = "TLSv1.3" in versions
    suites = offer.suites
    if versions != _TLS13_ALONE and EMPTY_RENEGOTIATION_INFO_SCSV not in suites:
        suites = (*suites, EMPTY_RENEGOTIATION_INFO_SCSV)
    if offer.protocol == "SSLv3" and _SSLV3_HANGS[0] <= len(suites) <= _SSLV3_HANGS[1]:
        # Some load balancers hang on hellos of 256 to 511 bytes (RFC 7685 §1), and here nothing else can be padded.
        suites = suites + (EMPTY_RENEGOTIATION_INFO_SCSV,) * (_SSLV3_HANGS[1] + 1 - len(suites))
    legacy_version = offer.legacy_version
    if legacy_version is None:
        legacy_version = min(VERSIONS[offer.protocol], TLS1_2)
    # A session id makes TLS 1.3 look like a resumption to middleboxes, RFC 8446 §D.4.
    session_id = hashlib.sha256(b"session id" + random).digest() if modern else b""

    body = b"".join(
        (
            join_numbers((legacy_version,), 2),
            random,
            block(1, session_id),
            numbers(2, 2, suites),
            _NO_COMPRESSION if offer.compression == (0,) else numbers(1, 1, offer.compression),
        )
    )
    if offer.protocol != "SSLv3":
        tail = extensions.constant_extensions(
            versions,
            offer.server_name,
            offer.groups,
            offer.signature_schemes,
            modern or bool(offer.versions),
            offer.status_request,
            offer.extensions,
        )
        if modern:
            tail += extensions.key_share(offer.key_shares, random)
        if tail or offer.least_length:
            # 6: the header of the message, and the length of the extensions.
            tail += extensions.padding(len(body) + len(tail) + 6, offer.least_length)
            body += block(2, tail)
    message = join_numbers((CLIENT_HELLO,), 1) + block(3, body)
    version = SSL3 if offer.protocol == "SSLv3" else TLS1_0
    return write_records(HANDSHAKE, version, message, offer.record_length or MAX_PLAINTEXT)


def decode_client_hello(data: bytes) -> ClientHello:
    """Read the ClientHello that `data` consists of: TLS records, or an SSLv2 record.

    Raises:
        Truncated: `data` is the beginning of one; more bytes may complete it.
        WireError: it is something else, or is malformed.
    """
    if not data:
        raise Truncated("a ClientHello expected, there are no bytes")
    if data[0] & 0x80:
        hello = sslv2.decode_client_hello(data)
        return ClientHello(
            record_version=SSL2,
            legacy_version=hello.version,
            random=hello.challenge,
            session_id=hello.session_id,
            suites=hello.suites,
        )
    kind, body = _only_message(data)
    if kind != CLIENT_HELLO:
        raise WireError(f"a ClientHello expected, this is handshake message {kind}")
    try:
        return _read_body(int.from_bytes(data[1:3], "big"), body)
    except Truncated as error:
        # The message is whole, so more bytes would not help.
        raise WireError(f"malformed ClientHello: {error}") from error


def _only_message(data: bytes) -> tuple[int, bytes]:
    """The one handshake message in these records."""
    records = RecordReader()
    records.feed(data)
    messages = MessageReader()
    while (message := messages.next_message()) is None:
        record = records.next_record()
        if record is None:
            raise Truncated(f"a ClientHello ends after {len(data)} bytes")
        content_type, fragment = record
        if content_type != HANDSHAKE:
            raise WireError(f"a ClientHello expected, this is a record of type {content_type}")
        messages.feed(fragment)
    if left := messages.held + records.held:
        raise WireError(f"{left} bytes left over after the ClientHello")
    return message


def _read_body(record_version: int, body: bytes) -> ClientHello:
    reader = Reader(body)
    legacy_version = reader.number(2)
    random = reader.take(RANDOM_LENGTH)
    session_id = reader.block(1)
    if len(session_id) > 32:
        raise WireError(f"a session id of {len(session_id)} bytes, 32 are allowed")
    suites = reader.numbers(2, 2)
    compression = reader.numbers(1, 1)
    found: list[tuple[int, bytes]] = []
    if reader.left:
        with reader.sub(2) as block_of_extensions:
            while block_of_extensions.left:
                found.append((block_of_extensions.number(2), block_of_extensions.block(2)))
    reader.finish()

    # Of an extension sent twice the first counts; both stay in `extensions`.
    bodies = dict(reversed(found))
    return ClientHello(
        record_version=record_version,
        legacy_version=legacy_version,
        random=random,
        session_id=session_id,
        suites=suites,
        compression=compression,
        versions=_numbers(bodies.get(SUPPORTED_VERSIONS), 1),
        server_name=_server_name(bodies.get(SERVER_NAME)),
        groups=_numbers(bodies.get(SUPPORTED_GROUPS), 2),
        signature_schemes=_numbers(bodies.get(SIGNATURE_ALGORITHMS), 2),
        key_shares=_key_shares(bodies.get(KEY_SHARE)),
        extensions=tuple(found),
    )


def _numbers(body: bytes | None, width: int) -> tuple[int, ...] | None:
    """The 16-bit numbers that an extension lists, with a length of `width` bytes before them."""
    if body is None:
        return None
    with Reader(body) as reader:
        return reader.numbers(width, 2)


def _server_name(body: bytes | None) -> str | None:
    """The host name of server_name (RFC 6066 §3); bytes that are not ASCII show as backslash escapes."""
    if body is None:
        return None
    name: str | None = None
    with Reader(body) as reader, reader.sub(2) as names:
        while names.left:
            kind, value = names.number(1), names.block(2)
            if kind == 0 and name is None:
                name = value.decode("ascii", "backslashreplace")
    return name


def _key_shares(body: bytes | None) -> tuple[int, ...] | None:
    """The groups of key_share (RFC 8446 §4.2.8)."""
    if body is None:
        return None
    groups: list[int] = []
    with Reader(body) as reader, reader.sub(2) as shares:
        while shares.left:
            groups.append(shares.number(2))
            shares.block(2)
    return tuple(groups)
