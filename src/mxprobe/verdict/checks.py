"""The checks of a gate: conditions that were judged one by one, each passed, failed, or impossible to tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mxprobe.facts import EvidenceValue, Severity, Target

Outcome = Literal["passed", "failed", "unknown", "noted"]
"""*noted* is for what the reader should know and nothing depends on, such as a suite that was gained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of a file that a check is about; the first line is 1."""

    file: str
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One judged condition.

    `id` is the kind of condition, such as ``require``, ``sender``, ``covers`` (`docs/check.md` lists all); `name` says
    which one, such as ``tls1.2`` or a sender's name. `subject` is the next-hop or the file that is checked; `endpoint`
    is empty for the subject as a whole. `summary` is one line that a postmaster understands without the rest; `source`
    a standard or a manual page; `place` where in a configuration to look.
    """

    id: str
    name: str
    subject: str
    endpoint: str = ""
    outcome: Outcome
    severity: Severity
    summary: str
    evidence: dict[str, EvidenceValue] = field(default_factory=dict)
    source: str = ""
    place: Place | None = None


CheckKind = Literal["live", "paper", "outbound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """All that one run of a gate judged, and what it judged by.

    `kind` says how: servers were asked (*live*), a configuration was computed (*paper*), or stored partners were judged
    against a configuration (*outbound*). `subject` names what was checked. `targets` are what was probed or computed,
    with verdicts, so that a later run can take this one for its baseline.
    """

    started_at: datetime
    subject: str
    kind: CheckKind
    checks: tuple[Check, ...]
    targets: tuple[Target, ...] = ()
    connections: int = 0
    elapsed_seconds: float = 0.0


def outcome_of(checks: Iterable[Check]) -> Outcome:
    """What all checks come to: failed where one did, else unknown where one could not be told, else passed."""
    outcomes = {check.outcome for check in checks}
    for outcome in ("failed", "unknown"):
        if outcome in outcomes:
            return outcome
    return "passed"
