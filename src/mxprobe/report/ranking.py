"""Which verdicts matter most: the order in which a report shows them, and the worst of a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mxprobe.facts import EndpointFacts, Target, Verdict
from mxprobe.verdict.rules import endpoint_name

Rank = Literal["critical", "warning", "unknown", "info", "ok"]
"""A severity, or *unknown*: nothing bad was seen, but something was not seen at all."""

RANKS: tuple[Rank, ...] = ("critical", "warning", "unknown", "info", "ok")
"""Worst first."""

STYLES: dict[Rank, str] = {
    "critical": "bold red",
    "warning": "yellow",
    "unknown": "magenta",
    "info": "cyan",
    "ok": "green",
}
"""The colour of each rank where there is a terminal to show it; the words say it everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One verdict, with all endpoints for which it was given in the same words; none for the whole target.

    `ids` has more than that of the verdict where others are unknown for the very same reason.
    """

    rank: Rank
    verdict: Verdict
    endpoints: tuple[str, ...]
    ids: tuple[str, ...]


def rank_of(verdict: Verdict) -> Rank:
    """Where a verdict stands. An unknown answer without a severity of its own is *unknown*, never ok."""
    if verdict.severity in ("critical", "warning"):
        return verdict.severity
    return "unknown" if verdict.state == "unknown" else verdict.severity


def worst(target: Target) -> Rank:
    """The worst rank of a target. One whose route is in error, or that was not judged, is *unknown* at best."""
    ranks = {rank_of(verdict) for verdict in target.verdicts}
    if target.route.kind == "error" or not ranks:
        ranks.add("unknown")
    return next(rank for rank in RANKS if rank in ranks)


def statements(target: Target) -> tuple[Statement, ...]:
    """The verdicts of a target, worst first and otherwise in their own order; equal words are said once."""
    grouped: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in target.verdicts:
        subject = "" if verdict.state == "unknown" else verdict.id
        key = (rank_of(verdict), subject, verdict.state, verdict.summary)
        grouped.setdefault(key, []).append(verdict)
    found = [
        Statement(
            rank=rank_of(verdicts[0]),
            verdict=verdicts[0],
            endpoints=tuple(dict.fromkeys(verdict.endpoint for verdict in verdicts if verdict.endpoint)),
            ids=tuple(dict.fromkeys(verdict.id for verdict in verdicts)),
        )
        for verdicts in grouped.values()
    ]
    return tuple(sorted(found, key=lambda statement: RANKS.index(statement.rank)))


def verdict_on(target: Target, facts: EndpointFacts, verdict_id: str) -> Verdict | None:
    """The verdict of that id on one endpoint, if it was given."""
    name = endpoint_name(facts)
    return next((verdict for verdict in target.verdicts if verdict.id == verdict_id and verdict.endpoint == name), None)
