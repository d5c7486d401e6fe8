"""`mxprobe check --exim`: what a server would do with this Exim configuration, judged as if it had been probed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mxprobe.cli.checking.conditions import conditions
from mxprobe.cli.checking.paper import (
    Shown,
    Start,
    chains_named,
    host_stated,
    host_written,
    paper_report,
    stated_certificates,
    target_of,
    with_answers,
)
from mxprobe.cli.checking.postfix_files import place_said
from mxprobe.configuration.programs import included_text, read_text
from mxprobe.configuration.this_machine import exim_library, gnutls_listing, openssl_generation
from mxprobe.errors import InvalidSetting
from mxprobe.mta.exim.configuration import read_exim
from mxprobe.mta.exim.server import (
    certificate_files,
    gnutls_server_profile,
    openssl_server_profile,
    server_priority_of,
)
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.tls.openssl_catalogue import GENERATIONS, Generation, generation
from mxprobe.verdict.checks import Check, CheckReport, Place
from mxprobe.verdict.gate import gate_checks
from mxprobe.verdict.paper_checks import Blame, Places, placed, version_checks

if TYPE_CHECKING:
    from mxprobe.cli.checking.request import Request
    from mxprobe.facts import Severity
    from mxprobe.mta.exim.configuration import Configuration
    from mxprobe.mta.exim.lines import Library

_NAME = "exim"
_SPECIFICATION = "Exim specification §14, §43"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exim:
    """A configuration, and the TLS library under it: of GnuTLS no `openssl`."""

    configuration: Configuration
    openssl: Generation | None


def check_exim(request: Request) -> CheckReport:
    """Compute the server that an Exim configuration makes, and judge it by all conditions and the baseline; nothing is
    dialled but a baseline that is in use.

    Raises:
        InvalidSetting: a file or an option cannot be used, or something that decides about TLS cannot be told from the
            file.
    """
    start = Start.now()
    wanted = conditions(
        request.require, request.senders, request.covers, request.days, same_everywhere=request.same_everywhere
    )
    exim = _exim(request)
    shown = _certificates(request, exim.configuration)
    server, library = _server(exim, shown)
    subject = f"{exim.configuration.where} (Exim on {library})"
    target = target_of(request, server, shown, _host(request, exim.configuration), start.at)
    places = _places(exim, server, shown)
    found = gate_checks(with_answers(target, wanted, start.at), wanted, start.at, shown.by_fingerprint)
    senders = {sender.name: sender for sender in wanted.senders}
    no_tls = server.reason if isinstance(server, NoTls) else ""
    checks = list(placed(found, Blame(places=places, senders=senders, no_tls=no_tls)))
    if isinstance(server, ServerProfile):
        (facts,) = target.endpoints
        checks += version_checks(subject, facts, places, knows_sslv3=exim.openssl == "1.0.2")
    checks += _remarks(request, exim.configuration, subject)
    return paper_report(request, subject, target, tuple(checks), places, start)


def _exim(request: Request) -> _Exim:
    """The configuration, read as the Exim that the options say, or else that of this machine, would read it."""
    library, openssl = _library(request)
    named = request.exim or ""
    if not named:
        raise InvalidSetting("--exim", "it names no file", "an Exim's configuration")
    configuration = read_exim(read_text(Path(named), named), named, included_text, library=library)
    return _Exim(configuration=configuration, openssl=openssl)


def _library(request: Request) -> tuple[Library, Generation | None]:
    """The TLS library: the one stated, OpenSSL where its version is, or that of the Exim of this machine."""
    stated = None if request.openssl is None else generation(request.openssl)
    match request.tls_library:
        case "gnutls":
            if stated is not None:
                raise InvalidSetting("--openssl", "an Exim has one TLS library, and --tls-library says GnuTLS")
            return "gnutls", None
        case "openssl":
            if stated is None:
                problem = "it is missing: what an Exim accepts depends on its OpenSSL"
                raise InvalidSetting("--openssl", problem, ", ".join(GENERATIONS))
            return "openssl", stated
        case None:
            if stated is not None:
                return "openssl", stated
        case other:
            raise InvalidSetting("--tls-library", f"{other!r} is no TLS library of Exim", "openssl, gnutls")
    try:
        library = exim_library()
    except InvalidSetting as error:
        allowed = "openssl (with --openssl VERSION), gnutls"
        raise InvalidSetting("--tls-library", error.problem, allowed) from error
    if library == "gnutls":
        return "gnutls", None
    try:
        return "openssl", openssl_generation(None, of="Exim", here=True)
    except InvalidSetting as error:
        raise InvalidSetting("--openssl", error.problem, error.allowed) from error


def _certificates(request: Request, configuration: Configuration) -> Shown:
    """Those of ``--cert``, else those that `tls_certificate` names; none where Exim makes one of its own."""
    if request.certificates:
        return stated_certificates(request.certificates, mta="Exim")
    try:
        files = certificate_files(configuration)
    except InvalidSetting as error:
        allowed = "--cert FULLCHAIN.pem says which certificate it is"
        raise InvalidSetting(error.where, error.problem, allowed) from error
    if "tls_certificate" not in configuration.main:
        return Shown()
    where = configuration.main["tls_certificate"].where
    if not files:
        allowed = "a file; --cert FULLCHAIN.pem; no such line, and Exim makes a certificate of its own"
        raise InvalidSetting(where, "tls_certificate is empty", allowed)
    chains = [chain for path, _ in files for chain in chains_named(path, f"{where}: tls_certificate", mta="Exim")]
    return Shown(chains=tuple(chains), place=place_said(where))


def _server(exim: _Exim, shown: Shown) -> tuple[ServerProfile | NoTls, str]:
    """What the server accepts, and the name and version of its TLS library."""
    configuration, kinds = exim.configuration, shown.kinds
    if exim.openssl is not None:
        server = openssl_server_profile(configuration, openssl=exim.openssl, certificate_kinds=kinds, name=_NAME)
        return server, f"OpenSSL {exim.openssl}"
    priority, place = server_priority_of(configuration)
    try:
        listing, version = gnutls_listing(priority)
    except InvalidSetting as error:
        if error.where == "gnutls-cli":
            raise InvalidSetting(place, f"tls_require_ciphers: {error.problem}") from error
        raise InvalidSetting(place, f"tls_require_ciphers: {error.problem}", "a machine that has it") from error
    source = f"{configuration.where}, Exim on {version}"
    server = gnutls_server_profile(configuration, listing, certificate_kinds=kinds, name=_NAME, source=source)
    if isinstance(server, NoTls) and not server.where:
        # The string is valid and leaves nothing: STARTTLS is announced, and every hello is refused.
        server = replace(server, where=place, starttls="offered-but-broken")
    return server, version


def _host(request: Request, configuration: Configuration) -> str:
    """What the server is called: ``--as``, else the next-hop, else `primary_hostname`, which Exim does not expand."""
    if (stated := host_stated(request)) is not None:
        return stated
    named = configuration.main.get("primary_hostname")
    if named is None:
        return "localhost"
    if named.doubt:
        problem = f"whether primary_hostname is set depends on {named.doubt}, which cannot be told from the file"
        raise InvalidSetting(named.where, problem, "--as NAME says what the server is called")
    return host_written(named.value, "primary_hostname", named.where)


def _places(exim: _Exim, server: ServerProfile | NoTls, shown: Shown) -> Places:
    def place(name: str) -> Place | None:
        setting = exim.configuration.main.get(name)
        return None if setting is None else place_said(setting.where)

    no_tls = None
    if isinstance(server, NoTls):
        no_tls = place_said(server.where) or Place(file=exim.configuration.where)
    ciphers = place("tls_require_ciphers")
    return Places(
        level=place("tls_advertise_hosts"),
        protocols=ciphers if exim.openssl is None else place("openssl_options") or ciphers,
        certificates=shown.place,
        no_tls=no_tls,
        suites=ciphers,
        groups=ciphers if exim.openssl is None else place("tls_eccurve"),
    )


def _remarks(request: Request, configuration: Configuration, subject: str) -> Iterator[Check]:
    """What the computed server does not show: whom TLS is offered to, who needs a certificate, and whose is shown."""
    main = configuration.main

    def remark(name: str, severity: Severity, summary: str) -> Check:
        setting = main.get(name)
        place = Place(file=configuration.where) if setting is None else place_said(setting.where)
        return Check(
            id="configuration",
            name=name,
            subject=subject,
            outcome="noted",
            severity=severity,
            summary=summary,
            source=_SPECIFICATION,
            place=place,
        )

    if "tls_certificate" not in main:
        made = "tls_certificate is not set: Exim makes a certificate of its own, which nobody can verify"
        judged = f"; it was judged as if {request.certificates[0]} were" if request.certificates else ""
        yield remark("tls_certificate", "warning", made + judged)
    hosts = main.get("tls_advertise_hosts")
    if hosts is not None and (hosts.doubt or hosts.value.strip() not in ("", "*")):
        summary = "STARTTLS is offered to some hosts only: what was judged is what those get"
        yield remark("tls_advertise_hosts", "info", summary)
    verified = main.get("tls_verify_hosts")
    if verified is not None and (verified.doubt or verified.value.strip()):
        summary = "hosts of tls_verify_hosts have to show a certificate that verifies: few senders have one"
        yield remark("tls_verify_hosts", "warning", summary)
