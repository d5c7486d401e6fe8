"""The report that a person reads: one target in full, or a scan of many as a table.

The first lines give the answer: the target and its worst finding, the route, each endpoint, then the problems. The
evidence follows. Whatever is not known says *unknown* and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from mxprobe.facts import EndpointFacts, Report, Target
from mxprobe.report.beyond_suites import print_beyond_suites, same_beyond_suites
from mxprobe.report.certificate_block import print_certificates, same_certificates, validity, verification_words
from mxprobe.report.layout import DETAIL_HANG, Piece, blank, bounded, flow, piece
from mxprobe.report.matrix import REACHED_WORDS, print_matrix, same_matrix
from mxprobe.report.ranking import RANKS, STYLES, Rank, Statement, statements, verdict_on, worst
from mxprobe.routing.route import MxHost, Route
from mxprobe.terms import State
from mxprobe.verdict.rules import endpoint_name

if TYPE_CHECKING:
    from rich.console import Console

HOSTS_SHOWN = 12
"""MX hosts of one route shown without `verbose`; the JSON has all."""

_STATE_STYLES: dict[State, str] = {"yes": "green", "no": "red", "unknown": "magenta"}
_INDENT = 4


def print_target(console: Console, target: Target, *, verbose: bool) -> None:
    """Print all that is known of one target.

    `verbose` adds the verdicts that are well, sources and evidence, one line a suite, fingerprints and verification
    steps, the greeting and the capabilities. Facts that several endpoints share are printed once.
    """
    _print_head(console, target)
    _print_route(console, target, verbose=verbose)
    for facts in target.endpoints:
        _print_endpoint_line(console, target, facts)
    shown = [said for said in statements(target) if verbose or said.rank in ("critical", "warning", "unknown")]
    if shown:
        blank(console)
    for said in shown:
        _print_statement(console, target, said, verbose=verbose)
    for number, facts in enumerate(target.endpoints):
        blank(console)
        _print_details(console, facts, target.endpoints[:number], verbose=verbose)
    if len(target.endpoints) != 1:
        blank(console)
        connections = sum(facts.connections for facts in target.endpoints)
        seconds = sum(facts.elapsed_seconds for facts in target.endpoints)
        flow(console, [_cost(connections, seconds)], label="in all", hang=8)


def print_summary(console: Console, report: Report) -> None:
    """Print one line a target, worst first and then by name, and how many there are of each rank."""
    ranked = sorted(
        ((worst(target), target) for target in report.targets),
        key=lambda pair: (RANKS.index(pair[0]), pair[1].next_hop),
    )
    column = min(max((len(target.next_hop) for _, target in ranked), default=0), 34)
    for rank, target in ranked:
        pieces = [target.next_hop.ljust(column), *_summary_pieces(target, rank)]
        flow(console, pieces, label=rank, hang=10, style=STYLES[rank])
    if ranked:
        blank(console)
    counts = Counter(rank for rank, _ in ranked)
    total = len(ranked)
    flow(
        console,
        [
            f"{total} target{'' if total == 1 else 's'}:",
            ", ".join(f"{counts[rank]} {rank}" for rank in RANKS if counts[rank]) or "none",
            _cost(report.connections, report.elapsed_seconds),
        ],
        hang=2,
    )


def endpoint_words(facts: EndpointFacts) -> str:
    """The endpoint as a reader names it: ``mx1.example.test [192.0.2.1]:25``."""
    return f"{facts.host} [{facts.address}]:{facts.port}" if facts.host != facts.address else _bare_address(facts)


def _bare_address(facts: EndpointFacts) -> str:
    return f"[{facts.address}]:{facts.port}"


def _print_head(console: Console, target: Target) -> None:
    rank = worst(target)
    counts = Counter(said.rank for said in statements(target))
    found = ", ".join(f"{counts[bad]} {bad}" for bad in ("critical", "warning", "unknown") if counts[bad])
    if not found and rank == "unknown":
        found = "unknown: nothing was judged"
    answer = piece(found or "ok, no problem was found", STYLES[rank])
    flow(console, [piece(target.next_hop, "bold"), answer])


def _print_route(console: Console, target: Target, *, verbose: bool) -> None:
    route = target.route
    label, words = _route_words(route)
    pieces = [piece(words, "" if route.kind != "error" else "bold red")] if words else []
    if route.canonical_name:
        pieces.append(piece(f"CNAME {route.canonical_name}"))
    dialled = {facts.address for facts in target.endpoints}
    hosts = route.hosts if verbose else route.hosts[:HOSTS_SHOWN]
    pieces += [_host_piece(host, dialled) for host in hosts]
    if len(route.hosts) > len(hosts):
        pieces.append(piece(f"and {len(route.hosts) - len(hosts)} more"))
    flow(console, pieces, label=label, hang=_INDENT)


def _route_words(route: Route) -> tuple[str, str]:
    match route.kind:
        case "mx":
            return "MX", "" if route.hosts else "unknown: no MX host is known"
        case "implicit-mx":
            return "MX", "none; the name itself takes the mail (implicit MX, RFC 5321 5.1):"
        case "null-mx":
            return "MX", "null MX: this domain takes no mail (RFC 7505); nothing was dialled"
        case "literal":
            return "to", "" if route.hosts else "unknown: no address is known"
        case "error":
            if route.error is None:
                return "MX", "unknown: the route could not be resolved; no reason was recorded"
            again = "temporary" if route.error.temporary else "permanent"
            return "MX", f"unknown: {route.error.status}: {route.error.text} ({again})"


def _host_piece(host: MxHost, dialled: set[str]) -> Piece:
    words = host.name if host.preference is None else f"{host.preference} {host.name}"
    if host.canonical_name and host.canonical_name != host.name:
        words += f" -> CNAME {host.canonical_name}"
    if host.error is not None:
        again = ", temporary" if host.error.temporary else ""
        return piece(f"{words} ({host.error.status}: {host.error.text}{again})", "red")
    remarks = []
    if not host.addresses and not host.refused_addresses:
        remarks.append("address unknown")
    if left := tuple(address for address in host.addresses if address not in dialled):
        remarks.append(f"not probed: {', '.join(bounded(left, 4))}")
    if host.refused_addresses:
        remarks.append(f"private or local, not dialled: {', '.join(bounded(host.refused_addresses, 4))}")
    return piece(f"{words} ({'; '.join(remarks)})", "yellow") if remarks else piece(words)


def _print_endpoint_line(console: Console, target: Target, facts: EndpointFacts) -> None:
    starttls = facts.starttls
    state = f"STARTTLS {starttls.state}"
    if starttls.state == "works":
        pieces = [piece(endpoint_words(facts), "bold"), piece(state, "green"), _natural_piece(facts)]
        pieces.append(piece(starttls.reason, "yellow"))
    else:
        reason = starttls.reason or (str(starttls.reply) if starttls.reply else "no reason was recorded")
        style = "magenta" if starttls.state == "unknown" else "bold red"
        pieces = [piece(endpoint_words(facts), "bold"), piece(f"{state}: {reason}", style)]
        if facts.natural is not None:
            pieces.append(_natural_piece(facts))
    if starttls.state == "works" or facts.certificates:
        pieces.append(piece("certificate " + ", ".join(_certificate_words(target, facts))))
    flow(console, pieces, hang=_INDENT)


def _natural_piece(facts: EndpointFacts) -> Piece:
    natural = facts.natural
    if natural is None:
        if facts.handshake_error:
            return piece(f"no handshake: {facts.handshake_error}", "bold red")
        return piece("handshake unknown: none was seen", "magenta")
    words = f"{natural.protocol} {natural.suite}"
    if natural.reached == "handshake-complete":
        return piece(words)
    return piece(f"{words} ({REACHED_WORDS[natural.reached]})", "yellow")


def _certificate_words(target: Target, facts: EndpointFacts) -> list[str]:
    """Trust, name and days of the certificate in a few words; the verdicts decide where they were given."""
    if not facts.certificates:
        return ["unknown"]
    verification, match = facts.verification, facts.name_match
    trusted = verdict_on(target, facts, "trusted")
    state: State | None = trusted.state if trusted else None
    if state is None and verification is not None:
        state = "yes" if verification.ok else "no"
    if state == "yes":
        words = ["trusted"]
    elif state == "no":
        why = trusted.summary if trusted and (verification is None or verification.ok) else ""
        why = why or (verification_words(verification) if verification else "")
        words = [f"not trusted: {why}" if why else "not trusted"]
    else:
        words = ["trust unknown"]
    words.append("name unknown" if match is None else "matches" if match.matches else "does not match")
    words.append(validity(facts.certificates[0], facts.started_at).text)
    return words


def _print_statement(console: Console, target: Target, said: Statement, *, verbose: bool) -> None:
    verdict = said.verdict
    pieces = [
        piece(f"{', '.join(said.ids)}: {verdict.state}", STYLES[said.rank]),
        piece(verdict.summary or "no reason was recorded"),
    ]
    known = {endpoint_name(facts): endpoint_words(facts) for facts in target.endpoints}
    everywhere = set(said.endpoints) == set(known)
    if said.endpoints and not everywhere:
        pieces.append(piece(f"at {', '.join(bounded(tuple(known.get(name, name) for name in said.endpoints), 4))}"))
    elif len(said.endpoints) > 1:
        pieces.append(piece(f"at all {len(said.endpoints)} endpoints"))
    if verbose:
        pieces.append(piece(f"({verdict.source})", "dim"))
    flow(console, pieces, label=said.rank, hang=10, style=STYLES[said.rank])
    if verbose and len(said.endpoints) <= 1:
        for name, value in verdict.evidence.items():
            shown = ", ".join(bounded(value, 20)) if isinstance(value, tuple) else str(value)
            flow(console, [f"{name} = {shown}"], label=" " * 10, hang=12)


def _print_details(console: Console, facts: EndpointFacts, before: tuple[EndpointFacts, ...], *, verbose: bool) -> None:
    flow(console, [piece(endpoint_words(facts), "bold")])
    if verbose:
        _print_dialogue(console, facts)
    if facts.early_bytes:
        shown = piece(f"{len(facts.early_bytes) // 2} in clear text after the 220: {facts.early_bytes}", "yellow")
        flow(console, [shown], label="  early bytes", hang=DETAIL_HANG)
    _print_sweep(console, facts)
    twin = _first(before, facts, same_matrix)
    if twin is not None:
        flow(console, [f"as {endpoint_words(twin)}"], label="  protocols", hang=DETAIL_HANG)
    else:
        print_matrix(console, facts, verbose=verbose)
    if twin is None or not same_beyond_suites(twin, facts):
        print_beyond_suites(console, facts, verbose=verbose)
    for answer in facts.profiles:
        got = f"{answer.protocol or ''} {answer.suite or ''}".strip()
        why = answer.reason or ("" if answer.state == "yes" else "no reason was recorded")
        flow(
            console,
            [piece(answer.state, _STATE_STYLES[answer.state]), got, why],
            label=f"  profile {answer.profile}: ",
            hang=_INDENT,
        )
    blank(console)
    twin = _first(before, facts, same_certificates)
    if twin is not None:
        flow(console, [f"as {endpoint_words(twin)}"], label="  certificate", hang=DETAIL_HANG)
    else:
        print_certificates(console, facts, verbose=verbose)
    if facts.handshake_error:
        flow(console, [piece(facts.handshake_error, "red")], label="  handshake", hang=DETAIL_HANG)
    flow(console, [_cost(facts.connections, facts.elapsed_seconds)], label="  cost", hang=DETAIL_HANG)
    for seen in facts.inconsistencies[:3]:
        said = f"{seen.protocol}: {seen.summary}: {', then '.join(seen.evidence[:3])}"
        flow(console, [piece(said, "red")], label="  contradictory", hang=DETAIL_HANG)
    for ending, count in list(facts.endings.items())[:20]:
        flow(console, [f"{count} x {ending}"], label="  ended", hang=DETAIL_HANG, style="magenta")


def _print_sweep(console: Console, facts: EndpointFacts) -> None:
    """Where the suites are from, unless each was asked for here and now; and what they were compared with."""
    when = f"{facts.swept_at:%Y-%m-%d %H:%M}" if facts.swept_at else "an unknown time"
    where = f" of {facts.same_as}" if facts.same_as else ""
    if facts.sweep in ("same-as", "confirmed"):
        words = f"{facts.sweep}: not asked again, the fingerprint is that of the sweep{where} of {when}"
        flow(console, [piece(words, "yellow")], label="  sweep", hang=DETAIL_HANG)
    if facts.sweep_reason:
        flow(console, [facts.sweep_reason], label="  sweep", hang=DETAIL_HANG)


def _print_dialogue(console: Console, facts: EndpointFacts) -> None:
    greeting = [str(facts.greeting)] if facts.greeting else [piece("unknown: none was read", "magenta")]
    flow(console, [*greeting, f"probed {facts.started_at:%Y-%m-%d %H:%M:%S %Z}"], label="  greeting", hang=DETAIL_HANG)
    announced = bounded(facts.capabilities, 40) or ("none were announced" if facts.greeting else "unknown",)
    flow(console, announced, label="  helo" if facts.helo else "  ehlo", hang=DETAIL_HANG)


def _first(
    before: tuple[EndpointFacts, ...], facts: EndpointFacts, alike: Callable[[EndpointFacts, EndpointFacts], bool]
) -> EndpointFacts | None:
    return next((other for other in before if alike(other, facts)), None)


def _summary_pieces(target: Target, rank: Rank) -> list[Piece | str]:
    if rank == "ok" or not target.verdicts:
        if target.route.kind in ("error", "null-mx"):
            return [_route_words(target.route)[1]]
        count = len(target.endpoints)
        return [f"{count} endpoint{'' if count == 1 else 's'}"]
    ids = [said.verdict.id for said in statements(target) if said.rank == rank]
    # An unresolved route is the reason for every other unknown.
    why = [_route_words(target.route)[1]] if target.route.kind == "error" else []
    return [*why, ", ".join(dict.fromkeys(ids))]


def _cost(connections: int, seconds: float) -> str:
    return f"{connections} connection{'' if connections == 1 else 's'}, {seconds:.1f} s"
