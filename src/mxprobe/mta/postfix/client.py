"""What Postfix's smtp(8) and lmtp(8) clients offer in a ClientHello, computed from their configuration.

As `set_cipher_grade()` of `smtp_tls_policy.c` and `tls_client_start()` of `tls_client.c` do it.
"""

from __future__ import annotations

from typing import Final

from mxprobe.errors import InvalidCipherString
from mxprobe.mta.openssl import DEFAULT_LEVEL, PROTOCOLS_OF, Settings, client_hello
from mxprobe.mta.postfix.ciphers import UnusableCiphers, cipher_string
from mxprobe.mta.postfix.configuration import Configuration
from mxprobe.mta.postfix.defaults import Parameters
from mxprobe.mta.postfix.groups import client_groups
from mxprobe.mta.postfix.levels import AUTHENTICATED, ClientPrefix, client_level_of
from mxprobe.mta.postfix.names import check_names
from mxprobe.mta.postfix.protocols import UnknownProtocol, read_protocol_list
from mxprobe.mta.postfix.version import PostfixVersion
from mxprobe.mta.profile import NoTls, Profile, Tls
from mxprobe.terms import Protocol
from mxprobe.tls.cipher_strings import cipher_list, default_ciphersuites
from mxprobe.tls.openssl_catalogue import Generation

LEVELS_SET_SINCE: Final = (3, 0, 14)
"""Since when Postfix lowers OpenSSL's security level to 0."""

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

    ``dane`` and ``dane-only`` are meant for a destination with usable TLSA records; where ``dane`` finds none, Postfix
    delivers as at ``may``. `prefix` chooses between the parameters of smtp(8) and lmtp(8).

    Raises:
        InvalidSetting: what Postfix stops at, or a TLS parameter that does not exist.
    """
    check_names(configuration, postfix)
    parameters = Parameters(configuration=configuration, postfix=postfix, openssl=openssl, daemon=prefix)
    parameters.check()
    level = client_level_of(parameters, prefix) if level is None else level
    level_name = f"{prefix}_tls_security_level"
    if level == "none":
        return NoTls(name=name, reason=f"{level_name} = none", where=parameters.where(level_name))

    protocols_name = f"{prefix}_tls_{'' if level == 'may' else 'mandatory_'}protocols"
    grade_name = f"{prefix}_tls_{'' if level == 'may' else 'mandatory_'}ciphers"
    text = parameters.text(protocols_name)
    try:
        listed = read_protocol_list(text, postfix)
    except UnknownProtocol as error:
        return NoTls(
            name=name,
            reason=f'{protocols_name}: Postfix {postfix} does not know "{error.word}", so the whole list is invalid',
            where=parameters.where(protocols_name),
            warnings=(f'Invalid TLS protocol list "{text}": aborting TLS session',),
        )
    grade = parameters.text(grade_name)
    try:
        string = cipher_string(parameters, grade, exclusions(parameters, level, prefix))
        ciphers = cipher_list(string, openssl)
    except UnusableCiphers as error:
        return NoTls(
            name=name,
            reason=str(error),
            where=parameters.where(grade_name),
            warnings=(f"{error}: aborting TLS session",),
        )
    except InvalidCipherString as error:
        return NoTls(
            name=name,
            reason=f"OpenSSL {openssl} refuses the cipher list: {error}",
            where=parameters.where(grade_name),
            warnings=(f'error setting cipher grade: "{grade}"',),
        )

    security = DEFAULT_LEVEL[openssl] if postfix < LEVELS_SET_SINCE else 0
    if ciphers.security_level is not None:
        security = ciphers.security_level
    if level in AUTHENTICATED and postfix >= LEVELS_SET_SINCE:
        security = 1
    hello = client_hello(
        Settings(
            openssl=openssl,
            protocols=tuple(
                protocol
                for protocol in PROTOCOLS_OF[openssl]
                if listed.allows(protocol) and not _below_dane(protocol, level, postfix)
            ),
            suites=ciphers.suites,
            ciphersuites=default_ciphersuites(openssl),
            level=security if openssl != "1.0.2" else 0,
            groups=client_groups(parameters).groups,
        )
    )
    if hello is None:
        return NoTls(
            name=name,
            reason=f"{protocols_name} and the cipher list leave nothing that can be offered",
            where=parameters.where(protocols_name),
        )
    return Profile(
        name=name,
        protocols=hello.protocols,
        suites=hello.suites,
        groups=hello.groups,
        signature_schemes=hello.signature_schemes,
        key_shares=hello.key_shares,
        source=f"{prefix} client at level {level}: {configuration.source} of Postfix {postfix} on OpenSSL {openssl}",
    )


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
