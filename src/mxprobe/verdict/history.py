"""What changed from one scan to the next: verdicts that were known and are known otherwise.

What is unknown changes nothing: the last known state stays, and what comes after is compared with that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mxprobe.facts import Target, Verdict
from mxprobe.terms import State
from mxprobe.verdict.route_comparison import is_known, route_checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One verdict whose state is known now, and was another; `before` is None where it is known for the first time.

    `profile` is empty for a verdict that is not about one.
    """

    id: str
    endpoint: str
    profile: str
    before: State | None
    after: State
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one scan brought: what changed, of verdicts and of the route in words, and what it could not tell."""

    changed: tuple[Changed, ...]
    route: tuple[str, ...]
    unknown: tuple[Verdict, ...]


class History:
    """Goes from scan to scan of one next-hop, oldest first, and remembers what is known."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str, str], State] = {}
        self._last: Target | None = None

    def step(self, target: Target) -> Step:
        """What a target, with its verdicts, brought over all that were before."""
        changed, unknown = [], []
        for verdict in target.verdicts:
            if verdict.state == "unknown":
                unknown.append(verdict)
                continue
            key = (verdict.id, verdict.endpoint, str(verdict.evidence.get("profile", "")))
            before = self._states.get(key)
            if before != verdict.state:
                self._states[key] = verdict.state
                changed.append(
                    Changed(
                        id=verdict.id,
                        endpoint=verdict.endpoint,
                        profile=key[2],
                        before=before,
                        after=verdict.state,
                        summary=verdict.summary,
                    )
                )
        return Step(changed=tuple(changed), route=tuple(self._route(target)), unknown=tuple(unknown))

    def _route(self, target: Target) -> Iterator[str]:
        before, self._last = self._last, target if is_known(target) else self._last
        if before is not None:
            for check in route_checks(before, target):
                yield check.summary
