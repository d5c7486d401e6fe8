"""The extensions of our ClientHellos: which ones a hello gets, in which order, and their bytes.

Hellos of a sweep differ in suites and random alone, so the rest is made once and kept.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from mxprobe.terms import Protocol
from mxprobe.tls.code_points import (
    EC_POINT_FORMATS,
    EXTENDED_MASTER_SECRET,
    KEY_SHARE,
    MIXED_GROUPS,
    PADDING,
    PSK_KEY_EXCHANGE_MODES,
    SECP256R1,
    SECP384R1,
    SERVER_NAME,
    SIGNATURE_ALGORITHMS,
    STATUS_REQUEST,
    SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS,
    TLS12_GROUPS,
    TLS12_SCHEMES,
    TLS13_GROUPS,
    TLS13_SCHEMES,
    VERSIONS,
    X25519,
)
from mxprobe.tls.wire import WireError, block, join_numbers, numbers

# Probing one address takes two or three dozen shapes of hello; many addresses run at once.
_KEPT_SHAPES: Final = 512

# Any point of the curve will do: nobody ever uses the secret. These are the base points (SEC 2 §2.4.2, §2.5.1).
_BASE_POINTS: Final = {
    SECP256R1: bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    ),
    SECP384R1: bytes.fromhex(
        "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
        "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"
    ),
}


@lru_cache(maxsize=_KEPT_SHAPES)
def constant_extensions(
    versions: tuple[Protocol, ...],
    server_name: str | None,
    groups: tuple[int, ...] | None,
    schemes: tuple[int, ...] | None,
    list_versions: bool,
    status_request: bool,
) -> bytes:
    """All extensions but key_share and padding, which follow them.

    `versions` are the protocols that the hello offers, `list_versions` whether supported_versions names them. None
    for `groups` or `schemes` means the usual ones of these versions; an empty tuple leaves the extension out. The
    order keeps the one extension that is always empty, extended_master_secret, away from the end, where some servers
    stumble over it.

    Raises:
        WireError: the server name is not ASCII, or a number does not fit.
    """
    modern = "TLSv1.3" in versions
    older = any(version != "TLSv1.3" for version in versions)
    if groups is None:
        groups = (MIXED_GROUPS if older else TLS13_GROUPS) if modern else TLS12_GROUPS
    if schemes is None and (modern or "TLSv1.2" in versions):
        schemes = TLS12_SCHEMES if older else TLS13_SCHEMES

    parts: list[bytes] = []
    if server_name is not None and (name := _sni_name(server_name)):
        parts.append(extension(SERVER_NAME, block(2, b"\0", block(2, name))))
    if older:
        parts.append(extension(EXTENDED_MASTER_SECRET))
    if groups:
        if older:
            # Uncompressed and both kinds of compressed points, RFC 8422 §5.1.2.
            parts.append(extension(EC_POINT_FORMATS, block(1, b"\0\1\2")))
        parts.append(extension(SUPPORTED_GROUPS, numbers(2, 2, groups)))
    if status_request:
        # OCSP, no responders and no request extensions named, RFC 6066 §8.
        parts.append(extension(STATUS_REQUEST, b"\1", block(2), block(2)))
    if schemes:
        parts.append(extension(SIGNATURE_ALGORITHMS, numbers(2, 2, schemes)))
    if list_versions:
        # No hello of this form can be answered with SSLv2.
        listed = (VERSIONS[version] for version in versions if version != "SSLv2")
        parts.append(extension(SUPPORTED_VERSIONS, numbers(1, 2, listed)))
    if modern:
        # psk_dhe_ke, RFC 8446 §4.2.9: we resume nothing, but servers expect to see it.
        parts.append(extension(PSK_KEY_EXCHANGE_MODES, block(1, b"\1")))
    return b"".join(parts)


def key_share(groups: Iterable[int], random: bytes) -> bytes:
    """The key_share extension; without groups its list is empty, which asks for a HelloRetryRequest (RFC 8446 §4.2.8).

    Raises:
        WireError: we have no share to show for a group: only x25519, secp256r1 and secp384r1 are known.
    """
    entries: list[bytes] = []
    for group in groups:
        if group == X25519:
            # Every string of 32 bytes is a public key, RFC 7748 §5.
            share = hashlib.sha256(b"x25519" + random).digest()
        elif group in _BASE_POINTS:
            share = _BASE_POINTS[group]
        else:
            raise WireError(f"no key share for group {group}: x25519, secp256r1 and secp384r1 are known")
        entries.append(join_numbers((group,), 2) + block(2, share))
    return extension(KEY_SHARE, block(2, *entries))


@lru_cache(maxsize=512)
def padding(length: int) -> bytes:
    """The padding that takes a ClientHello of `length` bytes (with its header) out of 256..511; often none.

    RFC 7685 §4: some F5 load balancers hang on a hello of such a size. The extension never is empty.
    """
    if not 256 <= length <= 511:
        return b""
    return extension(PADDING, bytes(max(1, 512 - length - 4)))


def extension(number: int, *parts: bytes) -> bytes:
    """One extension: its type, and its body with the length before it."""
    return join_numbers((number,), 2) + block(2, *parts)


def _sni_name(name: str) -> bytes | None:
    """The host name for server_name; None for an IP address, which may not be one (RFC 6066 §3)."""
    name = name.removesuffix(".")
    if not name or ":" in name:
        return None
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return None
    if not name.isascii():
        raise WireError(f"the server name {name!a} is not an A-label")
    return name.encode("ascii")
