"""What OpenSSL makes of an MTA's settings: the hello that it sends as a client, the suites that it accepts as a server.

Versions, the order of suites, and what is left out at a security level, in a version, or for want of a key
(`ssl_get_min_max_version()`, `ssl_cipher_disabled()`, `ssl_security_default_callback()`, `tls12_sigalgs` and
`supported_groups_default` of each generation). There is no PSK, SRP or GOST: no MTA sets them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mxprobe.mta.profile import Profile
from mxprobe.terms import PROTOCOLS, CertificateKind, Protocol
from mxprobe.tls.openssl_catalogue import CatalogueSuite, Generation, catalogue
from mxprobe.tls.security_level import DEFAULT_LEVELS, MINIMUM_BITS, at_level, usable, version_at_level

PROTOCOLS_OF: Final[MappingProxyType[Generation, tuple[Protocol, ...]]] = MappingProxyType(
    {"1.0.2": PROTOCOLS[:5], "1.1.1": PROTOCOLS[2:], "3.0": PROTOCOLS[2:]}
)
"""The versions that a generation has as it is built without options."""

DEFAULT_LEVEL: Final = MappingProxyType(DEFAULT_LEVELS)
"""The security level where nobody sets one."""

DEFAULT_GROUPS: Final[MappingProxyType[Generation, tuple[int, ...]]] = MappingProxyType(
    {
        "1.0.2": (23, 25, 28, 27, 24, 26, 22, 14, 13, 11, 12, 9, 10),
        "1.1.1": (29, 23, 30, 25, 24),
        "3.0": (29, 23, 30, 25, 24, 256, 257, 258, 259, 260),
    }
)
"""`eccurves_auto`, `eccurves_default`, `supported_groups_default`."""

_NEW_SCHEMES: Final = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080A, 0x080B, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601),
    *(0x0303, 0x0203, 0x0301, 0x0201, 0x0302, 0x0202, 0x0402, 0x0502, 0x0602),
)
DEFAULT_SCHEMES: Final[MappingProxyType[Generation, tuple[int, ...]]] = MappingProxyType(
    {
        "1.0.2": tuple(hash << 8 | key for hash in (6, 5, 4, 3, 2) for key in (1, 2, 3)),
        "1.1.1": _NEW_SCHEMES,
        "3.0": _NEW_SCHEMES,
    }
)
"""`tls12_sigalgs`."""

_SCHEME_BITS: Final = MappingProxyType({2: 80, 3: 112, 4: 128, 5: 192, 6: 256})
"""The security bits of a hash by its number in a signature scheme; SHA-1 has fewer in 3.0."""

_PSS_BITS: Final = MappingProxyType(
    {0x0804: 128, 0x0805: 192, 0x0806: 256, 0x0809: 128, 0x080A: 192, 0x080B: 256, 0x0807: 128, 0x0808: 224}
)

_GROUP_BITS: Final = MappingProxyType(
    {
        **dict.fromkeys((1, 2, 3, 4, 5, 15, 16, 17, 18, 19), 80),
        **dict.fromkeys((6, 7, 8, 20, 21, 256), 112),
        **dict.fromkeys((11, 12, 24, 27, 259, 260), 192),
        **dict.fromkeys((13, 14, 25, 28), 256),
        30: 224,
    }
)
"""Security bits of groups; 128 for all others."""

_CURVES = (
    *("sect163k1", "sect163r1", "sect163r2", "sect193r1", "sect193r2", "sect233k1", "sect233r1", "sect239k1"),
    *("sect283k1", "sect283r1", "sect409k1", "sect409r1", "sect571k1", "sect571r1", "secp160k1", "secp160r1"),
    *("secp160r2", "secp192k1", "prime192v1", "secp224k1", "secp224r1", "secp256k1", "prime256v1", "secp384r1"),
    *("secp521r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"),
)
_FFDHE: Final = {"ffdhe2048": 256, "ffdhe3072": 257, "ffdhe4096": 258, "ffdhe6144": 259, "ffdhe8192": 260}
_NIST: Final = {
    "B-163": 3,
    "B-233": 7,
    "B-283": 10,
    "B-409": 12,
    "B-571": 14,
    "K-163": 1,
    "K-233": 6,
    "K-283": 9,
    "K-409": 11,
    "K-571": 13,
    "P-192": 19,
    "P-224": 21,
    "P-256": 23,
    "P-384": 24,
    "P-521": 25,
}
_BEFORE_TLS13_ALONE: Final = frozenset(range(1, 29)) - {23, 24, 25}
"""Curves that OpenSSL 3.0 leaves out of TLS 1.3 (`providers/common/capabilities.c`)."""


def group_named(name: str, openssl: Generation) -> int | None:
    """The group that a generation has under a name, such as ``P-256``, ``prime256v1``, ``X25519``; case matters."""
    if name in _NIST:
        return _NIST[name]
    if name in _CURVES:
        return _CURVES.index(name) + 1
    if openssl != "1.0.2" and name in ("X25519", "X448"):
        return 29 if name == "X25519" else 30
    return _FFDHE.get(name) if openssl == "3.0" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is set on an OpenSSL connection.

    `protocols` are those that no option and no bound switches off. `suites` are those of the cipher list (TLS 1.2 and
    older), `ciphersuites` those of TLS 1.3, both in order. `groups` is None where OpenSSL's own are used.
    """

    openssl: Generation
    protocols: tuple[Protocol, ...]
    suites: tuple[int, ...]
    ciphersuites: tuple[int, ...]
    level: int
    groups: tuple[int, ...] | None = None

    @property
    def enabled(self) -> tuple[Protocol, ...]:
        """The versions that can be spoken, oldest first: the level takes some away."""
        return tuple(
            protocol
            for protocol in PROTOCOLS_OF[self.openssl]
            if protocol in self.protocols and version_at_level(protocol, self.level, self.openssl)
        )

    @property
    def offered(self) -> tuple[Protocol, ...]:
        """The versions of a hello: a hole ends the range, and what is above the lowest hole is not offered
        (`SSL_CTX_set_options(3)`, `ssl_get_min_max_version()`)."""
        enabled = self.enabled
        first = min((PROTOCOLS.index(protocol) for protocol in enabled), default=0)
        return tuple(protocol for number, protocol in enumerate(enabled, first) if PROTOCOLS.index(protocol) == number)

    def groups_for(self, versions: tuple[Protocol, ...]) -> tuple[int, ...]:
        """The groups that are good for one of these versions."""
        groups = DEFAULT_GROUPS[self.openssl] if self.groups is None else self.groups
        least = MINIMUM_BITS[min(self.level, 5)]
        groups = tuple(group for group in groups if _GROUP_BITS.get(group, 128) >= least)
        if self.openssl != "3.0":
            return groups
        return tuple(
            group
            for group in groups
            if (
                versions[-1] == "TLSv1.3"
                if group >= 256
                else versions[0] != "TLSv1.3" or group not in _BEFORE_TLS13_ALONE
            )
        )

    def schemes(self) -> tuple[int, ...]:
        """The signature schemes of the generation that the level leaves."""
        least = MINIMUM_BITS[min(self.level, 5)]
        return tuple(scheme for scheme in DEFAULT_SCHEMES[self.openssl] if self._scheme_bits(scheme) >= least)

    def _scheme_bits(self, scheme: int) -> int:
        if scheme in _PSS_BITS:
            return _PSS_BITS[scheme]
        hash = scheme >> 8
        return 64 if hash == 2 and self.openssl == "3.0" else _SCHEME_BITS[hash]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a ClientHello of OpenSSL offers; a tuple is empty where the hello has no such extension.

    What it `abandons` is offered, and of no use before TLS 1.2.
    """

    protocols: tuple[Protocol, ...]
    suites: tuple[int, ...]
    groups: tuple[int, ...]
    signature_schemes: tuple[int, ...]
    key_shares: tuple[int, ...]
    abandons: tuple[int, ...] = ()

    def profile(self, *, name: str, source: str) -> Profile:
        """The profile of who sends it."""
        return Profile(
            name=name,
            protocols=self.protocols,
            suites=self.suites,
            groups=self.groups,
            signature_schemes=self.signature_schemes,
            key_shares=self.key_shares,
            source=source,
            abandons=self.abandons,
        )


def client_hello(settings: Settings) -> Hello | None:
    """The hello that OpenSSL sends; None where it can send none, for want of a version, of suites, or in TLS 1.3 of a
    group."""
    versions = settings.offered
    if not versions:
        return None
    newest, oldest = versions[-1], versions[0]
    known = catalogue(settings.openssl)
    old = [
        suite
        for number in at_level(settings.suites, settings.level, settings.openssl)
        if _callable(suite := known[number])
        and oldest != "TLSv1.3"
        and (suite.protocol != "SSLv2" or oldest == "SSLv2")
        and PROTOCOLS.index(suite.protocol) <= PROTOCOLS.index(newest)
    ]
    new = at_level(settings.ciphersuites, settings.level, settings.openssl) if newest == "TLSv1.3" else ()
    suites = (*new, *(suite.number for suite in old))
    if not suites:
        return None

    curves = newest not in ("SSLv2", "SSLv3") and (
        bool(new) or any("ECDH" in suite.key_exchange or suite.authentication == "ECDSA" for suite in old)
    )
    groups = settings.groups_for(versions) if curves else ()
    schemes = settings.schemes() if newest in ("TLSv1.2", "TLSv1.3") else ()
    if oldest == "TLSv1.3":
        # tls12_sigalg_allowed(): what TLS 1.3 cannot use is left out once nothing older is offered.
        schemes = tuple(scheme for scheme in schemes if scheme >> 8 > 3 and (scheme >> 8 == 8 or scheme & 0xFF != 2))
    shares = _tls13_groups(groups, settings.openssl)[:1] if new else ()
    if new and not shares:
        return None
    before_tls12 = PROTOCOLS.index(oldest) < PROTOCOLS.index("TLSv1.2")
    finished = usable(settings.suites, "TLSv1", settings.level, settings.openssl, server=False)
    return Hello(
        protocols=versions,
        suites=suites,
        groups=groups,
        signature_schemes=schemes,
        key_shares=shares,
        abandons=tuple(
            suite.number
            for suite in old
            if before_tls12 and suite.protocol in ("SSLv3", "TLSv1") and suite.number not in finished
        ),
    )


def accepted_suites(
    settings: Settings, kinds: Iterable[CertificateKind], *, ecdhe: bool = True, dhe: bool = True
) -> Mapping[Protocol, tuple[int, ...]]:
    """The suites that a server with keys of these kinds accepts in each version, in its order.

    `ecdhe` and `dhe` say whether it has what these key exchanges need.
    """
    kinds = frozenset(kinds)
    accepted: dict[Protocol, tuple[int, ...]] = {}
    known = catalogue(settings.openssl)
    for protocol in settings.enabled:
        groups = settings.groups_for((protocol,))
        if protocol == "TLSv1.3":
            # is_tls13_capable(): without a key that TLS 1.3 can sign with, it is not spoken.
            capable = bool(kinds - {"DSA"} and groups)
            found = at_level(settings.ciphersuites, settings.level, settings.openssl) if capable else ()
        else:
            curves = ecdhe and bool(groups)
            found = tuple(
                number
                for number in usable(settings.suites, protocol, settings.level, settings.openssl, server=True)
                if _served(known[number], protocol, kinds, curves, dhe)
            )
        if found:
            accepted[protocol] = found
    return MappingProxyType(accepted)


def usable_schemes(schemes: tuple[int, ...], kinds: Iterable[CertificateKind]) -> tuple[int, ...]:
    """The schemes that keys of these kinds can sign with (RFC 8446 §4.2.3)."""
    kinds = frozenset(kinds)
    return tuple(scheme for scheme in schemes if _key_of(scheme) in kinds)


_PSS_KEYS: Final[MappingProxyType[int, CertificateKind]] = MappingProxyType(
    {
        **dict.fromkeys((0x0804, 0x0805, 0x0806), "RSA"),
        **dict.fromkeys((0x0809, 0x080A, 0x080B), "RSA-PSS"),
        **dict.fromkeys((0x0807, 0x0808), "EdDSA"),
    }
)
_HASHED_KEYS: Final[MappingProxyType[int, CertificateKind]] = MappingProxyType({1: "RSA", 2: "DSA", 3: "ECDSA"})


def _key_of(scheme: int) -> CertificateKind:
    return _PSS_KEYS[scheme] if scheme in _PSS_KEYS else _HASHED_KEYS[scheme & 0xFF]


def _callable(suite: CatalogueSuite) -> bool:
    """Whether a client offers a suite that nothing was set up for: PSK, SRP, Kerberos and GOST need something."""
    return not any(word in suite.key_exchange + suite.authentication for word in ("PSK", "SRP", "KRB5", "GOST"))


def _served(
    suite: CatalogueSuite, protocol: Protocol, kinds: frozenset[CertificateKind], ecdhe: bool, dhe: bool
) -> bool:
    exchange = suite.key_exchange.partition("(")[0]
    if exchange == "RSA":
        return suite.authentication == "RSA" and "RSA" in kinds
    if not (dhe if exchange == "DH" else ecdhe if exchange == "ECDH" else False):
        return False
    match suite.authentication:
        case "None":
            return True
        case "RSA":
            return "RSA" in kinds or ("RSA-PSS" in kinds and protocol == "TLSv1.2")
        case "DSS":
            return "DSA" in kinds
        case "ECDSA":
            return "ECDSA" in kinds or ("EdDSA" in kinds and protocol == "TLSv1.2")
        case _:
            return False


def _tls13_groups(groups: tuple[int, ...], openssl: Generation) -> tuple[int, ...]:
    return tuple(group for group in groups if group not in _BEFORE_TLS13_ALONE) if openssl == "3.0" else groups
