"""`mxprobe check --main-cf`: what a server would do with this configuration, judged as if it had been probed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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
from mxprobe.cli.checking.postfix_files import (
    MAX_FILE,
    PostfixOnPaper,
    check_place,
    field_bits,
    place_said,
    postfix_on_paper,
)
from mxprobe.configuration.files import read_at_most
from mxprobe.mta.postfix import configuration as postfix_configuration
from mxprobe.mta.postfix.exclusions import Exclusion, exclusions_of
from mxprobe.mta.postfix.levels import server_level_of
from mxprobe.mta.postfix.server import certificate_files, dh_parameter_file, server_profile
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.verdict.checks import Check, CheckReport, Place
from mxprobe.verdict.gate import gate_checks
from mxprobe.verdict.paper_checks import Blame, Places, mandatory_check, placed, version_checks

if TYPE_CHECKING:
    from datetime import datetime

    from mxprobe.cli.checking.request import Request
    from mxprobe.facts import Target
    from mxprobe.mta.postfix.configuration import Configuration
    from mxprobe.verdict.gate import Conditions

_PORT_25 = ("smtp", "25")


def check_paper(request: Request) -> CheckReport:
    """Compute the server that a main.cf makes, and judge it by all conditions and the baseline; nothing is dialled but
    a baseline that is in use.

    Raises:
        InvalidSetting: a file or an option cannot be used.
    """
    start = Start.now()
    wanted = conditions(
        request.require, request.senders, request.covers, request.days, same_everywhere=request.same_everywhere
    )
    paper = postfix_on_paper(request, client=False)
    shown = _certificates(request, paper)
    if request.certificates and not certificate_files(paper.configuration, paper.postfix, paper.openssl):
        paper, stated = _with_certificate(paper, request.certificates[0]), False
    else:
        stated = True
    server = _profile(paper, paper.configuration, shown)
    target = target_of(request, server, shown, _host(request, paper), start.at)
    checks = _judged(paper, server, target, wanted, shown, start.at)
    if not stated:
        checks.append(_no_certificate_stated(paper, request.certificates[0]))
    return paper_report(request, str(paper), target, tuple(checks), _places(paper, server, shown), start)


def _judged(
    paper: PostfixOnPaper,
    server: ServerProfile | NoTls,
    target: Target,
    wanted: Conditions,
    shown: Shown,
    now: datetime,
) -> list[Check]:
    (facts,) = target.endpoints
    places = _places(paper, server, shown)
    found = gate_checks(with_answers(target, wanted, now), wanted, now, shown.by_fingerprint)
    mandatory = server_level_of(paper.parameters) == "encrypt"
    exclusions: tuple[Exclusion, ...] = ()
    if any(check.evidence.get("obstacle") == "suite" for check in found):
        exclusions = exclusions_of(
            paper.parameters, "smtpd", lambda changed: _profile(paper, changed, shown), mandatory=mandatory
        )
    senders = {sender.name: sender for sender in wanted.senders}
    no_tls = server.reason if isinstance(server, NoTls) else ""
    blame = Blame(places=places, exclusions=exclusions, senders=senders, no_tls=no_tls)
    checks = list(placed(found, blame))
    if isinstance(server, ServerProfile):
        checks += version_checks(str(paper), facts, places, knows_sslv3=paper.openssl == "1.0.2")
        if mandatory and _is_public(paper):
            checks.append(mandatory_check(str(paper), places))
    checks += remarks(paper, str(paper))
    return checks


def remarks(paper: PostfixOnPaper, subject: str) -> Iterator[Check]:
    """What is odd in the files, as checks that only note it."""
    for remark in paper.remarks:
        yield Check(
            id="configuration",
            name=remark.text.partition(":")[0][:60],
            subject=subject,
            outcome="noted",
            severity="info",
            summary=remark.text,
            source="postconf(5)",
            place=check_place(remark.place),
        )


def _certificates(request: Request, paper: PostfixOnPaper) -> Shown:
    """Those of ``--cert``, else those that the configuration names."""
    if request.certificates:
        return stated_certificates(request.certificates)
    found: list[tuple[bytes, ...]] = []
    place = None
    for name, path, where in certificate_files(paper.configuration, paper.postfix, paper.openssl):
        said = f"{where}: {name}" if where else name
        found += chains_named(path, said, several=name == "smtpd_tls_chain_files")
        place = place or check_place(where)
    return Shown(chains=tuple(found), place=place)


def _with_certificate(paper: PostfixOnPaper, name: str) -> PostfixOnPaper:
    setting = postfix_configuration.overrides((f"smtpd_tls_cert_file={name.replace('$', '$$')}",), "--cert")
    return replace(paper, configuration=paper.configuration.overridden(setting))


def _no_certificate_stated(paper: PostfixOnPaper, name: str) -> Check:
    return Check(
        id="configuration",
        name="smtpd_tls_cert_file",
        subject=str(paper),
        outcome="noted",
        severity="warning",
        summary=f"no certificate is set, which means no TLS at all: it was judged as if {name} were",
        source="postconf(5) smtpd_tls_chain_files",
        place=Place(file=paper.configuration.source),
    )


def _profile(paper: PostfixOnPaper, configuration: Configuration, shown: Shown) -> ServerProfile | NoTls:
    return server_profile(
        configuration,
        postfix=paper.postfix,
        openssl=paper.openssl,
        certificate_kinds=shown.kinds,
        dh_bits=_dh_bits(paper),
    )


def _dh_bits(paper: PostfixOnPaper) -> int | None:
    """The size of the finite field in the file that is named; None where it cannot be read, as suites are the same."""
    named = dh_parameter_file(paper.configuration, paper.postfix, paper.openssl)
    if named is None:
        return None
    try:
        return field_bits(read_at_most(named[1], MAX_FILE))
    except (OSError, ValueError):
        return None


def _host(request: Request, paper: PostfixOnPaper) -> str:
    """What the server is called: ``--as``, else the next-hop, else `myhostname`."""
    if (stated := host_stated(request)) is not None:
        return stated
    named = paper.configuration.get("myhostname")
    return host_written(named, "myhostname", paper.configuration.where("myhostname")) if named else "localhost"


def _places(paper: PostfixOnPaper, server: ServerProfile | NoTls, shown: Shown) -> Places:
    parameters = paper.parameters
    mandatory = "mandatory_" if server_level_of(parameters) == "encrypt" else ""

    def place(*names: str) -> Place | None:
        return next((found for name in names if (found := check_place(parameters.place(name))) is not None), None)

    no_tls = None
    if isinstance(server, NoTls):
        no_tls = place_said(server.where)
        if no_tls is None and not server.where.startswith("-"):
            no_tls = Place(file=paper.configuration.source)
    return Places(
        level=place("smtpd_tls_security_level", "smtpd_enforce_tls", "smtpd_use_tls"),
        protocols=place(f"smtpd_tls_{mandatory}protocols"),
        certificates=shown.place,
        no_tls=no_tls,
    )


def _is_public(paper: PostfixOnPaper) -> bool:
    """Whether it is the server of port 25, as it is where no other service of master.cf was named."""
    service = paper.service
    return service is None or service.type != "inet" or service.name.rpartition(":")[2] in _PORT_25
