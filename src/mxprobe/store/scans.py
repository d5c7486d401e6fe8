"""Scans as the store knows them: when one began, what it was to look at; and what one target was like at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mxprobe.facts import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One pass over some next-hops. It is unfinished, and can be resumed, until `finished_at` is set.

    `targets` are next-hops as the user wrote them, in his order. `settings_digest` stands for everything that
    decides what is asked, so that a scan is only resumed under the settings that it began with.
    """

    id: int
    started_at: datetime
    targets: tuple[str, ...]
    settings_digest: str
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What one scan found at one next-hop. `complete` says that all its endpoints were probed; verdicts are not kept.

    `position` is where the next-hop stands in its scan; scan and position together name this piece of the past.
    """

    scan_id: int
    position: int
    started_at: datetime
    finished_at: datetime | None
    complete: bool
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How much retention took away: results of next-hops, results of endpoints, and what only they referred to."""

    targets: int = 0
    probes: int = 0
    facts: int = 0
    certificates: int = 0
