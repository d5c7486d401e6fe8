"""Which endpoints and MX hosts the DNS no longer names, by what was seen of it, and when they are forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mxprobe.verdict.aspects_of_routes import NO_ADDRESS
from mxprobe.verdict.seen import Aspect, NoticeSettings, Seen, as_word

MAX_GONE = 100
"""Endpoints and hosts that are remembered though they are gone, the latest: addresses may change at every look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departed:
    """`since` when each is gone; the aspects of those that `left` just now, and of those that are `forgotten`."""

    since: dict[str, datetime]
    left: tuple[Aspect, ...] = ()
    forgotten: tuple[Aspect, ...] = ()


def departed(
    known: Collection[Aspect],
    gone: Mapping[str, datetime],
    seen: Iterable[Seen],
    now: datetime,
    settings: NoticeSettings,
) -> Departed:
    """What is gone after an observation. Where the DNS did not answer, nothing has come or gone."""
    named = _Named(seen)
    subjects: dict[str, list[Aspect]] = {}
    for aspect in known:
        if subject := _subject(aspect):
            subjects.setdefault(subject, []).append(aspect)
    since: dict[str, datetime] = {}
    left: list[Aspect] = []
    for subject, aspects in subjects.items():
        there = named.still(subject)
        if there is False or (there is None and subject in gone):
            since[subject] = min(gone.get(subject, now), now)
            left += aspects if subject not in gone else ()
    latest = sorted(since, key=lambda subject: (since[subject], subject))
    forgotten = set(latest[: max(len(latest) - MAX_GONE, 0)])
    forgotten |= {subject for subject in since if now - since[subject] >= settings.forget_after}
    return Departed(
        since={subject: when for subject, when in since.items() if subject not in forgotten},
        left=tuple(aspect for aspect in left if _subject(aspect) not in forgotten),
        forgotten=tuple(aspect for subject in sorted(forgotten) for aspect in subjects[subject]),
    )


def _subject(aspect: Aspect) -> str:
    """What has to be in the DNS: the endpoint, or the MX host whose addresses these are."""
    return aspect.endpoint or (aspect.item if aspect.kind == "addresses" else "")


class _Named:
    """What an observation says of the DNS."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        self._no_mail = False
        self._hosts: frozenset[str] | None = None
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._met: set[str] = set()
        for each in seen:
            aspect, value = each.aspect, each.value
            if aspect.endpoint:
                self._met.add(aspect.endpoint)
            elif aspect.kind == "addresses":
                self._met.add(aspect.item)
                found = each.evidence.get("addresses")
                if value not in (None, NO_ADDRESS) and isinstance(found, tuple):
                    self._addresses[aspect.item] = found
            elif value is None:
                continue
            elif aspect.kind == "mail":
                self._no_mail = value == "null-mx"
            elif aspect.kind == "mx" and each.complete:
                self._hosts = frozenset(word.partition(":")[2] for word in value.split())

    def still(self, subject: str) -> bool | None:
        """Whether an endpoint or host is still named; None where that is not known."""
        if subject in self._met:
            return True
        host, _, rest = subject.partition("[")
        if not host:
            return None  # an address that the user named
        host = as_word(host)
        if self._no_mail or (self._hosts is not None and host not in self._hosts):
            return False
        if rest and host in self._addresses:
            return rest.rpartition("]")[0] in self._addresses[host]
        return True if not rest and self._hosts is not None else None
