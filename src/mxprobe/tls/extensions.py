"""The extensions of our ClientHellos: which ones a hello gets, in which order, and their bytes.

Hellos of a sweep differ in suites and random alone, so the rest is made once and kept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from mxprobe.terms import Protocol
from mxprobe.tls.code_points import (
    EC_POINT_FORMATS,
    ENCRYPT_THEN_MAC,
    EXTENDED_MASTER_SECRET,
    HEARTBEAT,
    KEY_SHARE,
    MIXED_GROUPS,
    PADDING,
    PSK_KEY_EXCHANGE_MODES,
    SERVER_NAME,
    SESSION_TICKET,
    SIGNATURE_ALGORITHMS,
    SIGNED_CERTIFICATE_TIMESTAMP,
    STATUS_REQUEST,
    SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS,
    TLS12_GROUPS,
    TLS12_SCHEMES,
    TLS13_GROUPS,
    TLS13_SCHEMES,
    VERSIONS,
)
from mxprobe.tls.key_shares import public_share
from mxprobe.tls.wire import WireError, block, join_numbers, numbers

# Probing one address takes two or three dozen shapes of hello; many addresses run at once.
_KEPT_SHAPES: Final = 512

# RFC 6520 §2: we take heartbeats. What a server answers is its own mode.
_PEER_ALLOWED_TO_SEND: Final = b"\1"


@lru_cache(maxsize=_KEPT_SHAPES)
def constant_extensions(
    versions: tuple[Protocol, ...],
    server_name: str | None,
    groups: tuple[int, ...] | None,
    schemes: tuple[int, ...] | None,
    list_versions: bool,
    status_request: bool,
    further: tuple[tuple[int, bytes], ...] = (),
) -> bytes:
    """All extensions but key_share and padding, which follow them.

    `versions` are the protocols that the hello offers, `list_versions` whether supported_versions names them. None
    for `groups` or `schemes` means the usual ones of these versions; an empty tuple leaves the extension out.
    `further` ones, type and body, follow as they are; one that is there anyway is replaced. The order keeps those
    that are always empty away from the end, where some servers stumble over them.

    A hello of one version up to TLS 1.2 also offers what an answer then tells for nothing: encrypt-then-MAC (RFC 7366),
    tickets (RFC 5077), heartbeat (RFC 6520) and certificate timestamps (RFC 6962). One that lists its versions
    stands for a real client, and offers the first two, as OpenSSL does.

    Raises:
        WireError: the server name is not ASCII, or a number does not fit.
    """
    modern = "TLSv1.3" in versions
    older = any(version != "TLSv1.3" for version in versions)
    if groups is None:
        groups = usual_groups(versions)
    if schemes is None:
        schemes = usual_schemes(versions)

    found: dict[int, bytes] = {}
    if server_name is not None and (name := name_to_send(server_name)):
        found[SERVER_NAME] = block(2, b"\0", block(2, name))
    if older:
        found |= {EXTENDED_MASTER_SECRET: b"", ENCRYPT_THEN_MAC: b"", SESSION_TICKET: b""}
        if not list_versions:
            found |= {SIGNED_CERTIFICATE_TIMESTAMP: b"", HEARTBEAT: _PEER_ALLOWED_TO_SEND}
    if groups:
        if older:
            # Uncompressed and both kinds of compressed points, RFC 8422 §5.1.2.
            found[EC_POINT_FORMATS] = block(1, b"\0\1\2")
        found[SUPPORTED_GROUPS] = numbers(2, 2, groups)
    if status_request:
        # OCSP, no responders and no request extensions named, RFC 6066 §8.
        found[STATUS_REQUEST] = b"\1" + block(2) + block(2)
    if schemes:
        found[SIGNATURE_ALGORITHMS] = numbers(2, 2, schemes)
    if list_versions:
        # No hello of this form can be answered with SSLv2.
        listed = (VERSIONS[version] for version in versions if version != "SSLv2")
        found[SUPPORTED_VERSIONS] = numbers(1, 2, listed)
    if modern:
        # psk_dhe_ke, RFC 8446 §4.2.9: we resume nothing, but servers expect to see it.
        found[PSK_KEY_EXCHANGE_MODES] = block(1, b"\1")
    found |= dict(further)
    return b"".join([extension(number, body) for number, body in found.items()])


def usual_groups(versions: tuple[Protocol, ...]) -> tuple[int, ...]:
    """The groups of a hello for these versions that is given none."""
    if "TLSv1.3" not in versions:
        return TLS12_GROUPS
    return TLS13_GROUPS if versions == ("TLSv1.3",) else MIXED_GROUPS


def usual_schemes(versions: tuple[Protocol, ...]) -> tuple[int, ...]:
    """The signature schemes of a hello for these versions that is given none; older versions have none."""
    if versions == ("TLSv1.3",):
        return TLS13_SCHEMES
    return TLS12_SCHEMES if "TLSv1.3" in versions or "TLSv1.2" in versions else ()


def key_share(groups: Iterable[int], random: bytes) -> bytes:
    """The key_share extension; without groups its list is empty, which asks for a HelloRetryRequest (RFC 8446 §4.2.8).

    Raises:
        WireError: we have no share to show for a group: x25519, x448 and the NIST curves are known.
    """
    entries: list[bytes] = []
    for group in groups:
        entries.append(join_numbers((group,), 2) + block(2, public_share(group, random)))
    return extension(KEY_SHARE, block(2, *entries))


@lru_cache(maxsize=512)
def padding(length: int, least: int = 0) -> bytes:
    """The padding that takes a ClientHello of `length` bytes (with its header) out of 256..511, and to `least`.

    Often it is none. RFC 7685 §4: some F5 load balancers hang on a hello of such a size. The extension never is empty.
    """
    if 256 <= max(length, least) <= 511:
        least = 512
    if length >= least:
        return b""
    return extension(PADDING, bytes(max(1, least - length - 4)))


def extension(number: int, *parts: bytes) -> bytes:
    """One extension: its type, and its body with the length before it."""
    return join_numbers((number,), 2) + block(2, *parts)


def name_to_send(name: str) -> bytes | None:
    """The host name for server_name; None for an IP address, which may not be one (RFC 6066 §3).

    Raises:
        WireError: it is not ASCII.
    """
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
