"""An endpoint beside what was there before: what is known of both, and the checks that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mxprobe.facts import EndpointFacts, EvidenceValue, Severity
from mxprobe.terms import State
from mxprobe.verdict.checks import Check, Outcome
from mxprobe.verdict.rules import endpoint_name

Change = Literal["keeps", "gained", "changed"]
"""The ids of the checks against a baseline. *keeps* fails for what is lost."""

_IN_SUMMARY = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An endpoint as it is now, and those that it takes the place of, one or more."""

    subject: str
    before: tuple[EndpointFacts, ...]
    after: EndpointFacts

    def was(self, state: Callable[[EndpointFacts], State]) -> State:
        """Whether something held before: *yes* where it did at any endpoint, *no* where it is known not to at all."""
        states = {state(facts) for facts in self.before}
        return "yes" if "yes" in states else "unknown" if "unknown" in states else "no"

    def check(
        self,
        id: Change,
        name: str,
        outcome: Outcome,
        summary: str,
        *,
        severity: Severity | None = None,
        evidence: dict[str, EvidenceValue] | None = None,
        source: str = "",
    ) -> Check:
        """A check on this endpoint, with the severity that its outcome mostly has unless another is given."""
        return Check(
            id=id,
            name=name,
            subject=self.subject,
            endpoint=endpoint_name(self.after),
            outcome=outcome,
            severity=severity or _SEVERITIES[outcome],
            summary=summary,
            evidence=evidence or {},
            source=source,
        )


_SEVERITIES: dict[Outcome, Severity] = {"passed": "ok", "failed": "warning", "unknown": "warning", "noted": "info"}


def listed(names: Iterable[str]) -> str:
    """Names for a summary, the first few of many."""
    names = tuple(names)
    more = len(names) - _IN_SUMMARY
    return ", ".join(names[:_IN_SUMMARY]) + (f" and {more} more" if more > 0 else "")
