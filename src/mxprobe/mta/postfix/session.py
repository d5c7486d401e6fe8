"""What both sides of Postfix set for a TLS session: protocols, cipher list, and OpenSSL's security level."""

from __future__ import annotations

from typing import Final

from mxprobe.errors import InvalidCipherString, InvalidSetting
from mxprobe.mta.openssl import DEFAULT_LEVEL, PROTOCOLS_OF, Settings
from mxprobe.mta.postfix.ciphers import UnusableCiphers, cipher_string, list_of_grade
from mxprobe.mta.postfix.defaults import Parameters
from mxprobe.mta.postfix.protocols import UnknownProtocol, read_protocol_list
from mxprobe.mta.profile import NoTls
from mxprobe.tls.cipher_strings import cipher_list, default_ciphersuites

_LEVELS_SET_SINCE: Final = (3, 0, 14)
"""Since when Postfix lowers OpenSSL's security level to 0, or sets it to 1 where certificates matter."""


def session_settings(
    parameters: Parameters, *, mandatory: bool, excluded: str, authenticated: bool, name: str
) -> Settings | NoTls:
    """The settings of OpenSSL, but for groups; or why a profile of this `name` has no TLS.

    `mandatory` chooses between the two sets of parameters, `excluded` has what is taken off the cipher list, in words,
    and `authenticated` says that the session is of no use without a certificate of the peer.

    Raises:
        InvalidSetting: a value that cannot be evaluated.
    """
    openssl, postfix = parameters.openssl, parameters.postfix
    protocols_name = protocols_parameter(parameters, mandatory=mandatory)
    text = parameters.text(protocols_name)
    try:
        protocols = read_protocol_list(text, postfix)
    except UnknownProtocol as error:
        effect = "disabling TLS support" if parameters.daemon == "smtpd" else "aborting TLS session"
        return NoTls(
            name=name,
            reason=f'{protocols_name}: Postfix {postfix} does not know "{error.word}", so the whole list is invalid',
            starttls="refused",
            where=parameters.where(protocols_name),
            warnings=(f'Invalid TLS protocol list "{text}": {effect}',),
        )
    grade_name = _parameter(parameters, "ciphers", mandatory=mandatory)
    grade = parameters.text(grade_name)
    exclusions = tuple(_parameter(parameters, "exclude_ciphers", mandatory=each) for each in (mandatory, False))
    try:
        string = cipher_string(parameters, grade, excluded)
        list_name = list_of_grade(parameters, grade)
        if string.startswith("SUITEB"):
            where = parameters.where(list_name)
            raise InvalidSetting(where, f"{list_name}: what Suite B leaves depends on every certificate of the chain")
        ciphers = cipher_list(string, openssl)
    except UnusableCiphers as error:
        return NoTls(
            name=name,
            reason=str(error),
            starttls="offered-but-broken",
            where=_first_set(parameters, *(exclusions if error.excluding else ()), grade_name),
            warnings=(f"{error}: aborting TLS session",),
        )
    except InvalidCipherString as error:
        return NoTls(
            name=name,
            reason=str(error),
            starttls="offered-but-broken",
            where=_first_set(parameters, list_name, *exclusions, grade_name),
            warnings=(f'error setting cipher grade: "{grade}"',),
        )
    security = DEFAULT_LEVEL[openssl] if postfix < _LEVELS_SET_SINCE else 0
    if ciphers.security_level is not None:
        security = ciphers.security_level
    if authenticated and postfix >= _LEVELS_SET_SINCE:
        security = 1
    return Settings(
        openssl=openssl,
        protocols=tuple(protocol for protocol in PROTOCOLS_OF[openssl] if protocols.allows(protocol)),
        suites=ciphers.suites,
        ciphersuites=default_ciphersuites(openssl),
        level=security if openssl != "1.0.2" else 0,
    )


def protocols_parameter(parameters: Parameters, *, mandatory: bool) -> str:
    """The parameter that the protocols are in."""
    return _parameter(parameters, "protocols", mandatory=mandatory)


def _parameter(parameters: Parameters, what: str, *, mandatory: bool) -> str:
    return f"{parameters.daemon}_tls_{'mandatory_' if mandatory else ''}{what}"


def _first_set(parameters: Parameters, *names: str) -> str:
    """Where the first of these that is no default is set, for people."""
    return parameters.where(next((name for name in names if parameters.place(name) is not None), names[-1]))
