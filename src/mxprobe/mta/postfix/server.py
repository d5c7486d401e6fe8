"""What Postfix's smtpd(8) accepts, computed from its configuration and the kinds of its keys.

As `pre_jail_init()` of `smtpd.c` and `tls_server_init()` of `tls_server.c` do it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mxprobe.errors import InvalidSetting
from mxprobe.mta.openssl import accepted_suites, usable_schemes
from mxprobe.mta.postfix.configuration import Configuration, Place
from mxprobe.mta.postfix.defaults import Parameters
from mxprobe.mta.postfix.groups import server_groups
from mxprobe.mta.postfix.levels import server_level_of
from mxprobe.mta.postfix.names import check_names
from mxprobe.mta.postfix.session import protocols_parameter, session_settings
from mxprobe.mta.postfix.version import PostfixVersion
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.terms import CertificateKind
from mxprobe.tls.openssl_catalogue import Generation

CERTIFICATE_PARAMETERS: Final = ("smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file")
"""Where certificates are without `smtpd_tls_chain_files`; they come to nothing where that is set."""

_STRONG_BUILT_IN_SINCE: Final = (3, 0, 14)
_AUTOMATIC_SINCE: Final = (3, 7, 0)


def certificate_files(
    configuration: Configuration, postfix: PostfixVersion, openssl: Generation = "3.0"
) -> tuple[tuple[str, str, Place | None], ...]:
    """The files that the server's certificates are in: parameter, path, and where it is set.

    Empty where there are none, and for ``smtpd_tls_cert_file = none``, which means anonymous suites alone.

    Raises:
        InvalidSetting: a value that cannot be evaluated.
    """
    parameters = Parameters(configuration=configuration, postfix=postfix, openssl=openssl)
    chains = "smtpd_tls_chain_files"
    if files := parameters.words(chains):
        return tuple((chains, path, parameters.place(chains)) for path in files)
    return tuple(
        (name, path, parameters.place(name))
        for name in CERTIFICATE_PARAMETERS
        if (path := parameters.text(name)) and not (name == "smtpd_tls_cert_file" and path.lower() == "none")
    )


def dh_parameter_file(
    configuration: Configuration, postfix: PostfixVersion, openssl: Generation = "3.0"
) -> tuple[str, str, Place | None] | None:
    """The file that the finite field for DHE is in: parameter, path, and where it is set; None where there is none.

    Raises:
        InvalidSetting: a value that cannot be evaluated.
    """
    name = "smtpd_tls_dh1024_param_file"
    parameters = Parameters(configuration=configuration, postfix=postfix, openssl=openssl)
    path = parameters.text(name)
    if not path or (path == "auto" and postfix >= _AUTOMATIC_SINCE):
        return None
    return name, path, parameters.place(name)


def server_profile(
    configuration: Configuration,
    *,
    postfix: PostfixVersion,
    openssl: Generation,
    certificate_kinds: tuple[CertificateKind, ...],
    name: str = "postfix",
    mandatory: bool | None = None,
    dh_bits: int | None = None,
) -> ServerProfile | NoTls:
    """What the server accepts with keys of these kinds, which are in `certificate_files`.

    `mandatory` says which of the two sets of parameters counts; None leaves it to the configuration. `dh_bits` is the
    size of the finite field in `dh_parameter_file`, where the caller has read it.

    Raises:
        InvalidSetting: what Postfix stops at, a TLS parameter that does not exist, or a certificate without its kind.
    """
    check_names(configuration, postfix)
    parameters = Parameters(configuration=configuration, postfix=postfix, openssl=openssl, daemon="smtpd")
    parameters.check()
    level = server_level_of(parameters)
    if level == "none" and mandatory is None:
        set_by = "smtpd_tls_security_level"
        value = parameters.text(set_by)
        return NoTls(
            name=name,
            reason=f"{set_by} = {value}" if value else f"{set_by} is empty, so STARTTLS is not offered",
            where=parameters.where(set_by),
        )
    enforced = level == "encrypt" if mandatory is None else mandatory

    files = certificate_files(configuration, postfix, openssl)
    asks = parameters.flag("smtpd_tls_ask_ccert") or (enforced and parameters.flag("smtpd_tls_req_ccert"))
    if not files:
        anonymous = parameters.text("smtpd_tls_cert_file").lower() == "none"
        if not anonymous or asks:
            reason = (
                "client certificates are asked for, which takes a certificate of its own"
                if anonymous
                else "none is set"
            )
            return NoTls(
                name=name,
                reason=f"no server certificate: {reason}",
                starttls="refused",
                where=parameters.where("smtpd_tls_cert_file"),
                warnings=("No server certs available. TLS won't be enabled",),
            )
        certificate_kinds = ()
    elif not certificate_kinds:
        parameter, path, place = files[0]
        where = str(place or configuration.source)
        raise InvalidSetting(where, f"{parameter}: the kind of the key in {path} decides the suites, and is not known")

    excluded = parameters.text("smtpd_tls_exclude_ciphers")
    if enforced:
        excluded = f"{excluded} {parameters.text('smtpd_tls_mandatory_exclude_ciphers')}"
    if asks:
        excluded = f"{excluded} aNULL"
    settings = session_settings(
        parameters,
        mandatory=enforced,
        excluded=excluded,
        authenticated=enforced and parameters.flag("smtpd_tls_req_ccert"),
        name=name,
    )
    if isinstance(settings, NoTls):
        return settings
    groups = server_groups(parameters)
    settings = replace(settings, groups=groups.groups)
    suites = accepted_suites(settings, certificate_kinds, ecdhe=groups.ecdhe)
    if not suites:
        protocols_name = protocols_parameter(parameters, mandatory=enforced)
        return NoTls(
            name=name,
            reason=f"{protocols_name}, the cipher list and the certificates leave no suite: every handshake fails",
            starttls="offered-but-broken",
            where=parameters.where(protocols_name),
        )
    return ServerProfile(
        name=name,
        suites=suites,
        order="server" if parameters.flag("tls_preempt_cipherlist") else "client",
        certificate_kinds=certificate_kinds,
        groups=(settings.groups_for(settings.enabled) if groups.ecdhe else ()),
        signature_schemes=usable_schemes(settings.schemes(), certificate_kinds),
        dh_bits=_dh_bits(parameters, dh_bits),
        source=f"smtpd server{' with mandatory TLS' if enforced else ''}: "
        f"{configuration.source} of Postfix {postfix} on OpenSSL {openssl}",
    )


def _dh_bits(parameters: Parameters, of_file: int | None) -> int | None:
    """The size of the finite field; None where it depends on the key or on a file that was not read."""
    if dh_parameter_file(parameters.configuration, parameters.postfix, parameters.openssl):
        return of_file
    if parameters.postfix >= _AUTOMATIC_SINCE and parameters.openssl == "3.0":
        return None
    return 2048 if parameters.postfix >= _STRONG_BUILT_IN_SINCE else 1024
