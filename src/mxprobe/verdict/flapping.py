"""Changes that come too often to be told one by one: when an aspect flaps, and when it has been stable again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mxprobe.verdict.events import NOT_OF_A_VALUE, Event
from mxprobe.verdict.seen import DEFAULTS, NoticeSettings

NEVER_FLAPS = "expiry"
"""A certificate comes to each threshold once, so that there is nothing to damp."""


def recent(changes: Iterable[datetime], now: datetime, settings: NoticeSettings) -> tuple[datetime, ...]:
    """The changes that count at `now`, no more than are needed. One that is in the future, as the clock was set back
    since, counts as one of now."""
    within = (min(change, now) for change in changes)
    kept = tuple(change for change in within if now - change <= settings.flapping_window)
    return kept[-max(settings.flapping_changes, 1) :]


def too_many(changes: tuple[datetime, ...], settings: NoticeSettings) -> bool:
    """Whether these are so many that they are told as flapping."""
    return len(changes) >= settings.flapping_changes


def is_stable(changes: tuple[datetime, ...], now: datetime, settings: NoticeSettings) -> bool:
    """Whether the last change is long enough ago."""
    return not changes or now - changes[-1] >= settings.stable_after


def damped(event: Event, past: Iterable[Event], settings: NoticeSettings = DEFAULTS) -> bool:
    """Whether an event is to be kept back because its aspect flaps, by the events that were told of it before.

    `verdict/memory.py` damps what it remembers. This is for events that come from elsewhere, or after a memory was
    lost: `past` are the events of the target, oldest first, as they were kept.
    """
    if event.aspect.kind == NEVER_FLAPS or event.kind in ("unknown-for-long", "recovered"):
        return False
    flaps = False
    changes: list[datetime] = []
    for other in past:
        if other.aspect != event.aspect or other.at > event.at:
            continue
        if other.kind == "flapping":
            flaps, changes = True, [other.at]
        elif other.kind == "recovered" and other.recovers == "flapping":
            flaps, changes = False, []
        elif other.kind not in NOT_OF_A_VALUE:
            changes = [other.at] if flaps else [*changes, other.at]
            flaps = False
    if flaps:
        return event.kind == "flapping" or not is_stable(tuple(changes), event.at, settings)
    return event.kind != "flapping" and too_many(recent((*changes, event.at), event.at, settings), settings)
