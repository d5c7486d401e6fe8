"""What is remembered of a target between observations, and the events that a new observation makes.

For each aspect the last known value and its time. What is unknown now keeps them, and makes no event unless it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mxprobe.facts import EvidenceValue, Severity
from mxprobe.verdict.departures import departed
from mxprobe.verdict.differences import GOOD, Difference, differences, merged, weaker
from mxprobe.verdict.events import Event, host_of
from mxprobe.verdict.flapping import NEVER_FLAPS, is_stable, recent, too_many
from mxprobe.verdict.seen import DEFAULTS, SETS, Aspect, AspectKind, NoticeSettings, Seen, as_evidence, as_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is remembered of one aspect.

    `value` is the last that was known (None: none ever was), `since` when it came to be so, `known_at` when it was
    known last; `complete` is false for a list that may not be all. `doubtful` was seen once, and has to be seen again.

    `unknown_since` is the first of the observations that did not find it out; `unknown_told` whether that was told.
    `open` is the kind of the last event that told of something wrong and was not ended; `good` the value before, of a
    list the words that have to be there again, and with a ``-`` before them those that must not.
    `changes` are the times of the last changes; while it `flaps`, `told` is the value that was told last.
    """

    value: str | None = None
    since: datetime | None = None
    known_at: datetime | None = None
    complete: bool = True
    doubtful: str | None = None
    unknown_since: datetime | None = None
    unknown_told: bool = False
    open: str = ""
    good: str | None = None
    changes: tuple[datetime, ...] = ()
    flaps: bool = False
    told: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that is remembered of a target, as of its last observation, `at` (None: there was none).

    `gone` are the endpoints and MX hosts that the DNS no longer names, and since when. Times are whole seconds.
    `verdict/memory_document.py` writes it as JSON.
    """

    next_hop: str
    at: datetime | None = None
    known: Mapping[Aspect, Remembered] = field(default_factory=dict)
    gone: Mapping[str, datetime] = field(default_factory=dict)


def remember(
    memory: Memory, seen: Iterable[Seen], at: datetime, settings: NoticeSettings = DEFAULTS
) -> tuple[Memory, tuple[Event, ...]]:
    """The memory after an observation at `at`, and the events that it makes, in the order of what was seen.

    The first known value of an aspect makes none, unless an endpoint comes new to a target, and is worse than all that
    were there. No aspect has more than one event of an observation. Observations count in the order in which they are
    remembered: a clock that was set back makes no event.

    Raises:
        ValueError: `at` has no time zone.
    """
    now = whole_seconds(at)
    once = {each.aspect: each for each in reversed(tuple(seen))}
    observed = tuple(reversed(once.values()))
    known = dict(memory.known)
    found: list[Difference] = []
    elsewhere = _Elsewhere(memory)
    for each in observed:
        known[each.aspect], told = _observed(known.get(each.aspect, Remembered()), each, now, settings, elsewhere)
        found += told
    gone = departed(known, memory.gone, observed, now, settings)
    for aspect in gone.left:
        known[aspect], told = _left(aspect, known[aspect], now, settings)
        found += told
    for aspect in gone.forgotten:
        found += _forgotten(aspect, known.pop(aspect))
    events = tuple(
        Event(
            kind=each.kind,
            severity=each.severity,
            next_hop=memory.next_hop,
            endpoint=each.aspect.endpoint,
            aspect=each.aspect,
            before=each.before,
            after=each.after,
            at=at,
            summary=as_line(each.summary),
            evidence=as_evidence(each.evidence),
            source=each.source,
        )
        for each in found
    )
    return Memory(next_hop=memory.next_hop, at=now, known=known, gone=gone.since), events


def whole_seconds(at: datetime) -> datetime:
    """A time as it is remembered, in UTC.

    Raises:
        ValueError: it has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC).replace(microsecond=0)


class _Elsewhere:
    """The endpoints that are known longer than this observation, for one that comes new."""

    def __init__(self, memory: Memory) -> None:
        self._values: dict[tuple[AspectKind, str], dict[str, str]] = {}
        for aspect, remembered in memory.known.items():
            if aspect.kind in GOOD and remembered.value is not None:
                values = self._values.setdefault((aspect.kind, aspect.item), {})
                values[aspect.endpoint] = remembered.value

    def all_good(self, aspect: Aspect) -> str:
        """The endpoints that this one stands beside, in words, if all of them are good; else empty.

        Those of the same MX host; or where there are none, all.
        """
        values = self._values.get((aspect.kind, aspect.item), {})
        host = host_of(aspect)
        same = {
            endpoint: value
            for endpoint, value in values.items()
            if host_of(Aspect(kind=aspect.kind, endpoint=endpoint)) == host
        }
        beside = same or values
        if not beside or any(value != GOOD[aspect.kind] for value in beside.values()):
            return ""
        names = sorted(beside)
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


_SET_FOR_GOOD: tuple[AspectKind, ...] = ("version", "suites")

Told = tuple[Difference, ...]


def _observed(
    before: Remembered, seen: Seen, now: datetime, settings: NoticeSettings, elsewhere: _Elsewhere
) -> tuple[Remembered, Told]:
    if seen.value is None:
        return _unknown(before, seen, now, settings)
    as_of = now if seen.at is None else min(whole_seconds(seen.at), now)
    if seen.at is not None and before.known_at is not None and as_of < before.known_at:
        return before, ()  # from an earlier sweep than what is known
    if seen.doubtful and seen.value not in (before.value, before.doubtful):
        return replace(before, doubtful=seen.value), ()
    unknown_since = before.unknown_since if before.unknown_told else None
    settled = replace(before, doubtful=None, unknown_since=None, unknown_told=False)
    if before.value is None:
        after = replace(settled, value=seen.value, since=now, known_at=as_of, complete=seen.complete)
        other = elsewhere.all_good(seen.aspect)
        worse = weaker(seen, other) if other else None
        after, told = _counted(after, (worse,), None, now, settings) if worse else (after, ())
    else:
        after, told = _known(settled, before.value, seen, now, as_of, settings)
    return after, _with_the_unknown(told, seen, unknown_since)


def _known(
    before: Remembered, value_before: str, seen: Seen, now: datetime, as_of: datetime, settings: NoticeSettings
) -> tuple[Remembered, Told]:
    """An aspect of which a value was known, and is again."""
    found = tuple(
        replace(each, evidence={**each.evidence, **_times(before, each)})
        for each in differences(value_before, before.complete, seen)
        if each.kind != "recovered" or before.open  # what was never told is not ended
    )
    value, complete = merged(value_before, before.complete, seen)
    changed = value != value_before
    after = replace(
        before,
        value=value,
        complete=complete,
        since=now if changed else before.since,
        # A part of a list is no news of the whole.
        known_at=as_of if changed or seen.complete else before.known_at,
    )
    if found:
        return _counted(after, found, value_before, now, settings)
    return _after_flapping(after, seen, now, settings) if before.flaps else (after, ())


def _times(before: Remembered, found: Difference) -> dict[str, EvidenceValue]:
    """When it was known last to be as before, and since when it had been so; of a list that is not said of one word."""
    if found.aspect.kind == NEVER_FLAPS:
        return {}  # its dates say it
    times = {"before_since": before.since, "before_until": before.known_at}
    if found.before is None or found.aspect.kind in SETS:
        del times["before_since"]
    return {name: time.isoformat() for name, time in times.items() if time is not None}


def _counted(
    after: Remembered, found: Told, value_before: str | None, now: datetime, settings: NoticeSettings
) -> tuple[Remembered, Told]:
    """Tell differences, unless there were too many of late; nothing while the aspect flaps."""
    if found[0].aspect.kind != NEVER_FLAPS:
        after = replace(after, changes=recent((*after.changes, now), now, settings))
        if after.flaps:
            return after, ()
        if too_many(after.changes, settings):
            return replace(after, flaps=True, told=value_before), (_flapping(found[0], after, settings),)
    return _tell(after, found, value_before)


def _after_flapping(after: Remembered, seen: Seen, now: datetime, settings: NoticeSettings) -> tuple[Remembered, Told]:
    """Once it was stable, tell what it has come to, if that is other than what was told last."""
    changes = tuple(min(change, now) for change in after.changes)
    if not is_stable(changes, now, settings):
        return replace(after, changes=changes), ()
    last, now_known = after.told, replace(seen, value=after.value, complete=after.complete)
    settled = replace(after, flaps=False, told=None, changes=())
    found = () if last is None else differences(last, after.complete, now_known)
    if not found:
        ended = _recovered(seen.aspect, after.value, "flapping", "it no longer changes", seen.reason)
        # What was told to be wrong before it flapped still is.
        return settled, (replace(ended, severity="warning", good=False) if settled.open else ended,)
    settled, told = _tell(replace(settled, changes=(now,)), found, last)
    return settled, tuple(replace(each, evidence={**each.evidence, "flapped": True}) for each in told)


def _tell(after: Remembered, found: Told, value_before: str | None) -> tuple[Remembered, Told]:
    """Tell differences, and keep in mind what is wrong, so that its end can be told as well."""
    told = []
    for each in found:
        evidence: dict[str, EvidenceValue] = dict(each.evidence)
        ends = _is_good(each, after)
        if ends and after.open:
            evidence["recovers"] = after.open
            after = replace(after, open="", good=None)
        elif each.severity in ("warning", "critical") and each.good is not True:
            after = replace(after, open=each.kind, good=_good_before(each, after, value_before))
        told.append(replace(each, evidence=evidence))
    return after, tuple(told)


def _is_good(found: Difference, after: Remembered) -> bool:
    if found.good is not None:
        return found.good
    if not after.open or after.good is None or after.value is None:
        return False
    if found.aspect.kind in SETS:
        words = set(after.value.split())
        return all((word[1:] not in words) if word[0] == "-" else word in words for word in after.good.split())
    return after.value == after.good


def _good_before(found: Difference, after: Remembered, value_before: str | None) -> str | None:
    """What has to be there again for the event to be over: the value before it, or before the first of several."""
    if found.aspect.kind in SETS:
        words = {*(after.good or "").split(), *found.missed, *(f"-{word}" for word in found.regretted)}
        return " ".join(sorted(words)) or None
    if after.open and after.good is not None:
        return after.good
    return found.before if value_before is None else value_before


def _unknown(before: Remembered, seen: Seen, now: datetime, settings: NoticeSettings) -> tuple[Remembered, Told]:
    since = before.unknown_since
    since = now if since is None else min(since, now)
    after = replace(before, unknown_since=since)
    if before.unknown_told or now - since < settings.unknown_after:
        return after, ()
    days = (now - since).days
    last = f"it was known last on {before.known_at:%Y-%m-%d}" if before.known_at else "it never was"
    found = Difference(
        kind="unknown-for-long",
        severity="warning",
        aspect=seen.aspect,
        before=before.value,
        after=None,
        summary=f"for {days} {'day' if days == 1 else 'days'} not known {question(seen.aspect)}, {last}: {seen.reason}",
        evidence={**seen.evidence, "reason": seen.reason, "unknown_since": since.isoformat()},
    )
    return replace(after, unknown_told=True), (found,)


def _with_the_unknown(told: Told, seen: Seen, unknown_since: datetime | None) -> Told:
    """That it is known again, where it was told that it was not; beside another event of the aspect as its evidence."""
    if unknown_since is None:
        return told
    if not told:
        summary = f"known again {question(seen.aspect)}"
        return (_recovered(seen.aspect, seen.value, "unknown-for-long", summary, seen.reason),)
    first, *rest = told
    evidence: dict[str, EvidenceValue] = {"recovers": "unknown-for-long", **first.evidence}
    return replace(first, evidence={**evidence, "unknown_since": unknown_since.isoformat()}), *rest


def _left(aspect: Aspect, before: Remembered, now: datetime, settings: NoticeSettings) -> tuple[Remembered, Told]:
    """An endpoint or host that the DNS no longer names: what was wrong with it is over, and news if it comes back.

    What its versions and suites came to stays: an address may be away for a day, and TLS 1.0 is gone for good.
    """
    ends = before.open if aspect.kind not in _SET_FOR_GOOD else ""
    if before.flaps or not (ends or before.unknown_told):
        return before, ()
    after = replace(before, unknown_since=None, unknown_told=False)
    ended = _recovered(aspect, None, ends or "unknown-for-long", _no_longer_named(aspect))
    if not ends:
        return after, (ended,)
    if aspect.kind not in GOOD:
        return replace(after, open="", good=None), (ended,)
    # What was less than elsewhere from the first is again held against that.
    good = None if ends == "weaker-endpoint" else before.good
    return _counted(replace(after, value=good, since=now), (ended,), before.value, now, settings)


def _forgotten(aspect: Aspect, before: Remembered) -> Iterator[Difference]:
    ends = before.open if aspect.kind not in _SET_FOR_GOOD else ""
    if before.flaps or ends or before.unknown_told:
        kind = "flapping" if before.flaps else ends or "unknown-for-long"
        yield _recovered(aspect, None, kind, _no_longer_named(aspect))


def _no_longer_named(aspect: Aspect) -> str:
    return f"the DNS no longer names {aspect.endpoint or aspect.item}"


def _recovered(aspect: Aspect, value: str | None, kind: str, summary: str, reason: str = "") -> Difference:
    return Difference(
        kind="recovered",
        severity="info",
        aspect=aspect,
        before=None,
        after=value,
        summary=f"{summary}: {reason}" if reason else summary,
        evidence={"recovers": kind},
        good=True,
    )


def _flapping(last: Difference, after: Remembered, settings: NoticeSettings) -> Difference:
    """One event for all changes until it is stable; of an MX host it is the list that flaps."""
    aspect = Aspect(kind="mx") if last.aspect.kind == "mx" else last.aspect
    days = settings.flapping_window.days
    severity: Severity = "warning"
    if last.severity == "critical" or (not after.open and last.severity != "warning"):
        severity = last.severity
    return Difference(
        kind="flapping",
        severity=severity,
        aspect=aspect,
        before=last.before,
        after=last.after,
        summary=f"changes again and again, {len(after.changes)} times in {days} days, and is told when it no longer "
        f"does; the last time: {last.summary}",
        evidence={
            **{key: value for key, value in last.evidence.items() if key != "recovers"},
            "changes": tuple(change.isoformat() for change in after.changes),
        },
        source=last.source,
    )


def question(aspect: Aspect) -> str:
    """What is known where an aspect is known, as a part of a sentence."""
    kind = f"{aspect.item} certificate" if aspect.item else "certificate"
    texts: dict[AspectKind, str] = {
        "mail": "whether it takes mail",
        "mx": "which MX hosts it has",
        "addresses": f"which addresses {aspect.item} has",
        "starttls": "whether STARTTLS works",
        "version": f"whether {aspect.item} is accepted",
        "suites": f"which suites {aspect.item} has",
        "shared-cipher": f"whether profile {aspect.item} gets TLS",
        "needs-sslv3": "whether it needs SSLv3",
        "certificate": f"which {kind} it has",
        "certificate-kind": "which kind of certificate it shows",
        "expiry": f"until when the {kind} is valid",
        "issuer": f"who issued the {kind}",
        "name": f"whether the {kind} names the host",
        "trusted": "whether the certificate is trusted",
    }
    return texts[aspect.kind]
