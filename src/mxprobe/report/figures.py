"""How a service fares, in numbers: what metrics and status are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mxprobe.facts import Severity, Target
from mxprobe.store.work import AlertStanding, GroupStanding

EXPIRY_DAYS = (0, 1, 7, 14, 21, 30, 60, 90)
"""The limits of days left by which certificates are counted; all that last longer are one more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The targets by what is known of them: how many have each state of each verdict (the same verdict at several
    endpoints counts once, by its worst), and the days that certificates still last, counted up to each limit."""

    verdicts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    expiry: Mapping[int, int] = field(default_factory=dict)
    certificates: int = 0
    days_total: float = 0.0
    soonest_days: float | None = None

    def with_targets(self, targets: Iterable[Target], at: datetime) -> States:
        """The same with some targets more, which have their verdicts and facts. Pieces of a large store are added one
        after the other."""
        verdicts, expiry = Counter(self.verdicts), Counter(self.expiry)
        certificates, total, soonest = self.certificates, self.days_total, self.soonest_days
        for target in targets:
            verdicts.update(_states(target))
            for days in _days_left(target, at):
                certificates += 1
                total += days
                soonest = days if soonest is None else min(days, soonest)
                expiry.update(limit for limit in EXPIRY_DAYS if days <= limit)
        return States(
            verdicts=dict(verdicts),
            expiry=dict(expiry),
            certificates=certificates,
            days_total=total,
            soonest_days=soonest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopFigures:
    """What only a running service knows: its `visits` by how they ended since it was started, those `under_way`, how
    long the last took; connections `in_use` of those allowed (`limit`), and how many `wait` for one; whether port 25
    and the DNS can be used from here, and whether the configuration was read when that was asked for last."""

    started_at: datetime
    visits: Mapping[str, int] = field(default_factory=dict)
    under_way: int = 0
    last_visit_seconds: float | None = None
    in_use: int = 0
    limit: int = 0
    waiting: int = 0
    vantage: bool = True
    configuration: bool = True


MOST_LISTED = 20
"""Things that are wrong which are named, of those that are counted: for a person who looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """Something that was told and is not over: a `kind` of event, where (no endpoint: the target as a whole), and since
    when, as far as that is known."""

    severity: Severity
    next_hop: str
    kind: str
    endpoint: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of it, as of `at`. `open` counts what was told and is not over, by kind and severity, and `wrong` names the
    worst of it; `unreadable` are next-hops whose memory cannot be read."""

    at: datetime
    last_result_at: datetime | None = None
    groups: tuple[GroupStanding, ...] = ()
    alerts: tuple[AlertStanding, ...] = ()
    open: Mapping[tuple[str, str], int] = field(default_factory=dict)
    wrong: tuple[Wrong, ...] = ()
    unreadable: int = 0
    states: States = field(default_factory=States)
    loop: LoopFigures | None = None


def worst_of(wrong: Iterable[Wrong]) -> tuple[Wrong, ...]:
    """The `MOST_LISTED` that are severe, the worst and the newest first."""

    def order(each: Wrong) -> tuple[int, float, str, str, str]:
        since = each.since.timestamp() if each.since else 0.0
        return -_WORSE.index(each.severity), -since, each.next_hop, each.kind, each.endpoint

    return tuple(sorted((each for each in wrong if each.severity in ("warning", "critical")), key=order)[:MOST_LISTED])


_WORSE = ("ok", "info", "warning", "critical")


def _states(target: Target) -> Iterable[tuple[str, str]]:
    worst: dict[str, tuple[int, str]] = {}
    for verdict in target.verdicts:
        found = (_WORSE.index(verdict.severity), verdict.state)
        worst[verdict.id] = max(worst.get(verdict.id, found), found)
    return [(id, state) for id, (_, state) in worst.items()]


def _days_left(target: Target, at: datetime) -> Iterable[float]:
    """Of each endpoint, the days that the certificate it shows first still lasts."""
    for facts in target.endpoints:
        if facts.certificates and (ends := facts.certificates[0].not_after) is not None:
            yield (ends - at) / timedelta(days=1)
