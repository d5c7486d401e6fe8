"""A scan as the store knows it: when it began, what it was to look at, under which settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
