"""Which kind of key signs by a signature scheme, and which a cipher suite is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mxprobe.terms import CertificateKind

KIND_OF_SCHEME: Final[Mapping[int, CertificateKind]] = {
    **dict.fromkeys((0x0101, 0x0201, 0x0301, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806), "RSA"),
    **dict.fromkeys((0x0809, 0x080A, 0x080B), "RSA-PSS"),
    **dict.fromkeys((0x0203, 0x0303, 0x0403, 0x0503, 0x0603, 0x081A, 0x081B, 0x081C), "ECDSA"),
    **dict.fromkeys((0x0807, 0x0808), "EdDSA"),
    **dict.fromkeys((0x0102, 0x0202, 0x0302, 0x0402, 0x0502, 0x0602), "DSA"),
}
"""The kind of key that signs by a scheme; of others it is not known."""

NOT_IN_TLS13: Final = frozenset(
    {0x0101, 0x0201, 0x0301, 0x0401, 0x0501, 0x0601, 0x0203, 0x0303, 0x0102, 0x0202, 0x0302, 0x0402, 0x0502, 0x0602}
)
"""Schemes that sign nothing but certificates there (RFC 8446 §4.2.3)."""

SCHEME_OF_CURVE: Final[Mapping[str, int]] = {
    "secp256r1": 0x0403,
    "secp384r1": 0x0503,
    "secp521r1": 0x0603,
    "brainpoolP256r1": 0x081A,
    "brainpoolP384r1": 0x081B,
    "brainpoolP512r1": 0x081C,
}
"""The one scheme by which a key on this curve signs in TLS 1.3 (RFC 8446 §4.2.3, RFC 8734)."""

KINDS_OF_AUTHENTICATION: Final[Mapping[str, tuple[CertificateKind, ...]]] = {
    "RSA": ("RSA", "RSA-PSS"),
    "ECDSA": ("ECDSA", "EdDSA"),
    "ECDH": ("ECDSA",),
    "DSS": ("DSA",),
}
"""The keys that suites before TLS 1.3 are for, by OpenSSL's word (RFC 8422 §5.2 for EdDSA)."""

_KIND_OF_KEY: Final[Mapping[str, CertificateKind]] = {
    "RSA": "RSA",
    "RSA-PSS": "RSA-PSS",
    "EC": "ECDSA",
    "Ed25519": "EdDSA",
    "Ed448": "EdDSA",
    "DSA": "DSA",
}


def kind_of_key(key: str) -> CertificateKind | None:
    """The kind of a key like ``RSA 2048`` or ``EC secp256r1``; None for one that no suite is for."""
    return _KIND_OF_KEY.get(key.partition(" ")[0])
