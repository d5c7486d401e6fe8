"""The numbers of TLS that the codec writes and reads: versions, record, message and extension types, groups, schemes.

Cipher suites and alerts have registries of their own. Everything here is a plain number that *may* have
a name; nothing is ever refused for lack of one.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from mxprobe.terms import Protocol

SSL2: Final = 0x0002
SSL3: Final = 0x0300
TLS1_0: Final = 0x0301
TLS1_2: Final = 0x0303
TLS1_3: Final = 0x0304

VERSIONS: Final[MappingProxyType[Protocol, int]] = MappingProxyType(
    {"SSLv2": SSL2, "SSLv3": SSL3, "TLSv1": TLS1_0, "TLSv1.1": 0x0302, "TLSv1.2": TLS1_2, "TLSv1.3": TLS1_3}
)
"""The version number that stands for each protocol on the wire."""

PROTOCOL_OF: Final[MappingProxyType[int, Protocol]] = MappingProxyType(
    {number: protocol for protocol, number in VERSIONS.items()}
)
"""The protocol that a version number stands for."""

# Record types, RFC 8446 §5.1.
CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23

# Handshake message types (IANA "TLS HandshakeType").
HELLO_REQUEST: Final = 0
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
ENCRYPTED_EXTENSIONS: Final = 8
CERTIFICATE: Final = 11
SERVER_KEY_EXCHANGE: Final = 12
CERTIFICATE_REQUEST: Final = 13
SERVER_HELLO_DONE: Final = 14
CERTIFICATE_VERIFY: Final = 15
FINISHED: Final = 20
CERTIFICATE_STATUS: Final = 22
SUPPLEMENTAL_DATA: Final = 23

# Extension types (IANA "TLS ExtensionType Values").
SERVER_NAME: Final = 0
STATUS_REQUEST: Final = 5
SUPPORTED_GROUPS: Final = 10
EC_POINT_FORMATS: Final = 11
SIGNATURE_ALGORITHMS: Final = 13
HEARTBEAT: Final = 15
SIGNED_CERTIFICATE_TIMESTAMP: Final = 18
PADDING: Final = 21
ENCRYPT_THEN_MAC: Final = 22
EXTENDED_MASTER_SECRET: Final = 23
SESSION_TICKET: Final = 35
SUPPORTED_VERSIONS: Final = 43
PSK_KEY_EXCHANGE_MODES: Final = 45
SIGNATURE_ALGORITHMS_CERT: Final = 50
KEY_SHARE: Final = 51
RENEGOTIATION_INFO: Final = 0xFF01

EMPTY_RENEGOTIATION_INFO_SCSV: Final = 0x00FF
"""A suite number that says "I know secure renegotiation" (RFC 5746 §3.3); it never is chosen."""

FALLBACK_SCSV: Final = 0x5600
"""A suite number that says "I would have spoken a newer version" (RFC 7507 §2); it never is chosen."""

GROUPS: Final = MappingProxyType(
    {
        1: "sect163k1",
        2: "sect163r1",
        3: "sect163r2",
        4: "sect193r1",
        5: "sect193r2",
        6: "sect233k1",
        7: "sect233r1",
        8: "sect239k1",
        9: "sect283k1",
        10: "sect283r1",
        11: "sect409k1",
        12: "sect409r1",
        13: "sect571k1",
        14: "sect571r1",
        15: "secp160k1",
        16: "secp160r1",
        17: "secp160r2",
        18: "secp192k1",
        19: "secp192r1",
        20: "secp224k1",
        21: "secp224r1",
        22: "secp256k1",
        23: "secp256r1",
        24: "secp384r1",
        25: "secp521r1",
        26: "brainpoolP256r1",
        27: "brainpoolP384r1",
        28: "brainpoolP512r1",
        29: "x25519",
        30: "x448",
        31: "brainpoolP256r1tls13",
        32: "brainpoolP384r1tls13",
        33: "brainpoolP512r1tls13",
        34: "GC256A",
        35: "GC256B",
        36: "GC256C",
        37: "GC256D",
        38: "GC512A",
        39: "GC512B",
        40: "GC512C",
        41: "curveSM2",
        256: "ffdhe2048",
        257: "ffdhe3072",
        258: "ffdhe4096",
        259: "ffdhe6144",
        260: "ffdhe8192",
        512: "MLKEM512",
        513: "MLKEM768",
        514: "MLKEM1024",
        4587: "SecP256r1MLKEM768",
        4588: "X25519MLKEM768",
        4589: "SecP384r1MLKEM1024",
        4590: "curveSM2MLKEM768",
        25497: "X25519Kyber768Draft00",
    }
)
"""Key exchange groups under their names in IANA's "TLS Supported Groups"."""

X25519: Final = 29
SECP256R1: Final = 23
SECP384R1: Final = 24
SECP521R1: Final = 25
X448: Final = 30

# Best first, and the usual order of servers: x25519, the NIST curves, x448, then finite fields by size.
TLS13_GROUPS: Final = (29, 23, 24, 25, 30, 256, 257, 258, 259, 260)
"""Groups for hellos that offer only TLS 1.3: those of RFC 8446 §4.2.7. tlslite-ng refuses such a hello if it lists
others. Hybrids with ML-KEM are left out: their key shares exceed a kilobyte."""

# Finite field groups stay out: once a client lists one, a server may no longer use its own DH parameters
# (RFC 7919 §4), and we want to hear of every DHE suite and of the size it really uses.
TLS12_GROUPS: Final = (29, 23, 24, 25, 30, 22, 26, 27, 28, 21, 20, 19, 18, 17, 16, 15, *range(14, 0, -1))
"""Groups for hellos up to TLS 1.2: every curve that RFC 8422, RFC 7027 and RFC 4492 name."""

MIXED_GROUPS: Final = TLS12_GROUPS[:5] + TLS13_GROUPS[5:] + TLS12_GROUPS[5:]
"""Groups for hellos that offer TLS 1.3 and older versions together, as browsers and OpenSSL do."""

# ECDSA, EdDSA, RSA-PSS, RSA PKCS #1; SHA-2 first, since OpenSSL 1.0.1 takes the first it can use.
_MODERN_SCHEMES = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808),  # ecdsa_secp{256,384,521}r1_sha{256,384,512}, ed25519, ed448
    *(0x081A, 0x081B, 0x081C),  # ecdsa_brainpoolP{256,384,512}r1tls13_sha{256,384,512}, RFC 8734
    *(0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),  # rsa_pss_rsae_*, rsa_pss_pss_*
    *(0x0401, 0x0501, 0x0601),  # rsa_pkcs1_sha{256,384,512}: in TLS 1.3 for certificates only
)

TLS13_SCHEMES: Final = (*_MODERN_SCHEMES, 0x0203, 0x0201)
"""Signature schemes for TLS 1.3 alone; the SHA-1 ones at the end are for old certificates (RFC 8446 §4.2.3)."""

TLS12_SCHEMES: Final = (
    *_MODERN_SCHEMES,
    *(0x0402, 0x0502, 0x0602),  # dsa_sha{256,384,512}
    *(0x0303, 0x0301, 0x0302),  # SHA-224 with ECDSA, RSA, DSA
    *(0x0203, 0x0201, 0x0202),  # SHA-1 with ECDSA, RSA, DSA
    *(0x0840, 0x0841, 0xEEEE, 0xEFEF, 0xEDED),  # GOST 2012 (RFC 9189), GOST 2012 and 2001 as engines spoke it
    *(0x0708, 0x0101),  # SM2 (RFC 8998), RSA with MD5
)
"""Signature schemes for hellos that offer TLS 1.2: every one that servers are known to have used, weak ones last."""

SCHEMES: Final = MappingProxyType(
    {
        0x0101: "rsa_pkcs1_md5",
        0x0102: "dsa_md5",
        0x0201: "rsa_pkcs1_sha1",
        0x0202: "dsa_sha1",
        0x0203: "ecdsa_sha1",
        0x0301: "rsa_pkcs1_sha224",
        0x0302: "dsa_sha224",
        0x0303: "ecdsa_sha224",
        0x0401: "rsa_pkcs1_sha256",
        0x0402: "dsa_sha256",
        0x0403: "ecdsa_secp256r1_sha256",
        0x0501: "rsa_pkcs1_sha384",
        0x0502: "dsa_sha384",
        0x0503: "ecdsa_secp384r1_sha384",
        0x0601: "rsa_pkcs1_sha512",
        0x0602: "dsa_sha512",
        0x0603: "ecdsa_secp521r1_sha512",
        0x0708: "sm2sig_sm3",
        0x0804: "rsa_pss_rsae_sha256",
        0x0805: "rsa_pss_rsae_sha384",
        0x0806: "rsa_pss_rsae_sha512",
        0x0807: "ed25519",
        0x0808: "ed448",
        0x0809: "rsa_pss_pss_sha256",
        0x080A: "rsa_pss_pss_sha384",
        0x080B: "rsa_pss_pss_sha512",
        0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
        0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
        0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
        0x0840: "gostr34102012_256_intrinsic",
        0x0841: "gostr34102012_512_intrinsic",
        0x0904: "mldsa44",
        0x0905: "mldsa65",
        0x0906: "mldsa87",
    }
)
"""Signature schemes under their names in IANA's "TLS SignatureScheme"; pairs of hash and signature of RFC 5246
§7.4.1.4.1 that it does not name are named in its manner. Up to TLS 1.2 an ECDSA scheme names the hash alone."""


def scheme_name(number: int) -> str:
    """What a signature scheme is called, such as ``rsa_pss_rsae_sha256``; ``0x1234`` if it has no name."""
    return SCHEMES.get(number) or f"0x{number:04X}"


def group_name(number: int) -> str:
    """What a key exchange group is called, such as ``x25519``; ``0x1234`` if IANA has not named it."""
    return GROUPS.get(number) or f"0x{number:04X}"
