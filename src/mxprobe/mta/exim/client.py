"""What an Exim offers as a client: the smtp transport's `tls_require_ciphers`, and `openssl_options`.

Exim specification chapters 30 ("The smtp transport") and 43 ("Encrypted SMTP connections using TLS/SSL"). With GnuTLS
the option is a priority string, which `mxprobe.mta.gnutls` reads.
"""

from __future__ import annotations

from mxprobe.errors import InvalidCipherString, InvalidSetting
from mxprobe.mta.exim.configuration import Configuration, Setting, literal
from mxprobe.mta.exim.openssl_options import OpensslOptions, read_openssl_options
from mxprobe.mta.openssl import DEFAULT_LEVEL, Settings, client_hello
from mxprobe.mta.profile import NoTls, Profile
from mxprobe.terms import PROTOCOLS
from mxprobe.tls.cipher_strings import cipher_list, default_ciphersuites
from mxprobe.tls.openssl_catalogue import Generation

DEFAULT_PRIORITY = "NORMAL"
"""The priority string of an Exim with GnuTLS that was told none (`exim_default_gnutls_priority` of tls-gnu.c)."""


def priority_of(configuration: Configuration, transport: str | None = None) -> tuple[str, str]:
    """The GnuTLS priority string of a transport, and the place that it is from.

    Raises:
        InvalidSetting: there is no such transport, the string cannot be told from the file, or this is an Exim with
            OpenSSL by its options.
    """
    refuse_openssl_options(configuration)
    found = configuration.transport(transport)
    return priority_in(found.options.get("tls_require_ciphers"), f"{found.where}, transport {found.name}")


def openssl_client_profile(
    configuration: Configuration, *, transport: str | None = None, openssl: Generation, name: str
) -> Profile | NoTls:
    """What a transport of an Exim with OpenSSL offers.

    Raises:
        InvalidSetting: there is no such transport, or an option is wrong or cannot be told from the file.
    """
    found = configuration.transport(transport)
    return _profile(
        found.options.get("tls_require_ciphers"),
        configuration.main.get("openssl_options"),
        openssl=openssl,
        name=name,
        source=f"transport {found.name} of {configuration.where}, Exim on OpenSSL {openssl}",
    )


def openssl_strings_profile(
    tls_require_ciphers: str | None, openssl_options: str | None, *, openssl: Generation, name: str
) -> Profile | NoTls:
    """The same of the two options alone, None where one is not set.

    Raises:
        InvalidSetting: one of them is wrong.
    """

    def setting(key: str, value: str | None) -> Setting | None:
        return None if value is None else Setting(value=value, where=key)

    return _profile(
        setting("tls_require_ciphers", tls_require_ciphers),
        setting("openssl_options", openssl_options),
        openssl=openssl,
        name=name,
        source=f"tls_require_ciphers of Exim on OpenSSL {openssl}",
    )


def openssl_settings(
    ciphers: Setting | None, options: Setting | None, openssl: Generation
) -> tuple[Settings, OpensslOptions]:
    """What these options set on a connection of OpenSSL, for either side.

    Exim writes ``-`` for ``_``, since GnuTLS and IANA names have it, and passes the list to OpenSSL; without one,
    OpenSSL's own is used, and for TLS 1.3 always.

    Raises:
        InvalidSetting: one of them is wrong, or cannot be told from the file.
    """
    switches = read_openssl_options(
        "" if options is None else literal(options, "openssl_options"),
        openssl,
        "openssl_options" if options is None else options.where,
    )
    text = "DEFAULT" if ciphers is None else literal(ciphers, "tls_require_ciphers").replace("_", "-")
    try:
        listed = cipher_list(text, openssl)
    except InvalidCipherString as error:
        place = "tls_require_ciphers" if ciphers is None else ciphers.where
        option = "" if place == "tls_require_ciphers" else "tls_require_ciphers: "
        raise InvalidSetting(place, f"{option}{error}") from error
    level = DEFAULT_LEVEL[openssl] if listed.security_level is None else listed.security_level
    settings = Settings(
        openssl=openssl,
        protocols=tuple(protocol for protocol in PROTOCOLS if protocol not in switches.off),
        suites=listed.suites,
        ciphersuites=default_ciphersuites(openssl),
        level=level,
    )
    return settings, switches


def priority_in(setting: Setting | None, otherwise: str) -> tuple[str, str]:
    """The priority string of an option, and its place; Exim's own, at the place `otherwise`, where it is not set.

    Raises:
        InvalidSetting: it cannot be told from the file.
    """
    # An empty string is as none (tls_init() of tls-gnu.c).
    told = "" if setting is None else literal(setting, "tls_require_ciphers")
    return (told, setting.where) if setting is not None and told else (DEFAULT_PRIORITY, otherwise)


def refuse_openssl_options(configuration: Configuration) -> None:
    """An Exim with GnuTLS does not start with `openssl_options` set.

    Raises:
        InvalidSetting: it is set.
    """
    found = configuration.main.get("openssl_options")
    if found is not None and not found.doubt:
        raise InvalidSetting(found.where, "openssl_options is set, and an Exim with GnuTLS does not start then")


def _profile(
    ciphers: Setting | None, options: Setting | None, *, openssl: Generation, name: str, source: str
) -> Profile | NoTls:
    settings, _ = openssl_settings(ciphers, options, openssl)
    hello = client_hello(settings)
    if hello is None:
        place = next((setting.where for setting in (options, ciphers) if setting is not None), "")
        reason = (
            "no version of TLS that its cipher list has suites for is left by openssl_options and the security level"
        )
        return NoTls(name=name, reason=reason, where=place)
    return hello.profile(name=name, source=source)
