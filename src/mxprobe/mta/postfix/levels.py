"""Postfix's TLS security levels: what a configuration says, in words and in the older parameters (TLS_README)."""

from __future__ import annotations

from typing import Final, Literal, get_args

from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix.defaults import Parameters
from mxprobe.mta.postfix.version import PostfixVersion
from mxprobe.mta.profile import Tls

ClientPrefix = Literal["smtp", "lmtp"]
"""Which client: the names of its parameters begin with it."""

AUTHENTICATED: Final[frozenset[Tls]] = frozenset({"fingerprint", "dane", "dane-only", "verify", "secure"})
"""Levels at which the server has to be the right one."""

_FINGERPRINT_SINCE: Final = (2, 5, 0)
_DANE_SINCE: Final = (2, 11, 0)


def known_levels(postfix: PostfixVersion) -> tuple[Tls, ...]:
    """The levels that a version knows."""
    return tuple(
        level
        for level in get_args(Tls)
        if not (level == "fingerprint" and postfix < _FINGERPRINT_SINCE)
        and not (level.startswith("dane") and postfix < _DANE_SINCE)
    )


def client_level_of(parameters: Parameters, prefix: ClientPrefix = "smtp") -> Tls:
    """The level at which the client delivers where no policy says otherwise (`global_tls_level()`).

    Raises:
        InvalidSetting: a level that this version does not know, at which it stops.
    """
    name = f"{prefix}_tls_security_level"
    if text := parameters.text(name):
        return _level(parameters, name, text)
    if parameters.flag(f"{prefix}_enforce_tls"):
        return "verify" if parameters.flag(f"{prefix}_tls_enforce_peername") else "encrypt"
    return "may" if parameters.flag(f"{prefix}_use_tls") else "none"


def server_level_of(parameters: Parameters) -> Literal["none", "may", "encrypt"]:
    """The level at which the server works; it takes any higher one for ``encrypt``.

    Raises:
        InvalidSetting: a level that it does not know, at which it stops.
    """
    name = "smtpd_tls_security_level"
    if parameters.flag("smtpd_tls_wrappermode"):
        return "encrypt"
    if text := parameters.text(name):
        level = _level(parameters, name, text)
        if level in ("dane", "dane-only"):
            raise InvalidSetting(parameters.where(name), f'Invalid TLS level "{text}"', "none, may, encrypt")
        return level if level == "none" or level == "may" else "encrypt"
    if parameters.flag("smtpd_enforce_tls"):
        return "encrypt"
    return "may" if parameters.flag("smtpd_use_tls") else "none"


def _level(parameters: Parameters, name: str, text: str) -> Tls:
    known = known_levels(parameters.postfix)
    for level in known:
        if level == text.lower():
            return level
    raise InvalidSetting(
        parameters.where(name), f'{name}: Postfix {parameters.postfix} has no TLS level "{text}"', ", ".join(known)
    )
