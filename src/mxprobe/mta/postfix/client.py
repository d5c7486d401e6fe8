"""What Postfix's smtp(8) and lmtp(8) clients offer in a ClientHello, computed from their configuration.

As `set_cipher_grade()` of `smtp_tls_policy.c` and `tls_client_start()` of `tls_client.c` do it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mxprobe.mta.openssl import client_hello
from mxprobe.mta.postfix.configuration import Configuration
from mxprobe.mta.postfix.defaults import Parameters
from mxprobe.mta.postfix.groups import client_groups
from mxprobe.mta.postfix.levels import AUTHENTICATED, ClientPrefix, client_level_of
from mxprobe.mta.postfix.names import check_names
from mxprobe.mta.postfix.session import protocols_parameter, session_settings
from mxprobe.mta.postfix.version import PostfixVersion
from mxprobe.mta.profile import NoTls, Profile, Tls
from mxprobe.terms import Protocol
from mxprobe.tls.openssl_catalogue import Generation

_NO_SSLV3_WITH_DANE_SINCE: Final = (3, 6, 0)


def client_level(configuration: Configuration, postfix: PostfixVersion, *, prefix: ClientPrefix = "smtp") -> Tls:
    """The level at which mail leaves where no policy table says otherwise (postconf(5) smtp_tls_security_level).

    Raises:
        InvalidSetting: a level that this version does not know.
    """
    return client_level_of(
        Parameters(configuration=configuration, postfix=postfix, openssl="3.0", daemon=prefix), prefix
    )


def client_profile(
    configuration: Configuration,
    *,
    postfix: PostfixVersion,
    openssl: Generation,
    level: Tls | None = None,
    name: str = "postfix",
    prefix: ClientPrefix = "smtp",
) -> Profile | NoTls:
    """What the client offers at a level; None is the level of the configuration.

    ``dane`` and ``dane-only`` are meant for a destination with usable TLSA records; where ``dane`` finds none, or does
    not look for any, Postfix delivers as at ``may``. `prefix` chooses between the parameters of smtp(8) and lmtp(8).

    Raises:
        InvalidSetting: what Postfix stops at, or a TLS parameter that does not exist.
    """
    check_names(configuration, postfix)
    parameters = Parameters(configuration=configuration, postfix=postfix, openssl=openssl, daemon=prefix)
    parameters.check()
    if level is None:
        level = client_level_of(parameters, prefix)
        if level == "dane" and not has_dnssec(parameters, prefix):
            level = "may"  # dane_incompat() of smtp_tls_policy.c
    level_name = f"{prefix}_tls_security_level"
    if level == "none":
        return NoTls(name=name, reason=f"{level_name} = none", where=parameters.where(level_name))

    mandatory = level != "may"
    settings = session_settings(
        parameters,
        mandatory=mandatory,
        excluded=exclusions(parameters, level, prefix),
        authenticated=level in AUTHENTICATED,
        name=name,
    )
    if isinstance(settings, NoTls):
        return settings
    settings = replace(
        settings,
        protocols=tuple(each for each in settings.protocols if not _below_dane(each, level, postfix)),
        groups=client_groups(parameters).groups,
    )
    hello = client_hello(settings)
    if hello is None:
        protocols_name = protocols_parameter(parameters, mandatory=mandatory)
        return NoTls(
            name=name,
            reason=f"{protocols_name} and the cipher list leave nothing that can be offered",
            where=parameters.where(protocols_name),
        )
    source = f"{prefix} client at level {level}: {configuration.source} of Postfix {postfix} on OpenSSL {openssl}"
    return hello.profile(name=name, source=source)


def has_dnssec(parameters: Parameters, prefix: ClientPrefix = "smtp") -> bool:
    """Whether the client looks for TLSA records, without which is no DANE (postconf(5) smtp_dns_support_level)."""
    return parameters.text(f"{prefix}_dns_support_level").lower() == "dnssec"


def exclusions(parameters: Parameters, level: Tls, prefix: ClientPrefix = "smtp") -> str:
    """What is excluded from the cipher list at a level, in words."""
    names = [f"{prefix}_tls_exclude_ciphers"]
    if level != "may":
        names.append(f"{prefix}_tls_mandatory_exclude_ciphers")
    words = [parameters.text(name) for name in names]
    if level == "encrypt":
        words.append("eNULL")
    elif level in AUTHENTICATED:
        words.append("aNULL")
    return " ".join(word for word in words if word)


def _below_dane(protocol: Protocol, level: Tls, postfix: PostfixVersion) -> bool:
    """DANE needs SNI, which neither has: Postfix leaves them out, SSLv3 since 3.6."""
    return level in ("dane", "dane-only") and (
        protocol == "SSLv2" or (protocol == "SSLv3" and postfix >= _NO_SSLV3_WITH_DANE_SINCE)
    )
