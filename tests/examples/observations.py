"""Observations of one target, one after the other, as its memory is given them, and the events that come of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from mxprobe.verdict.events import Event
from mxprobe.verdict.memory import Memory, remember
from mxprobe.verdict.seen import DEFAULTS, Aspect, NoticeSettings, Seen

START = datetime(2026, 1, 5, 3, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
E1 = "mx1.example.test[192.0.2.1]:25"
E2 = "mx1.example.test[192.0.2.2]:25"

STARTTLS = Aspect(kind="starttls", endpoint=E1)
SUITES = Aspect(kind="suites", endpoint=E1, item="TLSv1.2")
CERTIFICATE = Aspect(kind="certificate", endpoint=E1, item="RSA")
EXPIRY = Aspect(kind="expiry", endpoint=E1, item="RSA")
MX = Aspect(kind="mx")
MAIL = Aspect(kind="mail")

Observation = tuple[Seen, ...]


def one(aspect: Aspect, value: str | None, **more: Any) -> Observation:
    return (Seen(aspect=aspect, value=value, **more),)


def run(
    observations: Iterable[Observation],
    settings: NoticeSettings = DEFAULTS,
    *,
    step: timedelta = DAY,
    memory: Memory | None = None,
    start: datetime = START,
) -> tuple[Memory, list[Event]]:
    """Remember one observation after the other, a day apart."""
    memory = memory or Memory(next_hop="example.test")
    events: list[Event] = []
    for number, seen in enumerate(observations):
        memory, new = remember(memory, seen, start + number * step, settings)
        events += new
    return memory, events


def told(events: Iterable[Event]) -> list[tuple[int, str, str | None, str | None]]:
    """Day, kind, before and after."""
    return [((event.at - START).days, event.kind, event.before, event.after) for event in events]


def values(aspect: Aspect, *found: str | None) -> list[Observation]:
    return [one(aspect, value) for value in found]


def addresses(*found: str) -> Observation:
    host = Aspect(kind="addresses", item="mx1.example.test")
    return (
        *one(MX, "10:mx1.example.test"),
        *one(host, " ".join(found), evidence={"addresses": found}),
    )


def at(where: str, value: str | None) -> Observation:
    return one(Aspect(kind="starttls", endpoint=where), value)
