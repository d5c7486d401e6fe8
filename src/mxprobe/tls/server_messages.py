"""The messages of a server's first flight that are sent in the clear: ServerHello, Certificate, ServerKeyExchange.

A HelloRetryRequest is a ServerHello with a fixed random (RFC 8446 §4.1.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mxprobe.terms import Protocol
from mxprobe.tls.code_points import KEY_SHARE, PROTOCOL_OF, SSL3, SUPPORTED_VERSIONS, TLS1_2, TLS1_3
from mxprobe.tls.wire import Reader, WireError

HELLO_RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

# Postfix and OpenSSL take chains of 9 or 100; a Certificate with more serves nobody.
MAX_CERTIFICATES: Final = 64

_NAMED_CURVE = 3

# Nobody negotiates a finite field below 256 bits; what looks like one is another structure, read wrongly.
_SMALLEST_PRIME_BITS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """What a ServerHello or HelloRetryRequest says; `group` is that of its key_share."""

    protocol: Protocol
    suite: int
    hello_retry: bool = False
    group: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """The ephemeral key of a ServerKeyExchange: a named group, or a finite field by the size of its prime."""

    group: int | None = None
    dh_bits: int | None = None


def read_server_hello(body: bytes) -> ServerHello:
    """Read the body of a ServerHello.

    Raises:
        WireError: it is malformed, or names a version that has no name.
    """
    reader = Reader(body)
    legacy_version = reader.number(2)
    random = reader.take(32)
    if len(session_id := reader.block(1)) > 32:
        raise WireError(f"a session id of {len(session_id)} bytes, 32 are allowed")
    suite = reader.number(2)
    reader.number(1)
    selected: int | None = None
    share: bytes | None = None
    if reader.left:
        with reader.sub(2) as extensions:
            while extensions.left:
                number, value = extensions.number(2), extensions.block(2)
                if number == SUPPORTED_VERSIONS:
                    with Reader(value) as version:
                        selected = version.number(2)
                elif number == KEY_SHARE:
                    share = value
    reader.finish()

    # Only supported_versions can say TLS 1.3 (RFC 8446 §4.1.3).
    version_number = legacy_version if selected is None else selected
    newest = TLS1_2 if selected is None else TLS1_3
    if not SSL3 <= version_number <= newest:
        raise WireError(f"protocol version 0x{version_number:04x}")
    protocol = PROTOCOL_OF[version_number]
    if protocol != "TLSv1.3":
        return ServerHello(protocol=protocol, suite=suite)
    hello_retry = random == HELLO_RETRY_RANDOM
    group: int | None = None
    if share is not None:
        with Reader(share) as entry:
            group = entry.number(2)
            if not hello_retry:
                entry.block(2)
    return ServerHello(protocol=protocol, suite=suite, hello_retry=hello_retry, group=group)


def read_certificate(body: bytes) -> tuple[bytes, ...]:
    """Read the body of a Certificate of SSLv3 to TLS 1.2: DER, leaf first (RFC 5246 §7.4.2).

    Raises:
        WireError: it is malformed, or has more certificates than any chain.
    """
    chain: list[bytes] = []
    with Reader(body) as reader, reader.sub(3) as entries:
        while entries.left:
            if len(chain) == MAX_CERTIFICATES:
                raise WireError(f"more than {MAX_CERTIFICATES} certificates")
            chain.append(entries.block(3))
    return tuple(chain)


def read_server_key(body: bytes) -> ServerKey:
    """Find the ephemeral key in the body of a ServerKeyExchange by its structure alone.

    The message does not say what it is: its form follows from the suite. So it is read strictly as ECDHE with a named
    curve (RFC 8422 §5.4) and as DHE (RFC 5246 §7.4.3), each with any form of signature, or after a
    PSK identity hint without one (RFC 5489 §2, RFC 4279 §3). Only if exactly one reading fits, it counts. Explicit
    curves, SRP, plain PSK, GOST and export RSA give an empty key.
    """
    readings: list[ServerKey] = []
    for read in (_ecdhe, _dhe):
        for hinted in (False, True):
            try:
                reader = Reader(body)
                if hinted:
                    reader.block(2)
                key = read(reader)
                if hinted:
                    reader.finish()
                else:
                    _signature(reader)
            except WireError:
                continue
            readings.append(key)
    return readings[0] if len(readings) == 1 else ServerKey()


def _ecdhe(reader: Reader) -> ServerKey:
    if reader.number(1) != _NAMED_CURVE:
        raise WireError("not a named curve")
    group = reader.number(2)
    if not reader.block(1):
        raise WireError("no point")
    return ServerKey(group=group)


def _dhe(reader: Reader) -> ServerKey:
    prime, generator, public = (int.from_bytes(reader.block(2), "big") for _ in range(3))
    if prime.bit_length() < _SMALLEST_PRIME_BITS:
        raise WireError("not a prime")
    # This also tells an export RSA key apart: its signature, in the place of `public`, is longer than its modulus.
    if not (0 < generator < prime and 0 < public < prime):
        raise WireError("not in the field")
    return ServerKey(dh_bits=prime.bit_length())


def _signature(reader: Reader) -> None:
    """None (anonymous), a signature, or since TLS 1.2 a scheme and a signature."""
    rest = reader.take(reader.left)
    if not rest:
        return
    if len(rest) >= 2 and int.from_bytes(rest[:2], "big") == len(rest) - 2:
        return
    with Reader(rest) as signed:
        signed.number(2)
        signed.block(2)
