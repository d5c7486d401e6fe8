"""Who is told what: events and summaries to rows of the outbox. Nothing is sent here, and no clock is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from mxprobe.alerts.messages import delivery_key, event_document, event_key, summary_document, summary_key
from mxprobe.alerts.targets import AlertTarget
from mxprobe.facts import Severity
from mxprobe.store.work import NewDelivery
from mxprobe.verdict.events import Event
from mxprobe.verdict.seen import DEFAULTS
from mxprobe.verdict.summaries import Summary, summaries, told_alone

GroupsOf = Callable[[str], Iterable[str]]
"""The groups that a next-hop is in."""

SEVERITIES: tuple[Severity, ...] = ("ok", "info", "warning", "critical")

WORST: dict[str, Severity] = {
    "starttls-vanished": "critical",
    "starttls-broken": "critical",
    "weaker-endpoint": "critical",
    "version-gone": "warning",
    "version-new": "warning",
    "suite-gone": "warning",
    "suite-new": "warning",
    "shared-cipher-lost": "critical",
    "needs-sslv3-began": "critical",
    "certificate-expiring": "warning",
    "certificate-expired": "critical",
    "name-lost": "warning",
    "no-longer-trusted": "critical",
    "null-mx": "warning",
    "domain-gone": "critical",
    "address-changed": "warning",
    "unknown-for-long": "warning",
    "flapping": "critical",
}
"""How severe an event of a kind is at worst; those that are not named are *info*. Whoever may have been told of it is
told of its end."""


def enqueue(
    events: Iterable[Event],
    together: Iterable[Summary],
    targets: Iterable[AlertTarget],
    *,
    groups_of: GroupsOf,
    now: datetime,
    hold: timedelta = timedelta(0),
) -> tuple[NewDelivery, ...]:
    """The rows of the outbox for events, of which those in a summary are told by it; to be sent after `hold`.

    Of a summary, a target is told what concerns its groups and severity; what is left for it alone is told as events.
    """
    together = tuple(together)
    alone = told_alone(events, together)
    rows: dict[str, NewDelivery] = {}

    def add(target: AlertTarget, key: str, document: dict[str, object]) -> None:
        own = delivery_key(target.name, key)
        row = NewDelivery(key=own, alert=target.name, document=document, created_at=now, next_at=now + hold)
        rows.setdefault(own, row)

    for target in targets:
        single = [event for event in alone if concerns(target, event, groups_of)]
        for summary in together:
            parts = parts_for(target, summary, groups_of)
            for part in parts:
                row = summary_row(target, part, groups_of, now, now + hold)
                rows.setdefault(row.key, row)
            single += told_alone((event for event in summary.events if concerns(target, event, groups_of)), parts)
        for event in single:
            add(target, event_key(event), event_document(event, _told(target, groups_of(event.next_hop))))
    return tuple(rows.values())


def parts_for(target: AlertTarget, summary: Summary, groups_of: GroupsOf) -> tuple[Summary, ...]:
    """What of a summary a target is told as one: all of it, or what concerns it, if that is more than one target's."""
    mine = tuple(event for event in summary.events if concerns(target, event, groups_of))
    if len(mine) == len(summary.events):
        return (summary,)
    return summaries(mine, lambda _: summary.provider, replace(DEFAULTS, summary_targets=2))


def summary_row(
    target: AlertTarget, summary: Summary, groups_of: GroupsOf, now: datetime, next_at: datetime
) -> NewDelivery:
    """The row of the outbox for a summary."""
    groups = dict.fromkeys(group for name in summary.next_hops for group in _told(target, groups_of(name)))
    return NewDelivery(
        key=delivery_key(target.name, summary_key(summary)),
        alert=target.name,
        document=summary_document(summary, groups),
        created_at=now,
        next_at=next_at,
    )


def keys_of(events: Iterable[Event], targets: Iterable[AlertTarget]) -> tuple[str, ...]:
    """The keys under which events were enqueued one by one: a summary of them takes their place in the outbox
    (`Store.supersede`)."""
    events = tuple(events)
    return tuple(delivery_key(target.name, event_key(event)) for target in targets for event in events)


def concerns(target: AlertTarget, event: Event, groups_of: GroupsOf) -> bool:
    """Whether a target is told of an event: by its groups, and its severity, or that of what it ends."""
    if target.groups and not set(target.groups) & set(groups_of(event.next_hop)):
        return False
    least = SEVERITIES.index(target.severity)
    ended = WORST.get(event.recovers, "info") if event.recovers else "ok"
    return max(SEVERITIES.index(event.severity), SEVERITIES.index(ended)) >= least


def _told(target: AlertTarget, groups: Iterable[str]) -> tuple[str, ...]:
    """The groups that a target may hear of."""
    return tuple(group for group in groups if not target.groups or group in target.groups)
