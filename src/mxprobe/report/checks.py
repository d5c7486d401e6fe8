"""A gate's report for a person: the answer in the first line, then what failed, what is unknown, and what is well."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

from mxprobe.report.check_groups import (
    Group,
    answer,
    grouped_by_reason,
    likewise,
    others,
    place_words,
    title,
    where,
    without_the_obvious,
    words,
)
from mxprobe.report.layout import Piece, blank, bounded, flow, piece
from mxprobe.verdict.checks import Check, CheckReport, Outcome, outcome_of

if TYPE_CHECKING:
    from rich.console import Console

GROUPS_SHOWN = 25
"""Reasons shown of one outcome: two screens; what follows with `verbose`, and the JSON, have all checks."""

NAMES_SHOWN = 8
"""Senders, partners or endpoints named for one reason, so that it takes two or three lines."""

EVIDENCE_SHOWN = 20
"""Values shown of one piece of evidence: a server can have thousands of names."""

FILE_WIDTH = 80
"""Columns of a text that is written to a file, whatever the terminal has."""

_HANG = 10
_STYLES: dict[Outcome, str] = {"failed": "bold red", "unknown": "magenta", "noted": "cyan", "passed": "green"}


def print_checks(console: Console, report: CheckReport, *, verbose: bool) -> None:
    """Print the report. `verbose` adds every single check with its evidence and source."""
    flow(console, [piece(answer(report), _STYLES[outcome_of(report.checks)])])
    how = _how(report)
    report = without_the_obvious(report)
    for outcome in ("failed", "unknown", "noted"):
        _print_groups(console, report, outcome)
    passed = Counter(check.id for check in report.checks if check.outcome == "passed")
    if passed:
        counts = [f"{count} {check_id}" for check_id, count in passed.items()]
        flow(console, counts, label="passed", hang=_HANG, style=_STYLES["passed"])
    flow(console, how, label="judged", hang=_HANG, gap=1)
    if verbose and report.checks:
        blank(console)
        for check in report.checks:
            _print_check(console, report, check)


def text(report: CheckReport, *, verbose: bool = False, width: int = FILE_WIDTH) -> str:
    """The same for a file, without colours."""
    from rich.console import Console

    stream = io.StringIO()
    print_checks(Console(file=stream, width=width, highlight=False, color_system=None), report, verbose=verbose)
    return stream.getvalue()


def _print_groups(console: Console, report: CheckReport, outcome: Outcome) -> None:
    found = grouped_by_reason(report, outcome)
    for group in found[:GROUPS_SHOWN]:
        _print_group(console, report, group)
    if left := found[GROUPS_SHOWN:]:
        checks = sum(len(group.checks) for group in left)
        reasons = "another reason" if len(left) == 1 else f"{len(left)} other reasons"
        flow(console, [f"{checks} more for {reasons}"], label=outcome, hang=_HANG, style=_STYLES[outcome])


def _print_group(console: Console, report: CheckReport, group: Group) -> None:
    check, count = group.first, len(group.checks)
    style = _style(check)
    pieces = [piece(title(check) if count == 1 else f"{count} x {check.id}", style), piece(words(group))]
    pieces += _whereabouts(report, check)
    flow(console, pieces, label=_label(check), hang=_HANG, style=style)
    if count > 1:
        names = bounded(others(group, report), NAMES_SHOWN)
        listed = [f"{name}," for name in names[:-1]] + [names[-1]]
        flow(console, [likewise(group), *listed], label=" " * _HANG, hang=_HANG, gap=1)


def _print_check(console: Console, report: CheckReport, check: Check) -> None:
    style = _style(check) if check.outcome != "passed" else _STYLES["passed"]
    pieces = [piece(title(check), style), piece(check.summary), *_whereabouts(report, check)]
    if check.source:
        pieces.append(piece(f"({check.source})", "dim"))
    flow(console, pieces, label=check.outcome, hang=_HANG, style=style)
    for name, value in check.evidence.items():
        shown = ", ".join(bounded(value, EVIDENCE_SHOWN)) if isinstance(value, tuple) else str(value)
        flow(console, [f"{name} = {shown}"], label=" " * _HANG, hang=_HANG + 2)


def _whereabouts(report: CheckReport, check: Check) -> list[Piece]:
    """The endpoint unless the summary names it, and the line of the configuration."""
    pieces = []
    at = where(check, report)
    if at and at not in check.summary:
        pieces.append(piece(f"at {at}"))
    if check.place is not None:
        pieces.append(piece(place_words(check.place), "bold"))
    return pieces


def _label(check: Check) -> str:
    if check.outcome == "failed":
        return "critical" if check.severity == "critical" else "failed"
    return check.outcome


def _style(check: Check) -> str:
    if check.outcome == "failed" and check.severity != "critical":
        return "yellow"
    return _STYLES[check.outcome]


def _how(report: CheckReport) -> list[str]:
    endpoints = tuple(dict.fromkeys(check.endpoint for check in report.checks if check.endpoint))
    asked = endpoints[0] if len(endpoints) == 1 else f"{len(endpoints)} endpoints" if endpoints else "no endpoint"
    connections = f"{report.connections} connection{'' if report.connections == 1 else 's'}"
    match report.kind:
        case "live":
            how = [f"by asking {asked}:", connections]
        case "paper" if report.connections:
            how = [f"on paper, and by asking what it is compared with: {connections}"]
        case "paper":
            how = ["on paper: no server was asked"]
        case "outbound":
            how = ["by what the store knows: no connection was made"]
    how[-1] += f", {report.elapsed_seconds:.1f} s"
    return how
