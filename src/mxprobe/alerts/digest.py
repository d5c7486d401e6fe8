"""The week in one message: what was noticed, and how all targets stand; composed of what the store has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mxprobe.alerts.messages import MAX_LISTED, blank_document, digest_of, moment
from mxprobe.facts import Severity, Target
from mxprobe.store.work import KeptEvent
from mxprobe.verdict.seen import as_evidence

_ORDER: tuple[Severity, ...] = ("critical", "warning", "info", "ok")


def digest_key(until: datetime) -> str:
    """What makes the digest of a week this one: it is enqueued under it as often as anybody likes, and told once."""
    return digest_of("digest", moment(until))


def digest_document(
    events: Iterable[KeptEvent], targets: Iterable[Target], *, since: datetime, until: datetime
) -> dict[str, Any]:
    """The digest of the events from `since` to before `until`, and of the latest targets, with their verdicts.

    `severity` is that of the worst event. The evidence counts the events by kind, and the targets by the worst of their
    verdicts; the events are listed from the most severe on.
    """
    told = sorted(
        (event for event in events if since <= event.at < until),
        key=lambda event: (_rank(event.severity), event.at, event.next_hop, event.kind),
    )
    kinds = Counter(event.kind for event in told)
    stand: Counter[str] = Counter(_worst(target) for target in targets)
    days = (until - since).days
    summary = (
        f"{_count(len(told), 'event')} at {_count(len({event.next_hop for event in told}), 'target')} in {days} days; "
        f"of {_count(stand.total(), 'target')} {stand['critical']} critical, {stand['warning']} with a warning"
    )
    return blank_document(
        type="digest",
        kind="digest",
        severity=told[0].severity if told else "info",
        at=moment(until),
        summary=summary,
        evidence=as_evidence(
            {
                **{f"events: {kind}": number for kind, number in sorted(kinds.items())},
                **{f"targets: {word}": stand[word] for word in _ORDER if stand[word]},
            }
        ),
        next_hops=sorted({event.next_hop for event in told})[:MAX_LISTED],
        count=len(told),
        events=[_listed(event) for event in told[:MAX_LISTED]],
    )


def _listed(event: KeptEvent) -> dict[str, Any]:
    recovers = event.evidence.get("recovers")
    return {
        "kind": event.kind,
        "severity": event.severity,
        "recovers": recovers if isinstance(recovers, str) else "",
        "next_hop": event.next_hop,
        "endpoint": event.endpoint,
        "before": event.before,
        "after": event.after,
        "at": moment(event.at),
        "summary": event.summary,
    }


def _worst(target: Target) -> str:
    return min((verdict.severity for verdict in target.verdicts), key=_rank, default="ok")


def _rank(severity: str) -> int:
    return _ORDER.index(severity) if severity in _ORDER else 0


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
