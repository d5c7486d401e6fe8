"""What a check on paper is made of, whichever MTA it is about: certificates, target, host name, baseline, report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mxprobe.cli.checking.conditions import sender_profiles
from mxprobe.cli.checking.postfix_files import certificate_chains
from mxprobe.errors import InvalidSetting
from mxprobe.tls.signing_keys import kind_of_key
from mxprobe.trust.certificate import Certificate, fingerprint, read_certificate
from mxprobe.verdict.checks import Check, CheckReport, Place
from mxprobe.verdict.paper import target_on_paper
from mxprobe.verdict.paper_checks import Blame, Places, placed

if TYPE_CHECKING:
    from mxprobe.cli.checking.request import Request
    from mxprobe.facts import Target
    from mxprobe.mta.profile import NoTls, ServerProfile
    from mxprobe.terms import CertificateKind
    from mxprobe.verdict.baseline import Baseline
    from mxprobe.verdict.gate import Conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The certificates that the server would show, each with its chain (DER), and where they are said to be."""

    chains: tuple[tuple[bytes, ...], ...] = ()
    place: Place | None = None

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Each server's own certificate, in order."""
        return tuple(read_certificate(chain[0], chain) for chain in self.chains)

    @property
    def kinds(self) -> tuple[CertificateKind, ...]:
        """The kinds of their keys, each once."""
        found = (kind_of_key(certificate.key) for certificate in self.certificates)
        return tuple(dict.fromkeys(kind for kind in found if kind is not None))

    @property
    def by_fingerprint(self) -> dict[str, bytes]:
        """All of them, those of the chains too."""
        return {fingerprint(der): der for chain in self.chains for der in chain}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When a check began: by the calendar, and by the clock that its duration is measured with (seconds)."""

    at: datetime
    clock: float

    @classmethod
    def now(cls) -> Start:
        """This moment."""
        return cls(at=datetime.now(UTC), clock=time.monotonic())


def stated_certificates(names: tuple[str, ...], *, mta: str = "Postfix") -> Shown:
    """Those of ``--cert``, for a server of this `mta`.

    Raises:
        InvalidSetting: one cannot be read, or has a key that no suite is for.
    """
    chains = tuple(chain for name in names for chain in chains_of(name, "--cert", mta=mta))
    return Shown(chains=chains, place=Place(file=names[0]))


def chains_named(
    name: str, where: str, *, several: bool = False, mta: str = "Postfix"
) -> tuple[tuple[bytes, ...], ...]:
    """Those of a file that a configuration names at `where`; `several` and `mta` as in `certificate_chains`.

    Raises:
        InvalidSetting: they cannot be read; it says what can be done about it.
    """
    try:
        return chains_of(name, where, several=several, mta=mta)
    except InvalidSetting as error:
        problem = f"{error.problem}; the suites depend on the kind of its key"
        raise InvalidSetting(error.where, problem, "--cert FULLCHAIN.pem says which certificate it is") from error


def chains_of(name: str, where: str, *, several: bool = False, mta: str = "Postfix") -> tuple[tuple[bytes, ...], ...]:
    """The chains of a PEM file, each with a certificate that there are suites for at its beginning.

    Raises:
        InvalidSetting: it cannot be read, or has another kind of key.
    """
    chains = certificate_chains(name, where, several=several, mta=mta)
    for chain in chains:
        found = read_certificate(chain[0], chain)
        if kind_of_key(found.key) is None:
            why = found.error or f"its key is of the kind {found.key or 'unknown'}"
            raise InvalidSetting(
                where, f"{name} has a certificate without a kind of key that TLS has suites for: {why}"
            )
    return chains


def target_of(request: Request, server: ServerProfile | NoTls, shown: Shown, host: str, now: datetime) -> Target:
    """What a probe of the server would find, its certificates verified by the trust that the options name."""
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


def host_stated(request: Request) -> str | None:
    """What the server is called by the options: ``--as``, else the next-hop; None where neither says.

    Raises:
        InvalidSetting: that is no host name.
    """
    from mxprobe.terms import host_name, parse_next_hop

    if request.known_as is not None:
        try:
            return host_name(request.known_as)
        except ValueError as error:
            raise InvalidSetting("--as", str(error), "a host name") from error
    return parse_next_hop(request.next_hops[0]).host if request.next_hops else None


def host_written(name: str, parameter: str, where: str) -> str:
    """The host name that a parameter of the configuration gives.

    Raises:
        InvalidSetting: it is none.
    """
    from mxprobe.terms import host_name

    try:
        return host_name(name)
    except ValueError as error:
        raise InvalidSetting(where, f"{parameter}: {error}") from error


def with_answers(target: Target, wanted: Conditions, now: datetime) -> Target:
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


def paper_report(
    request: Request, subject: str, target: Target, checks: tuple[Check, ...], places: Places, start: Start
) -> CheckReport:
    """The report: these checks, and those of the baseline if one is named.

    Raises:
        InvalidSetting: the baseline cannot be used.
    """
    baseline, connections = _baseline(request, target)
    if baseline is not None:
        from mxprobe.verdict.baseline import baseline_checks

        found = baseline_checks(target, baseline, sender_profiles(("all",)))
        checks += tuple(placed(found, Blame(places=places)))
    return CheckReport(
        started_at=start.at,
        subject=subject,
        kind="paper",
        checks=checks,
        targets=(target,),
        connections=connections,
        elapsed_seconds=round(time.monotonic() - start.clock, 3),
    )


def _baseline(request: Request, target: Target) -> tuple[Baseline | None, int]:
    """What is compared with, and how many connections that took."""
    if request.baseline is None and request.baseline_store is None and request.baseline_live is None:
        return None, 0
    from mxprobe.cli.checking.baselines import baseline_of_file, baseline_of_store
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
