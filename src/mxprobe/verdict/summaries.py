"""One line for what happens to many targets of one provider together: who runs them has changed something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from mxprobe.facts import Severity
from mxprobe.verdict.comparison import listed
from mxprobe.verdict.events import Event, host_of
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings

ProviderOf = Callable[[str], str | None]
"""The provider of an MX host, such as its registrable domain; None where there is none to name."""

_SEVERITIES: tuple[Severity, ...] = ("ok", "info", "warning", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The events of one kind at one provider, which are told together: `events`, in the order in which they came.

    `severity` is that of the worst; `next_hops` are the targets, sorted; `since` and `until` the first and the last.
    """

    kind: str
    severity: Severity
    provider: str
    since: datetime
    until: datetime
    next_hops: tuple[str, ...]
    summary: str
    events: tuple[Event, ...]


def summaries(
    events: Iterable[Event], provider_of: ProviderOf, settings: NoticeSettings = DEFAULTS
) -> tuple[Summary, ...]:
    """The summaries of the events of some time: of each kind and provider with so many targets as are settled.

    An event of a target as a whole, which no MX host stands for, is in none.
    """
    groups: dict[tuple[str, str], list[Event]] = {}
    providers: dict[str, str | None] = {}
    for event in events:
        host = host_of(event.aspect)
        if host and host not in providers:
            providers[host] = provider_of(host)
        if provider := providers.get(host):
            groups.setdefault((event.kind, provider), []).append(event)
    found = [_summary(*key, tuple(together)) for key, together in groups.items()]
    return tuple(each for each in found if len(each.next_hops) >= max(settings.summary_targets, 2))


def told_alone(events: Iterable[Event], together: Iterable[Summary]) -> tuple[Event, ...]:
    """The events that are in no summary."""
    inside = {id(event) for summary in together for event in summary.events}
    return tuple(event for event in events if id(event) not in inside)


def _summary(kind: str, provider: str, events: tuple[Event, ...]) -> Summary:
    next_hops = tuple(sorted({event.next_hop for event in events}))
    endpoints = {event.endpoint for event in events if event.endpoint}
    at = f" at {len(endpoints)} {'endpoint' if len(endpoints) == 1 else 'endpoints'}" if endpoints else ""
    return Summary(
        kind=kind,
        severity=max((event.severity for event in events), key=_SEVERITIES.index),
        provider=provider,
        since=min(event.at for event in events),
        until=max(event.at for event in events),
        next_hops=next_hops,
        summary=f"{kind} for {len(next_hops)} targets of {provider}{at}: {listed(next_hops)}; {events[0].summary}",
        events=events,
    )
