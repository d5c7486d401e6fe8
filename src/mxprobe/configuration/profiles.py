"""Profiles from wherever a user names them: lists, files of Postfix and Exim, priority strings, recordings, senders.

What a configuration means is for `mxprobe.mta`; here its files are read, and the machine's own `postconf`, `exim`,
`gnutls-cli` and `openssl` are asked where something is to be found out rather than stated. Only files and programs that
the user named, or that a kind of profile needs, are touched, and none for a profile of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from mxprobe.configuration.files import beside
from mxprobe.configuration.profile_lists import explicit_profile
from mxprobe.configuration.programs import included_text, read_text
from mxprobe.configuration.this_machine import (
    exim_library,
    gnutls_listing,
    openssl_generation,
    postconf,
    version_of_postfix,
)
from mxprobe.errors import InvalidCipherString, InvalidSetting
from mxprobe.mta.profile import NoTls, Profile, Tls
from mxprobe.terms import PROTOCOLS

if TYPE_CHECKING:
    from mxprobe.configuration.sections import ProfileSection
    from mxprobe.mta.exim.lines import Library
    from mxprobe.mta.postfix.configuration import Configuration
    from mxprobe.mta.postfix.levels import ClientPrefix

LIVE: Final = "live"
"""In the place of a `main.cf`: what `postconf -n` says on this machine. A file of that name is ``./live``."""


def profile_of_section(
    name: str, section: ProfileSection, *, directory: Path, where: str
) -> tuple[Profile | None, tuple[InvalidSetting, ...]]:
    """The profile of a ``[profiles.NAME]``, or all that is wrong with it.

    `where` names the section, like ``probes.toml: profiles.NAME``; paths are relative to `directory`.
    """
    given = {key: value for key in _KEYS if (value := getattr(section, key)) is not None}
    kinds = [kind for kind in KEYS_OF if kind in given]
    if "protocols" in given and "suites" not in given and not kinds:
        return None, (InvalidSetting(f"{where}.suites", "missing", _ALLOWED_SUITES),)
    if len(kinds) != 1:
        what = f"it has {' and '.join(kinds)}" if kinds else "it does not say what is offered"
        if "suites" in given and "protocols" not in given and len(kinds) == 1:
            what = "it has suites"
        return None, (InvalidSetting(where, what, f"exactly one of {', '.join(KEYS_OF)}"),)
    (kind,) = kinds
    strays = [key for key in given if key != kind and key not in KEYS_OF[kind]]
    if strays:
        allowed = ", ".join(KEYS_OF[kind]) or "nothing else"
        return None, tuple(
            InvalidSetting(f"{where}.{key}", f"it means nothing beside {kind!r}", allowed) for key in strays
        )
    if kind == "suites":
        return _explicit(name, section, where)
    try:
        return _PROFILE_OF[kind](name, section, directory, where), ()
    except InvalidSetting as error:
        return None, (error,)


def postfix_profile(
    name: str,
    main_cf: str,
    *,
    directory: Path = Path(),
    master: str | None = None,
    service: str | None = None,
    postfix_version: str | None = None,
    openssl: str | None = None,
    level: Tls | None = None,
    overrides: Mapping[str, str] | None = None,
    where: str,
) -> Profile:
    """What the smtp client of a Postfix offers.

    `main_cf` is a file, or `LIVE`. `service` is one of `master` (default: the `master.cf` beside), whose ``-o`` options
    count; `overrides` count more. A version that is not stated is found by the `postconf` of this machine, and only
    then the OpenSSL by its `openssl`: a file from elsewhere says nothing about either.

    Raises:
        InvalidSetting: a file cannot be read or is wrong, a version is missing, or this Postfix does no TLS.
    """
    from mxprobe.mta.postfix.client import client_profile

    live = main_cf == LIVE
    with _within(where, "postfix"):
        configuration, prefix = _postfix_configuration(main_cf, directory, master, service, overrides or {})
        version, found = version_of_postfix(postfix_version, live=live)
        profile = client_profile(
            configuration,
            postfix=version,
            openssl=openssl_generation(openssl, of="Postfix", here=found),
            level=level,
            name=name,
            prefix=prefix,
        )
    return _with_tls(profile, _at(where, "postfix"))


def exim_profile(
    name: str,
    file: str,
    *,
    directory: Path = Path(),
    transport: str | None = None,
    tls_library: Literal["openssl", "gnutls"] | None = None,
    openssl: str | None = None,
    where: str,
) -> Profile:
    """What an smtp transport of an Exim offers; `transport` has to be named where there are several unlike ones.

    The TLS library is stated, or follows from a stated `openssl`, or is that of the `exim` of this machine.

    Raises:
        InvalidSetting: a file cannot be read or is wrong, something is missing, or nothing is left to offer.
    """
    from mxprobe.mta.exim.client import openssl_client_profile, priority_of
    from mxprobe.mta.exim.configuration import read_exim

    with _within(where, "exim"):
        library: Library
        found = tls_library is None and openssl is None
        if tls_library == "gnutls" and openssl is not None:
            raise InvalidSetting("openssl", "an Exim has one TLS library, and it is said to be GnuTLS")
        library = exim_library() if found else tls_library or "openssl"
        path = beside(directory, file)
        configuration = read_exim(read_text(path), str(path), included_text, library=library)
        if library == "gnutls":
            priority, place = priority_of(configuration, transport)
            return _of_priority(name, priority, f"{place}, by {{version}}")
        profile = openssl_client_profile(
            configuration,
            transport=transport,
            openssl=openssl_generation(openssl, of="Exim", here=found),
            name=name,
        )
    return _with_tls(profile, _at(where, "exim"))


def exim_strings_profile(
    name: str, tls_require_ciphers: str | None, openssl_options: str | None, *, openssl: str | None, where: str
) -> Profile:
    """What an Exim with OpenSSL offers that has these two options, without a file.

    Raises:
        InvalidSetting: one of them is wrong, the OpenSSL is missing, or nothing is left to offer.
    """
    from mxprobe.mta.exim.client import openssl_strings_profile

    with _within(where, "tls_require_ciphers"):
        generation = openssl_generation(openssl, of="Exim", here=False)
        profile = openssl_strings_profile(tls_require_ciphers, openssl_options, openssl=generation, name=name)
    return _with_tls(profile, _at(where, "tls_require_ciphers"))


def gnutls_profile(name: str, priority: str, *, where: str) -> Profile:
    """What a client of GnuTLS offers with a priority string, by the machine's own `gnutls-cli`.

    Raises:
        InvalidSetting: there is no gnutls-cli, or it refuses the string.
    """
    with _within(where, "gnutls"):
        return _of_priority(name, priority, "GnuTLS priority string, by {version}")


def recorded_profile(name: str | None, file: str, *, directory: Path = Path(), where: str) -> Profile:
    """The profile of a file that `mxprobe profile record` wrote; without a `name`, its own.

    Raises:
        InvalidSetting: it cannot be read, or is no such file.
    """
    from dataclasses import replace

    from mxprobe.mta.profile_file import read_profile

    with _within(where, "recorded"):
        path = beside(directory, file)
        profile = read_profile(read_text(path), str(path))
    return profile if name is None else replace(profile, name=name)


def sender_profile(name: str | None, sender: str, *, where: str) -> Profile:
    """The profile of a sender that mxprobe has; without a `name`, under the sender's own.

    Raises:
        InvalidSetting: there is none of that name.
    """
    from dataclasses import replace

    from mxprobe.mta import senders

    profile = senders.sender(sender, _at(where, "sender")).profile
    return profile if name is None else replace(profile, name=name)


KEYS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "suites": ("protocols", "groups", "signature_schemes"),
    "postfix": ("master", "service", "postfix_version", "openssl", "level", "overrides"),
    "exim": ("transport", "tls_library", "openssl"),
    "tls_require_ciphers": ("openssl_options", "openssl"),
    "gnutls": (),
    "recorded": (),
    "sender": (),
}
"""The kinds of a ``[profiles.NAME]``, each by the key that makes it one, with the other keys that it may have."""

_KEYS = tuple(dict.fromkeys(key for kind, others in KEYS_OF.items() for key in (kind, *others)))
_ALLOWED_SUITES = "an array of one or more OpenSSL or IANA names of cipher suites"
_ALLOWED_PROTOCOLS = f"an array of one or more of {', '.join(PROTOCOLS)}"


def _explicit(name: str, section: ProfileSection, where: str) -> tuple[Profile | None, tuple[InvalidSetting, ...]]:
    if section.protocols is None:
        return None, (InvalidSetting(f"{where}.protocols", "missing", _ALLOWED_PROTOCOLS),)
    return explicit_profile(
        name,
        section.protocols,
        section.suites or (),
        groups=section.groups,
        signature_schemes=section.signature_schemes,
        where=where,
    )


def _of_postfix(name: str, section: ProfileSection, directory: Path, where: str) -> Profile:
    return postfix_profile(
        name,
        section.postfix or "",
        directory=directory,
        master=section.master,
        service=section.service,
        postfix_version=section.postfix_version,
        openssl=section.openssl,
        level=section.level,
        overrides=section.overrides,
        where=where,
    )


def _of_exim(name: str, section: ProfileSection, directory: Path, where: str) -> Profile:
    return exim_profile(
        name,
        section.exim or "",
        directory=directory,
        transport=section.transport,
        tls_library=section.tls_library,
        openssl=section.openssl,
        where=where,
    )


_PROFILE_OF: Mapping[str, Callable[[str, ProfileSection, Path, str], Profile]] = {
    "postfix": _of_postfix,
    "exim": _of_exim,
    "tls_require_ciphers": lambda name, section, _directory, where: exim_strings_profile(
        name, section.tls_require_ciphers, section.openssl_options, openssl=section.openssl, where=where
    ),
    "gnutls": lambda name, section, _directory, where: gnutls_profile(name, section.gnutls or "", where=where),
    "recorded": lambda name, section, directory, where: recorded_profile(
        name, section.recorded or "", directory=directory, where=where
    ),
    "sender": lambda name, section, _directory, where: sender_profile(name, section.sender or "", where=where),
}


@contextmanager
def _within(where: str, kind: str) -> Iterator[None]:
    """Whatever is wrong in a file or a program is so at a place of the user's own: both are named."""
    try:
        yield
    except InvalidCipherString as error:
        raise InvalidSetting(_at(where, kind), str(error)) from error
    except InvalidSetting as error:
        if error.where == kind or (error.where in _KEYS and error.where not in KEYS_OF):
            raise InvalidSetting(_at(where, error.where), error.problem, error.allowed) from error
        raise InvalidSetting(_at(where, kind), f"{error.where}: {error.problem}", error.allowed) from error


def _at(where: str, key: str) -> str:
    """The place of a key: in a section of probes.toml, or on the command line, where the option has said the kind."""
    if not where.startswith("--"):
        return f"{where}.{key}"
    return where if key in KEYS_OF else f"{where}: {key}"


def _with_tls(profile: Profile | NoTls, where: str) -> Profile:
    if isinstance(profile, Profile):
        return profile
    place = f"{profile.where}: " if profile.where else ""
    raise InvalidSetting(where, f"{place}no TLS comes of it: {profile.reason}")


def _postfix_configuration(
    main_cf: str, directory: Path, master: str | None, service: str | None, overrides: Mapping[str, str]
) -> tuple[Configuration, ClientPrefix]:
    """The settings that count for the client: those of main.cf, of the service in master.cf, and the overrides.

    Also what the names of its parameters begin with: ``smtp``, or ``lmtp`` where the service is such a client.
    """
    from mxprobe.mta.postfix import configuration as postfix

    prefix: ClientPrefix = "smtp"
    path = beside(directory, main_cf)
    if main_cf == LIVE:
        settings = postfix.read_postconf_n(postconf("-n"))
    else:
        settings = postfix.read_main_cf(read_text(path), str(path))
    if master is not None and service is None:
        raise InvalidSetting("master", "no service of it is named", "service, such as smtp or relay")
    if service is not None:
        from mxprobe.mta.postfix.services import client_service, of_service, read_master_cf

        if master is None and main_cf == LIVE:
            text, place = postconf("-M"), "postconf -M"
        else:
            there = path.with_name("master.cf") if master is None else beside(directory, master)
            text, place = read_text(there), str(there)
        services = read_master_cf(text, place)
        found = client_service(services, service, "service")
        settings, prefix = of_service(settings, services, found), "lmtp" if found.command == "lmtp" else "smtp"
    return settings.overridden(
        postfix.overrides((f"{key}={value}" for key, value in overrides.items()), "overrides")
    ), prefix


def _of_priority(name: str, priority: str, source: str) -> Profile:
    """What a client of GnuTLS offers with a priority string; ``{version}`` in `source` is that of the GnuTLS asked."""
    from mxprobe.mta import gnutls

    listing, version = gnutls_listing(priority)
    return gnutls.client_profile(listing, name=name, source=source.replace("{version}", version))
