"""Exit codes of every command: 0 nothing to report, 1 a finding, 2 wrong usage, 3 could not tell."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from mxprobe.report.escape import printable
from mxprobe.verdict.requirements import Unmet

NOTHING_TO_REPORT = 0
FINDING = 1
WRONG_USAGE = 2
COULD_NOT_TELL = 3


def exit_code(found: Iterable[Unmet]) -> int:
    """A finding wins over what could not be told: it is certain, and needs somebody."""
    outcomes = {unmet.outcome for unmet in found}
    if "failed" in outcomes:
        return FINDING
    return COULD_NOT_TELL if "unknown" in outcomes else NOTHING_TO_REPORT


def explain(found: Iterable[tuple[str, Unmet]]) -> None:
    """Say on standard error which requirement of which next-hop made the exit code what it is."""
    for next_hop, unmet in found:
        where = f" at {unmet.endpoint}" if unmet.endpoint else ""
        words = "not met" if unmet.outcome == "failed" else "could not be told"
        line = f"mxprobe: {next_hop}: {unmet.requirement} {words}{where}: {unmet.reason}"
        print(printable(line, 1000), file=sys.stderr)
