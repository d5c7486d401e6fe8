"""Profiles: what some MTA offers as a client, and what some MTA accepts as a server.

A profile is the other half of every "shares no cipher": it is read from an MTA's configuration, recorded from the
hello of real software, or written down as lists. Numbers are code points (`mxprobe.tls.code_points`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mxprobe.errors import InvalidSetting
from mxprobe.terms import CertificateKind, Protocol

KeyExchange = Literal["DHE", "ECDHE", "RSA"]
"""Key exchanges of TLS 1.2 and older with a certificate, in the words of ciphers(1): ``kDHE``, ``kECDHE``, ``kRSA``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an MTA offers as a client: protocols, and suites in its order, those of TLS 1.3 first.

    `groups`, `signature_schemes` and `key_shares` are those of its hello, in its order: empty where the hello has no
    such extension, None where the profile does not say. `hello` is the recorded ClientHello, records included, where
    there is one. `source` says where all this is from, such as ``main.cf of Postfix 3.7 on OpenSSL 3.0``. It may offer
    more than is listed where not `complete`: then what is not listed is unknown, but for suites of the key exchanges
    that it is certainly `without`. Suites that it `abandons` it offers, and then ends a session before TLS 1.2 that a
    server has begun with them: what signs there is too weak to it.

    Raises:
        InvalidSetting: it offers nothing at all.
    """

    name: str
    protocols: tuple[Protocol, ...]
    suites: tuple[int, ...]
    groups: tuple[int, ...] | None = None
    signature_schemes: tuple[int, ...] | None = None
    key_shares: tuple[int, ...] | None = None
    hello: bytes | None = None
    source: str = ""
    complete: bool = True
    without: tuple[KeyExchange, ...] = ()
    abandons: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.protocols or not self.suites:
            raise InvalidSetting(f"profile {self.name}", "it offers nothing", "one protocol and one suite, or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProfile:
    """What an MTA accepts as a server.

    `suites` are those of each version that it accepts, in its order; a version that is not there is refused. `order`
    says whose order decides. `groups` and `signature_schemes` are what it can use, in its order, None where that is not
    known. `certificate_kinds` are those of its keys. `dh_bits` is the size of its own finite field for DHE.
    """

    name: str
    suites: Mapping[Protocol, tuple[int, ...]]
    order: Literal["server", "client"]
    certificate_kinds: tuple[CertificateKind, ...]
    groups: tuple[int, ...] | None = None
    signature_schemes: tuple[int, ...] | None = None
    dh_bits: int | None = None
    source: str = ""


Tls = Literal["none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"]
"""How much an MTA insists on TLS, in the words of `postconf(5) smtp_tls_security_level`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTls:
    """An MTA that does no TLS at all, though nothing need be wrong with the other side: `reason` says why, such as a
    list of protocols that its version does not know. `where` is a file and line, where there is one.

    `starttls` is what a server makes of it: it does not announce STARTTLS, refuses it, or takes it and fails.
    """

    name: str
    reason: str
    starttls: Literal["not-offered", "refused", "offered-but-broken"] = "not-offered"
    where: str = ""
    warnings: tuple[str, ...] = field(default=())
