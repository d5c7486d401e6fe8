"""The words of OpenSSL's cipher lists, and which suites each selects, as `cipher_aliases` of `ssl_ciph.c` has them.

A word is a pattern over the algorithms of a suite. Words joined by ``+`` narrow each other, aspect by aspect, so that
``ECDHE+aRSA+AESGCM`` is the suites that fit all three. What differs between the generations is which words there are:
a word whose algorithms were not built in is as unknown as any misspelt one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mxprobe.tls.openssl_catalogue import CatalogueSuite, Generation, catalogue

Words = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a suite must be of to be selected; None where any will do.

    Attributes:
        exchange: Key exchanges, in the words of cipher lists: ``kRSA``, ``kECDHE``.
        authentication: ``aRSA``, ``aNULL``.
        cipher: Encryption algorithms as OpenSSL counts them: ``AES128``, ``AES128GCM``, ``RC4`` of any length.
        mac: ``SHA1``, ``AEAD``.
        protocol: The oldest versions, as `CatalogueSuite.protocol`.
        export: ``export`` and ``domestic``; only OpenSSL 1.0.2 has the distinction.
        classes: ``HIGH`` to ``NONE``, and ``FIPS``.
        not_default: Only suites that ``DEFAULT`` leaves out (OpenSSL 1.1.1 and later).
        number: The one suite that the pattern is of; OpenSSL 1.0.2 looks at the algorithms only.
    """

    exchange: Words | None = None
    authentication: Words | None = None
    cipher: Words | None = None
    mac: Words | None = None
    protocol: Words | None = None
    export: Words | None = None
    classes: Words | None = None
    not_default: bool = False
    number: int | None = None

    def narrowed(self, word: Pattern) -> Pattern | None:
        """This pattern and the next word joined to it by ``+``; None when nothing can be both."""
        joined: list[Words | None] = []
        for mine, theirs in (
            (self.exchange, word.exchange),
            (self.authentication, word.authentication),
            (self.cipher, word.cipher),
            (self.mac, word.mac),
            (self.protocol, word.protocol),
            (self.export, word.export),
            (self.classes, word.classes),
        ):
            both = theirs if mine is None else mine if theirs is None else mine & theirs
            if both is not None and not both:
                return None
            joined.append(both)
        # The first word with a class overwrites what COMPLEMENTOFDEFAULT said before it: `algo_strength =`, not `|=`.
        forgets = self.classes is None and word.classes is not None
        return Pattern(
            exchange=joined[0],
            authentication=joined[1],
            cipher=joined[2],
            mac=joined[3],
            protocol=joined[4],
            export=joined[5],
            classes=joined[6],
            not_default=word.not_default or (self.not_default and not forgets),
            # Only the last word can make it one suite: each word sets `cipher_id` anew.
            number=word.number,
        )

    def selects(self, known: CatalogueSuite) -> bool:
        """Whether a suite is of the pattern (`ssl_cipher_apply_rule`)."""
        # In 1.0.2 COMPLEMENTOFDEFAULT takes export and SSLv2 suites whatever else they are.
        if self.export == _EITHER and self.classes is None and known.export:
            return True
        if self.protocol == _NOT_SSL2 and known.protocol == "SSLv2":
            return True
        return (
            (self.number is None or self.number == known.number)
            and (self.exchange is None or _exchange(known) in self.exchange)
            and (self.authentication is None or _authentication(known) in self.authentication)
            and (self.cipher is None or _cipher(known) in self.cipher)
            and (self.mac is None or known.mac in self.mac)
            and (self.protocol is None or known.protocol in self.protocol)
            and (self.export is None or _export(known) in self.export)
            and (self.classes is None or not self.classes.isdisjoint(known.classes))
            and (not self.not_default or "NOT_DEFAULT" in known.classes)
        )


@cache
def words(openssl: Generation) -> Mapping[str, Pattern]:
    """Every word that an OpenSSL knows in a cipher list: the names of its suites, and its keywords."""
    known: dict[str, Pattern] = dict(_COMMON)
    known |= _IN_1_0_2 if openssl == "1.0.2" else _SINCE_1_1_0
    known |= {"1.0.2": {}, "1.1.1": _IN_1_1_1, "3.0": _IN_3_0}[openssl]
    # Suites come first where OpenSSL looks a word up, so their names win.
    for each in reversed(tuple(catalogue(openssl).values())):
        if each.protocol != "TLSv1.3":  # kept apart: no word of a cipher list reaches them
            known[each.name] = _named(each, openssl)
    return known


DEFAULTS: Mapping[Generation, str] = {
    "1.0.2": "ALL:!EXPORT:!aNULL:!eNULL:!SSLv2",
    "1.1.1": "ALL:!COMPLEMENTOFDEFAULT:!eNULL",
    "3.0": "ALL:!COMPLEMENTOFDEFAULT:!eNULL",
}
"""What ``DEFAULT`` at the beginning of a list stands for (`SSL_DEFAULT_CIPHER_LIST`; as built without another)."""

SUITE_B = (
    ("SUITEB128ONLY", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("SUITEB128C2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("SUITEB128", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("SUITEB192", "ECDHE-ECDSA-AES256-GCM-SHA384"),
)
"""What a list that begins so is replaced by, whatever follows (`check_suiteb_cipher_list`)."""


def _named(known: CatalogueSuite, openssl: Generation) -> Pattern:
    """The pattern of a suite's own name: all of its algorithms and classes, but not its version."""
    old = openssl == "1.0.2"
    return Pattern(
        exchange=frozenset({_exchange(known)}),
        authentication=frozenset({_authentication(known)}),
        cipher=frozenset({_cipher(known)}),
        mac=frozenset({known.mac}),
        export=frozenset({_export(known)}) if old else None,
        classes=known.classes - {"NOT_DEFAULT"},
        not_default="NOT_DEFAULT" in known.classes,
        number=None if old else known.number,
    )


def _exchange(known: CatalogueSuite) -> str:
    return _EXCHANGES[known.key_exchange]


def _authentication(known: CatalogueSuite) -> str:
    return "aNULL" if known.authentication == "None" else f"a{known.authentication}"


@cache
def _cipher_word(encryption: str) -> str:
    """``AESGCM(256)`` as ``AES256GCM``; RC4, RC2 and DES are one algorithm whatever the length of the key."""
    name, _, bits = encryption.removesuffix(")").partition("(")
    for family in ("AES", "Camellia", "ARIA"):
        if name.startswith(family):
            return f"{family.upper()}{bits}{name.removeprefix(family)}"
    return "CHACHA20" if name.startswith("CHACHA20") else "eNULL" if name == "None" else name


def _cipher(known: CatalogueSuite) -> str:
    return _cipher_word(known.encryption)


def _export(known: CatalogueSuite) -> str:
    return "export" if known.export else "domestic"


_EXCHANGES = {
    "RSA": "kRSA",
    "RSA(512)": "kRSA",
    "DH": "kDHE",
    "DH(512)": "kDHE",
    "DH/RSA": "kDHr",
    "DH/DSS": "kDHd",
    "ECDH": "kECDHE",
    "ECDH/RSA": "kECDHr",
    "ECDH/ECDSA": "kECDHe",
    "PSK": "kPSK",
    "RSAPSK": "kRSAPSK",
    "DHEPSK": "kDHEPSK",
    "ECDHEPSK": "kECDHEPSK",
    "SRP": "kSRP",
}

_AES = frozenset({"AES128", "AES256", "AES128GCM", "AES256GCM", "AES128CCM", "AES256CCM", "AES128CCM8", "AES256CCM8"})
_CAMELLIA = frozenset({"CAMELLIA128", "CAMELLIA256"})
_ARIA = frozenset({"ARIA128GCM", "ARIA256GCM"})
_OLD_CIPHERS = frozenset({"3DES", "DES", "RC2", "RC4", "IDEA", "SEED"})
_ENCRYPTING = _AES | _CAMELLIA | _ARIA | _OLD_CIPHERS | {"CHACHA20"}
_AUTHENTICATED = frozenset({"aRSA", "aDSS", "aECDSA", "aECDH", "aDH", "aPSK", "aSRP"})
_EITHER = frozenset({"export", "domestic"})
_NOT_SSL2 = frozenset({"SSLv3", "TLSv1.2"})


def _kx(*exchanges: str) -> Pattern:
    return Pattern(exchange=frozenset(exchanges))


def _au(*authentications: str) -> Pattern:
    return Pattern(authentication=frozenset(authentications))


def _enc(*ciphers: str) -> Pattern:
    return Pattern(cipher=frozenset(ciphers))


def _mac(*macs: str) -> Pattern:
    return Pattern(mac=frozenset(macs))


def _from(version: str) -> Pattern:
    return Pattern(protocol=frozenset({version}))


def _class(*classes: str) -> Pattern:
    return Pattern(classes=frozenset(classes))


def _edh(authentication: str, cipher: str, *classes: str, export: str | None = None) -> Pattern:
    """An ephemeral DH suite under its other name (``EDH-`` or ``DHE-``)."""
    return Pattern(
        exchange=frozenset({"kDHE"}),
        authentication=frozenset({authentication}),
        cipher=frozenset({cipher}),
        mac=frozenset({"SHA1"}),
        protocol=frozenset({"SSLv3"}) if export else None,
        export=frozenset({export}) if export else None,
        classes=frozenset(classes),
    )


_COMMON: dict[str, Pattern] = {
    "ALL": Pattern(cipher=_ENCRYPTING),
    "COMPLEMENTOFALL": _enc("eNULL"),
    "kRSA": _kx("kRSA"),
    "kEDH": _kx("kDHE"),
    "kDHE": _kx("kDHE"),
    "kEECDH": _kx("kECDHE"),
    "kECDHE": _kx("kECDHE"),
    "kPSK": _kx("kPSK"),
    "kSRP": _kx("kSRP"),
    "aRSA": _au("aRSA"),
    "aDSS": _au("aDSS"),
    "DSS": _au("aDSS"),
    "aNULL": _au("aNULL"),
    "aECDSA": _au("aECDSA"),
    "ECDSA": _au("aECDSA"),
    "aPSK": _au("aPSK"),
    "aSRP": _au("aSRP"),
    "EDH": Pattern(exchange=frozenset({"kDHE"}), authentication=_AUTHENTICATED),
    "DHE": Pattern(exchange=frozenset({"kDHE"}), authentication=_AUTHENTICATED),
    "EECDH": Pattern(exchange=frozenset({"kECDHE"}), authentication=_AUTHENTICATED),
    "ECDHE": Pattern(exchange=frozenset({"kECDHE"}), authentication=_AUTHENTICATED),
    "NULL": _enc("eNULL"),
    "eNULL": _enc("eNULL"),
    "RSA": Pattern(exchange=frozenset({"kRSA"}), authentication=frozenset({"aRSA"})),
    "ADH": Pattern(exchange=frozenset({"kDHE"}), authentication=frozenset({"aNULL"})),
    "AECDH": Pattern(exchange=frozenset({"kECDHE"}), authentication=frozenset({"aNULL"})),
    "SRP": _kx("kSRP"),
    "3DES": _enc("3DES"),
    "AES128": _enc("AES128", "AES128GCM", "AES128CCM", "AES128CCM8"),
    "AES256": _enc("AES256", "AES256GCM", "AES256CCM", "AES256CCM8"),
    "AES": Pattern(cipher=_AES),
    "AESGCM": _enc("AES128GCM", "AES256GCM"),
    "CAMELLIA128": _enc("CAMELLIA128"),
    "CAMELLIA256": _enc("CAMELLIA256"),
    "CAMELLIA": Pattern(cipher=_CAMELLIA),
    "MD5": _mac("MD5"),
    "SHA1": _mac("SHA1"),
    "SHA": _mac("SHA1"),
    "SHA256": _mac("SHA256"),
    "SHA384": _mac("SHA384"),
    "SSLv3": _from("SSLv3"),
    "TLSv1.2": _from("TLSv1.2"),
    "LOW": _class("LOW"),
    "MEDIUM": _class("MEDIUM"),
    "HIGH": _class("HIGH"),
    "FIPS": Pattern(cipher=_ENCRYPTING, classes=frozenset({"FIPS"})),
}

_IN_1_0_2: dict[str, Pattern] = {
    "COMPLEMENTOFDEFAULT": Pattern(
        authentication=frozenset({"aNULL"}), cipher=_ENCRYPTING, protocol=_NOT_SSL2, export=_EITHER
    ),
    "kDHr": _kx("kDHr"),
    "kDHd": _kx("kDHd"),
    "kDH": _kx("kDHr", "kDHd"),
    "DH": _kx("kDHr", "kDHd", "kDHE"),
    "kECDHr": _kx("kECDHr"),
    "kECDHe": _kx("kECDHe"),
    "kECDH": _kx("kECDHr", "kECDHe"),
    "ECDH": _kx("kECDHr", "kECDHe", "kECDHE"),
    "aDH": _au("aDH"),
    "aECDH": _au("aECDH"),
    "PSK": Pattern(exchange=frozenset({"kPSK"}), authentication=frozenset({"aPSK"})),
    "DES": _enc("DES"),
    "RC4": _enc("RC4"),
    "RC2": _enc("RC2"),
    "IDEA": _enc("IDEA"),
    "SEED": _enc("SEED"),
    "SSLv2": _from("SSLv2"),
    "TLSv1": _from("SSLv3"),  # the suites of TLS 1.0 are those of SSL 3.0 here
    "EXP": Pattern(export=frozenset({"export"})),
    "EXPORT": Pattern(export=frozenset({"export"})),
    "EXPORT40": _class("EXP40"),
    "EXPORT56": _class("EXP56"),
    "EXP-DHE-DSS-DES-CBC-SHA": _edh("aDSS", "DES", "EXP40", export="export"),
    "DHE-DSS-DES-CBC-SHA": _edh("aDSS", "DES", "LOW", export="domestic"),
    "DHE-DSS-DES-CBC3-SHA": _edh("aDSS", "3DES", "HIGH", "FIPS", export="domestic"),
    "EXP-DHE-RSA-DES-CBC-SHA": _edh("aRSA", "DES", "EXP40", export="export"),
    "DHE-RSA-DES-CBC-SHA": _edh("aRSA", "DES", "LOW", export="domestic"),
    "DHE-RSA-DES-CBC3-SHA": _edh("aRSA", "3DES", "HIGH", "FIPS", export="domestic"),
}

_SINCE_1_1_0: dict[str, Pattern] = {
    "COMPLEMENTOFDEFAULT": Pattern(not_default=True),
    "DH": _kx("kDHE"),
    "ECDH": _kx("kECDHE"),
    "kRSAPSK": _kx("kRSAPSK"),
    "kECDHEPSK": _kx("kECDHEPSK"),
    "kDHEPSK": _kx("kDHEPSK"),
    "PSK": _kx("kPSK", "kRSAPSK", "kECDHEPSK", "kDHEPSK"),
    "AESCCM": _enc("AES128CCM", "AES256CCM", "AES128CCM8", "AES256CCM8"),
    "AESCCM8": _enc("AES128CCM8", "AES256CCM8"),
    "CHACHA20": _enc("CHACHA20"),
    "ARIA": Pattern(cipher=_ARIA),
    "ARIAGCM": Pattern(cipher=_ARIA),
    "ARIA128": _enc("ARIA128GCM"),
    "ARIA256": _enc("ARIA256GCM"),
    "TLSv1": _from("TLSv1"),
    "TLSv1.0": _from("TLSv1"),
    "EDH-DSS-DES-CBC3-SHA": _edh("aDSS", "3DES", "HIGH", "FIPS"),
    "EDH-RSA-DES-CBC3-SHA": _edh("aRSA", "3DES", "HIGH", "FIPS"),
}

_IN_1_1_1: dict[str, Pattern] = {
    # Known words, though the builds that distributions and Python have select nothing by RC4 and RC2.
    "RC4": _enc("RC4"),
    "RC2": _enc("RC2"),
    "IDEA": _enc("IDEA"),
    "SEED": _enc("SEED"),
}

_IN_3_0: dict[str, Pattern] = {
    "CBC": Pattern(cipher=_CAMELLIA | _OLD_CIPHERS - {"RC4"} | {"AES128", "AES256"}),
}
