"""The defaults of Postfix's TLS parameters, version by version, and what a configuration makes of them.

From `mail_params.h` of every release; a default that changed within maintained branches has an entry for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.configuration import Configuration, Place, Remark
from mxprobe.mta.postfix.names import check_names, is_known, referred, tls_parameters
from mxprobe.mta.postfix.version import PostfixVersion
from mxprobe.tls.openssl_catalogue import Generation

_NO_SSLV3: Final = "!SSLv2, !SSLv3"
_ANONYMOUS_FIRST: Final = "aNULL:-aNULL:"
"""Before 3.4 this depends on an OpenSSL of 1.0.0 or newer, as all of ours are."""

_WEAK: Final = ":!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5"
_OBSOLETE: Final = ":!kDH:!kECDH:!aDSS:!MD5"

_CIPHERS: Final = (
    ("2.6.0", "export"),
    ("2.9.14", "medium"),
    ("2.10.0", "export"),
    ("2.10.8", "medium"),
    ("2.11.0", "export"),
    ("2.11.6", "medium"),
    ("3.0.0", "export"),
    ("3.0.2", "medium"),
)


def _protocols(before: str) -> tuple[tuple[str, str], ...]:
    """A list of protocols that was `before` until POODLE (October 2014 and July 2015)."""
    changes = [("2.6.0", before)]
    for branch, patch in (("2.9", 14), ("2.10", 8), ("2.11", 6), ("3.0", 2)):
        changes += [(f"{branch}.0", before), (f"{branch}.{patch}", _NO_SSLV3)]
    return (*changes, ("3.6.0", ">=TLSv1"))


_MANDATORY_PROTOCOLS: Final = (
    ("2.3.0", "SSLv3, TLSv1"),
    ("2.6.15", "!SSLv2"),
    ("2.7.0", "SSLv3, TLSv1"),
    ("2.7.9", "!SSLv2"),
    ("2.8.0", "SSLv3, TLSv1"),
    ("2.8.10", "!SSLv2"),
    ("2.9.0", "SSLv3, TLSv1"),
    ("2.9.2", "!SSLv2"),
    ("2.9.14", _NO_SSLV3),
    ("2.10.0", "!SSLv2"),
    ("2.10.8", _NO_SSLV3),
    ("2.11.0", "!SSLv2"),
    ("2.11.6", _NO_SSLV3),
    ("3.0.0", "!SSLv2"),
    ("3.0.2", _NO_SSLV3),
    ("3.6.0", ">=TLSv1"),
)


def _cipher_list(old: str, early: str, classes: str) -> tuple[tuple[str, str], ...]:
    """A `tls_*_cipherlist` up to 3.7: first written with exclusions in front, later with classes."""
    return (
        ("2.3.0", old),
        ("2.3.4", early),
        ("2.6.7", _ANONYMOUS_FIRST + early),
        ("2.7.0", early),
        ("2.7.1", _ANONYMOUS_FIRST + early),
        ("3.1.0", _ANONYMOUS_FIRST + classes),
    )


_DIGEST: Final = (("2.5.0", "md5"), ("3.6.0", "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}"))

_CHANGES: Final[MappingProxyType[str, tuple[tuple[str, str], ...]]] = MappingProxyType(
    {
        "smtpd_tls_protocols": _protocols(""),
        "smtp_tls_protocols": _protocols("!SSLv2"),
        "lmtp_tls_protocols": _protocols("!SSLv2"),
        "smtpd_tls_mandatory_protocols": _MANDATORY_PROTOCOLS,
        "smtp_tls_mandatory_protocols": _MANDATORY_PROTOCOLS,
        "lmtp_tls_mandatory_protocols": _MANDATORY_PROTOCOLS,
        "smtpd_tls_ciphers": _CIPHERS,
        "smtp_tls_ciphers": _CIPHERS,
        "lmtp_tls_ciphers": _CIPHERS,
        "smtpd_tls_mandatory_ciphers": (("2.3.0", "medium"),),
        "smtp_tls_mandatory_ciphers": (("2.3.0", "medium"),),
        "lmtp_tls_mandatory_ciphers": (("2.3.0", "medium"),),
        "smtp_tls_security_level": (
            ("2.3.0", ""),
            ("3.11.0", "${{$compatibility_level} <level {3.11} ? {} : {may}}"),
        ),
        "smtp_tls_enforce_peername": (("2.3.0", "yes"),),
        "lmtp_tls_enforce_peername": (("2.3.0", "yes"),),
        "smtpd_tls_key_file": (("2.3.0", "$smtpd_tls_cert_file"),),
        "smtpd_tls_dkey_file": (("2.3.0", "$smtpd_tls_dcert_file"),),
        "smtpd_tls_eckey_file": (("2.6.0", "$smtpd_tls_eccert_file"),),
        "smtpd_tls_eecdh_grade": (("2.6.0", "none"), ("2.8.0", "strong"), ("3.2.0", "auto")),
        "tls_high_cipherlist": (
            *_cipher_list(
                "!EXPORT:!LOW:!MEDIUM:ALL:+RC4:@STRENGTH",
                "ALL:!EXPORT:!LOW:!MEDIUM:+RC4:@STRENGTH",
                "HIGH:@STRENGTH",
            ),
            ("3.8.0", f"aNULL:-aNULL:HIGH{_WEAK}{_OBSOLETE}:@STRENGTH"),
        ),
        "tls_medium_cipherlist": (
            *_cipher_list(
                "!EXPORT:!LOW:ALL:+RC4:@STRENGTH",
                "ALL:!EXPORT:!LOW:+RC4:@STRENGTH",
                "HIGH:MEDIUM:+RC4:@STRENGTH",
            ),
            ("3.8.0", f"aNULL:-aNULL:HIGH:MEDIUM{_WEAK}{_OBSOLETE}:+RC4:@STRENGTH"),
        ),
        "tls_low_cipherlist": (
            *_cipher_list("!EXPORT:ALL:+RC4:@STRENGTH", "ALL:!EXPORT:+RC4:@STRENGTH", "HIGH:MEDIUM:LOW:+RC4:@STRENGTH"),
            ("3.8.0", ""),
        ),
        "tls_export_cipherlist": (
            *_cipher_list("ALL:+RC4:@STRENGTH", "ALL:+RC4:@STRENGTH", "HIGH:MEDIUM:LOW:EXPORT:+RC4:@STRENGTH"),
            ("3.8.0", ""),
        ),
        "tls_null_cipherlist": (
            ("2.3.0", "!aNULL:eNULL+kRSA"),
            ("2.4.0", "eNULL:!aNULL"),
            ("3.8.0", f"eNULL{_OBSOLETE}:!aNULL"),
        ),
        "tls_eecdh_strong_curve": (("2.6.0", "prime256v1"),),
        "tls_eecdh_ultra_curve": (("2.6.0", "secp384r1"),),
        "tls_eecdh_auto_curves": (
            ("3.2.0", "X25519 X448 prime256v1 secp521r1 secp384r1"),
            ("3.10.0", "X25519 X448 prime256v1 secp384r1 secp521r1"),
        ),
        "tls_ffdhe_auto_groups": (("3.8.0", "ffdhe2048 ffdhe3072"),),
        "smtp_tls_fingerprint_digest": _DIGEST,
        "lmtp_tls_fingerprint_digest": _DIGEST,
        "smtpd_tls_fingerprint_digest": _DIGEST,
        "compatibility_level": (("2.3.0", "0"),),
        "config_directory": (("2.3.0", "/etc/postfix"),),
        "data_directory": (("2.3.0", "/var/lib/postfix"),),
        "queue_directory": (("2.3.0", "/var/spool/postfix"),),
    }
)
"""Since which version a parameter has which default; until its first entry, and where there is none, it is empty.
The last four are no TLS parameters: values refer to them."""

_BEFORE_THEY_WERE: Final = MappingProxyType({name: "export" for name in _CHANGES if name.endswith("_tls_ciphers")})
"""What Postfix 2.3 to 2.5 did where later versions have a parameter."""


@cache
def _changes(name: str) -> tuple[tuple[tuple[int, ...], str], ...]:
    return tuple((tuple(int(number) for number in since.split(".")), value) for since, value in _CHANGES.get(name, ()))


def default(name: str, postfix: PostfixVersion, openssl: Generation) -> str | None:
    """The default of a parameter, as `mail_params.h` has it; None for a name of which nothing is known here."""
    if openssl == "1.0.2" and name == "tls_eecdh_auto_curves":
        # The header lists what OpenSSL has names for; 1.0.2 has none for these two.
        return "prime256v1 secp521r1 secp384r1" if postfix < (3, 10, 0) else "prime256v1 secp384r1 secp521r1"
    value = "" if name in tls_parameters() else None
    for since, changed in _changes(name):
        if since <= postfix:
            value = changed
    return value


Daemon = Literal["smtp", "lmtp", "smtpd"]
"""A program of Postfix that does TLS; its own parameters begin with its name."""

_LIBRARY: Final = (
    *("tls_high_cipherlist", "tls_medium_cipherlist", "tls_low_cipherlist", "tls_export_cipherlist"),
    *("tls_null_cipherlist", "tls_eecdh_auto_curves", "tls_eecdh_strong_curve", "tls_eecdh_ultra_curve"),
    "tls_ffdhe_auto_groups",
)
_CLIENT: Final = ("mandatory_ciphers", "mandatory_protocols", "protocols", "ciphers", "security_level")
_SERVER: Final = ("ciphers", "mandatory_ciphers", "protocols", "mandatory_protocols", "eecdh_grade", "security_level")

READ: Final[MappingProxyType[Daemon, tuple[str, ...]]] = MappingProxyType(
    {
        "smtp": (*(f"smtp_tls_{name}" for name in _CLIENT), *_LIBRARY),
        "lmtp": (*(f"lmtp_tls_{name}" for name in _CLIENT), *_LIBRARY),
        "smtpd": (*(f"smtpd_tls_{name}" for name in _SERVER), *_LIBRARY),
    }
)
"""In which order a daemon reads what has a default or may not be empty (`smtp_params.c`, `smtpd.c`, `tls_misc.c`).

A reference to what is not set is empty where it is read later, or by another daemon; `postconf -x` knows no order."""


def may_be_empty(name: str, postfix: PostfixVersion) -> bool:
    """Whether a value of no length is allowed; Postfix stops at others."""
    if name.endswith(("_tls_ciphers", "_tls_mandatory_ciphers", "_eecdh_grade")):
        return False
    if name in ("tls_low_cipherlist", "tls_export_cipherlist", "tls_eecdh_auto_curves"):
        return postfix >= (3, 8, 0)
    if name in ("tls_eecdh_strong_curve", "tls_eecdh_ultra_curve"):
        return postfix >= (3, 11, 0)
    return name not in _LIBRARY or name == "tls_ffdhe_auto_groups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters as a daemon of this version of Postfix, built with this OpenSSL, has them.

    Without a `daemon` every default is known everywhere, as for `postconf -x`.
    """

    configuration: Configuration
    postfix: PostfixVersion
    openssl: Generation
    daemon: Daemon | None = None

    def text(self, name: str) -> str:
        """A value, evaluated; the default where it is not set, or where this version does not read it.

        Raises:
            InvalidSetting: it cannot be evaluated, or is empty where Postfix stops at that.
        """
        if not is_known(name, self.postfix):
            return _BEFORE_THEY_WERE.get(name, "")
        unread = frozenset(self._unread(name))

        def known(other: str) -> str | None:
            return None if other in unread else default(other, self.postfix, self.openssl)

        text = self.configuration.get(name, known) or ""
        if not text and not may_be_empty(name, self.postfix):
            raise InvalidSetting(self.where(name), f"bad string length 0 < 1: {name} =")
        return text

    def check(self) -> None:
        """Read everything that the daemon reads, whether it is used or not.

        Raises:
            InvalidSetting: a value at which it stops.
        """
        for name in READ[self.daemon] if self.daemon else ():
            self.text(name)

    def _unread(self, name: str) -> Iterator[str]:
        """The parameters whose defaults do not exist yet when the daemon reads this one, or never for it."""
        if self.daemon is None:
            return
        order = READ[self.daemon]
        before = order[: order.index(name)] if name in order else order
        for names in READ.values():
            yield from (other for other in names if other not in before and other != name)

    def flag(self, name: str) -> bool:
        """A ``yes`` or ``no``.

        Raises:
            InvalidSetting: it is neither, at which Postfix stops.
        """
        value = self.text(name).lower()
        if value not in ("", "yes", "no") or (not value and self.configuration.written(name) is not None):
            raise InvalidSetting(self.where(name), f"bad boolean configuration: {name} = {value}", "yes, or no")
        return value == "yes"

    def words(self, *names: str) -> tuple[str, ...]:
        """The words of values, which blanks and commas are between."""
        return tuple(word for name in names for word in self.text(name).replace(",", " ").split())

    def where(self, name: str) -> str:
        """Where a value is from, for people."""
        return self.configuration.where(name)

    def place(self, name: str) -> Place | None:
        """Where a name is set; None for a default."""
        return self.configuration.place(name)

    def remarks(self) -> tuple[Remark, ...]:
        """References that are empty for the daemon, though `postconf -x` shows a default in their place."""
        found: list[Remark] = []
        for name in READ[self.daemon] if self.daemon else ():
            setting = self.configuration.settings.get(name)
            if setting is None:
                continue
            for other in self._unread(name):
                unset = self.configuration.written(other) is None and default(other, self.postfix, self.openssl)
                if unset and other in referred(setting.value):
                    text = f"{name}: ${other} is empty for {self.daemon}(8), because it is not set, and not read before"
                    found.append(Remark(text=text, place=setting.place))
        return tuple(dict.fromkeys(found))


def remarks_on(
    configuration: Configuration, postfix: PostfixVersion, openssl: Generation, daemon: Daemon
) -> tuple[Remark, ...]:
    """All that is odd about a configuration for a daemon, and does not stop it.

    Raises:
        InvalidSetting: a TLS parameter that does not exist.
    """
    parameters = Parameters(configuration=configuration, postfix=postfix, openssl=openssl, daemon=daemon)
    return (*configuration.remarks, *check_names(configuration, postfix), *parameters.remarks())
