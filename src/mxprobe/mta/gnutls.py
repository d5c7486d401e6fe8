"""GnuTLS: what a priority string comes to, read from what `gnutls-cli --list --priority STRING` prints of it.

What a string means depends on the version of GnuTLS, on how it was built, and on the machine's own configuration
(GnuTLS manual, "Priority Strings" and "System-wide configuration"): so the library itself is asked, and nothing is
guessed here. What follows from the answer for a hello, or for a server, is for this module to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.profile import NoTls, Profile, ServerProfile
from mxprobe.terms import PROTOCOLS, CertificateKind, Protocol

MAX_PRIORITY: Final = 10_000
"""Characters of a priority string: the longest that can be meant names everything there is, in 2,000."""

MAX_LISTING: Final = 200_000
"""Characters of a listing that are read: one of all suites of GnuTLS has 15,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSuite:
    """A suite of a listing: its code point, GnuTLS's name without ``TLS_``, and the oldest version that has it."""

    number: int
    name: str
    since: Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What `gnutls-cli --list` says of a priority string, in the order of the string.

    `protocols` are oldest first, DTLS left out. `groups` and `signature_schemes` are None where the listing names one
    whose number we do not know. `server_precedence` and `extensions` are what the string says by %SERVER_PRECEDENCE
    and %NO_EXTENSIONS, which no listing shows.
    """

    priority: str
    suites: tuple[ListedSuite, ...]
    protocols: tuple[Protocol, ...]
    groups: tuple[int, ...] | None
    signature_schemes: tuple[int, ...] | None
    server_precedence: bool
    extensions: bool


def read_listing(text: str, priority: str, where: str = "gnutls") -> Listing:
    """Read what `gnutls-cli --list --priority` printed.

    Raises:
        InvalidSetting: it is no such listing: the string was refused, or this GnuTLS prints something else.
    """
    suites: dict[int, ListedSuite] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for line in text[:MAX_LISTING].splitlines():
        if match := _SUITE.match(line):
            since = _PROTOCOL.get(f"VERS-{match[4]}")
            if since is not None:
                number = int(match[2] + match[3], 16)
                suites.setdefault(number, ListedSuite(number=number, name=match[1], since=since))
        elif match := _LIST.match(line):
            lists[match[1]] = tuple(word.strip() for word in match[2].split(",") if word.strip() not in ("", "none"))
    missing = [name for name in ("Protocols", "Groups", "PK-signatures") if name not in lists]
    if missing:
        said = next((line.strip() for line in text.splitlines() if line.startswith(("Syntax error", "Error"))), "")
        problem = said[:200] or f"gnutls-cli lists no {missing[0]}"
        raise InvalidSetting(where, f"the priority string {_brief(priority)} cannot be resolved: {problem}")
    spoken = {_PROTOCOL.get(word) for word in lists["Protocols"]}
    words = priority.split(":")
    return Listing(
        priority=priority,
        suites=tuple(suites.values()),
        protocols=tuple(protocol for protocol in PROTOCOLS if protocol in spoken),
        groups=_numbers(lists["Groups"], _GROUPS),
        signature_schemes=_numbers(lists["PK-signatures"], _SCHEMES),
        server_precedence="%SERVER_PRECEDENCE" in words,
        extensions="%NO_EXTENSIONS" not in words,
    )


def client_profile(listing: Listing, *, name: str, source: str = "", anonymous: bool = False) -> Profile:
    """What a client offers with this priority string and certificates: what Exim's hello holds.

    Suites that need a shared key or a password are left out, as GnuTLS does when the program has none; anonymous ones
    are offered by a client that has `anonymous` credentials, as `gnutls-cli` has, and Exim has not.

    Raises:
        InvalidSetting: nothing is left to offer.
    """
    newest = listing.protocols[-1] if listing.protocols else None
    suites = tuple(
        suite.number
        for suite in listing.suites
        if not _SHARED_SECRET.search(suite.name)
        and (anonymous or "_ANON_" not in suite.name)
        # The listing has suites of DTLS 1.2, too.
        and (newest is None or PROTOCOLS.index(suite.since) <= PROTOCOLS.index(newest))
    )
    groups = _groups_of_hello(listing, newest)
    shares: tuple[int, ...] | None = ()
    if newest == "TLSv1.3" and listing.extensions:
        shares = None if groups is None else _key_shares(groups)
    return Profile(
        name=name,
        protocols=listing.protocols,
        suites=suites,
        groups=groups,
        signature_schemes=listing.signature_schemes if listing.extensions and newest in ("TLSv1.2", "TLSv1.3") else (),
        key_shares=shares,
        source=source,
    )


def server_profile(
    listing: Listing,
    *,
    certificate_kinds: tuple[CertificateKind, ...],
    name: str,
    source: str = "",
    anonymous: bool = False,
) -> ServerProfile | NoTls:
    """What a server accepts with this priority string and certificates of these kinds.

    A suite needs a certificate of its kind, a signature scheme for it, and a group; one with a shared key or a password
    is never accepted, an anonymous one only with `anonymous` credentials, as `gnutls-serv` has and Exim has not. The
    order is the client's unless the string says %SERVER_PRECEDENCE (GnuTLS manual, "Priority Strings").
    """
    accepted: dict[Protocol, tuple[int, ...]] = {}
    for protocol in listing.protocols:
        served = tuple(
            suite.number
            for suite in listing.suites
            if (suite.since == "TLSv1.3") == (protocol == "TLSv1.3")
            and PROTOCOLS.index(suite.since) <= PROTOCOLS.index(protocol)
            and _served(suite, protocol, listing, certificate_kinds, anonymous=anonymous)
        )
        if served:
            accepted[protocol] = served
    if not accepted:
        kinds = ", ".join(certificate_kinds) or "no kind"
        reason = f"the priority string {_brief(listing.priority)} leaves no suite for certificates of {kinds}"
        return NoTls(name=name, reason=reason)
    return ServerProfile(
        name=name,
        suites=accepted,
        order="server" if listing.server_precedence else "client",
        certificate_kinds=certificate_kinds,
        groups=listing.groups,
        signature_schemes=listing.signature_schemes,
        source=source,
    )


_SUITE = re.compile(r"TLS_(\w+)\s+0x([0-9a-fA-F]{2}), 0x([0-9a-fA-F]{2})\s+(\S+)")
_LIST = re.compile(r"([A-Za-z][A-Za-z -]+): (.*)\Z")
_SHARED_SECRET = re.compile(r"(\A|_)(PSK|SRP)_")

_PROTOCOL: dict[str, Protocol] = {
    "VERS-SSL3.0": "SSLv3",
    "VERS-TLS1.0": "TLSv1",
    "VERS-TLS1.1": "TLSv1.1",
    "VERS-TLS1.2": "TLSv1.2",
    "VERS-TLS1.3": "TLSv1.3",
}

# GnuTLS's names for what IANA numbers (lib/algorithms/groups.c and sign.c of its sources).
_GROUPS = MappingProxyType(
    {
        "GROUP-SECP192R1": 19,
        "GROUP-SECP224R1": 21,
        "GROUP-SECP256R1": 23,
        "GROUP-SECP384R1": 24,
        "GROUP-SECP521R1": 25,
        "GROUP-X25519": 29,
        "GROUP-X448": 30,
        "GROUP-GC256B": 35,
        "GROUP-GC512A": 38,
        "GROUP-FFDHE2048": 256,
        "GROUP-FFDHE3072": 257,
        "GROUP-FFDHE4096": 258,
        "GROUP-FFDHE6144": 259,
        "GROUP-FFDHE8192": 260,
        "GROUP-SECP256R1-MLKEM768": 4587,
        "GROUP-X25519-MLKEM768": 4588,
        "GROUP-SECP384R1-MLKEM1024": 4589,
        "GROUP-X25519-KYBER768": 25497,
    }
)
_FINITE_FIELDS = range(256, 512)

_SCHEMES = MappingProxyType(
    {
        "SIGN-RSA-SHA1": 0x0201,
        "SIGN-DSA-SHA1": 0x0202,
        "SIGN-ECDSA-SHA1": 0x0203,
        "SIGN-RSA-SHA256": 0x0401,
        "SIGN-RSA-SHA384": 0x0501,
        "SIGN-RSA-SHA512": 0x0601,
        "SIGN-ECDSA-SHA256": 0x0403,
        "SIGN-ECDSA-SHA384": 0x0503,
        "SIGN-ECDSA-SHA512": 0x0603,
        "SIGN-ECDSA-SECP256R1-SHA256": 0x0403,
        "SIGN-ECDSA-SECP384R1-SHA384": 0x0503,
        "SIGN-ECDSA-SECP521R1-SHA512": 0x0603,
        "SIGN-RSA-PSS-RSAE-SHA256": 0x0804,
        "SIGN-RSA-PSS-RSAE-SHA384": 0x0805,
        "SIGN-RSA-PSS-RSAE-SHA512": 0x0806,
        "SIGN-EdDSA-Ed25519": 0x0807,
        "SIGN-EdDSA-Ed448": 0x0808,
        "SIGN-RSA-PSS-SHA256": 0x0809,
        "SIGN-RSA-PSS-SHA384": 0x080A,
        "SIGN-RSA-PSS-SHA512": 0x080B,
        "SIGN-GOSTR341012-256": 0x0840,
        "SIGN-GOSTR341012-512": 0x0841,
        "SIGN-GOSTR341001": 0xEDED,
        "SIGN-ML-DSA-44": 0x0904,
        "SIGN-ML-DSA-65": 0x0905,
        "SIGN-ML-DSA-87": 0x0906,
    }
)
# What listings name too, and GnuTLS has no number for in TLS, or none since 3.6: it is in no hello and never agreed on.
_WITHOUT_NUMBER = re.compile(
    r"SIGN-(RSA-(RAW|RMD160|MD2|MD5|SHA224)|ECDSA-SHA224|DSA-SHA(224|256|384|512)|.*-SHA3-\d+)\Z|GROUP-GC(256[ACD]|512[BC])\Z"
)

_SCHEMES_OF: dict[CertificateKind, frozenset[int]] = {
    "RSA": frozenset({0x0201, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806}),
    "RSA-PSS": frozenset({0x0809, 0x080A, 0x080B}),
    "ECDSA": frozenset({0x0203, 0x0403, 0x0503, 0x0603}),
    "EdDSA": frozenset({0x0807, 0x0808}),
    "DSA": frozenset({0x0202}),
}
_NOT_IN_TLS13 = frozenset({0x0201, 0x0202, 0x0203, 0x0401, 0x0501, 0x0601})


def _numbers(names: Iterable[str], known: MappingProxyType[str, int]) -> tuple[int, ...] | None:
    """The numbers of these names, each once; None if one is not known, for then the list is not known either."""
    numbers: dict[int, None] = {}
    for name in names:
        if name in known:
            numbers[known[name]] = None
        elif not _WITHOUT_NUMBER.match(name):
            return None
    return tuple(numbers)


def _groups_of_hello(listing: Listing, newest: Protocol | None) -> tuple[int, ...] | None:
    """The groups of a hello: curves if TLS 1.3 or an ECDHE suite can use them, then finite fields, for DHE likewise."""
    if not listing.extensions:
        return ()
    if listing.groups is None:
        return None
    tls13 = newest == "TLSv1.3"
    curves = tls13 or any(suite.name.startswith("ECDH") for suite in listing.suites)
    fields = tls13 or any(suite.name.startswith(("DHE_", "DH_ANON_")) for suite in listing.suites)
    return (
        *(group for group in listing.groups if curves and group not in _FINITE_FIELDS),
        *(group for group in listing.groups if fields and group in _FINITE_FIELDS),
    )


def _key_shares(groups: tuple[int, ...]) -> tuple[int, ...]:
    """The groups that a hello has key shares of: the first, and the next with keys of another kind."""

    def kind(group: int) -> object:
        if group in _FINITE_FIELDS:
            return "DH"
        return group if group in (29, 30) or group > 512 else "EC"

    other = next((group for group in groups if kind(group) != kind(groups[0])), None)
    return (*groups[:1], *(() if other is None else (other,)))


def _served(
    suite: ListedSuite,
    protocol: Protocol,
    listing: Listing,
    kinds: tuple[CertificateKind, ...],
    *,
    anonymous: bool,
) -> bool:
    """Whether a server has all that a suite of its list needs."""
    name = suite.name
    if _SHARED_SECRET.search(name):
        return False
    groups = listing.groups
    has_curve = groups is None or any(group not in _FINITE_FIELDS for group in groups)
    if protocol == "TLSv1.3":
        return groups != () and any(_signs(kind, listing, protocol) for kind in kinds)
    if name.startswith("ECDH") and not has_curve:
        return False
    if "ANON_" in name:
        return anonymous
    if name.startswith("RSA_"):
        return "RSA" in kinds
    if name.startswith("GOST"):
        # Its keys are of none of the kinds that certificates of mail servers have.
        return False
    signing: tuple[CertificateKind, ...] = ("RSA", "RSA-PSS")
    if name.startswith("ECDHE_ECDSA_"):
        signing = ("ECDSA", "EdDSA")
    elif name.startswith("DHE_DSS_"):
        signing = ("DSA",)
    return any(kind in kinds and _signs(kind, listing, protocol) for kind in signing)


def _signs(kind: CertificateKind, listing: Listing, protocol: Protocol) -> bool:
    """Whether a key can sign in a version: from TLS 1.2 on with a scheme of the list, before by what the key is."""
    if protocol not in ("TLSv1.2", "TLSv1.3"):
        return kind in ("RSA", "ECDSA", "DSA")
    if listing.signature_schemes is None:
        return not (kind == "DSA" and protocol == "TLSv1.3")
    schemes = _SCHEMES_OF[kind] - (_NOT_IN_TLS13 if protocol == "TLSv1.3" else frozenset())
    return not schemes.isdisjoint(listing.signature_schemes)


def _brief(priority: str) -> str:
    return repr(priority if len(priority) <= 80 else f"{priority[:77]}...")
