"""Cipher suites: numbers, names, what they are made of, and the protocol versions in which a standard allows them.

The registry is `suites.tsv` beside this module, which `tools/make_suites.py` makes from what IANA registered, what
OpenSSL calls it, and numbers that servers have spoken outside both. The version rules stand there, each with its RFC.
Numbers are 16 bits, and 24 bits for the cipher kinds of SSLv2. A number that nobody registered is a suite too:
it has no names and is unknown in every other respect.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from mxprobe.terms import PROTOCOLS, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CipherSuite:
    """One cipher suite.

    `key_exchange`, `authentication`, `encryption` and `mac` are the words of `openssl ciphers -v` (``ECDH``, ``RSA``,
    ``AESGCM(128)``, ``AEAD``), or words in that manner where OpenSSL lacks the suite; ``unknown`` for an
    unknown number. `iana` is a name in IANA's registry, nothing else. `versions` are those in which the standard that
    defines the suite allows it, oldest first; empty for drafts, vendors' numbers and signalling values. `aliases` are
    older names, and the names of what is not in the registry. `reference` says what defines it.
    """

    number: int
    iana: str | None
    openssl: str | None
    key_exchange: str
    authentication: str
    encryption: str
    mac: str
    versions: tuple[Protocol, ...]
    reference: str
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it: OpenSSL's name, else IANA's, else another, else the number.

        It is not always unique: OpenSSL gives some SSLv2 kinds the names of later suites (``RC4-MD5``).
        """
        return self.openssl or self.iana or (self.aliases[0] if self.aliases else self.id)

    @property
    def id(self) -> str:
        """The number as text: ``0x00C02F``."""
        return f"0x{self.number:06X}"


def suite(number: int) -> CipherSuite:
    """The suite of a number; an unknown number gives an unknown suite."""
    known = registry().get(number)
    if known is not None:
        return known
    return CipherSuite(
        number=number,
        iana=None,
        openssl=None,
        key_exchange="unknown",
        authentication="unknown",
        encryption="unknown",
        mac="unknown",
        versions=(),
        reference="",
    )


def suite_named(text: str, protocols: tuple[Protocol, ...] = ()) -> CipherSuite | None:
    """The suite of an OpenSSL name, an IANA name, an older name, or a number; None if it is none of these.

    Case does not matter. Numbers are ``0xC02F``, ``0x00C02F``, ``C0,2F`` or ``0xC0,0x2F``, and need not be known.
    Of the suites that share a name, the one of the newest protocol is meant, unless `protocols` is SSLv2 alone.
    """
    text = text.strip()
    if set(protocols) == {"SSLv2"}:
        for kind in map(suite, candidates("SSLv2")):
            if kind.name.lower() == text.lower():
                return kind
    if match := _NUMBER.match(text):
        return suite(int(match[1], 16))
    if _BYTES.match(text):
        return suite(int(text.lower().replace("0x", "").replace(",", ""), 16))
    number = _names().get(text.lower())
    return None if number is None else suite(number)


def fits_hello_of(number: int, protocols: tuple[Protocol, ...]) -> bool:
    """Whether a suite can be written in a hello of these versions: SSLv2 kinds have 24 bits, all others 16."""
    return (number > 0xFFFF) == (set(protocols) == {"SSLv2"})


@cache
def registry() -> Mapping[int, CipherSuite]:
    """The known suites by number, signalling values included, in the order of the file: the most plausible first."""
    known: dict[int, CipherSuite] = {}
    versions: dict[str, tuple[Protocol, ...]] = {"": ()}
    path = os.path.join(os.path.dirname(__file__), "suites.tsv")
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()[2:]
    for line in lines:
        number, iana, openssl, exchange, authentication, encryption, mac, allowing, aliases, reference = line.split(
            "\t"
        )
        if allowing not in versions:
            words = allowing.split(",")
            versions[allowing] = tuple(protocol for protocol in PROTOCOLS if protocol in words)
        known[int(number, 16)] = CipherSuite(
            number=int(number, 16),
            iana=iana or None,
            openssl=openssl or None,
            key_exchange=exchange,
            authentication=authentication,
            encryption=encryption,
            mac=mac,
            versions=versions[allowing],
            reference=reference,
            aliases=tuple(aliases.split()),
        )
    return MappingProxyType(known)


@cache
def candidates(protocol: Protocol) -> tuple[int, ...]:
    """The suites that a full sweep offers in a version, the most plausible first.

    In SSLv2 its cipher kinds; in TLS 1.3 its suites; in between all others, also those that no standard allows
    there, since some servers take them: 1. ordinary suites of OpenSSL (authenticated by a certificate) that
    a standard allows, in the order of OpenSSL; 2. other ordinary suites, allowed ones first; 3. the peculiar families,
    one after another; 4. AEAD suites below TLS 1.2, which hardly anybody can speak.
    """
    suites = registry()
    if protocol == "SSLv2":
        numbers = [number for number in suites if number > 0xFFFF]
        return tuple(sorted(numbers, key=lambda number: (peculiar(number) is not None, not suites[number].versions)))
    if protocol == "TLSv1.3":
        return tuple(number for number, known in suites.items() if "TLSv1.3" in known.versions)
    numbers = [
        number
        for number, known in suites.items()
        if number <= 0xFFFF and number not in SIGNALLING and known.versions != ("TLSv1.3",)
    ]
    return tuple(sorted(numbers, key=lambda number: _implausibility(suites[number], protocol)))


@cache
def openssl_order() -> tuple[int, ...]:
    """The suites that OpenSSL has names for, in its own order (`openssl ciphers ALL:COMPLEMENTOFALL`)."""
    return tuple(number for number, known in registry().items() if known.openssl and number <= 0xFFFF)


def peculiar(number: int) -> str | None:
    """The family of a suite that a server may pick although it cannot finish, or not with a client like us.

    Such a suite needs more than a certificate: a shared key, a password, a ticket, parameters or a kind of key that
    the server lacks. Servers were seen to pick one and then to send an alert, which says nothing about other
    suites. None for suites that a certificate authenticates, for signalling values, and for unknown numbers.
    """
    return _families().get(number)


def allowed(number: int, protocol: Protocol) -> bool:
    """Whether the standard that defines a suite allows it in a version; false for unknown numbers."""
    known = registry().get(number)
    return known is not None and protocol in known.versions


SIGNALLING = frozenset({0x0000, 0x00FF, 0x5600})
"""Values in the place of a suite that nobody can pick: RFC 5246 §A.5 (no protection), RFC 5746 §3.3, RFC 7507 §2."""

FAMILIES = ("export", "anonymous", "static-DH", "PSK", "SRP", "Kerberos", "GOST", "Fortezza", "password", "CECPQ1")
"""What `peculiar` answers, the families that mail servers are likelier to have first."""

_BY_EXCHANGE = {
    "SRP": "SRP",
    "KRB5": "Kerberos",
    "Fortezza": "Fortezza",
    "ECCPWD": "password",
    "CECPQ1": "CECPQ1",
}

_NUMBER = re.compile(r"0x([0-9a-f]{1,6})\Z", re.IGNORECASE)
_BYTES = re.compile(r"(?:0x)?[0-9a-f]{2}(?:,(?:0x)?[0-9a-f]{2}){1,2}\Z", re.IGNORECASE)


def _implausibility(known: CipherSuite, protocol: Protocol) -> tuple[int, int]:
    """The place of a suite in a sweep: smaller is earlier; equals stay in the order of the registry."""
    family = peculiar(known.number)
    if known.mac == "AEAD" and protocol != "TLSv1.2":
        return 4, 0 if family is None else 1
    if family is not None:
        return 3, FAMILIES.index(family)
    if protocol not in known.versions:
        return 2, 1
    return (1, 0) if known.openssl else (2, 0)


@cache
def _families() -> dict[int, str | None]:
    """What `peculiar` answers for the known suites."""
    return {number: _family(known) for number, known in registry().items() if number not in SIGNALLING}


def _family(known: CipherSuite) -> str | None:
    exchange = known.key_exchange
    if exchange in _BY_EXCHANGE:
        return _BY_EXCHANGE[exchange]
    if exchange.startswith("GOST") or "GOST" in known.encryption:
        return "GOST"
    if "PSK" in exchange:
        return "PSK"
    # RSA and DH keys of a bounded length, or a cipher of 40 bits: what the export rules of the USA allowed.
    if exchange.endswith(")") or known.encryption.endswith("(40)"):
        return "export"
    if known.authentication == "None":
        return "anonymous"
    return "static-DH" if "/" in exchange else None


@cache
def _names() -> dict[str, int]:
    """Numbers by lower-case name: OpenSSL's names win over IANA's, these over aliases, and suites over SSLv2 kinds."""
    names: dict[str, int] = {}
    known = sorted(registry().values(), key=lambda each: each.number > 0xFFFF)
    for each in known:
        if each.openssl:
            names.setdefault(each.openssl.lower(), each.number)
    for each in known:
        if each.iana:
            names.setdefault(each.iana.lower(), each.number)
    for each in known:
        for alias in each.aliases:
            names.setdefault(alias.lower(), each.number)
    return names
