"""Puts the digest of a week into the outbox when its time has come, once for each target that wants one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from mxprobe.alerts.digest import digest_document, digest_key
from mxprobe.alerts.enqueueing import GroupsOf
from mxprobe.alerts.messages import delivery_key
from mxprobe.alerts.targets import AlertTarget
from mxprobe.alerts.weekly import WEEK
from mxprobe.facts import Target
from mxprobe.store import KeptEvent, NewDelivery, Store
from mxprobe.verdict.rules import judge

LATE = timedelta(days=2)
"""A digest that is later than this, because nothing ran, is left out."""

MAX_EVENTS = 10_000
"""Events of a week that are read for a digest; those beyond are not counted."""

_AT_ONCE = 200
_EVENTS_AT_ONCE = 1000


async def enqueue_digests(
    store: Store, targets: Iterable[AlertTarget], now: datetime, *, groups_of: GroupsOf
) -> tuple[NewDelivery, ...]:
    """Enqueue the digests that are due and were not yet; to be called now and then, by as many processes as there are.

    There is none for a week before the first scan.
    """
    rows = []
    for target in targets:
        if target.digest is None:
            continue
        until = target.digest.last(now)
        key = delivery_key(target.name, digest_key(until))
        if now - until > LATE or await store.has_delivery(key):
            continue
        first = await store.first_scan_at()
        if first is None or first >= until:
            continue
        week = await _events(store, until - WEEK, until)
        events = [each for each in week if _is_in(target, each.next_hop, groups_of)]
        names = [each for each in await store.next_hops() if _is_in(target, each, groups_of)]
        document = digest_document(events, await _judged(store, names, now), since=until - WEEK, until=until)
        document["groups"] = list(target.groups)
        rows.append(NewDelivery(key=key, alert=target.name, document=document, created_at=now, next_at=now))
    if rows:
        await store.enqueue(rows)
    return tuple(rows)


def _is_in(target: AlertTarget, next_hop: str, groups_of: GroupsOf) -> bool:
    """Whether a next-hop is of the groups of a target; one that is in no group any more is not told."""
    groups = set(groups_of(next_hop))
    return bool(groups & set(target.groups)) if target.groups else bool(groups)


async def _events(store: Store, since: datetime, until: datetime) -> list[KeptEvent]:
    found: list[KeptEvent] = []
    after = 0
    while some := await store.events(since=since, after=after, limit=_EVENTS_AT_ONCE):
        found += (each for each in some if each.at < until)
        after = some[-1].id or 0
        if len(found) >= MAX_EVENTS:
            break
    return found[:MAX_EVENTS]


async def _judged(store: Store, names: list[str], now: datetime) -> list[Target]:
    """The latest of each next-hop, with verdicts and without facts, which would be too many to hold."""
    found: list[Target] = []
    for start in range(0, len(names), _AT_ONCE):
        report = await store.latest(tuple(names[start : start + _AT_ONCE]))
        for target in report.targets if report else ():
            verdicts = judge(target.next_hop, target.route, target.endpoints, now).verdicts
            found.append(replace(target, endpoints=(), verdicts=verdicts))
    return found
