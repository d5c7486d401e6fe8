"""What an Exim accepts as a server: main options like `tls_require_ciphers`, `openssl_options` and `tls_dhparam`.

Exim specification chapter 14 ("Main configuration") and 43 ("Encrypted SMTP connections using TLS/SSL").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta import gnutls
from mxprobe.mta.exim.client import openssl_settings, priority_in, refuse_openssl_options
from mxprobe.mta.exim.configuration import Configuration, literal
from mxprobe.mta.openssl import accepted_suites, group_named, usable_schemes
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.terms import PROTOCOLS, CertificateKind
from mxprobe.tls.openssl_catalogue import Generation

DH_BITS: Final = MappingProxyType(
    {
        "default": 2048,
        **{f"exim.dev.20160529.{number}": 2048 for number in (1, 2, 3)},
        **{f"ffdhe{bits}": bits for bits in (2048, 3072, 4096, 6144, 8192)},
        **{f"ike{number}": bits for number, bits in ((1, 768), (2, 1024), (5, 1536), (14, 2048), (15, 3072))},
        **{f"ike{number}": bits for number, bits in ((16, 4096), (17, 6144), (18, 8192), (22, 1024), (23, 2048))},
        "ike24": 2048,
    }
)
"""The primes that `tls_dhparam` has names for (std-crypto.c of Exim), in bits."""

DH_MAX_BITS: Final = 2236
"""The default of `tls_dh_max_bits`: longer parameters are not used."""


def certificate_files(configuration: Configuration) -> tuple[tuple[str, str], ...]:
    """The files of `tls_certificate`, each with that of its key; empty where Exim makes a certificate of its own.

    Raises:
        InvalidSetting: they cannot be told from the file, or there are more keys than certificates.
    """
    certificates = configuration.main.get("tls_certificate")
    if certificates is None:
        return ()
    files = exim_list(literal(certificates, "tls_certificate"))
    keys = configuration.main.get("tls_privatekey")
    named = () if keys is None else exim_list(literal(keys, "tls_privatekey"))
    if keys is not None and len(named) > len(files):
        raise InvalidSetting(keys.where, "tls_privatekey names more files than tls_certificate")
    return tuple(zip(files, (*named, *files[len(named) :]), strict=True))


def openssl_server_profile(
    configuration: Configuration, *, openssl: Generation, certificate_kinds: tuple[CertificateKind, ...], name: str
) -> ServerProfile | NoTls:
    """What an Exim with OpenSSL accepts with certificates of these kinds.

    Raises:
        InvalidSetting: an option is wrong or cannot be told from the file, or no kind of certificate is told.
    """
    if (silent := _not_advertised(configuration, name)) is not None:
        return silent
    kinds = _kinds(configuration, certificate_kinds)
    main = configuration.main
    settings, switches = openssl_settings(main.get("tls_require_ciphers"), main.get("openssl_options"), openssl)
    dh = _dh_parameters(configuration, name, settings.level)
    if isinstance(dh, NoTls):
        return dh
    groups = _groups(configuration, openssl, name)
    if isinstance(groups, NoTls):
        return groups
    settings = replace(settings, groups=groups)
    accepted = accepted_suites(settings, kinds, ecdhe=groups != (), dhe=dh.used)
    if not accepted:
        place = next((main[key].where for key in ("tls_require_ciphers", "openssl_options") if key in main), "")
        reason = f"its options leave no suite for certificates of {', '.join(kinds)}"
        return NoTls(name=name, reason=reason, starttls="offered-but-broken", where=place)
    versions = tuple(protocol for protocol in PROTOCOLS if protocol in accepted)
    return ServerProfile(
        name=name,
        suites=accepted,
        order="server" if switches.server_preference else "client",
        certificate_kinds=kinds,
        groups=settings.groups_for(versions),
        signature_schemes=usable_schemes(settings.schemes(), kinds),
        dh_bits=dh.bits,
        source=f"{configuration.where}, Exim on OpenSSL {openssl}",
    )


def server_priority_of(configuration: Configuration) -> tuple[str, str]:
    """The GnuTLS priority string of the server side, and the place that it is from.

    Raises:
        InvalidSetting: it cannot be told from the file, or this is an Exim with OpenSSL by its options.
    """
    refuse_openssl_options(configuration)
    return priority_in(configuration.main.get("tls_require_ciphers"), configuration.where)


def gnutls_server_profile(
    configuration: Configuration,
    listing: gnutls.Listing,
    *,
    certificate_kinds: tuple[CertificateKind, ...],
    name: str,
    source: str = "",
) -> ServerProfile | NoTls:
    """What an Exim with GnuTLS accepts; `listing` is that of its priority string (`server_priority_of`).

    `tls_dhparam` changes nothing: since 3.6 GnuTLS has parameters of its own (RFC 7919) where it is given none.

    Raises:
        InvalidSetting: an option cannot be told from the file, or the kinds of the certificates are missing.
    """
    if (silent := _not_advertised(configuration, name)) is not None:
        return silent
    kinds = _kinds(configuration, certificate_kinds)
    return gnutls.server_profile(listing, certificate_kinds=kinds, name=name, source=source)


def exim_list(text: str) -> tuple[str, ...]:
    """The items of a list: separated by colons, or by what follows ``<`` at its beginning (specification §6.20)."""
    separator = ":"
    text = text.lstrip()
    if len(text) > 1 and text[0] == "<" and not (text[1].isalnum() or text[1].isspace()):
        separator, text = text[1], text[2:]
    # A doubled separator stands for itself.
    items = text.replace(separator * 2, "\0").split(separator)
    return tuple(item.replace("\0", separator).strip() for item in items if item.strip())


_LEVEL_BITS = (0, 80, 112, 128, 192, 256)


def _dh_strength(bits: int) -> int:
    """Security bits of a prime (`DH_security_bits`, NIST SP 800-57 table 2)."""
    return next((strength for least, strength in _STRENGTHS if bits >= least), 0)


_STRENGTHS = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))


def _not_advertised(configuration: Configuration, name: str) -> NoTls | None:
    hosts = configuration.main.get("tls_advertise_hosts")
    if hosts is None or hosts.doubt or "$" in hosts.value or hosts.value.strip():
        # Whom a list leaves out is not told by TLS: those who are offered it are meant.
        return None
    return NoTls(name=name, reason="tls_advertise_hosts is empty, so STARTTLS is not offered", where=hosts.where)


def _kinds(configuration: Configuration, kinds: tuple[CertificateKind, ...]) -> tuple[CertificateKind, ...]:
    if kinds:
        return kinds
    certificates = configuration.main.get("tls_certificate")
    if certificates is None:
        # tls_install_selfsign() of tls-openssl.c and tls-gnu.c: RSA of 2048 bits.
        return ("RSA",)
    raise InvalidSetting(certificates.where, "tls_certificate names files whose kind of key is not known")


@dataclass(frozen=True, slots=True, kw_only=True)
class _DhParameters:
    """Whether there are any for DHE, and their bits where they are not in a file of their own."""

    used: bool
    bits: int | None = None


def _dh_parameters(configuration: Configuration, name: str, level: int) -> _DhParameters | NoTls:
    """The DH parameters that OpenSSL is given, if it takes them at its security level."""
    setting = configuration.main.get("tls_dhparam")
    told = "" if setting is None else literal(setting, "tls_dhparam")
    if told == "none":
        return _DhParameters(used=False)
    if told.startswith("/"):
        return _DhParameters(used=True)
    if told and told not in DH_BITS:
        where = "" if setting is None else setting.where
        reason = f"tls_dhparam: there is no standard DH prime {told[:60]!r}"
        return NoTls(name=name, reason=reason, starttls="refused", where=where)
    bits = DH_BITS[told or "default"]
    limit = configuration.main.get("tls_dh_max_bits")
    text = str(DH_MAX_BITS) if limit is None else limit.value.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        place = configuration.where if limit is None else limit.where
        raise InvalidSetting(place, f"tls_dh_max_bits: {text[:40]!r} is no number", "a whole number, 1024 or more")
    if bits > int(text) or _dh_strength(bits) < _LEVEL_BITS[min(level, 5)]:
        return _DhParameters(used=False)
    return _DhParameters(used=True, bits=bits)


def _groups(configuration: Configuration, openssl: Generation, name: str) -> tuple[int, ...] | NoTls | None:
    """The groups that are set; empty where there is none for ECDHE, None where OpenSSL's own are used."""
    setting = configuration.main.get("tls_eccurve")
    names = ("auto",) if setting is None else exim_list(literal(setting, "tls_eccurve"))
    if "auto" in names:
        return None
    if not names:
        # Nothing is set then, and before 1.1.0 OpenSSL had no groups of its own on a server.
        return () if openssl == "1.0.2" else None
    numbers = []
    for curve in names:
        number = group_named(curve, openssl)
        if number is None:
            where = "" if setting is None else setting.where
            reason = f"tls_eccurve: OpenSSL {openssl} has no curve {curve[:60]!r}"
            return NoTls(name=name, reason=reason, starttls="refused", where=where)
        numbers.append(number)
    # A single curve is all that could be set before `SSL_CTX_set1_groups`.
    return tuple(numbers[:1] if openssl == "1.0.2" else numbers)
