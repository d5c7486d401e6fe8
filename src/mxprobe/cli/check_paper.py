"""`mxprobe check --main-cf`: what a server would do with this configuration, judged as if it had been probed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mxprobe.cli.conditions import conditions, sender_profiles
from mxprobe.cli.postfix_files import (
    MAX_FILE,
    PostfixOnPaper,
    certificate_chains,
    check_place,
    field_bits,
    place_said,
    postfix_on_paper,
)
from mxprobe.errors import InvalidSetting
from mxprobe.mta.postfix import configuration as postfix_configuration
from mxprobe.mta.postfix.exclusions import Exclusion, exclusions_of
from mxprobe.mta.postfix.levels import server_level_of
from mxprobe.mta.postfix.server import certificate_files, dh_parameter_file, server_profile
from mxprobe.mta.profile import NoTls, ServerProfile
from mxprobe.schedule.files import read_at_most
from mxprobe.tls.signing_keys import kind_of_key
from mxprobe.trust.certificate import Certificate, fingerprint, read_certificate
from mxprobe.verdict.checks import Check, CheckReport, Place
from mxprobe.verdict.gate import gate_checks
from mxprobe.verdict.paper import target_on_paper
from mxprobe.verdict.paper_checks import Blame, Places, mandatory_check, placed, version_checks

if TYPE_CHECKING:
    from mxprobe.cli.check_request import Request
    from mxprobe.facts import Target
    from mxprobe.mta.postfix.configuration import Configuration
    from mxprobe.terms import CertificateKind
    from mxprobe.verdict.baseline import Baseline
    from mxprobe.verdict.gate import Conditions

_PORT_25 = ("smtp", "25")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """The certificates that the server would show, each with its chain (DER), and where they are said to be."""

    chains: tuple[tuple[bytes, ...], ...] = ()
    place: Place | None = None

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        return tuple(read_certificate(chain[0], chain) for chain in self.chains)


def check_paper(request: Request) -> CheckReport:
    """Compute the server that a main.cf makes, and judge it by all conditions and the baseline; nothing is dialled but
    a baseline that is in use.

    Raises:
        InvalidSetting: a file or an option cannot be used.
    """
    started_at, started = datetime.now(UTC), time.monotonic()
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
    target = _target(request, paper, server, shown, started_at)
    checks = _judged(paper, server, target, wanted, shown, started_at)
    if not stated:
        checks.append(_no_certificate_stated(paper, request.certificates[0]))
    baseline, connections = _baseline(request, target)
    if baseline is not None:
        from mxprobe.verdict.baseline import baseline_checks

        known = sender_profiles(("all",))
        places = _places(paper, server, shown)
        checks += placed(baseline_checks(target, baseline, known), Blame(places=places))
    return CheckReport(
        started_at=started_at,
        subject=str(paper),
        kind="paper",
        checks=tuple(checks),
        targets=(target,),
        connections=connections,
        elapsed_seconds=round(time.monotonic() - started, 3),
    )


def _judged(
    paper: PostfixOnPaper,
    server: ServerProfile | NoTls,
    target: Target,
    wanted: Conditions,
    shown: _Shown,
    now: datetime,
) -> list[Check]:
    (facts,) = target.endpoints
    places = _places(paper, server, shown)
    certificates = {fingerprint(der): der for chain in shown.chains for der in chain}
    found = gate_checks(_with_answers(target, wanted, now), wanted, now, certificates)
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


def _with_answers(target: Target, wanted: Conditions, now: datetime) -> Target:
    """The target as if the senders had asked it, where it is required that they agree: on paper what they would get is
    what was computed."""
    if not any(required.name == "shared-cipher" for required in wanted.requirements):
        return target
    from mxprobe.facts import ProfileAnswer
    from mxprobe.verdict.rules import judge
    from mxprobe.verdict.simulation import simulate

    (facts,) = target.endpoints
    computed = (simulate(sender, facts) for sender in wanted.senders)
    answers = tuple(
        ProfileAnswer(
            profile=each.profile, state=each.state, protocol=each.protocol, suite=each.suite, reason=each.reason
        )
        for each in computed
    )
    return judge(target.next_hop, target.route, (replace(facts, profiles=answers),), now)


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


def _certificates(request: Request, paper: PostfixOnPaper) -> _Shown:
    """Those of ``--cert``, else those that the configuration names."""
    if request.certificates:
        chains = tuple(chain for name in request.certificates for chain in _with_kinds(name, "--cert"))
        return _Shown(chains=chains, place=Place(file=request.certificates[0]))
    found: list[tuple[bytes, ...]] = []
    place = None
    for name, path, where in certificate_files(paper.configuration, paper.postfix, paper.openssl):
        said = f"{where}: {name}" if where else name
        try:
            found += _with_kinds(path, said, several=name == "smtpd_tls_chain_files")
        except InvalidSetting as error:
            problem = f"{error.problem}; the suites depend on the kind of its key"
            raise InvalidSetting(error.where, problem, "--cert FULLCHAIN.pem says which certificate it is") from error
        place = place or check_place(where)
    return _Shown(chains=tuple(found), place=place)


def _with_kinds(name: str, where: str, *, several: bool = False) -> tuple[tuple[bytes, ...], ...]:
    chains = certificate_chains(name, where, several=several)
    for chain in chains:
        found = read_certificate(chain[0], chain)
        if kind_of_key(found.key) is None:
            why = found.error or f"its key is of the kind {found.key or 'unknown'}"
            raise InvalidSetting(
                where, f"{name} has a certificate without a kind of key that TLS has suites for: {why}"
            )
    return chains


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


def _profile(paper: PostfixOnPaper, configuration: Configuration, shown: _Shown) -> ServerProfile | NoTls:
    kinds: dict[CertificateKind, None] = {}
    for certificate in shown.certificates:
        kind = kind_of_key(certificate.key)
        if kind is not None:
            kinds[kind] = None
    return server_profile(
        configuration,
        postfix=paper.postfix,
        openssl=paper.openssl,
        certificate_kinds=tuple(kinds),
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


def _target(
    request: Request, paper: PostfixOnPaper, server: ServerProfile | NoTls, shown: _Shown, now: datetime
) -> Target:
    host = _host(request, paper)
    if not shown.chains:
        return target_on_paper(server, host=host, time=now)
    from mxprobe.trust.names import match_name
    from mxprobe.trust.verification import load_trust_store, verify_chain

    trust = load_trust_store(ca_file=request.probing.ca_file, ca_path=request.probing.ca_path)
    first = shown.chains[0]
    return target_on_paper(
        server,
        host=host,
        time=now,
        certificates=shown.certificates,
        verification=verify_chain(first, trust, depth_limit=request.probing.verify_depth, time=now),
        name_match=match_name(first[0], host),
    )


def _host(request: Request, paper: PostfixOnPaper) -> str:
    """What the server is called: ``--as``, else the next-hop, else `myhostname`."""
    from mxprobe.terms import host_name, parse_next_hop

    if request.known_as is not None:
        return _name(request.known_as, "--as")
    if request.next_hops:
        return parse_next_hop(request.next_hops[0]).host
    named = paper.configuration.get("myhostname")
    if named:
        try:
            return host_name(named)
        except ValueError as error:
            raise InvalidSetting(paper.configuration.where("myhostname"), f"myhostname: {error}") from error
    return "localhost"


def _name(text: str, where: str) -> str:
    from mxprobe.terms import host_name

    try:
        return host_name(text)
    except ValueError as error:
        raise InvalidSetting(where, str(error), "a host name") from error


def _places(paper: PostfixOnPaper, server: ServerProfile | NoTls, shown: _Shown) -> Places:
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


def _baseline(request: Request, target: Target) -> tuple[Baseline | None, int]:
    """What is compared with, and how many connections that took."""
    if request.baseline is None and request.baseline_store is None and request.baseline_live is None:
        return None, 0
    from mxprobe.cli.baselines import baseline_of_file, baseline_of_store
    from mxprobe.terms import parse_next_hop

    if request.baseline is not None:
        return baseline_of_file(request.baseline), 0
    if request.baseline_store is not None:
        hop = parse_next_hop(request.next_hops[0] if request.next_hops else target.next_hop)
        return baseline_of_store(request.baseline_store, (hop,)), 0
    from mxprobe.cli.probe import probe_all
    from mxprobe.cli.probing_options import probe_settings
    from mxprobe.cli.running import run_async
    from mxprobe.report.progress import progress
    from mxprobe.verdict.baseline import Baseline

    live = parse_next_hop(request.baseline_live or "")
    with progress() as display:
        found, spent = run_async(probe_all((live,), probe_settings(request.probing, {}), display))
    return Baseline(name=live.text, targets=tuple(each.target for each in found)), spent
