"""The matrix of one endpoint: protocols as rows, with the suites that each accepted in the server's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mxprobe.facts import EndpointFacts, Order, ProtocolFacts, ProtocolState, Suite
from mxprobe.report.layout import DETAIL_HANG, Piece, bounded, flow, piece
from mxprobe.terms import PROTOCOLS, Protocol, State
from mxprobe.tls.offer import Reached
from mxprobe.tls.weak_suites import Weakness, weaknesses

if TYPE_CHECKING:
    from rich.console import Console

HANG = 20
"""Where the words of a row begin: two blanks, the protocol, its state."""

SUITES_HANG = 6
"""Where lists of suites begin: not far in, because they can be long."""

_OLD: tuple[Protocol, ...] = ("SSLv2", "SSLv3")

_ORDER_WORDS: dict[Order, str] = {
    "server": "in the server's order",
    "client": "the client's order decides",
    "unknown": "whose order decides is unknown",
}
REACHED_WORDS: dict[Reached, str] = {
    "selected": "only a ServerHello seen",
    "flight-complete": "seen up to ServerHelloDone",
    "handshake-complete": "handshake complete",
}
"""How far a server went with a suite, in words: a ServerHello alone is not support."""


def print_matrix(console: Console, facts: EndpointFacts, *, verbose: bool) -> None:
    """Print one row a protocol; with `verbose` one line a suite, with its number and IANA name.

    Where a protocol takes exactly the suites of an earlier one, the row says so rather than list them again.
    """
    if not facts.protocols:
        flow(console, [piece(f"unknown: {_why_none(facts)}", "magenta")], label="  protocols", hang=DETAIL_HANG)
        return
    listed: dict[tuple[Suite, ...], Protocol] = {}
    for protocol in PROTOCOLS:
        answer = facts.protocols.get(protocol)
        _print_row(console, protocol, answer)
        if answer is None or not answer.suites:
            continue
        same_as = None if verbose else listed.get(answer.suites)
        if same_as is not None:
            flow(console, [f"the same suites as {same_as}, in the same order"], label=" " * HANG, hang=HANG)
            continue
        listed[answer.suites] = protocol
        if verbose:
            _print_suite_lines(console, protocol, answer.suites)
        else:
            flow(console, [_mark(suite) for suite in answer.suites], label=" " * SUITES_HANG, hang=SUITES_HANG, gap=1)
    counted = all(answer.complete for answer in facts.protocols.values() if answer.suites)
    _print_legend(console, {suite.id: suite for suites in listed for suite in suites}.values(), listed, counted=counted)


def same_matrix(one: EndpointFacts, other: EndpointFacts) -> bool:
    """Whether two endpoints answered alike, so that one matrix stands for both."""

    def shown(protocols: Mapping[Protocol, ProtocolFacts]) -> dict[Protocol, tuple[object, ...]]:
        return {
            protocol: (
                answer.state,
                answer.reason,
                answer.complete,
                answer.suites,
                answer.order,
                answer.undecided,
                answer.families,
            )
            for protocol, answer in protocols.items()
        }

    return bool(one.protocols) and shown(one.protocols) == shown(other.protocols)


def _print_row(console: Console, protocol: Protocol, answer: ProtocolFacts | None) -> None:
    state: ProtocolState = answer.state if answer else "unknown"
    pieces: list[Piece] = []
    if answer is None:
        pieces.append(piece("not asked at this depth"))
    elif answer.state == "accepted":
        count = len(answer.suites)
        pieces.append(piece(f"{count} suite{'' if count == 1 else 's'}" if count else "suites unknown"))
        if answer.complete:
            pieces += [piece("complete"), piece(answer.reason)]
        elif not answer.reason and any(state != "unknown" for state in answer.families.values()):
            pieces += [piece("others were not asked for at this depth"), *_families(answer)]
        else:
            pieces.append(piece(f"incomplete: {answer.reason or 'no reason was recorded'}", "magenta"))
        if count > 1:
            pieces.append(piece(_ORDER_WORDS[answer.order]))
        pieces += _not_finished(protocol, answer.suites)
    else:
        pieces.append(piece(answer.reason or "no reason was recorded"))
    if answer is not None and answer.undecided:
        undecided = " ".join(bounded(answer.undecided, 6))
        pieces.append(piece(f"{len(answer.undecided)} undecided: {undecided}", "magenta"))
    flow(console, pieces, label=f"  {protocol:<8}{state:<8}", hang=HANG, style=_row_style(protocol, state))


def _families(answer: ProtocolFacts) -> list[Piece]:
    """The weak families, where they were asked for and not all suites."""

    def names(state: State) -> str:
        return ", ".join(family for family, known in answer.families.items() if known == state)

    pieces = [piece(f"weak: {names('yes')}", "red") if names("yes") else piece("no weak families")]
    if unknown := names("unknown"):
        pieces = [*pieces[: bool(names("yes"))], piece(f"unknown whether weak: {unknown}", "magenta")]
    return pieces


def _not_finished(protocol: Protocol, suites: tuple[Suite, ...]) -> list[Piece]:
    """A remark where the server picked suites that it was not seen to go on with.

    Below TLS 1.3 only: there, we ask without a key share, and HelloRetryRequest is all that there is to see.
    """
    count = sum(suite.reached == "selected" for suite in suites) if protocol != "TLSv1.3" else 0
    if not count:
        return []
    return [piece(f"{'all' if count == len(suites) else count} with {REACHED_WORDS['selected']}", "yellow")]


def _print_suite_lines(console: Console, protocol: Protocol, suites: tuple[Suite, ...]) -> None:
    for number, suite in enumerate(suites, start=1):
        marked = _mark(suite)
        weak = weaknesses(suite.name, suite.iana)
        pieces: list[Piece | str] = [marked, suite.id]
        if suite.iana != suite.name:
            pieces.append(suite.iana or "no IANA name")
        if suite.reached != "selected" or protocol != "TLSv1.3":  # see _not_finished
            pieces.append(REACHED_WORDS[suite.reached])
        if weak:
            pieces.append(piece(", ".join(weak), "red"))
        flow(console, pieces, label=f"{number:>{SUITES_HANG - 2}}. ", hang=SUITES_HANG)


def _print_legend(
    console: Console, distinct: Iterable[Suite], listed: Iterable[tuple[Suite, ...]], *, counted: bool
) -> None:
    """What the marks before suites mean, if any was printed; a suite of several protocols counts once.

    There is nothing to count where not all suites are known.
    """
    marks: Counter[Weakness] = Counter()
    for suite in distinct:
        marks.update(weaknesses(suite.name, suite.iana))
    if marks:
        words = ", ".join(f"{count} {weakness}" if counted else weakness for weakness, count in marks.most_common())
        flow(console, [f"weak suites: {words}"], label="  !", hang=HANG, style="red")
    if any(not suite.standard for suites in listed for suite in suites):
        flow(console, ["no standard allows the suite in this protocol version"], label="  ~", hang=HANG, style="yellow")


def _mark(suite: Suite) -> Piece:
    weak = weaknesses(suite.name, suite.iana)
    text = ("!" if weak else "") + ("" if suite.standard else "~") + suite.name
    return piece(text, "red" if weak else "" if suite.standard else "yellow")


def _row_style(protocol: Protocol, state: ProtocolState) -> str:
    if state == "unknown":
        return "magenta"
    if state == "accepted":
        return "red" if protocol in _OLD else "bold"
    return "dim"


def _why_none(facts: EndpointFacts) -> str:
    if facts.starttls.state == "works":
        return "none was asked for"
    reason = facts.starttls.reason
    return f"no ClientHello was answered, STARTTLS is {facts.starttls.state}" + (f": {reason}" if reason else "")
