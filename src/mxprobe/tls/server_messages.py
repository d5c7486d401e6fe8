"""The messages of a server's first flight that are sent in the clear: ServerHello, Certificate, ServerKeyExchange.

A HelloRetryRequest is a ServerHello with a fixed random (RFC 8446 §4.1.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypedDict

from mxprobe.terms import Protocol
from mxprobe.tls.code_points import HEARTBEAT, KEY_SHARE, PROTOCOL_OF, SSL3, SUPPORTED_VERSIONS, TLS1_2, TLS1_3
from mxprobe.tls.offer import Sentinel
from mxprobe.tls.wire import Reader, WireError

HELLO_RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

# Postfix and OpenSSL take chains of 9 or 100; a Certificate with more serves nobody.
MAX_CERTIFICATES: Final = 64

# Some thirty are registered that a ServerHello may have, and it may only answer what was offered.
MAX_EXTENSIONS: Final = 64

_SENTINELS: Final[dict[bytes, Sentinel]] = {b"DOWNGRD\1": "to TLSv1.2", b"DOWNGRD\0": "to TLSv1.1 or older"}

# The extensions of a server hardly vary from hello to hello, and longer ones would be a hostile server's.
_KEPT_EXTENSIONS = 512
_LONGEST_KEPT = 128

# A server sends the same chain on every hello; many are probed at a time.
_KEPT_CHAINS = 128
_LONGEST_KEPT_CHAIN = 8192

_NAMED_CURVE = 3

# Nobody negotiates a finite field below 256 bits; what looks like one is another structure, read wrongly.
_SMALLEST_PRIME_BITS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """What a ServerHello or HelloRetryRequest says; `group` is that of its key_share, `share` the server's key.

    `extensions` are their types, the first `MAX_EXTENSIONS`; `downgrade` and `heartbeat` as in `Chosen`.
    """

    protocol: Protocol
    suite: int
    hello_retry: bool = False
    group: int | None = None
    share: bytes = b""
    compression: int = 0
    extensions: tuple[int, ...] = ()
    heartbeat: int | None = None
    downgrade: Sentinel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """The ephemeral key of a ServerKeyExchange: a named group, or a finite field by the size of its prime.

    `dh_prime` is the SHA-256 of the prime, in hexadecimal, `scheme` the signature scheme that is named since TLS 1.2.
    """

    group: int | None = None
    dh_bits: int | None = None
    dh_prime: str | None = None
    scheme: int | None = None


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
    compression = reader.number(1)
    extensions = _NO_EXTENSIONS
    if reader.left:
        written = reader.block(2)
        extensions = (_read_extensions if len(written) > _LONGEST_KEPT else _known_extensions)(written)
    reader.finish()
    selected, share = extensions.selected, extensions.share

    # Only supported_versions can say TLS 1.3 (RFC 8446 §4.1.3).
    version_number = legacy_version if selected is None else selected
    newest = TLS1_2 if selected is None else TLS1_3
    if not SSL3 <= version_number <= newest:
        raise WireError(f"protocol version 0x{version_number:04x}")
    protocol = PROTOCOL_OF[version_number]
    if protocol != "TLSv1.3":
        return ServerHello(
            protocol=protocol,
            suite=suite,
            compression=compression,
            extensions=extensions.types,
            heartbeat=extensions.heartbeat,
            downgrade=_SENTINELS.get(random[-8:]),
        )
    hello_retry = random == HELLO_RETRY_RANDOM
    group: int | None = None
    key = b""
    if share is not None:
        with Reader(share) as entry:
            group = entry.number(2)
            if not hello_retry:
                key = entry.block(2)
    return ServerHello(
        protocol=protocol, suite=suite, hello_retry=hello_retry, group=group, share=key, extensions=extensions.types
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extensions:
    types: tuple[int, ...] = ()
    selected: int | None = None
    share: bytes | None = None
    heartbeat: int | None = None


_NO_EXTENSIONS = _Extensions()


def _read_extensions(written: bytes) -> _Extensions:
    types: list[int] = []
    selected: int | None = None
    share: bytes | None = None
    heartbeat: int | None = None
    with Reader(written) as extensions:
        while extensions.left:
            number, value = extensions.number(2), extensions.block(2)
            if len(types) < MAX_EXTENSIONS:
                types.append(number)
            if number == SUPPORTED_VERSIONS:
                with Reader(value) as version:
                    selected = version.number(2)
            elif number == KEY_SHARE:
                share = value
            elif number == HEARTBEAT and len(value) == 1:
                heartbeat = value[0]
    return _Extensions(types=tuple(types), selected=selected, share=share, heartbeat=heartbeat)


_known_extensions = lru_cache(maxsize=_KEPT_EXTENSIONS)(_read_extensions)


def read_certificate(body: bytes) -> tuple[bytes, ...]:
    """Read the body of a Certificate of SSLv3 to TLS 1.2: DER, leaf first (RFC 5246 §7.4.2).

    Raises:
        WireError: it is malformed, or has more certificates than any chain.
    """
    return (_known_certificate if len(body) <= _LONGEST_KEPT_CHAIN else _read_certificate)(body)


def _read_certificate(body: bytes) -> tuple[bytes, ...]:
    chain: list[bytes] = []
    with Reader(body) as reader, reader.sub(3) as entries:
        while entries.left:
            if len(chain) == MAX_CERTIFICATES:
                raise WireError(f"more than {MAX_CERTIFICATES} certificates")
            chain.append(entries.block(3))
    return tuple(chain)


_known_certificate = lru_cache(maxsize=_KEPT_CHAINS)(_read_certificate)


def read_server_key(body: bytes) -> ServerKey:
    """Find the ephemeral key in the body of a ServerKeyExchange by its structure alone.

    The message does not say what it is: its form follows from the suite. So it is read strictly as ECDHE with a named
    curve (RFC 8422 §5.4) and as DHE (RFC 5246 §7.4.3), each with any form of signature, or after a
    PSK identity hint without one (RFC 5489 §2, RFC 4279 §3). Only if exactly one reading fits, it counts. Explicit
    curves, SRP, plain PSK, GOST and export RSA give an empty key.
    """
    readings: list[ServerKey] = []
    # DHE and a hint begin with a length. Where that is too great, only one of the four readings is left to try.
    if int.from_bytes(body[:2], "big") + 2 > len(body):
        try:
            return _signed(_ecdhe, Reader(body))
        except WireError:
            return ServerKey()
    for read in (_ecdhe, _dhe):
        for hinted in (False, True):
            try:
                reader = Reader(body)
                if not hinted:
                    readings.append(_signed(read, reader))
                    continue
                reader.block(2)
                key = ServerKey(**read(reader))
                reader.finish()
            except WireError:
                continue
            readings.append(key)
    return readings[0] if len(readings) == 1 else ServerKey()


class _Key(TypedDict, total=False):
    group: int
    dh_bits: int
    dh_prime: str


def _signed(read: Callable[[Reader], _Key], reader: Reader) -> ServerKey:
    key = read(reader)
    return ServerKey(**key, scheme=_scheme(reader))


def _ecdhe(reader: Reader) -> _Key:
    if reader.number(1) != _NAMED_CURVE:
        raise WireError("not a named curve")
    group = reader.number(2)
    if not reader.block(1):
        raise WireError("no point")
    return {"group": group}


def _dhe(reader: Reader) -> _Key:
    prime, generator, public = (int.from_bytes(reader.block(2), "big") for _ in range(3))
    if prime.bit_length() < _SMALLEST_PRIME_BITS:
        raise WireError("not a prime")
    # This also tells an export RSA key apart: its signature, in the place of `public`, is longer than its modulus.
    if not (0 < generator < prime and 0 < public < prime):
        raise WireError("not in the field")
    return {"dh_bits": prime.bit_length(), "dh_prime": _sha256_of(prime)}


@lru_cache(maxsize=64)
def _sha256_of(prime: int) -> str:
    return hashlib.sha256(prime.to_bytes((prime.bit_length() + 7) // 8, "big")).hexdigest()


def _scheme(reader: Reader) -> int | None:
    """The scheme of what is left: nothing (anonymous), a signature, or since TLS 1.2 a scheme and a signature."""
    rest = reader.take(reader.left)
    if not rest:
        return None
    if len(rest) >= 2 and int.from_bytes(rest[:2], "big") == len(rest) - 2:
        return None
    with Reader(rest) as signed:
        scheme = signed.number(2)
        signed.block(2)
    return scheme
