"""What the security level of an OpenSSL leaves of its suites and versions (`SSL_CTX_set_security_level`)."""

from __future__ import annotations

from collections.abc import Iterable

from mxprobe.terms import PROTOCOLS, Protocol
from mxprobe.tls.openssl_catalogue import CatalogueSuite, Generation, catalogue

MINIMUM_BITS = (0, 80, 112, 128, 192, 256)
"""The bits of security that levels 0 to 5 demand, of suites, keys, groups and signatures alike."""

DEFAULT_LEVELS: dict[Generation, int] = {"1.0.2": 0, "1.1.1": 1, "3.0": 1}
"""The level of a list without ``@SECLEVEL``, as OpenSSL itself is built. Debian builds it with 2."""


def at_level(numbers: Iterable[int], level: int, openssl: Generation) -> tuple[int, ...]:
    """The suites that remain at a security level, in their order (`ssl_security_default_callback`).

    OpenSSL 1.0.2 has no levels and keeps all; numbers that the OpenSSL does not have at all fall away. Keys, groups
    and signatures have their own part in a level, which is not told here.
    """
    suites = catalogue(openssl)
    known = (suites[number] for number in numbers if number in suites)
    return tuple(each.number for each in known if openssl == "1.0.2" or _remains(each, level, openssl))


def in_version(numbers: Iterable[int], protocol: Protocol, openssl: Generation) -> tuple[int, ...]:
    """The suites that an OpenSSL takes in a protocol version, in their order: those that are not younger than it."""
    suites = catalogue(openssl)
    return tuple(number for number in numbers if number in suites and _takes(suites[number], protocol))


def version_at_level(protocol: Protocol, level: int, openssl: Generation) -> bool:
    """Whether a security level allows a version as such: SSLv3 below 2, TLS 1.0 below 3, TLS 1.1 below 4."""
    if openssl == "1.0.2":
        return True
    return level < {"SSLv2": 0, "SSLv3": 2, "TLSv1": 3, "TLSv1.1": 4}.get(protocol, len(MINIMUM_BITS))


def usable(
    numbers: Iterable[int], protocol: Protocol, level: int, openssl: Generation, *, server: bool
) -> tuple[int, ...]:
    """The suites with which one side can finish a handshake in a version, at a security level, in their order.

    Below TLS 1.2 the version fixes what signs a handshake: MD5 with SHA-1 for RSA, SHA-1 for others (RFC 4346 §7.4.3).
    OpenSSL 3.0 counts both as less than the 80 bits of level 1, OpenSSL 1.1.1 counts SHA-1 as 80 and both as 144. A
    client is then left with what needs no signature, as static RSA; a server of 3.0 has no use for a certificate at
    all. A client offers these suites all the same.
    """
    if not version_at_level(protocol, level, openssl):
        return ()
    remaining = in_version(at_level(numbers, level, openssl), protocol, openssl)
    if protocol in ("TLSv1.2", "TLSv1.3") or openssl == "1.0.2":
        return remaining
    suites = catalogue(openssl)
    return tuple(number for number in remaining if not _fails_to_sign(suites[number], level, openssl, server))


def _remains(known: CatalogueSuite, level: int, openssl: Generation) -> bool:
    if level <= 0:
        return True
    bits = MINIMUM_BITS[min(level, len(MINIMUM_BITS) - 1)]
    return (
        known.bits >= bits
        and known.authentication != "None"
        and known.mac != "MD5"
        and not (bits > 160 and known.mac == "SHA1")
        and not (level >= 2 and known.encryption.startswith("RC4"))
        and not (level >= 3 and known.key_exchange not in _FORWARD_SECRET[openssl])
    )


def _takes(known: CatalogueSuite, protocol: Protocol) -> bool:
    if "SSLv2" in (known.protocol, protocol) or "TLSv1.3" in (known.protocol, protocol):
        return known.protocol == protocol
    return PROTOCOLS.index(known.protocol) <= PROTOCOLS.index(protocol)


def _fails_to_sign(known: CatalogueSuite, level: int, openssl: Generation, server: bool) -> bool:
    if known.authentication not in ("RSA", "DSS", "ECDSA"):
        return False
    if openssl == "1.1.1":
        signed = known.key_exchange in _SIGNED
        bits = 144 if known.authentication == "RSA" else 80
        return signed and bits < MINIMUM_BITS[min(level, len(MINIMUM_BITS) - 1)]
    return level >= 1 and (server or known.key_exchange in _SIGNED)


_FORWARD_SECRET: dict[Generation, frozenset[str]] = {
    "1.1.1": frozenset({"DH", "ECDH", "any"}),
    "3.0": frozenset({"DH", "ECDH", "DHEPSK", "ECDHEPSK", "any"}),
}
"""What level 3 leaves: 1.1.1 does not count the ephemeral key exchanges that have a PSK besides."""

_SIGNED = frozenset({"DH", "ECDH", "SRP"})
"""Key exchanges whose parameters a server signs, where it has a certificate."""
